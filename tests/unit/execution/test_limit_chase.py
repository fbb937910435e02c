"""Tries after the price, each confirmed closed before the next, then the market within its cap."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ChasePolicy, ExecutionPolicy, MarketPolicy, Mode
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import OrderType, TimeInForce
from hedgelock_actors.execution.market import estimate
from hedgelock_actors.execution.strategy import Goal
from tests.unit.domain.make import quote
from tests.unit.execution.driver import BUY, SELL, Driver, book, kinds

D = Decimal
DANGER = replace(SELL, level=RiskLevel.DANGER)
HEDGE = replace(DANGER, reference_price=D("59980"))
"""6 bps above the reference is 60 015.99: what breaks even."""


def fail(run: Driver) -> None:
    """A try times out and its cancel is confirmed."""
    count = len(run.cancels)
    run.wait(750)
    assert len(run.cancels) == count + 1
    run.end()


def chased(goal: Goal, tries: int, **changes: Decimal) -> list[Decimal | None]:
    run = Driver(Mode.LIMIT_CHASE, goal, seen=replace(book(), quote=quote(**changes)))
    while len(run.sent) < tries:
        run.end()
        run.wait(75)
    return [one.price for one in run.sent]


def test_first_inside_the_spread_then_the_touch() -> None:
    prices = chased(DANGER, 8, bid=D(59_990), ask=D(60_010))
    assert prices == [D("60009.9")] * 3 + [D(59_990)] * 5
    assert chased(replace(BUY, level=RiskLevel.DANGER), 5, bid=D(59_990), ask=D(60_010)) == [
        *[D("59990.1")] * 3, *[D(60_010)] * 2,
    ]  # fmt: skip
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    assert (run.last.time_in_force, run.last.qty) == (TimeInForce.GTC, D(2))


def test_in_a_spread_of_one_tick_it_joins_the_best() -> None:
    assert chased(DANGER, 4, bid=D("60000.0"), ask=D("60000.1")) == [D("60000.1")] * 3 + [D("60000.0")]
    assert chased(BUY, 1, bid=D("60000.0"), ask=D("60000.1")) == [D("60000.0")]


def test_first_of_all_the_price_that_breaks_even() -> None:
    prices = chased(HEDGE, 8, bid=D(59_990), ask=D(60_010))
    assert prices == [D("60016.0")] * 2 + [D("60009.9")] * 3 + [D(59_990)] * 3
    buy = replace(BUY, reference_price=D("60020"))
    assert chased(buy, 1, bid=D(59_990), ask=D(60_010)) == [D("59983.9")]


def test_break_even_is_never_worse_than_the_touch_nor_out_of_reach() -> None:
    assert chased(replace(HEDGE, reference_price=D(59_000)), 1) == [D("59999.5")]
    assert chased(replace(HEDGE, reference_price=D(61_000)), 1) == [D("60000.4")]


def test_a_wide_spread_is_gone_into_no_further_than_the_slippage_cap() -> None:
    assert chased(DANGER, 4, bid=D(59_000), ask=D(61_000))[3] == D("59700.0")


def test_a_try_ends_by_a_cancel_and_the_next_waits_for_its_last_word_and_the_back_off() -> None:
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    run.wait(740)
    assert run.cancels == []
    run.wait(10)
    assert run.cancels == [run.last.order_link_id]
    run.fill("0.5", maker=True)
    run.wait(1_000)
    assert len(run.sent) == 1, "a late fill would come on top"
    run.fill("0.3", maker=True)
    run.end()
    run.wait(74)
    assert len(run.sent) == 1
    run.wait(1)
    assert (len(run.sent), run.last.qty) == (2, D("1.2")), "partial fills accumulate"
    run.fill()
    assert (run.result.success, run.result.filled_qty, run.result.retries) == (True, D(2), 1)
    assert run.result.mode is Mode.LIMIT_CHASE


def test_after_all_tries_the_market_within_the_cap_and_then_an_error() -> None:
    trade = replace(DANGER, must_fill=False)
    run = Driver(Mode.LIMIT_CHASE, trade, ExecutionPolicy(limit_chase=ChasePolicy(window_ms=60_000)))
    for _ in range(8):
        run.wait(7_500)
        run.end()
        run.wait(75)
    assert kinds(run.sent) == ["GTC"] * 8 + ["IOC"]
    assert (run.last.price, run.strategy.mode) == (D("59700.0"), Mode.MARKET)
    for _ in range(3):
        run.miss()
        run.wait(250)
    assert len(run.sent) == 11
    assert (run.result.mode, run.result.left_qty) == (Mode.MARKET, D(2))
    assert "3 orders within 50 bps did not fill it" in run.result.error


def test_what_protects_pays_more_than_the_cap_rather_than_go_without() -> None:
    run = Driver(Mode.LIMIT_CHASE, DANGER, seen=book(depth=100_000.0))
    run.wait(6_000)
    run.end()
    assert kinds(run.sent) == ["GTC", "Market"], "within the cap it is not to be had"
    run.miss("1.5")
    run.tick(after_ms=300)
    assert (run.last.order_type, run.last.qty) == (OrderType.MARKET, D("0.5"))
    run.miss()
    run.tick(after_ms=300)
    assert "2 orders did not fill it" in run.result.error
    shrinking = Driver(Mode.LIMIT_CHASE, BUY, seen=book(depth=100_000.0))
    shrinking.wait(3_000)
    shrinking.end()
    assert "bps is expected" in shrinking.result.error


def test_its_window_ends_it_even_with_tries_left() -> None:
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    for _ in range(7):
        fail(run)
        run.wait(100)
    assert run.now_ms == 5_950
    run.wait(50)
    assert len(run.cancels) == 8
    run.end()
    assert run.last.time_in_force is TimeInForce.IOC
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    run.unknown()
    run.wait(20_000)
    run.end()
    assert kinds(run.sent) == ["GTC", "IOC"]


def test_a_reducing_goal_has_its_own_tries_and_times() -> None:
    run = Driver(Mode.LIMIT_CHASE, BUY)
    for _ in range(5):
        run.wait(600)
        run.end()
        run.wait(50)
    assert kinds(run.sent)[-1] == "IOC"
    assert len(run.sent) <= 6


def test_nearly_all_is_enough_and_the_rest_is_said() -> None:
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    run.fill("1.98", maker=True)
    assert run.done is None, "the rest may still fill"
    run.wait(750)
    run.end()
    assert (run.result.success, run.result.left_qty, run.result.error) == (True, D("0.02"), "")
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    run.fill("1.97", maker=True)
    run.wait(750)
    run.end()
    assert run.done is None


def test_pieces_that_fill_are_no_failed_tries() -> None:
    run = Driver(Mode.LIMIT_CHASE, replace(DANGER, qty=D(95)))
    for _ in range(10):
        run.fill()
        run.wait(75)
    assert (run.result.success, len(run.sent), run.result.mode) == (True, 10, Mode.LIMIT_CHASE)


def test_at_critical_it_turns_aggressive() -> None:
    run = Driver(Mode.LIMIT_CHASE, DANGER)
    run.level(RiskLevel.CRITICAL)
    run.end()
    assert (run.last.price, run.strategy.mode) == (D("59940.0"), Mode.AGGRESSIVE)
    asked = Driver(Mode.LIMIT_CHASE, replace(SELL, level=RiskLevel.CRITICAL))
    assert asked.strategy.mode is Mode.LIMIT_CHASE, "it was chosen at that level"


# ---------------------------------------------------------------- market


def test_the_market_is_estimated_before_and_not_taken_when_too_dear() -> None:
    run = Driver(Mode.MARKET)
    assert (run.last.price, run.last.time_in_force, run.last.order_type) == (
        D("59700.0"),
        TimeInForce.IOC,
        OrderType.LIMIT,
    )
    run.fill("2")
    assert (run.result.success, run.result.taker_qty) == (True, D(2))
    thin = Driver(Mode.MARKET, seen=book(depth=100_000.0))
    assert thin.sent == []
    assert "slippage of 60.1 bps is expected (at most 50)" in thin.result.error


def test_an_estimate_is_the_touch_and_half_the_way_into_the_depth() -> None:
    deep = estimate(SELL.side, D(2), book(depth=12_000_000.0))
    assert (deep.slippage_bps.quantize(D("0.001")), deep.price.quantize(D("0.1"))) == (D("0.583"), D("59996.5"))
    unknown = estimate(BUY.side, D(2), book(depth=0.0))
    assert unknown.price.quantize(D("0.1")) == D("60000.5")


def test_at_critical_the_price_is_what_it_is() -> None:
    run = Driver(Mode.MARKET, replace(SELL, level=RiskLevel.CRITICAL), seen=book(depth=100_000.0))
    assert kinds(run.sent) == ["Market"]
    bounded = replace(SELL, level=RiskLevel.CRITICAL, limit_price=D(59_000))
    assert (Driver(Mode.MARKET, bounded).last.price, Driver(Mode.MARKET, bounded).last.time_in_force) == (
        D(59_000), TimeInForce.IOC,
    )  # fmt: skip


def test_the_market_is_tried_again_after_a_pause() -> None:
    run = Driver(Mode.MARKET, policy=ExecutionPolicy(market=MarketPolicy(attempts=2, max_slippage_bps=D(20))))
    run.miss("0.5")
    assert len(run.sent) == 1
    run.wait(250)
    assert (run.last.qty, run.last.price) == (D("1.5"), D("59880.0"))
    run.refuse()
    run.wait(1_000)
    assert len(run.sent) == 3, "a refusal is no attempt"
    run.fill()
    assert run.result.success


def test_a_large_goal_takes_the_market_in_pieces() -> None:
    run = Driver(Mode.MARKET, replace(SELL, qty=D(15)))
    run.fill()
    assert run.last.qty == D(5)
