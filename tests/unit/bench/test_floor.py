"""The floor against a real exchange: every order is followed from its price to its fill."""

from __future__ import annotations

from pathlib import Path

import pytest

from hedgelock_actors.bench import order_bench
from hedgelock_actors.bench.stages import Stamps, between
from hedgelock_actors.bench.venue import start_exchange

pytestmark = pytest.mark.integration


async def test_a_bare_loop_sends_an_order_at_every_price(tmp_path: Path) -> None:
    exchange = await start_exchange(
        tmp_path, accounts=2, minutes=5, ticks_per_minute=600, more=["--latency-ms", "0", "--order-limit", "100"]
    )
    try:
        stamps = Stamps()
        sent = await order_bench._floor(exchange, 12, stamps)
        for price_ms, at_ns in await order_bench._asked(exchange, "/sim/published"):
            stamps.note("published", str(price_ms), at_ns)
        for row in await order_bench._asked(exchange, "/sim/orders"):
            stamps.note("arrived", str(row["order_link_id"]), row["monotonic_ns"])
        assert {row["retCode"] for row in await order_bench._asked(exchange, "/sim/orders")} == {0}
    finally:
        await exchange.stop()
    ways = [order_bench._floor_way(one, stamps) for one in sent]
    assert len({one.link for one in sent}) == 12
    for first, last in (("published", "frame"), ("frame", "place"), ("place", "arrived"), ("arrived", "fill")):
        seen = between(ways, first, last)
        assert seen is not None
        assert seen.count == 12
        assert 0 < seen.p50_ms < 1_000
