"""IOC limits that reach further with every miss, then the market; bounded, and nothing is dropped."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken
from hedgelock_actors.domain.execution_policy import AggressivePolicy, ExecutionPolicy, Mode
from hedgelock_actors.domain.limits import Approved, Intent, Limits, approve
from hedgelock_actors.domain.order import OrderStatus, OrderType, TimeInForce, order_link_id
from hedgelock_actors.execution.build import build
from hedgelock_actors.execution.selection import Choice
from hedgelock_actors.execution.strategy import BookSeen, FillSeen, OrderSeen, Settings
from tests.unit.domain.make import BTC, execution, gate, quote, request, view
from tests.unit.execution.driver import BUY, SELL, SETTINGS, Driver, book, kinds

D = Decimal
CAPPED = replace(SETTINGS, limits=Limits(max_slippage_bps=D(25)))
POLICY = ExecutionPolicy(aggressive=AggressivePolicy(limit_attempts=3, market_attempts=1))


def test_the_first_reaches_a_little_through_the_mid() -> None:
    run = Driver(Mode.AGGRESSIVE)
    sent = run.last
    assert (sent.qty, sent.price, sent.time_in_force, sent.reduce_only) == (D(2), D("59940.0"), TimeInForce.IOC, False)
    assert (sent.order_link_id, sent.attempt) == (order_link_id("intent-1", 0), 0)
    run.fill()
    assert run.result.success
    assert (run.result.filled_qty, run.result.left_qty, run.result.average_price) == (D(2), D(0), D("59940.0"))
    assert (run.result.taker_qty, run.result.maker_qty, run.result.retries, run.result.error) == (D(2), D(0), 0, "")


def test_a_buy_is_reduce_only_and_reaches_up() -> None:
    sent = Driver(Mode.AGGRESSIVE, BUY).last
    assert (sent.price, sent.reduce_only) == (D("60060.0"), True)


def test_f26_each_miss_reaches_further_up_to_the_cap_then_it_is_the_market_and_then_it_ends() -> None:
    run = Driver(Mode.AGGRESSIVE, policy=POLICY, settings=CAPPED)
    for _ in range(4):
        run.miss()
        run.tick(after_ms=300)
    assert [one.price for one in run.sent] == [D("59940.0"), D("59880.0"), D("59850.0"), None]
    assert kinds(run.sent) == ["IOC", "IOC", "IOC", "Market"]
    assert (run.result.success, run.result.left_qty, run.result.retries) == (False, D(2), 3)
    assert "4 orders did not fill it" in run.result.error


def test_f22_the_rest_of_a_partial_fill_is_sent_again_after_a_pause_at_a_newer_price() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.miss("0.5")
    run.tick(after_ms=100)
    assert len(run.sent) == 1, "the pause is not over"
    run.wait(150)
    assert (len(run.sent), run.last.qty, run.last.attempt) == (2, D("1.5"), 1)
    run.miss()
    run.wait(5_000)
    assert len(run.sent) == 2, "at the very same price it would not fill either"
    run.wait(10_000)
    assert run.result.error == "no newer price came"
    assert (run.result.filled_qty, run.result.left_qty) == (D("0.5"), D("1.5"))


def test_a_large_goal_goes_in_pieces_which_are_no_misses() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, qty=D(25)))
    for _ in range(3):
        run.fill()
    assert [one.qty for one in run.sent] == [D(10), D(10), D(5)]
    assert {one.price for one in run.sent} == {D("59940.0")}
    assert run.result.success


def test_after_a_restart_it_goes_on_where_it_was() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, first_attempt=7, misses=2))
    assert (run.last.attempt, run.last.price) == (7, D("59820.0"))
    assert Driver(Mode.AGGRESSIVE, replace(SELL, misses=99)).last.order_type is OrderType.MARKET
    limits_only = ExecutionPolicy(aggressive=AggressivePolicy(limit_attempts=1, market_attempts=0))
    assert Driver(Mode.AGGRESSIVE, replace(SELL, misses=99), limits_only).last.price == D("59940.0")


def test_silence_is_waited_out_because_it_may_still_fill() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.unknown()
    run.tick(after_ms=60_000)
    assert len(run.sent) == 1
    run.fill()
    assert run.result.success


def test_a_stop_cancels_and_ends_with_the_last_word_which_may_be_a_fill() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.unknown()
    run.stop()
    assert (run.cancels, run.done) == ([run.last.order_link_id], None)
    run.stop()
    assert len(run.cancels) == 1
    run.fill("1.2")
    run.end()
    assert (run.result.filled_qty, run.result.left_qty) == (D("1.2"), D("0.8"))
    assert run.result.error == "stopped: not wanted any more"
    run.tick()
    run.wait(60_000)
    assert len(run.sent) == 1


def test_a_crumb_is_no_order_and_no_failure() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, qty=D("0.0005")))
    assert (run.sent, run.result.success, run.result.left_qty) == ([], True, D("0.0005"))
    assert run.result.average_price is None
    ours = replace(SETTINGS, limits=Limits(min_order_qty=D("0.5")))
    assert Driver(Mode.AGGRESSIVE, replace(SELL, qty=D("0.4")), settings=ours).result.success
    assert [one.qty for one in Driver(Mode.PASSIVE, replace(SELL, qty=D("0.9")), settings=ours).sent] == [D("0.9")]
    cheap = replace(SETTINGS, instrument=replace(BTC, min_notional=D(100)))
    assert Driver(Mode.AGGRESSIVE, replace(SELL, qty=D("0.001")), settings=cheap).result.success
    assert Driver(Mode.AGGRESSIVE, replace(BUY, qty=D("0.001")), settings=cheap).sent, "a closing order may be small"


@pytest.mark.parametrize(
    "mode", [Mode.AGGRESSIVE, Mode.MARKET, Mode.LIMIT_CHASE, Mode.PASSIVE, Mode.ICEBERG, Mode.TWAP]
)
def test_limits_that_allow_no_order_end_it_with_an_error(mode: Mode) -> None:
    tight = replace(SETTINGS, limits=Limits(max_order_notional_usdt=D(10)))
    run = Driver(mode, settings=tight)
    run.wait(600_000)
    assert (run.sent, run.result.success) == ([], False)
    assert "is taken by the venue and our limits" in run.result.error


def test_a_refusal_by_our_limits_is_waited_for_and_bounded() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.refuse()
    run.refuse()
    assert len(run.sent) == 1
    run.wait(1_000)
    assert (len(run.sent), run.last.attempt, run.last.price) == (2, 1, D("59940.0")), "a refusal is no miss"
    for _ in range(5):
        run.refuse()
        run.wait(1_000)
    assert len(run.sent) == 6
    assert run.result.error == "refused by our limits: ORDERS_PER_SECOND: 11 of 10"
    assert run.result.retries == 0


def test_refusals_that_are_not_in_a_row_do_not_end_it() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, qty=D(60)))
    for _ in range(4):
        for _ in range(5):
            run.refuse()
            run.wait(1_000)
        run.fill()
    assert run.done is None


def test_f28_without_margin_it_ends_at_once() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.reject("110007")
    assert (len(run.sent), run.result.error) == (1, "110007: no")


def test_another_rejection_is_a_miss() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.reject()
    run.tick(after_ms=300)
    assert (len(run.sent), run.last.price) == (2, D("59880.0"))


def test_the_goals_own_price_bounds_every_order() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, limit_price=D("59990.05")))
    for _ in range(6):
        run.miss()
        run.tick(after_ms=300)
    assert {one.price for one in run.sent} == {D("59990.1")}
    assert Driver(Mode.AGGRESSIVE, replace(BUY, limit_price=D("60010.05"))).last.price == D("60010.0")
    assert Driver(Mode.AGGRESSIVE, replace(SELL, limit_price=D(50_000))).last.price == D("59940.0")


def test_a_trade_beside_the_target_never_pays_more_than_the_cap() -> None:
    run = Driver(Mode.AGGRESSIVE, replace(SELL, must_fill=False, misses=9))
    assert (run.last.order_type, run.last.price) == (OrderType.LIMIT, D("59700.0"))


def test_a_market_order_keeps_to_the_venues_own_maximum_for_it() -> None:
    settings = replace(SETTINGS, instrument=replace(BTC, max_market_qty=D(1)))
    assert Driver(Mode.AGGRESSIVE, replace(SELL, misses=9), settings=settings).last.qty == D(1)


def test_an_order_held_to_be_absent_that_fills_after_all_stops_the_next() -> None:
    run = Driver(Mode.AGGRESSIVE)
    first = run.last
    run.unknown()
    run.states[first.order_link_id] = absent = run.states[first.order_link_id].prove_absent("not found, and too late")
    run.tell(OrderSeen(run.now_ms, absent))
    run.tick(after_ms=300)
    assert len(run.sent) == 2
    run.fill(request=first)
    assert run.cancels == [run.last.order_link_id], "what may still fill would be too much"
    run.end()
    assert run.result.success


@pytest.mark.parametrize("qty", [D(0), D(-1), D("NaN")])
def test_a_goal_is_to_do_something(qty: Decimal) -> None:
    with pytest.raises(InvalidInput, match=r"goal\.qty"):
        replace(SELL, qty=qty)


def test_news_of_others_changes_nothing() -> None:
    run = Driver(Mode.AGGRESSIVE)
    foreign = request(intent_id="other")
    run.tell(OrderSeen(1, replace(run.states[run.last.order_link_id], request=foreign)))
    run.tell(FillSeen(1, replace(execution("x"), order_link_id=foreign.order_link_id)))
    run.tell(FillSeen(1, replace(execution("f"), order_link_id=run.last.order_link_id, exec_type="Funding")))
    run.refuse(link=foreign.order_link_id)
    assert (len(run.sent), run.done) == (1, None)
    assert run.strategy.goal == SELL
    assert run.strategy.mode is Mode.AGGRESSIVE


def test_a_fill_counts_once_however_often_it_is_told() -> None:
    run = Driver(Mode.AGGRESSIVE)
    fill = replace(execution("x1", qty="2"), order_link_id=run.last.order_link_id)
    run.tell(FillSeen(1, fill))
    run.tell(FillSeen(2, fill))
    run._view(run.last, OrderStatus.FILLED, D(2))
    assert (run.result.filled_qty, run.result.taker_qty) == (D(2), D(2))


def test_nothing_comes_before_begin() -> None:
    choice = Choice(mode=Mode.AGGRESSIVE, variant="", policy=POLICY, why="")
    strategy = build(choice, SELL, SETTINGS)
    with pytest.raises(InvariantBroken, match="Begin"):
        strategy.on(OrderSeen(1, Driver(Mode.AGGRESSIVE).states[order_link_id("intent-1", 0)]))
    later = build(choice, SELL, SETTINGS)
    assert len(later.on(BookSeen(1, book()))) == 1, "a book is enough to decide on"


@pytest.mark.parametrize("goal", [SELL, BUY])
@pytest.mark.parametrize("misses", range(6))
def test_the_gate_lets_every_attempt_pass_in_a_wide_market(goal: object, misses: int) -> None:
    goal = replace(SELL if goal is SELL else BUY, qty=D(100), misses=misses)
    wide = quote(bid=D(59_700), ask=D(60_300))
    settings = Settings(instrument=BTC, limits=Limits(), policy=ExecutionPolicy())
    sent = Driver(Mode.AGGRESSIVE, goal, seen=replace(book(), quote=wide), settings=settings).last
    intent = ("intent-1", Intent(side=goal.side, qty=D(100)))
    context = gate(intent, quote=wide, position_qty=D(-20))
    assert isinstance(approve(sent, context, settings.limits), Approved)


def test_the_last_word_of_the_view_counts_when_fills_are_late() -> None:
    run = Driver(Mode.AGGRESSIVE)
    run.tell(OrderSeen(5, run.states[run.last.order_link_id].apply_view(view(run.last, OrderStatus.FILLED, "2"))))
    assert (run.result.filled_qty, run.result.average_price, run.result.taker_qty) == (D(2), None, D(0))
