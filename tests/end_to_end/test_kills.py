"""Order router and position keeper killed at random while prices move: nothing lost, nothing doubled, soon back.

`hedgelock bench kills` does the same two hundred times.
"""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import World

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 20
END_S = 420.0


def test_f47_killed_at_random_nothing_is_lost_and_nothing_doubled(world: World) -> None:
    found = world.run("bench", "kills", "--kills", str(KILLS), "--seed", "11", seconds=END_S)
    assert found["verdict"]["lost"] == []
    assert found["verdict"]["doubled"] == []
    assert found["converged"]
    assert sum(len(values) for values in found["recovery_ms"].values()) == KILLS
    assert found["orders_meanwhile"] > KILLS
    assert found["verdict"]["fills"] > 0
    assert found["recovery"]["p99_ms"] <= 10_000
