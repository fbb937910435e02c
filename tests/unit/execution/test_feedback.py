"""Markouts, fill rate and volatility of what was told, and what is forgotten."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import FeedbackPolicy
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.feedback import FeedbackMeter
from hedgelock_actors.execution.strategy import Feedback
from tests.unit.domain.make import execution

D = Decimal


def test_nothing_is_known_at_first() -> None:
    assert FeedbackMeter().feedback() == Feedback()


def test_a_passive_fill_is_compared_with_the_mid_ten_seconds_later() -> None:
    meter = FeedbackMeter()
    meter.fill(0, execution("a", Side.SELL, price="60000"), True)
    meter.fill(0, execution("b", Side.SELL, price="60000"), False)
    meter.fill(0, execution("c", Side.BUY, price="60000"), True)
    meter.fill(0, replace(execution("d"), exec_type="Funding"), True)
    meter.fill(5_000, execution("e", Side.SELL, price="60000"), True)
    meter.mid(9_999, D(60_060))
    assert meter.feedback().fills == 0
    meter.mid(10_000, D(60_060))
    assert (meter.feedback().fills, meter.feedback().markout_bps) == (2, pytest.approx(0.0))
    meter.mid(15_000, D(60_060))
    # The sells lost 10 bps each, the buy won them.
    assert (meter.feedback().fills, meter.feedback().markout_bps) == (3, pytest.approx(-10 / 3))


def test_the_fill_rate_needs_a_few_orders() -> None:
    meter = FeedbackMeter()
    meter.given_up(D(1), D(0))
    meter.given_up(D(0), D(0))
    meter.given_up(D(1), D("0.5"))
    assert meter.feedback().fill_rate == 1.0
    meter.given_up(D(2), D(3))
    assert meter.feedback().fill_rate == pytest.approx(2.5 / 4)


def test_volatility_is_that_of_a_minute_however_often_prices_come() -> None:
    for step_ms in (500, 1_000, 7_000):
        meter, up = FeedbackMeter(), False
        move = 30.0 * math.sqrt(step_ms / 60_000) / 10_000
        for now_ms in range(0, 60_001, step_ms):
            up = not up
            meter.mid(now_ms, D(repr(60_000 * math.exp(move if up else 0.0))))
        assert meter.feedback().volatility_bps == pytest.approx(30.0, rel=0.01)


def test_a_short_stretch_of_prices_says_nothing_and_a_flood_is_thinned() -> None:
    meter = FeedbackMeter()
    meter.mid(0, D(60_000))
    meter.mid(9_999, D(61_000))
    assert meter.feedback().volatility_bps == 0.0
    flooded = FeedbackMeter()
    for now_ms in range(0, 20_000, 10):
        flooded.mid(now_ms, D(60_000))
    flooded.mid(19_999, D(99_000))
    assert flooded.feedback().volatility_bps == 0.0, "the last came too soon after the one before"


def test_old_news_is_forgotten() -> None:
    meter = FeedbackMeter(FeedbackPolicy(markout_ms=1_000, window_ms=60_000))
    meter.mid(0, D(60_000))
    meter.fill(0, execution("a"), True)
    for _ in range(3):
        meter.given_up(D(1), D(0))
    meter.mid(30_000, D(61_000))
    known = meter.feedback()
    assert (known.fills, known.fill_rate) == (1, 0.0)
    assert known.volatility_bps > 0.0
    meter.mid(90_001, D(61_000))
    assert meter.feedback() == Feedback()
    meter.mid(80_000, D(61_000))
    assert meter.feedback() == Feedback(), "time never goes back"
