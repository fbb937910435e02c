"""The life of orders, as the venue's documentation and observations of it say."""

from __future__ import annotations

import pytest

from hedgelock_actors.simulator.api import (
    AccountSpec,
    AmendBatch,
    AmendOrder,
    CancelAll,
    CancelBatch,
    CancelOrder,
    PlaceBatch,
    PositionUpdate,
    SetLeverage,
    SwitchMode,
    WalletUpdate,
)
from tests.unit.simulator.rig import UID, D, account, exchange, found, order, place, run, run_out


def cancel(order_id: str = "", link: str = "") -> CancelOrder:
    return CancelOrder(symbol="BTCUSDT", order_id=order_id, order_link_id=link)


def test_the_answer_comes_before_the_effect_and_says_nothing_of_it() -> None:
    venue = exchange()
    ack = venue.request(UID, order(order_link_id="first"), venue.now_ms)
    assert (ack.ret_code, ack.ret_msg, ack.result["orderLinkId"]) == (0, "OK", "first")
    assert ack.reply_ms == venue.now_ms + 4
    assert venue.find_order(UID, order_link_id="first") is None
    assert venue.position(UID, "BTCUSDT").size == 0
    seen = run(venue, 2).events
    assert seen == []
    run(venue, 1)
    assert found(venue, str(ack.result["orderId"])).order_status == "Filled"
    pushed = run(venue, 5)
    assert [o.order_status for o in pushed.orders] == ["Filled"]
    assert all(event.ts_ms >= venue.start_ms + 5 for event in pushed.events)


def test_a_market_sell_fills_at_the_bid_and_pays_the_taker_fee() -> None:
    venue = exchange()
    bid = venue.ticker("BTCUSDT").bid1_price
    order_id, seen = place(venue, order(qty="0.1"))
    view = found(venue, order_id)
    assert (view.order_status, view.avg_price, view.cum_exec_qty, view.time_in_force) == (
        "Filled",
        bid,
        D("0.1"),
        "IOC",
    )
    assert view.cum_exec_fee == bid * D("0.1") * D("0.00055")
    position = venue.position(UID, "BTCUSDT")
    assert (position.side, position.size, position.avg_price) == ("Sell", D("0.1"), bid)
    assert venue.wallet(UID).coins[0].wallet_balance == 10000 - view.cum_exec_fee
    assert len(seen.of(PositionUpdate)) == 1
    assert seen.of(WalletUpdate)[0].wallet.total_perp_upl == position.unrealised_pnl


def test_a_large_order_eats_level_by_level_and_the_book_refills_at_the_next_tick() -> None:
    venue = exchange(accounts=[account("10000000")])
    before = venue.book("BTCUSDT")
    _, seen = place(venue, order(qty="40"))
    prices = [price for price, _ in seen.fills]
    assert len(prices) > 3
    assert prices == sorted(prices, reverse=True)
    assert prices[0] == D(before.bids[0][0])
    assert D(venue.book("BTCUSDT").bids[0][0]) == prices[-1]
    run(venue, 1000)
    assert D(venue.book("BTCUSDT").bids[0][0]) == prices[0]


def test_an_ioc_that_is_too_big_for_its_limit_is_cancelled_with_what_it_got() -> None:
    venue = exchange(accounts=[account("10000000")])
    bid, size = venue.book("BTCUSDT").bids[0]
    order_id, seen = place(venue, order(qty="30", price=bid, time_in_force="IOC"))
    view = found(venue, order_id)
    assert (view.order_status, view.reject_reason) == ("Cancelled", "EC_NoImmediateQtyToFill")
    assert view.cum_exec_qty == D(size)
    assert view.leaves_qty == 0
    assert [o.order_status for o in seen.orders] == ["PartiallyFilled", "Cancelled"]


def test_an_ioc_without_a_counterpart_is_cancelled_untouched() -> None:
    venue = exchange()
    order_id, _ = place(venue, order(price="60100", time_in_force="IOC"))
    view = found(venue, order_id)
    assert (view.order_status, view.cum_exec_qty, view.avg_price) == ("Cancelled", 0, None)


@pytest.mark.parametrize(("qty", "status", "filled"), [("30", "Cancelled", "0"), ("0.1", "Filled", "0.1")])
def test_fok_is_all_or_nothing(qty: str, status: str, filled: str) -> None:
    venue = exchange(accounts=[account("10000000")])
    bid = venue.book("BTCUSDT").bids[0][0]
    order_id, _ = place(venue, order(qty=qty, price=bid, time_in_force="FOK"))
    view = found(venue, order_id)
    assert (view.order_status, view.cum_exec_qty) == (status, D(filled))
    assert view.reject_reason == ("EC_CancelForNoFullFill" if status == "Cancelled" else "EC_NoError")


def test_post_only_that_would_take_is_acknowledged_and_then_cancelled() -> None:
    venue = exchange()
    bid = venue.book("BTCUSDT").bids[0][0]
    order_id, _ = place(venue, order(price=bid, time_in_force="PostOnly"))
    view = found(venue, order_id)
    assert (view.order_status, view.reject_reason, view.cum_exec_qty) == (
        "Cancelled",
        "EC_PostOnlyWillTakeLiquidity",
        0,
    )


def test_a_resting_order_is_filled_as_maker_when_the_price_trades_through() -> None:
    venue = exchange([60000.0] * 3 + [60100.0] * 3)
    order_id, seen = place(venue, order(price="60050", time_in_force="PostOnly"))
    assert [o.order_status for o in seen.orders] == ["New"]
    assert [o.order_id for o in venue.open_orders(UID)] == [order_id]
    assert ("60050.00", "0.100") in venue.book("BTCUSDT").asks
    run(venue, 3500)
    view = found(venue, order_id)
    assert (view.order_status, view.avg_price) == ("Filled", 60050)
    assert venue.executions(UID)[0].is_maker
    assert view.cum_exec_fee == 60050 * D("0.1") * D("0.0002")
    assert venue.open_orders(UID) == []


def test_the_touch_fills_in_parts_as_volume_trades_behind_the_queue() -> None:
    venue = exchange([60000.0] * 200, volume=2.0, accounts=[account("10000000")])
    ask, ahead = venue.book("BTCUSDT").asks[0]
    order_id, _ = place(venue, order(qty="10", price=ask))
    run(venue, 1000)
    if D(ahead) > 2:
        assert found(venue, order_id).cum_exec_qty == 0
    run_out(venue)
    parts = [one.exec_qty for one in venue.executions(UID)]
    assert found(venue, order_id).order_status == "Filled"
    assert len(parts) > 3
    assert max(parts) <= 2
    assert sum(parts) == 10


def test_a_client_id_is_used_once_for_ever() -> None:
    venue = exchange()
    order_id, _ = place(venue, order(price="60300", order_link_id="only-once"))
    venue.request(UID, cancel(order_id), venue.now_ms)
    run(venue, 20)
    ack = venue.request(UID, order(order_link_id="only-once"), venue.now_ms)
    assert (ack.ret_code, ack.ret_msg) == (110072, "OrderLinkedID is duplicate")
    report = venue.report(UID)
    assert (report["duplicate_orders"], report["duplicate_requests"]) == (0, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": D("0.0001")}, 10001),
        ({"qty": D("0.10005")}, 10001),
        ({"qty": D("0")}, 10001),
        ({"qty": D("-1")}, 10001),
        ({"qty": D("NaN")}, 10001),
        ({"qty": D("501")}, 10001),
        ({"symbol": "DOGEUSDT"}, 10001),
        ({"position_idx": 1}, 10001),
        ({"order_link_id": "x" * 37}, 10001),
        ({"order_link_id": "a b"}, 10001),
        ({"order_type": "Limit"}, 10001),
        ({"order_type": "Limit", "price": D("60000.05")}, 10001),
        ({"order_type": "Limit", "price": D("59000")}, 110003),
        ({"side": "Buy", "order_type": "Limit", "price": D("61000")}, 110003),
        ({"order_type": "Limit", "price": D("60000"), "qty": D("20")}, 110007),
        ({"reduce_only": True}, 110017),
        ({"slippage_tolerance_type": "Percent", "slippage_tolerance": D("11")}, 110109),
        ({"slippage_tolerance_type": "TickSize", "slippage_tolerance": D("0.5")}, 110108),
        ({"trigger_price": D("59000"), "trigger_direction": 1}, 110092),
    ],
)
def test_what_is_refused_at_once(changes: dict[str, object], code: int) -> None:
    venue = exchange()
    ack = venue.request(UID, order(**changes), venue.now_ms)  # type: ignore[arg-type]
    assert ack.ret_code == code, ack
    assert run(venue, 50).orders == []
    assert venue.report(UID)["rejected"] == {str(code): 1}


def test_an_order_below_the_minimum_value_is_refused() -> None:
    venue = exchange([3000.0] * 5)
    assert venue.request(UID, order(qty="0.001"), venue.now_ms).ret_code == 110094


def test_slippage_tolerance_limits_a_market_order() -> None:
    venue = exchange(accounts=[account("10000000")])
    bid = D(venue.book("BTCUSDT").bids[0][0])
    command = order(qty="100", slippage_tolerance_type="TickSize", slippage_tolerance=D(50))
    order_id, seen = place(venue, command)
    view = found(venue, order_id)
    assert view.price == bid - 5
    assert view.order_status == "Cancelled"
    assert all(price >= bid - 5 for price, _ in seen.fills)


def test_the_protection_band_of_a_market_order_hangs_on_the_mark_price() -> None:
    venue = exchange()
    order_id, _ = place(venue, order())
    assert found(venue, order_id).price == D("57000")


def test_reduce_only_closes_and_never_flips() -> None:
    venue = exchange()
    place(venue, order("Sell", "0.1"))
    same = venue.request(UID, order("Sell", "0.1", reduce_only=True), venue.now_ms)
    assert (same.ret_code, same.ret_msg) == (110017, "reduce-only order has same side with current position")
    order_id, _ = place(venue, order("Buy", "0.3", reduce_only=True))
    assert found(venue, order_id).cum_exec_qty == D("0.1")
    assert venue.position(UID, "BTCUSDT").size == 0
    flat = venue.request(UID, order("Buy", "0.1", reduce_only=True), venue.now_ms)
    assert flat.ret_msg == "current position is zero, cannot fix reduce-only order qty"


def test_resting_reduce_only_orders_shrink_with_the_position_and_go_when_it_is_gone() -> None:
    venue = exchange()
    place(venue, order("Sell", "0.1"))
    resting, _ = place(venue, order("Buy", "0.1", "59500", reduce_only=True))
    full = venue.request(UID, order("Buy", "0.1", "59400", reduce_only=True), venue.now_ms)
    assert (full.ret_code, full.ret_msg) == (110017, "Reduce-only rule not satisfied")
    place(venue, order("Buy", "0.04"))
    assert found(venue, resting).qty == D("0.06")
    place(venue, order("Buy", "0.06"))
    view = found(venue, resting)
    assert (view.order_status, view.cancel_type) == ("Cancelled", "CancelByReduceOnly")
    assert venue.open_orders(UID) == []


def test_cancel_and_its_refusals() -> None:
    venue = exchange()
    order_id, _ = place(venue, order(price="60300", order_link_id="one"))
    assert venue.request(UID, cancel(link="one"), venue.now_ms).ret_code == 0
    run(venue, 20)
    view = found(venue, order_id)
    assert (view.order_status, view.cancel_type, view.leaves_qty) == ("Cancelled", "CancelByUser", 0)
    again = venue.request(UID, cancel(order_id), venue.now_ms)
    assert (again.ret_code, again.ret_msg) == (110001, "order not exists or too late to cancel")
    assert venue.request(UID, cancel(), venue.now_ms).ret_code == 10001


def test_a_cancel_that_loses_the_race_is_told_in_a_second_message() -> None:
    venue = exchange([60000.0, 60000.0, 60500.0, 60500.0])
    order_id, _ = place(venue, order(price="60300"))
    just_before = venue.start_ms + 1998
    assert venue.request(UID, cancel(order_id), just_before).ret_code == 0
    seen = run(venue, 30)
    assert [(o.order_status, o.cancel_type, o.reject_reason) for o in seen.orders] == [
        ("Filled", "UNKNOWN", "EC_NoError"),
        ("Filled", "CancelByUser", "EC_OrigClOrdIDDoesNotExist"),
    ]


def test_a_cancel_right_behind_its_order_keeps_its_place() -> None:
    venue = exchange()
    ack = venue.request(UID, order(price="60300", order_link_id="quick"), venue.now_ms)
    assert venue.request(UID, cancel(link="quick"), venue.now_ms).ret_code == 0
    seen = run(venue, 30)
    assert [o.order_status for o in seen.orders] == ["New", "Cancelled"]
    assert found(venue, str(ack.result["orderId"])).order_status == "Cancelled"


def test_cancel_all_names_what_it_cancels() -> None:
    venue = exchange()
    ids = {place(venue, order(price=price))[0] for price in ("60300", "60400")}
    ack = venue.request(UID, CancelAll(), venue.now_ms)
    assert {item.order_id for item in ack.items} == ids
    run(venue, 20)
    assert venue.open_orders(UID) == []


def test_amend_quantity_and_price() -> None:
    venue = exchange()
    order_id, _ = place(venue, order(qty="0.2", price="60300"))
    command = AmendOrder(symbol="BTCUSDT", order_id=order_id, qty=D("0.1"), price=D("60200"))
    assert venue.request(UID, command, venue.now_ms).ret_code == 0
    run(venue, 20)
    view = found(venue, order_id)
    assert (view.qty, view.price, view.order_status) == (D("0.1"), D("60200"), "New")
    assert ("60200.00", "0.100") in venue.book("BTCUSDT").asks
    assert venue.request(UID, command, venue.now_ms).ret_code == 10001


def test_an_amended_price_that_crosses_takes() -> None:
    venue = exchange()
    order_id, _ = place(venue, order(price="60300"))
    venue.request(UID, AmendOrder(symbol="BTCUSDT", order_id=order_id, price=D("59900")), venue.now_ms)
    run(venue, 20)
    assert found(venue, order_id).order_status == "Filled"
    assert not venue.executions(UID)[0].is_maker


def test_an_amendment_never_goes_below_what_is_filled() -> None:
    venue = exchange([60000.0] * 30, volume=2.0, accounts=[account("10000000")])
    ask = venue.book("BTCUSDT").asks[0][0]
    order_id, _ = place(venue, order(qty="40", price=ask))
    run(venue, 25_000)
    done = found(venue, order_id).cum_exec_qty
    assert done > D("0.001")
    low = AmendOrder(symbol="BTCUSDT", order_id=order_id, qty=D("0.001"))
    assert venue.request(UID, low, venue.now_ms).ret_code == 10001
    exact = AmendOrder(symbol="BTCUSDT", order_id=order_id, qty=done)
    assert venue.request(UID, exact, venue.now_ms).ret_code == 0
    run(venue, 20)
    view = found(venue, order_id)
    assert (view.order_status, view.qty) == ("Filled", done)


def test_batches_answer_order_by_order() -> None:
    venue = exchange()
    good, bad = order(price="60300", order_link_id="g"), order(qty="0.0001", order_link_id="b")
    ack = venue.request(UID, PlaceBatch(orders=(good, bad)), venue.now_ms)
    assert ack.ret_code == 0
    assert [item.ret_code for item in ack.items] == [0, 10001]
    run(venue, 20)
    order_id = ack.items[0].order_id
    amended = venue.request(
        UID, AmendBatch(orders=(AmendOrder(symbol="BTCUSDT", order_id=order_id, price=D("60200")),)), venue.now_ms
    )
    assert [item.ret_code for item in amended.items] == [0]
    run(venue, 20)
    cancelled = venue.request(UID, CancelBatch(orders=(cancel(order_id), cancel("nothing"))), venue.now_ms)
    assert [item.ret_code for item in cancelled.items] == [0, 110001]
    assert venue.request(UID, PlaceBatch(orders=(good,) * 21), venue.now_ms).ret_code == 10001


def test_a_conditional_order_waits_for_its_price() -> None:
    venue = exchange([60000.0] * 3 + [59400.0] * 3)
    command = order(trigger_price=D("59500"), trigger_direction=2)
    order_id, seen = place(venue, command)
    assert [o.order_status for o in seen.orders] == ["Untriggered"]
    later = run(venue, 3500)
    assert [o.order_status for o in later.orders] == ["Triggered", "Filled"]
    assert found(venue, order_id).avg_price is not None
    again, _ = place(venue, order(trigger_price=D("59000"), trigger_direction=2))
    venue.request(UID, cancel(again), venue.now_ms)
    run(venue, 20)
    assert found(venue, again).order_status == "Deactivated"


def test_the_count_of_open_orders_is_limited() -> None:
    venue = exchange(accounts=[account("10000000")])
    for _ in range(500):
        assert venue.request(UID, order(qty="0.001", price="60300"), venue.now_ms).ret_code == 0
    assert venue.request(UID, order(qty="0.001", price="60300"), venue.now_ms).ret_code == 110020


def test_leverage_and_position_mode() -> None:
    venue = exchange()

    def leverage(buy: str, sell: str) -> int:
        return venue.request(UID, SetLeverage(symbol="BTCUSDT", buy_leverage=D(buy), sell_leverage=D(sell)), 0).ret_code

    assert leverage("10", "10") == 110043
    assert leverage("5", "6") == 10001
    assert leverage("101", "101") == 10001
    assert leverage("5", "5") == 0
    assert venue.position(UID, "BTCUSDT").leverage == 5
    assert venue.request(UID, SwitchMode(mode=0), venue.now_ms).ret_code == 110025
    assert venue.request(UID, SwitchMode(mode=3), venue.now_ms).ret_code == 10001


def test_two_clients_trade_with_each_other_in_price_and_time_priority() -> None:
    other = AccountSpec(uid="2", unified={"USDT": D(100000)})
    venue = exchange([60000.0] * 5, accounts=[account("100000"), other])
    first, _ = place(venue, order("Sell", "0.1", "60001"))
    second, _ = place(venue, order("Sell", "0.1", "60001"))
    better, _ = place(venue, order("Sell", "0.1", "60000.5"))
    _, _ = place(venue, order("Buy", "0.25", "60001", time_in_force="IOC"), "2")
    assert found(venue, better).order_status == "Filled"
    assert found(venue, first).order_status == "Filled"
    assert found(venue, second).cum_exec_qty == D("0.05")
    run_out(venue)


@pytest.mark.parametrize(
    ("smp", "maker", "taker"),
    [
        ("CancelMaker", "Cancelled", "Filled"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
        ("", "Filled", "Filled"),
    ],
)
def test_self_match_prevention_is_the_takers_choice(smp: str, maker: str, taker: str) -> None:
    venue = exchange(accounts=[account("100000")])
    resting, _ = place(venue, order("Sell", "0.1", "60000"))
    taking, _ = place(venue, order("Buy", "0.1", "60100", time_in_force="IOC", smp_type=smp))
    assert (found(venue, resting).order_status, found(venue, taking).order_status) == (maker, taker)
    for order_id in (resting, taking):
        view = found(venue, order_id)
        if view.order_status == "Cancelled":
            assert view.cancel_type == "CancelBySmp"


def test_history_forgets_unfilled_orders_after_a_day() -> None:
    hour = 3_600_000
    venue = exchange([60000.0] * 60, step_ms=hour)
    unfilled, _ = place(venue, order(price="60300"))
    filled, _ = place(venue, order())
    venue.request(UID, cancel(unfilled), venue.now_ms)
    run(venue, 20)
    assert {o.order_id for o in venue.order_history(UID)} == {unfilled, filled}
    run(venue, 25 * hour)
    assert [o.order_id for o in venue.order_history(UID)] == [filled]
    assert venue.find_order(UID, order_id=unfilled) is None
