"""From stamps to latencies, by hand."""

from __future__ import annotations

import pytest

from hedgelock_actors.bench.stages import Sent, Spread, Stamps, between, spread, way_of

MS = 1_000_000


def stamps() -> Stamps:
    found = Stamps()
    lines = [
        "frame 100 1000000",
        "frame 100 3000000",  # the other half of the same price
        "tick:risk 100 4000000",
        "demand:main 100 5000000",
        "target:main 100 7000000",
        "place hl-1 9000000",
        "fill hl-1 15000000",
        "fill hl-1 16000000",
        "frame 200 50",
        "torn 3",
        "torn x y",
    ]
    found.read(lines)
    found.note("published", "100", 500_000)
    found.note("arrived", "hl-1", 10_000_000)
    return found


def test_an_order_s_way_is_put_together_from_its_price_and_its_id() -> None:
    way = way_of(Sent(account="main", link="hl-1", price_ms=100), stamps())
    assert way == {
        "published": 500_000,
        "frame": 1 * MS,
        "tick:risk": 4 * MS,
        "demand": 5 * MS,
        "target": 7 * MS,
        "place": 9 * MS,
        "arrived": 10 * MS,
        "fill": 15 * MS,
    }
    assert between([way], "frame", "place") == Spread(count=1, p50_ms=8.0, p90_ms=8.0, p99_ms=8.0, max_ms=8.0)


def test_what_was_not_stamped_is_left_out() -> None:
    way = way_of(Sent(account="main", link="hl-2", price_ms=200), stamps())
    assert way == {"frame": 50}
    assert between([way], "frame", "place") is None
    assert spread([]) is None


def test_the_spread_is_linear_between_neighbours() -> None:
    found = spread(range(101))
    assert found is not None
    assert (found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms) == pytest.approx((50, 90, 99, 100))
