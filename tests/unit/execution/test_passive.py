"""Passive and iceberg: what waits in the book, how it follows the mid, and when the waiting ends."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import ExecutionPolicy, IcebergPolicy, Mode, PassivePolicy
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import TimeInForce
from tests.unit.domain.make import BTC, quote
from tests.unit.execution.driver import BUY, SELL, SETTINGS, Driver, book, kinds

D = Decimal


def begun(mode: Mode = Mode.PASSIVE, **changes: object) -> Driver:
    """A passive goal whose at-once half is filled, and whose other half rests at 60 030."""
    run = Driver(mode, replace(SELL, **changes))  # type: ignore[arg-type]
    run.accept(run.sent[1])
    run.fill(request=run.sent[0])
    return run


def test_half_is_filled_at_once_and_half_waits_above_the_mid() -> None:
    run = Driver(Mode.PASSIVE)
    at_once, waiting = run.sent
    assert (at_once.qty, at_once.price, at_once.time_in_force) == (D(1), D("59940.0"), TimeInForce.IOC)
    assert (waiting.qty, waiting.price, waiting.time_in_force) == (D(1), D("60030.0"), TimeInForce.POST_ONLY)
    run.accept(waiting)
    run.fill(request=at_once)
    run.fill("0.4", waiting, maker=True)
    assert run.done is None
    run.fill(request=waiting, maker=True)
    assert (run.result.success, run.result.mode, run.result.retries) == (True, Mode.PASSIVE, 1)
    assert (run.result.maker_qty, run.result.taker_qty, run.result.average_price) == (D(1), D(1), D("59985.0"))


def test_a_reducing_goal_waits_below_the_mid() -> None:
    at_once, waiting = Driver(Mode.PASSIVE, BUY).sent
    assert (at_once.price, waiting.price) == (D("60060.0"), D("59970.0"))
    assert at_once.reduce_only
    assert waiting.reduce_only


def test_what_cannot_be_halved_waits_as_a_whole() -> None:
    run = Driver(Mode.PASSIVE, replace(SELL, qty=D("0.001")))
    assert kinds(run.sent) == ["PostOnly"]
    all_of_it = ExecutionPolicy(passive=PassivePolicy(share=D(1)))
    assert [one.qty for one in Driver(Mode.PASSIVE, policy=all_of_it).sent] == [D(2)]


def test_it_never_asks_for_a_price_that_would_fill_at_once() -> None:
    at_the_mid = ExecutionPolicy(passive=PassivePolicy(better_bps=D(0)))
    narrow = replace(book(), quote=quote(bid=D("60000.0"), ask=D("60000.1")))
    assert Driver(Mode.PASSIVE, policy=at_the_mid, seen=narrow).sent[1].price == D("60000.1")
    assert Driver(Mode.PASSIVE, BUY, at_the_mid, seen=narrow).sent[1].price == D("60000.0")


def test_the_order_follows_the_mid_but_not_for_a_trifle_and_not_too_often() -> None:
    run = begun()
    run.tick("60010", after_ms=1_500)
    assert run.amends == [], "1.7 bps is a trifle"
    run.tick("60060", after_ms=100)
    assert [(one.order_link_id, one.price) for one in run.amends] == [(run.sent[1].order_link_id, D("60090.1"))]
    run.moved(run.amends[0])
    run.tick("60120", after_ms=100)
    assert len(run.amends) == 1, "not within a second"
    run.wait(1_000)
    assert run.amends[1].price == D("60150.1")


def test_an_amendment_that_fails_is_tried_again_and_one_under_way_is_not() -> None:
    run = begun()
    run.tick("60060", after_ms=1_500)
    run.tick("60060", after_ms=500)
    assert len(run.amends) == 1, "it may still be on its way"
    run.tick("60060", after_ms=600)
    assert len(run.amends) == 2, "by the venue's word the old price still holds"
    run.refuse("SLIPPAGE", run.sent[1].order_link_id)
    run.tick("60060", after_ms=100)
    run.wait(1_000)
    assert len(run.amends) == 3
    assert run.done is None
    assert len(run.sent) == 2


def test_it_follows_so_often_and_not_more() -> None:
    run = Driver(Mode.PASSIVE, policy=ExecutionPolicy(passive=PassivePolicy(max_repegs=1)))
    run.accept(run.sent[1])
    for price in ("60060", "60120", "60180"):
        run.tick(price, after_ms=1_500)
    assert len(run.amends) == 1


def test_what_does_not_rest_yet_is_not_moved() -> None:
    run = Driver(Mode.PASSIVE)
    run.tick("60060", after_ms=1_500)
    assert run.amends == []


@pytest.mark.parametrize("reason", ["level", "time", "price"])
def test_the_catch_up_rule_cancels_and_fills_the_rest_at_once(reason: str) -> None:
    run = begun()
    run.fill("0.3", run.sent[1], maker=True)
    match reason:
        case "level":
            run.level(RiskLevel.DANGER)
        case "time":
            run.wait(30_000)
        case _:
            run.tick("59900", after_ms=100)
    assert run.cancels == [run.sent[1].order_link_id]
    assert len(run.sent) == 2, "what may still fill is waited for"
    run.fill("0.1", run.sent[1], maker=True)
    run.end(run.sent[1])
    assert (run.last.qty, run.last.time_in_force) == (D("0.6"), TimeInForce.IOC)
    run.fill()
    assert (run.result.mode, run.result.success) == (Mode.AGGRESSIVE, True)
    assert (run.result.maker_qty, run.result.taker_qty) == (D("0.4"), D("1.6"))


def test_a_level_that_gets_better_and_a_price_that_comes_towards_us_are_no_reason() -> None:
    run = begun()
    run.level(RiskLevel.SAFE)
    run.tick("60300", after_ms=10)
    assert run.cancels == []
    falling = Driver(Mode.PASSIVE, BUY)
    falling.tick("59700", after_ms=10)
    assert falling.cancels == []
    falling.tick("60100", after_ms=10)
    assert len(falling.cancels) == 2, "for a buy the price runs away upwards"


def test_a_price_that_ran_away_before_is_not_waited_for() -> None:
    run = Driver(Mode.PASSIVE, replace(SELL, decided_mid=D(60_200)))
    assert kinds(run.sent) == ["IOC"]
    assert run.last.qty == D(2)


def test_f27_a_post_only_order_that_is_turned_away_is_priced_anew_within_a_limit() -> None:
    run = Driver(Mode.PASSIVE)
    run.fill(request=run.sent[0])
    run.end(run.sent[1])
    assert len(run.sent) == 2, "at the same price it would be turned away again"
    run.tick("60060", after_ms=50)
    assert run.last.price == D("60090.1")
    run.end()
    run.wait(1_000)
    assert len(run.sent) == 4, "or after a pause"
    for _ in range(4):
        run.end()
        run.tick(after_ms=50)
    assert kinds(run.sent) == ["IOC"] + ["PostOnly"] * 6 + ["IOC"]
    assert run.last.qty == D(1)


def test_a_refused_post_only_order_is_no_rejection_by_the_venue() -> None:
    run = Driver(Mode.PASSIVE)
    run.fill(request=run.sent[0])
    run.refuse(link=run.sent[1].order_link_id)
    run.wait(1_000)
    assert (kinds(run.sent), run.last.qty) == (["IOC", "PostOnly", "PostOnly"], D(1))


def test_refusals_count_in_a_row_whatever_is_told_of_older_orders() -> None:
    run = Driver(Mode.PASSIVE)
    for _ in range(6):
        run.refuse()
        run.fill("0.01", run.sent[0])
        run.wait(1_000)
    run.end(run.sent[0])
    assert (run.result.filled_qty, run.result.retries) == (D("0.06"), 0)
    assert run.result.error.startswith("refused by our limits")


def test_what_the_at_once_half_misses_waits_with_the_rest() -> None:
    run = Driver(Mode.PASSIVE)
    run.accept(run.sent[1])
    waiting = run.sent[1]
    run.fill("0.25", run.sent[0])
    run.end(run.sent[0])
    for _ in range(3):
        run.tick(after_ms=300)
        assert (run.last.time_in_force, run.last.qty) == (TimeInForce.IOC, D("0.75"))
        run.end()
    run.tick(after_ms=300)
    assert len(run.sent) == 5, "four limits, and no market order"
    run.fill(request=waiting, maker=True)
    assert (run.last.time_in_force, run.last.qty) == (TimeInForce.POST_ONLY, D("0.75"))
    run.fill(maker=True)
    assert run.result.success


def test_the_waiting_half_does_not_take_over_what_the_other_is_still_trying() -> None:
    run = Driver(Mode.PASSIVE)
    run.fill(request=run.sent[1], maker=True)
    run.end(run.sent[0])
    assert len(run.sent) == 2
    run.tick(after_ms=300)
    assert (run.last.time_in_force, run.last.qty, run.last.price) == (TimeInForce.IOC, D(1), D("59880.0"))
    assert run.strategy.mode is Mode.PASSIVE


def test_a_stop_ends_the_waiting() -> None:
    run = begun()
    run.stop()
    run.end(run.sent[1])
    assert (run.result.left_qty, run.result.success) == (D(1), False)


# ---------------------------------------------------------------- iceberg


def test_an_iceberg_shows_a_part_that_says_nothing_of_the_whole() -> None:
    run = Driver(Mode.ICEBERG)
    shown = []
    while run.done is None:
        assert sum(1 for one in run.states.values() if not one.terminal) == 1, "one at a time"
        shown.append(run.last.qty)
        assert run.last.price == D("60012.0")
        run.fill(maker=True)
    assert sum(shown) == D(2)
    assert len(set(shown[:-1])) == len(shown) - 1, "of all sizes"
    for qty in shown[:-1]:
        assert D("0.2") <= qty <= D("0.501")
    assert set(kinds(run.sent)) == {"PostOnly"}
    assert run.result.maker_qty == D(2)
    again = Driver(Mode.ICEBERG)
    again.fill(maker=True)
    assert [one.qty for one in again.sent] == shown[:2], "a function of the intent"


def test_an_iceberg_of_crumbs_shows_at_least_what_the_venue_takes() -> None:
    run = Driver(Mode.ICEBERG, replace(SELL, qty=D("0.002")))
    assert run.last.qty == D("0.001")
    run.fill(maker=True)
    run.fill(maker=True)
    assert run.result.success
    whole = ExecutionPolicy(iceberg=IcebergPolicy(shown_min=D("0.9"), shown_max=D(1)))
    dear = replace(SETTINGS, instrument=replace(BTC, min_qty=D("0.3")))
    assert Driver(Mode.ICEBERG, policy=whole, settings=dear).last.qty == D(2), "no crumb is left behind"
    dearer = replace(SETTINGS, instrument=replace(BTC, min_qty=D("0.6")))
    assert Driver(Mode.ICEBERG, settings=dearer).last.qty == D("0.6")


def test_an_iceberg_follows_the_mid_and_yields_like_a_passive_order() -> None:
    run = Driver(Mode.ICEBERG)
    run.accept()
    run.tick("60060", after_ms=1_500)
    assert len(run.amends) == 1
    run.level(RiskLevel.CRITICAL)
    run.end()
    assert (run.last.time_in_force, run.last.qty) == (TimeInForce.IOC, D(2))


def test_an_iceberg_that_is_turned_away_too_often_turns_aggressive() -> None:
    run = Driver(Mode.ICEBERG)
    for _ in range(6):
        run.end()
        run.tick(after_ms=50)
    assert kinds(run.sent) == ["PostOnly"] * 6 + ["IOC"]
