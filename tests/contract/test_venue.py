"""The contract of ports.venue.Venue, held by the Bybit adapter on the simulated exchange over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.bybit.venue import OrderRules
from hedgelock_actors.domain.order import Accepted, OrderStatus, OrderView, Rejected, Side, TimeInForce, Unknown
from hedgelock_actors.domain.position import Execution, PositionFold
from hedgelock_actors.ports.venue import PositionView, StreamLost, StreamRestored, VenueError, WalletView
from tests.contract.venue_kit import SYMBOL, World, until, world_on
from tests.integration.exchange_process import Running, exchange

pytestmark = pytest.mark.integration
TOPICS = ("order", "execution", "position", "wallet")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--accounts", "2") as process:
        yield process


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    async with world_on(running, TOPICS) as opened:
        yield opened


@pytest.fixture
async def by_rest(running: Running) -> AsyncIterator[World]:
    """A world whose orders go by REST, as they do when the trade socket is down."""
    async with world_on(running, TOPICS, rules=OrderRules(socket=False)) as opened:
        yield opened


async def test_an_instrument_has_filters(world: World) -> None:
    assert world.instrument.symbol == SYMBOL
    assert world.instrument.qty_step == Decimal("0.001")
    with pytest.raises(VenueError):
        await world.venue.instrument("NOSUCHUSDT")


async def test_an_order_fills_and_every_view_agrees(world: World) -> None:
    before = await world.venue.position(SYMBOL)
    fold_from = world.clock.now_ms() - 5_000
    order = await world.order("0.05")
    link = order.request.order_link_id
    outcome = await world.place(order)
    assert isinstance(outcome, Accepted)
    filled = (await world.heard(OrderView, lambda view: view.order_link_id == link and view.status.terminal))[-1]
    assert (filled.status, filled.cum_qty, filled.order_id) == (OrderStatus.FILLED, Decimal("0.05"), outcome.order_id)

    def ours(execution: Execution) -> bool:
        return execution.order_link_id == link

    pushed = await world.heard(Execution, ours)
    listed = [one for one in await world.venue.executions(SYMBOL, fold_from) if ours(one)]
    assert {one.exec_id for one in pushed} == {one.exec_id for one in listed}
    assert sum(one.qty for one in listed) == Decimal("0.05")
    assert sum(one.fee for one in listed) == filled.cum_fee > 0
    assert [one.ts_ms for one in listed] == sorted(one.ts_ms for one in listed)

    after = await world.venue.position(SYMBOL)
    assert after.signed_qty - before.signed_qty == Decimal("-0.05")
    await world.heard(PositionView, lambda view: view.signed_qty == after.signed_qty)
    await world.heard(WalletView)
    wallet = await world.venue.wallet()
    assert wallet.equity_usdt > wallet.available_usdt > 0
    assert wallet.initial_margin_usdt > wallet.maintenance_margin_usdt > 0


async def test_executions_fold_into_the_venues_position(world: World) -> None:
    for side in (Side.SELL, Side.SELL, Side.BUY):
        placed = await world.place(await world.order("0.01", side=side, reduce_only=side is Side.BUY))
        assert isinstance(placed, Accepted)
        await world.heard(OrderView, lambda view, oid=placed.order_id: view.order_id == oid and view.status.terminal)  # type: ignore[misc]
    fold = PositionFold(SYMBOL).apply_all(await world.venue.executions(SYMBOL, world.clock.now_ms() - 30 * 86_400_000))
    view = await world.venue.position(SYMBOL)
    assert fold.signed_qty == view.signed_qty
    assert abs(fold.entry_price - view.entry_price) < Decimal("0.01")


async def test_a_resting_order_is_listed_found_and_cancelled(world: World) -> None:
    price = (await world.mark() * Decimal("1.009")).quantize(Decimal("0.1"))
    order = await world.order("0.01", price)
    link = order.request.order_link_id
    assert isinstance(await world.place(order), Accepted)
    await world.heard(OrderView, lambda view: view.order_link_id == link and view.status is OrderStatus.NEW)
    assert link in {view.order_link_id for view in await world.venue.open_orders(SYMBOL)}
    found = await world.venue.find_order(SYMBOL, link)
    assert found is not None
    assert (found.status, found.leaves_qty, found.price) == (OrderStatus.NEW, Decimal("0.01"), price)

    assert isinstance(await world.venue.cancel(SYMBOL, link), Accepted)
    gone = await world.heard(OrderView, lambda view: view.order_link_id == link and view.status.terminal)
    assert (gone[-1].status, gone[-1].cum_qty) == (OrderStatus.CANCELLED, 0)
    again = await world.venue.cancel(SYMBOL, link)
    assert isinstance(again, Unknown | Rejected)
    late = await world.venue.find_order(SYMBOL, link)
    assert late is not None
    assert late.status is OrderStatus.CANCELLED
    listed = {view.order_link_id: view.status for view in await world.venue.open_orders(SYMBOL)}
    assert listed[link] is OrderStatus.CANCELLED


async def test_an_ioc_order_fills_in_part_and_the_rest_is_cancelled(world: World) -> None:
    touch = (await world.mark() * Decimal("0.9999")).quantize(Decimal("0.1"))
    order = await world.order("9", touch, time_in_force=TimeInForce.IOC)  # more than rests so close to the mark
    assert isinstance(await world.place(order), Accepted)
    (last, *_) = await world.heard(
        OrderView, lambda view: view.order_link_id == order.request.order_link_id and view.status.terminal
    )
    assert (last.status, last.leaves_qty, last.reject_reason) == (OrderStatus.CANCELLED, 0, "EC_NoImmediateQtyToFill")
    assert 0 < last.cum_qty < 9


async def test_f17_the_same_id_sent_twice_makes_one_order(world: World) -> None:
    order = await world.order("0.01")
    first = await world.place(order)
    second = await world.place(order)
    assert isinstance(first, Accepted)
    assert second == first
    seen = [one for one in world.running.sim("orders")["list"] if order.request.order_link_id in str(one)]
    assert seen
    filled = await world.heard(OrderView, lambda view: view.order_link_id == order.request.order_link_id)
    assert {view.order_id for view in filled} == {first.order_id}


@pytest.mark.parametrize("fault", ["10000", "10016", "timeout", "reset", "html"])
async def test_f13_f18_an_unknown_outcome_is_settled_by_the_same_id(by_rest: World, fault: str) -> None:
    position = await by_rest.venue.position(SYMBOL)
    order = await by_rest.order("0.01")
    link = order.request.order_link_id
    by_rest.running.fault(kind="rest", fault=fault, path="/v5/order/create", count=1)
    assert isinstance(await by_rest.place(order), Unknown)
    assert isinstance(await by_rest.place(order), Accepted)
    await by_rest.heard(OrderView, lambda view: view.order_link_id == link and view.status is OrderStatus.FILLED)
    after = await by_rest.venue.position(SYMBOL)
    assert after.signed_qty - position.signed_qty == Decimal("-0.01")


@pytest.mark.parametrize(("fault", "code"), [("10006", "10006"), ("10002", "10002")])
async def test_refused_for_now_may_be_sent_again(by_rest: World, fault: str, code: str) -> None:
    order = await by_rest.order("0.01")
    by_rest.running.fault(kind="rest", fault=fault, path="/v5/order/create", count=1)
    refused = await by_rest.venue.place(order)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == (code, True)
    assert isinstance(await by_rest.place(order), Accepted)


async def test_a_refused_order_says_why(running: Running) -> None:
    async with world_on(running, TOPICS, number=1) as flat:
        assert (await flat.venue.position(SYMBOL)).signed_qty == 0
        refused = await flat.venue.place(await flat.order("0.01", side=Side.BUY, reduce_only=True))
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.retry) == ("110017", False)
        assert "reduce-only" in refused.text


async def test_f24_cancelling_an_order_that_the_venue_does_not_show_is_unknown(world: World) -> None:
    assert isinstance(await world.venue.cancel(SYMBOL, "hl-never-sent"), Unknown)
    assert await world.venue.find_order(SYMBOL, "hl-never-sent") is None


async def test_f02_a_lost_stream_comes_back_and_goes_on(world: World) -> None:
    await world.heard(StreamRestored)
    for fault in ("close", "reset"):
        restored = len([event for event in world.events if isinstance(event, StreamRestored)])
        world.running.fault(kind=fault, channel="private")
        await world.heard(StreamLost, count=restored)
        await world.heard(StreamRestored, count=restored + 1)
    order = await world.order("0.01")
    await world.place(order)
    await world.heard(OrderView, lambda view: view.order_link_id == order.request.order_link_id)


async def test_an_outage_of_the_whole_venue_is_survived(world: World) -> None:
    await world.heard(StreamRestored)
    world.running.fault(kind="refuse", seconds=1.0)
    world.running.fault(kind="reset", channel="private")
    await world.heard(StreamLost, count=2)
    await world.heard(StreamRestored, count=2)
    await until(lambda: isinstance(world.events[-1], StreamRestored))
