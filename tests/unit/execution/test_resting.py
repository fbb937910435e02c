"""The trigger leg of a spread: it waits at its price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import Mode
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import TimeInForce
from tests.unit.execution.driver import SELL, Driver

D = Decimal
WAITING = replace(SELL, limit_price=D("60500.05"))


def test_it_waits_at_its_price_whatever_happens_until_it_is_filled() -> None:
    run = Driver(Mode.RESTING, WAITING)
    assert (run.last.price, run.last.time_in_force, run.last.qty) == (D("60500.1"), TimeInForce.GTC, D(2))
    run.accept()
    run.level(RiskLevel.CRITICAL)
    run.tick("61000", after_ms=3_600_000)
    assert (len(run.sent), run.cancels, run.amends) == (1, [], [])
    run.fill(maker=True)
    assert (run.result.success, run.result.maker_qty, run.result.mode) == (True, D(2), Mode.RESTING)


def test_a_stop_takes_it_back() -> None:
    run = Driver(Mode.RESTING, WAITING)
    run.fill("0.5", maker=True)
    run.stop()
    assert run.cancels == [run.last.order_link_id]
    run.end()
    assert (run.result.filled_qty, run.result.left_qty) == (D("0.5"), D("1.5"))


def test_one_that_the_venue_ends_is_put_back_within_a_limit() -> None:
    run = Driver(Mode.RESTING, WAITING)
    run.refuse()
    run.wait(1_000)
    run.miss("0.5")
    assert len(run.sent) == 2
    for _ in range(4):
        run.wait(1_000)
        assert run.last.qty == D("1.5")
        run.end()
    assert len(run.sent) == 6
    assert run.result.error == "5 orders were not kept by the venue"


def test_a_large_one_rests_piece_by_piece() -> None:
    run = Driver(Mode.RESTING, replace(WAITING, qty=D(15)))
    run.fill(maker=True)
    assert (run.last.qty, run.last.price) == (D(5), D("60500.1"))


def test_without_a_price_there_is_nothing_to_wait_for() -> None:
    with pytest.raises(InvalidInput, match=r"goal\.limit_price"):
        Driver(Mode.RESTING, SELL)


def test_less_than_the_venue_takes_is_an_error() -> None:
    run = Driver(Mode.RESTING, replace(WAITING, qty=D("0.001"), limit_price=D(1_000)))
    assert run.sent == []
    assert "is taken by the venue and our limits" in run.result.error
