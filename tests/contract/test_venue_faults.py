"""What the venue and the line to it can do to an order, one fault after the other, on the simulated exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from hedgelock_actors.adapters.bybit.venue import OrderRules
from hedgelock_actors.domain.order import (
    Accepted,
    AmendRequest,
    OrderStatus,
    OrderView,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
)
from hedgelock_actors.domain.position import Execution, PositionFold
from hedgelock_actors.ports.venue import StreamLost, StreamRestored, VenueError
from tests.contract.venue_kit import SYMBOL, World, approved_amend, until, world_on
from tests.integration.exchange_process import Running, exchange

pytestmark = pytest.mark.integration
TOPICS = ("order", "execution", "position", "wallet")
QUICK_ANSWER = OrderRules(answer_ms=700)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--accounts", "3") as process:
        yield process


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    async with world_on(running, TOPICS, rules=QUICK_ANSWER) as opened:
        await opened.heard(StreamRestored)
        assert opened.venue.counters()["socket_ready"] == 1
        yield opened


@pytest.fixture
async def by_rest(running: Running) -> AsyncIterator[World]:
    """A world whose orders go by REST, as they do when the trade socket is down."""
    async with world_on(running, TOPICS, number=1, rules=OrderRules(socket=False)) as opened:
        yield opened


def arrivals(world: World, link: str) -> list[Any]:
    return [row for row in world.running.sim("orders")["list"] if row["order_link_id"] == link]


def uid(world: World, number: int = 0) -> str:
    return str(world.running.accounts[number]["uid"])


async def ended(world: World, link: str) -> OrderView:
    """The order's last word."""
    return (await world.heard(OrderView, lambda view: view.order_link_id == link and view.status.terminal))[-1]


async def filled_once(world: World, link: str, qty: str) -> None:
    """It filled wholly, as one order that reached the venue's book once."""
    await until(lambda: bool(world.events))
    view = await ended(world, link)
    assert (view.status, view.cum_qty) == (OrderStatus.FILLED, Decimal(qty))
    assert [row["retCode"] for row in arrivals(world, link)].count(0) == 1
    done = await world.venue.executions(SYMBOL, world.clock.now_ms() - 600_000)
    assert sum(one.qty for one in done if one.order_link_id == link) == Decimal(qty)


# ---------------------------------------------------------------------- the road of an order


async def test_f12_a_socket_that_is_down_is_not_waited_for_and_rest_makes_one_order(world: World) -> None:
    order = await world.order("0.01")
    world.running.fault(kind="refuse", seconds=0.8)
    world.running.fault(kind="close", channel="trade")
    await until(lambda: world.venue.counters()["socket_ready"] == 0)
    assert isinstance(await world.venue.place(order), Accepted)
    assert [row["via"] for row in arrivals(world, order.request.order_link_id)] == ["rest"]
    await filled_once(world, order.request.order_link_id, "0.01")
    await until(lambda: world.venue.counters()["socket_ready"] == 1)
    again = await world.order("0.01")
    assert isinstance(await world.venue.place(again), Accepted)
    assert [row["via"] for row in arrivals(world, again.request.order_link_id)] == ["ws"]


async def test_f13_an_answer_lost_on_the_socket_is_unknown_never_sent_by_rest_and_adopted(world: World) -> None:
    order = await world.order("0.01")
    link = order.request.order_link_id
    world.running.fault(kind="drop_acks", count=1)
    assert isinstance(await world.venue.place(order), Unknown)
    assert [row["via"] for row in arrivals(world, link)] == ["ws"]
    assert isinstance(await world.venue.place(order), Accepted)
    await filled_once(world, link, "0.01")


@pytest.mark.parametrize("cut", ["reset", "close"])
async def test_f13_a_socket_cut_before_the_answer_leaves_the_order_unknown(world: World, cut: str) -> None:
    order = await world.order("0.01")
    link = order.request.order_link_id
    world.running.fault(kind="delay_acks", seconds=5)
    placing = asyncio.create_task(world.venue.place(order))
    try:
        await until(lambda: bool(arrivals(world, link)))
        world.running.fault(kind=cut, channel="trade")
        assert isinstance(await placing, Unknown)
    finally:
        world.running.fault(kind="delay_acks", seconds=0)
    await until(lambda: world.venue.counters()["socket_ready"] == 1)
    assert isinstance(await world.place(order), Accepted)
    await filled_once(world, link, "0.01")


async def test_f14_an_order_that_queries_do_not_show_yet_is_not_there_and_then_is(world: World) -> None:
    world.running.fault(kind="query_lag", ms=800)
    try:
        order = await world.order("0.01")
        link = order.request.order_link_id
        placed = await world.venue.place(order)
        assert isinstance(placed, Accepted)
        await ended(world, link)
        assert await world.venue.find_order(SYMBOL, link) is None
        assert await world.venue.place(order) == Accepted(""), "it exists, though nobody is shown it"
        await asyncio.sleep(0.9)
        found = await world.venue.find_order(SYMBOL, link)
        assert found is not None
        assert found.order_id == placed.order_id
    finally:
        world.running.fault(kind="query_lag", ms=0)


async def test_f15_an_order_acknowledged_and_then_rejected_is_told_by_the_stream(world: World) -> None:
    world.running.fault(kind="half_ack", count=1)
    order = await world.order("0.01")
    assert isinstance(await world.venue.place(order), Accepted)
    view = await ended(world, order.request.order_link_id)
    assert (view.status, view.cum_qty) == (OrderStatus.REJECTED, 0)


async def test_f16_a_fill_may_be_told_before_the_answer(world: World) -> None:
    world.running.fault(kind="delay_acks", seconds=0.4)
    try:
        order = await world.order("0.01")
        placing = asyncio.create_task(world.venue.place(order))
        view = await ended(world, order.request.order_link_id)
        assert not placing.done()
        assert await placing == Accepted(view.order_id)
    finally:
        world.running.fault(kind="delay_acks", seconds=0)


@pytest.mark.parametrize("code", [10000, 10016, 20006, 424242])
async def test_f18_f19_a_code_that_says_nothing_on_the_socket_is_unknown_and_adopted(world: World, code: int) -> None:
    order = await world.order("0.01")
    world.running.fault(kind="answer_orders", code=code, count=1)
    assert isinstance(await world.venue.place(order), Unknown)
    assert isinstance(await world.place(order), Accepted)
    await filled_once(world, order.request.order_link_id, "0.01")


@pytest.mark.parametrize("fault", ["500", "502", "503", "truncated", "html"])
async def test_f18_f19_a_broken_answer_by_rest_is_unknown_and_adopted(by_rest: World, fault: str) -> None:
    order = await by_rest.order("0.01")
    by_rest.running.fault(kind="rest", fault=fault, path="/v5/order/create", count=1)
    assert isinstance(await by_rest.venue.place(order), Unknown)
    assert isinstance(await by_rest.place(order), Accepted)
    await filled_once(by_rest, order.request.order_link_id, "0.01")


# ---------------------------------------------------------------------- limits


async def test_f20_a_burst_is_spread_over_time_and_the_venue_never_says_too_often(running: Running) -> None:
    rules = OrderRules(wait_ms=8_000)
    async with world_on(running, TOPICS, number=2, rules=rules) as world:
        before = running.sim("report", uid=uid(world, 2))["rejected"].get("10006", 0)
        away = (await world.mark() * Decimal("1.009")).quantize(Decimal("0.1"))
        orders = [await world.order("0.01", away) for _ in range(35)]
        began = world.clock.now_ms()
        placed = await asyncio.gather(*(world.venue.place(order) for order in orders))
        assert all(isinstance(outcome, Accepted) for outcome in placed)
        assert world.clock.now_ms() - began > 3_000
        links = [order.request.order_link_id for order in orders]
        late = await asyncio.gather(*(world.venue.cancel(SYMBOL, link) for link in links[:15]))
        assert all(isinstance(outcome, Accepted) for outcome in late)
        assert all(isinstance(outcome, Accepted) for outcome in await world.venue.cancel_many(SYMBOL, links[15:]))
        assert running.sim("report", uid=uid(world, 2))["rejected"].get("10006", 0) == before
        assert world.venue.counters()["orders_limited"] == 0


async def test_f20_whoever_would_wait_too_long_is_refused_by_us_and_cancels_are_not_held_up(running: Running) -> None:
    async with world_on(running, TOPICS, number=2, rules=OrderRules(wait_ms=100)) as world:
        away = (await world.mark() * Decimal("1.009")).quantize(Decimal("0.1"))
        orders = [await world.order("0.01", away) for _ in range(14)]
        placed = await asyncio.gather(*(world.place(order) for order in orders[:1]))
        assert isinstance(placed[0], Accepted)
        began = world.clock.now_ms()
        outcomes = await asyncio.gather(*(world.venue.place(order) for order in orders[1:]))
        refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        assert refused
        assert {(outcome.code, outcome.retry) for outcome in refused} == {("PACE", True)}
        assert isinstance(await world.venue.cancel(SYMBOL, orders[0].request.order_link_id), Accepted)
        assert world.clock.now_ms() - began < 900
        await world.venue.cancel_many(SYMBOL, [order.request.order_link_id for order in orders[1:]])


async def test_f20_a_refusal_for_being_too_often_is_honoured(world: World) -> None:
    world.running.fault(kind="refuse_orders", code=10006, count=1)
    order = await world.order("0.01")
    refused = await world.venue.place(order)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == ("10006", True)
    assert world.venue.counters()["orders_limited"] == 1
    began = world.clock.now_ms()
    assert isinstance(await world.venue.place(order), Accepted)
    assert world.clock.now_ms() - began > 500, "it waits for the venue's reset"


async def test_f20_http_429_is_refused_for_now(by_rest: World) -> None:
    order = await by_rest.order("0.01")
    by_rest.running.fault(kind="rest", fault="429", path="/v5/order/create", count=1)
    refused = await by_rest.venue.place(order)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == ("429", True)
    assert isinstance(await by_rest.venue.place(order), Accepted)


async def test_f20_after_a_403_nothing_is_sent_for_ten_minutes(by_rest: World) -> None:
    order = await by_rest.order("0.01")
    by_rest.running.fault(kind="rest", fault="403", path="/v5/order/create", count=1)
    assert isinstance(await by_rest.venue.place(order), Unknown)
    refused = await by_rest.venue.place(order)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == ("BANNED", True)
    cancelled = await by_rest.venue.cancel(SYMBOL, order.request.order_link_id)
    assert isinstance(cancelled, Rejected)
    with pytest.raises(VenueError, match="403"):
        await by_rest.venue.position(SYMBOL)
    (fault,) = await by_rest.venue.account_faults(SYMBOL)
    assert "403" in fault
    assert 590_000 < by_rest.venue.counters()["banned_ms"] <= 600_000
    assert arrivals(by_rest, order.request.order_link_id) == []


# ---------------------------------------------------------------------- the clock


async def test_f21_a_refused_time_stamp_asks_the_venue_for_its_time(world: World) -> None:
    world.running.fault(kind="refuse_orders", code=10002, count=1)
    order = await world.order("0.01")
    refused = await world.venue.place(order)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == ("10002", True)
    counters = world.venue.counters()
    assert (counters["clock_measurements"], counters["clock_offset_ms"]) == (1, 0), "a right clock is left alone"
    assert isinstance(await world.venue.place(order), Accepted)


async def test_f21_a_clock_that_is_two_seconds_ahead_is_corrected_for_signing(running: Running) -> None:
    async with world_on(running, TOPICS, skew_ms=2_500) as world:
        order = await world.order("0.01")  # the price is asked for with a signed request
        assert world.venue.counters()["clock_offset_ms"] == pytest.approx(-2_500, abs=300)
        assert isinstance(await world.place(order), Accepted)
        await filled_once(world, order.request.order_link_id, "0.01")


async def test_f21_f65_a_clock_an_hour_off_signs_nothing_until_it_is_right_again(running: Running) -> None:
    async with world_on(running, TOPICS) as world:
        order = await world.order("0.01")
        world.clock.skew_ms = 3_600_000
        outcomes = [await world.venue.place(order) for _ in range(2)]
        assert [isinstance(outcome, Rejected) and outcome.retry for outcome in outcomes] == [True, True]
        assert isinstance(outcomes[1], Rejected)
        assert outcomes[1].code == "CLOCK"
        with pytest.raises(VenueError, match="clock"):
            await world.venue.position(SYMBOL)
        (fault,) = await world.venue.account_faults(SYMBOL)
        assert "clock" in fault
        assert arrivals(world, order.request.order_link_id) == []
        world.clock.skew_ms = 0
        await asyncio.sleep(1.1)
        assert isinstance(await world.venue.place(order), Accepted)


# ---------------------------------------------------------------------- orders that end otherwise


async def test_f22_what_filled_before_a_cancel_is_kept(world: World) -> None:
    touch = (await world.mark() * Decimal("0.9999")).quantize(Decimal("0.1"))
    order = await world.order("9", touch)
    link = order.request.order_link_id
    assert isinstance(await world.place(order), Accepted)
    await world.heard(OrderView, lambda view: view.order_link_id == link and view.cum_qty > 0)
    await world.venue.cancel(SYMBOL, link)
    view = await ended(world, link)
    done = await world.venue.executions(SYMBOL, world.clock.now_ms() - 600_000)
    assert sum(one.qty for one in done if one.order_link_id == link) == view.cum_qty > 0


async def test_f23_a_cancel_that_races_a_fill_changes_the_position_once(world: World) -> None:
    before = await world.venue.position(SYMBOL)
    order = await world.order("0.01")
    link = order.request.order_link_id
    placed, _ = await asyncio.gather(world.place(order), world.venue.cancel(SYMBOL, link))
    assert isinstance(placed, Accepted)
    view = await ended(world, link)
    after = await world.venue.position(SYMBOL)
    assert before.signed_qty - after.signed_qty == view.cum_qty


async def test_f25_a_reduce_only_order_that_the_venue_splits_keeps_its_id_on_every_part(world: World) -> None:
    assert isinstance(await world.place(await world.order("0.2")), Accepted)
    world.running.fault(kind="split", qty="0.05")
    try:
        order = await world.order("0.16", side=Side.BUY, reduce_only=True)
        link = order.request.order_link_id
        assert isinstance(await world.place(order), Accepted)

        def parts() -> set[str]:
            ours = [view for view in world.events if isinstance(view, OrderView) and view.order_link_id == link]
            return {view.order_id for view in ours if view.status is OrderStatus.FILLED}

        await until(lambda: len(parts()) == 4)
    finally:
        world.running.fault(kind="split")
    filled = await world.heard(Execution, lambda one: one.order_link_id == link, count=4)
    assert sum(one.qty for one in filled) == Decimal("0.16")


async def test_f26_a_market_order_out_of_range_is_cancelled_without_a_fill(world: World) -> None:
    world.running.fault(kind="no_market")
    try:
        order = await world.order("0.01")
        assert isinstance(await world.place(order), Accepted)
        view = await ended(world, order.request.order_link_id)
    finally:
        world.running.fault(kind="no_market", on=False)
    assert (view.status, view.cum_qty, view.reject_reason) == (OrderStatus.CANCELLED, 0, "EC_NoImmediateQtyToFill")


async def test_f27_a_post_only_order_that_would_take_is_cancelled(world: World) -> None:
    through = (await world.mark() * Decimal("0.999")).quantize(Decimal("0.1"))
    order = await world.order("0.01", through, time_in_force=TimeInForce.POST_ONLY)
    assert isinstance(await world.place(order), Accepted)
    view = await ended(world, order.request.order_link_id)
    assert (view.status, view.reject_reason) == (OrderStatus.CANCELLED, "EC_PostOnlyWillTakeLiquidity")


async def test_f28_an_order_without_margin_is_refused_for_good(world: World) -> None:
    away = (await world.mark() * Decimal("1.009")).quantize(Decimal("0.1"))
    refused = await world.place(await world.order("900", away))
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == ("110007", False)


async def test_f31_a_restarting_trade_service_gets_a_new_socket_and_what_is_on_its_way_is_left_alone(
    world: World,
) -> None:
    world.running.fault(kind="delay_acks", seconds=0.4)
    first = await world.order("0.01")
    on_its_way = asyncio.create_task(world.venue.place(first))
    await until(lambda: bool(arrivals(world, first.request.order_link_id)))
    world.running.fault(kind="trade_restart", count=1)
    second = await world.order("0.01")
    assert isinstance(await world.venue.place(second), Accepted)
    world.running.fault(kind="delay_acks", seconds=0)
    assert isinstance(await on_its_way, Accepted)
    assert world.venue.counters()["socket_renewals"] == 1
    assert [row["via"] for row in arrivals(world, second.request.order_link_id)] == ["rest"]
    await until(lambda: world.venue.counters()["socket_ready"] == 1)
    third = await world.order("0.01")
    assert isinstance(await world.place(third), Accepted)
    assert [row["via"] for row in arrivals(world, third.request.order_link_id)] == ["ws"]


async def test_f32_an_amendment_moves_the_price_is_three_valued_and_never_touches_the_quantity(world: World) -> None:
    price = (await world.mark() * Decimal("1.008")).quantize(Decimal("0.1"))
    order = await world.order("0.01", price)
    link = order.request.order_link_id
    assert isinstance(await world.place(order), Accepted)
    await world.heard(OrderView, lambda view: view.order_link_id == link and view.status is OrderStatus.NEW)

    def to(new: Decimal, number: int) -> AmendRequest:
        return AmendRequest(
            account="main",
            symbol=SYMBOL,
            side=Side.SELL,
            order_link_id=link,
            intent_id=order.request.intent_id,
            price=new,
            number=number,
        )

    moved = await world.venue.amend(await approved_amend(world, to(price + 5, 1)))
    assert isinstance(moved, Accepted)
    (view,) = await world.heard(OrderView, lambda view: view.order_link_id == link and view.price == price + 5)
    assert (view.qty, view.status) == (Decimal("0.01"), OrderStatus.NEW)
    world.running.fault(kind="answer_orders", op="amend", code=10016)
    assert isinstance(await world.venue.amend(await approved_amend(world, to(price + 6, 2))), Unknown)
    await world.heard(OrderView, lambda view: view.order_link_id == link and view.price == price + 6)
    await world.venue.cancel(SYMBOL, link)
    await ended(world, link)
    late = await world.venue.amend(await approved_amend(world, to(price + 7, 3)))
    assert isinstance(late, Rejected)
    assert (late.code, late.retry) == ("110001", False)


# ---------------------------------------------------------------------- the private stream, positions, the account


async def test_f33_f34_repeated_and_reordered_messages_fold_into_the_venues_position(world: World) -> None:
    world.running.fault(kind="duplicate_private")
    world.running.fault(kind="reorder_private")
    began = world.clock.now_ms()
    before = await world.venue.position(SYMBOL)
    try:
        orders = [await world.order("0.02") for _ in range(4)]
        for order in orders:
            assert isinstance(await world.place(order), Accepted)
        for order in orders:
            await ended(world, order.request.order_link_id)
        links = {order.request.order_link_id for order in orders}
        ours = await world.heard(Execution, lambda one: one.order_link_id in links, count=8)
    finally:
        world.running.fault(kind="duplicate_private", on=False)
        world.running.fault(kind="reorder_private", on=False)
    assert len(ours) > len({one.exec_id for one in ours})
    heard = [event for event in world.events if isinstance(event, Execution) and event.ts_ms >= began]
    fold = PositionFold(SYMBOL).apply_all(heard)
    assert fold.signed_qty == (await world.venue.position(SYMBOL)).signed_qty - before.signed_qty == Decimal("-0.08")


def by_hand(world: World, **spec: object) -> None:
    answer = requests.post(f"{world.running.rest}/sim/trade", json={"uid": uid(world), **spec}, timeout=10)
    assert answer.json()["retCode"] == 0, answer.text


async def test_f35_a_fill_that_nobody_heard_of_is_in_the_list_of_executions(world: World) -> None:
    began = world.clock.now_ms()
    world.running.fault(kind="refuse", seconds=0.6)
    world.running.fault(kind="reset", channel="private")
    await world.heard(StreamLost)
    await asyncio.to_thread(by_hand, world, side="Sell", qty="0.03")
    await world.heard(StreamRestored, count=2)
    missed = [one for one in await world.venue.executions(SYMBOL, began) if one.qty == Decimal("0.03")]
    assert missed
    assert not [event for event in world.events if isinstance(event, Execution)]


async def test_f36_a_trade_by_hand_is_told_without_an_id_of_ours(world: World) -> None:
    await asyncio.to_thread(by_hand, world, side="Sell", qty="0.04")
    (foreign, *_) = await world.heard(Execution, lambda one: one.order_link_id == "")
    assert (foreign.side, foreign.exec_type, foreign.create_type) == (Side.SELL, "Trade", "CreateByUser")
    await world.heard(OrderView, lambda view: view.order_link_id == "" and view.status is OrderStatus.FILLED)


@pytest.mark.parametrize(
    ("how", "exec_type", "create_type"),
    [
        ("adl", "AdlTrade", "CreateByAdl_PassThrough"),
        ("liquidation", "BustTrade", "CreateByLiq"),
        ("takeover", "BustTrade", "CreateByTakeOver_PassThrough"),
    ],
)
async def test_f37_a_position_that_the_venue_takes_away_is_told_as_such(
    world: World, how: str, exec_type: str, create_type: str
) -> None:
    assert isinstance(await world.place(await world.order("0.05")), Accepted)
    await world.heard(Execution)
    before = await world.venue.position(SYMBOL)
    world.running.fault(kind="take_position", uid=uid(world), symbol=SYMBOL, qty="0.05", how=how)
    (taken, *_) = await world.heard(Execution, lambda one: one.exec_type == exec_type)
    assert (taken.side, taken.qty, taken.create_type) == (Side.BUY, Decimal("0.05"), create_type)
    assert (await world.venue.position(SYMBOL)).signed_qty == before.signed_qty + Decimal("0.05")


async def test_f39_a_position_that_cannot_be_read_is_an_error_and_not_flat(world: World) -> None:
    world.running.fault(kind="rest", fault="500", path="/v5/position/list", count=1)
    with pytest.raises(VenueError, match="500"):
        await world.venue.position(SYMBOL)


async def test_f41_an_order_that_a_restarted_venue_forgot_is_found_in_its_history(world: World) -> None:
    order = await world.order("0.01")
    link = order.request.order_link_id
    assert isinstance(await world.place(order), Accepted)
    await ended(world, link)
    assert link in {view.order_link_id for view in await world.venue.open_orders(SYMBOL)}
    world.running.fault(kind="forget_closed")
    assert link not in {view.order_link_id for view in await world.venue.open_orders(SYMBOL)}
    found = await world.venue.find_order(SYMBOL, link)
    assert found is not None
    assert found.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("change", "back", "said"),
    [
        ({"reduce_only": True}, {"reduce_only": False}, "isReduceOnly"),
        ({"position_mode": 3}, {"position_mode": 0}, "hedge mode"),
        ({"margin_mode": "ISOLATED_MARGIN"}, {"margin_mode": "REGULAR_MARGIN"}, "ISOLATED_MARGIN"),
        ({"unified_status": 1}, {"unified_status": 6}, "unified"),
        ({"leverage": "25"}, {"leverage": "10"}, "leverage was changed from 10 to 25"),
    ],
)
async def test_f43_settings_changed_by_hand_are_seen(
    world: World, change: dict[str, object], back: dict[str, object], said: str
) -> None:
    assert await world.venue.account_faults(SYMBOL) == []
    world.running.fault(kind="settings", uid=uid(world), **change)
    try:
        (fault,) = await world.venue.account_faults(SYMBOL)
        assert said in fault
        if "reduce_only" in change:
            refused = await world.place(await world.order("0.01"))
            assert isinstance(refused, Rejected)
            assert (refused.code, refused.retry) == ("110023", False)
    finally:
        world.running.fault(kind="settings", uid=uid(world), **back)
    assert await world.venue.account_faults(SYMBOL) == []


# ---------------------------------------------------------------------- the venue itself


async def test_f09_changed_filters_are_read_anew_and_old_prices_are_refused(world: World) -> None:
    price = (await world.mark() * Decimal("1.005")).quantize(Decimal(1)) + Decimal("0.1")
    order = await world.order("0.01", price)
    world.running.fault(kind="instrument", symbol=SYMBOL, tick_size="0.5", max_order_qty="7")
    try:
        refused = await world.place(order)
        assert isinstance(refused, Rejected)
        assert refused.code == "10001"
        changed = await world.venue.instrument(SYMBOL)
        assert (changed.tick_size, changed.max_qty) == (Decimal("0.5"), Decimal(7))
    finally:
        world.running.fault(kind="instrument", symbol=SYMBOL, tick_size="0.10", max_order_qty="1190")


@pytest.mark.parametrize(("status", "code"), [("Closed", "110066"), ("Settling", "110063"), ("Delivering", "30228")])
async def test_f10_an_instrument_that_is_not_traded_refuses_and_is_reported(
    world: World, status: str, code: str
) -> None:
    order = await world.order("0.01")
    world.running.fault(kind="instrument", symbol=SYMBOL, status=status)
    try:
        refused = await world.place(order)
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.retry) == (code, False)
        (fault,) = await world.venue.account_faults(SYMBOL)
        assert status in fault
    finally:
        world.running.fault(kind="instrument", symbol=SYMBOL, status="Trading")


async def test_maintenance_is_announced_refuses_orders_and_ends(world: World) -> None:
    assert await world.venue.maintenance() == []
    world.running.fault(kind="maintenance", title="upgrade", in_s=1.0, seconds=None)
    try:
        (window,) = await world.venue.maintenance()
        assert (window.title, window.ongoing, window.end_ms) == ("upgrade", False, None)
        assert 0 < window.begin_ms - world.clock.now_ms() <= 1_000
        assert isinstance(await world.place(await world.order("0.01")), Accepted)
        await asyncio.sleep(1.1)
        assert (await world.venue.maintenance())[0].ongoing
        refused = await world.place(await world.order("0.01"))
        assert isinstance(refused, Rejected)
        assert refused.code == "110066"
        cancelled = await world.venue.cancel(SYMBOL, "hl-any")
        assert isinstance(cancelled, Rejected)
        assert cancelled.retry
    finally:
        world.running.fault(kind="end_maintenance")
    assert await world.venue.maintenance() == []
    assert isinstance(await world.place(await world.order("0.01")), Accepted)


async def test_f68_a_key_that_the_venue_does_not_know_refuses_everything(running: Running) -> None:
    async with world_on(running, (), key="no-such-key-at-all") as world:
        with pytest.raises(VenueError, match="10003"):
            await world.venue.wallet()


@pytest.mark.parametrize("code", [33004, 10010])
async def test_f71_an_expired_or_unbound_key_is_refused_for_good(world: World, code: int) -> None:
    world.running.fault(kind="refuse_orders", code=code)
    refused = await world.venue.place(await world.order("0.01"))
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.retry) == (str(code), False)
