"""A calm recorded day, worked by the real actors in one process: targets are filled, and cheaply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.reporting.execution_quality import judge
from hedgelock_actors.reporting.intents import read_intents
from hedgelock_actors.simulator.price_files import read_bars
from hedgelock_actors.simulator.prices import BarPath
from tests.simulation.world import ROUTER, World

pytestmark = [pytest.mark.data, pytest.mark.slow]

PRICES = "btcusdt-perp-binance_1m_2022-12_calm.parquet"
DAY_MS = 86_400_000
FILL_RATE_MIN = 0.99


async def test_targets_fill_on_a_calm_day(shared_data: Callable[[str], Path]) -> None:
    begin_ms = int(datetime(2022, 12, 13, tzinfo=UTC).timestamp() * 1_000)
    path = BarPath(read_bars(shared_data(PRICES)), 1, 12, begin_ms, begin_ms + DAY_MS)
    # A fiftieth of the usual dead band and a sixth of the dwell: the usual ones hardly move a target on a calm day.
    plain = Policy()
    policy = replace(plain, target=replace(plain.target, dead_band=0.001, down_dwell_ms=600_000))
    world = World(path, policy=policy)
    await world.start()
    await world.run()
    records = [record async for record in world.journal.read(ROUTER)]
    found = judge(read_intents([records])).overall
    assert found.targets >= 50
    assert found.targets_superseded <= 0.2 * found.targets
    assert found.target_fill_rate >= FILL_RATE_MIN
    assert found.fill_rate >= FILL_RATE_MIN
    assert found.shortfall_bps < 10
    assert {point.horizon_ms for point in found.markouts} == {1_000, 10_000, 60_000}
    assert all(point.fills >= 0.9 * found.fills for point in found.markouts)
    assert world.report()["duplicate_orders"] == 0
