"""The adapter in a fast replay: same orders in the same market, same fills; signatures hold at any speed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.loans import BybitLoans
from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.venue import BybitVenue
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.domain.order import Accepted, OrderRequest, OrderType, Side, TimeInForce, order_link_id
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.market_data import MarketEvent, TickerView
from hedgelock_actors.ports.venue import PrivateEvent
from tests.contract.venue_kit import QUICK, SYMBOL, gate, keys, world_on
from tests.integration.exchange_process import exchange

pytestmark = pytest.mark.integration
EVERY = 15
ORDERS = 8


def sale(number: int) -> OrderRequest:
    return OrderRequest(
        account="main",
        symbol=SYMBOL,
        side=Side.SELL,
        qty=Decimal("0.5"),
        order_type=OrderType.MARKET,
        price=None,
        time_in_force=TimeInForce.IOC,
        reduce_only=False,
        order_link_id=order_link_id("lock-step", number),
        intent_id="lock-step",
        attempt=number,
    )


async def fills_of_a_replay() -> list[tuple[int, Decimal, Decimal, Decimal]]:
    """Sell on every fifteenth ticker from inside the handler, and tell what was filled when, relative to the start."""
    with exchange("--speed", "max", "--hold", "--seed", "7", "--scenario", "configs/scenarios/crash.yaml") as running:
        clock = ReplayClock(running.rest, "trader")
        await clock.prepare()
        start_ms = clock.now_ms()
        endpoints = Endpoints.local(running.rest, running.ws)
        venue = BybitVenue(endpoints, keys(running), "main", clock, "trader", patience=QUICK)
        data = BybitMarketData(endpoints, clock, "trader", QUICK)
        instrument = await venue.instrument(SYMBOL)
        fills: list[Execution] = []
        tickers = sent = 0
        done = asyncio.Event()

        async def on_market(event: MarketEvent) -> None:
            nonlocal tickers, sent
            if not isinstance(event, TickerView):
                return
            tickers += 1
            if tickers % EVERY == 0 and sent < ORDERS:
                sent += 1
                order = gate(sale(sent), instrument, event.mark, clock.now_ms())
                assert isinstance(await venue.place(order), Accepted)
            if tickers == EVERY * (ORDERS + 2):
                done.set()

        async def on_private(event: PrivateEvent) -> None:
            if isinstance(event, Execution):
                fills.append(event)

        await venue.start(["execution", "position"], on_private)
        await data.start([SYMBOL], on_market)
        await clock.start()
        running.start("trader")
        await asyncio.wait_for(done.wait(), 60)
        report = running.sim("report")["server"]
        await clock.stop()
        await data.stop()
        await venue.stop()
        assert report["pace_overruns"] == 0
        assert data.counters()["handler_failures"] == 0
        return [(one.ts_ms - start_ms, one.price, one.qty, one.fee) for one in fills]


async def test_the_same_replay_gives_the_same_fills() -> None:
    first, second = await fills_of_a_replay(), await fills_of_a_replay()
    assert sum((qty for _, _, qty, _ in first), Decimal(0)) == Decimal("0.5") * ORDERS
    assert first == second


async def test_signed_requests_and_streams_hold_at_two_hundred_times_the_wall() -> None:
    with exchange("--speed", "200", "--ip-limit", "0") as running:
        async with world_on(running, ("order", "execution", "wallet")) as world:
            for _ in range(5):
                assert isinstance(await world.place(await world.order("0.01")), Accepted)
            await world.heard(Execution, count=5)
            loans = BybitLoans(Endpoints.local(running.rest), keys(running), world.clock, "main")
            for _ in range(20):
                (loan,) = await loans.loans()
                assert abs(loan.ts_ms - world.clock.now_ms()) < 60_000
                await asyncio.sleep(0.01)
            loans.close()
