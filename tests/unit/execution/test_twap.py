"""Slices over time: sum, carry, caps, jitter, and the hurry at CRITICAL."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy, Mode, TwapPolicy
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.twap import participation_cap
from tests.unit.domain.make import quote
from tests.unit.execution.driver import BUY, SELL, SETTINGS, Driver, book, kinds

D = Decimal
LARGE = replace(SELL, qty=D(20))
THIN = book(depth=3_000_000.0)
"""A tenth of it is 5 coins for a slice."""


def test_it_fills_in_slices_that_add_up() -> None:
    run = Driver(Mode.TWAP, LARGE, seen=THIN)
    assert len(run.sent) == 1, "the first at once"
    while run.done is None:
        run.fill()
        if run.done is None:
            run.wait(39_000)
    assert len(run.sent) == 5
    assert sum(one.qty for one in run.sent) == D(20)
    assert len({one.qty for one in run.sent}) > 2, "of different sizes"
    for one in run.sent:
        assert D("3.199") <= one.qty <= D("4.801")
        assert (one.price, one.time_in_force) == (D("59940.0"), TimeInForce.IOC)
    assert (run.result.success, run.result.mode) == (True, Mode.TWAP)


def test_what_a_slice_misses_goes_to_the_next_and_at_last_it_hurries() -> None:
    policy = ExecutionPolicy(twap=TwapPolicy(size_jitter=D(0), time_jitter=D(0), max_slices=4))
    run = Driver(Mode.TWAP, replace(SELL, qty=D(8)), policy, seen=book(depth=10_000_000.0))
    assert run.last.qty == D(4), "two slices are enough for a tenth of the depth"
    run = Driver(Mode.TWAP, replace(SELL, qty=D(8)), policy, seen=book(depth=0.0))
    assert run.last.qty == D(2), "four when nothing is known of the market"
    run.miss("0.5")
    run.tick(after_ms=1_000)
    assert len(run.sent) == 1
    run.wait(29_000)
    assert run.last.qty == D("3.5")
    run.wait(40_000)
    assert len(run.sent) == 2, "not while it may still fill"
    run.fill()
    assert run.last.qty == D(2), "the third was due by then"
    run.fill()
    run.wait(30_000)
    run.miss("1")
    assert (len(run.sent), run.last.qty, run.strategy.mode) == (5, D(1), Mode.AGGRESSIVE)
    run.fill()
    assert run.result.mode is Mode.AGGRESSIVE
    assert sum(one.qty for one in run.sent[2:]) + D("0.5") + D("3.5") == D(9), "the miss of 1 was sent twice"


def test_at_critical_the_rest_goes_at_once() -> None:
    run = Driver(Mode.TWAP, LARGE, seen=THIN)
    run.level(RiskLevel.DANGER)
    assert run.cancels == []
    run.level(RiskLevel.CRITICAL)
    run.miss("1")
    assert (run.last.qty, run.strategy.mode) == (D(10), Mode.AGGRESSIVE)


def test_a_slice_takes_no_more_than_its_part_of_the_volume() -> None:
    policy = TwapPolicy()
    busy = replace(book(), turnover_24h_usdt=86_400_000.0)
    cap = participation_cap(busy, True, policy)
    assert cap == D(30_000) * D("0.05") / quote().mid, "30 s of 1 000 USDT/s, a twentieth of it"
    assert participation_cap(book(depth=600_000.0), False, policy) == D(1)
    assert participation_cap(book(depth=0.0), True, policy) is None
    run = Driver(Mode.TWAP, replace(SELL, qty=D("0.06")), seen=busy)
    for _ in range(3):
        assert run.last.qty <= cap
        run.fill()
        run.wait(39_000)
    assert run.result.success


def test_when_the_market_dries_up_slices_shrink_and_what_is_left_at_last_goes_at_once() -> None:
    policy = ExecutionPolicy(twap=TwapPolicy(size_jitter=D(0), max_slices=4))
    busy = replace(book(), turnover_24h_usdt=864_000_000.0)
    run = Driver(Mode.TWAP, replace(SELL, qty=D("0.8")), policy, seen=busy)
    run.fill()
    run.book = replace(run.book, turnover_24h_usdt=86_400_000.0)
    run.tick(after_ms=1)
    for _ in range(3):
        run.wait(39_000)
        run.fill()
    assert [one.qty for one in run.sent] == [D("0.2"), D("0.025"), D("0.025"), D("0.025"), D("0.525")]
    assert run.strategy.mode is Mode.AGGRESSIVE


def test_there_are_no_more_slices_than_configured() -> None:
    policy = ExecutionPolicy(twap=TwapPolicy(size_jitter=D(0), max_slices=4))
    dry = replace(book(), turnover_24h_usdt=8_640_000.0)
    run = Driver(Mode.TWAP, replace(SELL, qty=D("0.008")), policy, seen=dry)
    assert run.last.qty == D("0.002"), "a cap of 0.0025 would make slices of 0.002 as well, but of 0.016 eight"
    for _ in range(3):
        run.fill()
        run.wait(39_000)
    run.fill()
    assert (run.result.success, len(run.sent)) == (True, 4)
    large = Driver(Mode.TWAP, replace(SELL, qty=D("0.016")), policy, seen=dry)
    for _ in range(4):
        large.fill()
        large.wait(39_000)
    assert (large.last.qty, large.strategy.mode) == (D("0.008"), Mode.AGGRESSIVE)


def test_slices_too_small_for_the_venue_are_made_fewer_and_carried() -> None:
    run = Driver(Mode.TWAP, replace(SELL, qty=D("0.001")), seen=THIN)
    assert (kinds(run.sent), run.last.qty) == (["IOC"], D("0.001"))
    ragged = ExecutionPolicy(twap=TwapPolicy(size_jitter=D("0.9"), max_slices=2, time_jitter=D(0)))
    for number in range(40):
        run = Driver(
            Mode.TWAP, replace(BUY, qty=D("0.019"), intent_id=f"intent-{number}"), ragged, seen=book(depth=0.0)
        )
        run.fill()
        run.wait(30_000)
        if run.done is None:
            run.fill()
        assert run.result.success


def test_a_first_slice_below_the_least_waits_for_the_second() -> None:
    dear = replace(SETTINGS, instrument=replace(SETTINGS.instrument, min_qty=D("0.5")))
    policy = ExecutionPolicy(twap=TwapPolicy(size_jitter=D("0.5"), max_slices=2, time_jitter=D(0)))
    seen = set()
    for number in range(30):
        goal = replace(SELL, intent_id=f"intent-{number}")
        run = Driver(Mode.TWAP, goal, policy, seen=book(depth=0.0), settings=dear)
        seen.add(len(run.sent))
        run.fill()
        run.wait(30_000)
        assert sum(one.qty for one in run.sent) == D(2)
    assert seen == {1}
