"""The cap of a target, its share by sentiment, and what is missing: pure numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.curve import SizingCurve
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import HedgeDemand
from hedgelock_actors.domain.policy import Policy, SizingPolicy
from hedgelock_actors.keeping.policy import cap_qty, hedge_share, shortfall_told
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, tick

D = Decimal
POLICY = Policy()
CURVE = SizingCurve.from_knots([(0.0, 0.05), (0.3, 0.25), (0.7, 0.75), (1.0, 1.0)])
NOW = 1_000_000
DEMAND = HedgeDemand(
    account=ACCOUNT, symbol=SYMBOL, ts_ms=NOW, floor_qty=D(3), neutral_qty=D(4), level=RiskLevel.CAUTION,
    lender_ltv=0.41, net_ltv=0.40, price=D(60_000), collateral_qty=D(10), debt=D(240_000),
)  # fmt: skip


def test_the_cap_is_the_least_of_exposure_margin_and_limits() -> None:
    rich = D(10_000_000)
    assert cap_qty(DEMAND, rich, D(60_000), POLICY) == 4
    assert cap_qty(DEMAND, D(0), D(60_000), POLICY) == 0
    half, whole = (cap_qty(DEMAND, equity, D(60_000), POLICY) for equity in (D(20_000), D(40_000)))
    assert 0 < half < whole < 4
    assert whole == pytest.approx(2 * half)
    limits = replace(POLICY.limits, max_position_notional_usdt=D(120_000))
    assert cap_qty(DEMAND, rich, D(60_000), replace(POLICY, limits=limits)) == 2


def share(**score: object) -> float | None:
    full = {"score": 0.7, "confidence": 1.0, "ts_ms": NOW, **score}
    return hedge_share(full, "BTC", DEMAND, tick(NOW), CURVE, SizingPolicy(max_score_age_ms=3_000), NOW + 3_000)


def test_the_share_follows_the_score_and_an_old_or_broken_one_is_none() -> None:
    high, low = share(), share(score=0.1)
    assert high is not None
    assert low is not None
    assert 0 < low < high <= 1
    assert share(ts_ms=NOW - 1) is None
    assert share(score="0.7") is None
    assert share(ts_ms=None) is None
    with pytest.raises(InvalidInput):
        share(score=7.0)


def test_what_is_missing_is_told_in_coin_and_in_the_margin_that_would_carry_it() -> None:
    told = shortfall_told(DEMAND, D(1), D(60_000), "BTC", POLICY.sweep, NOW)
    one_more = shortfall_told(DEMAND, D(2), D(60_000), "BTC", POLICY.sweep, NOW)
    assert told.shortfall_usdt == pytest.approx(2 * one_more.shortfall_usdt)
    # The margin of a coin is at least what a rally takes.
    assert one_more.shortfall_usdt > D(60_000) * D(str(POLICY.sweep.rally))
    assert "2 BTC of protection are missing" in told.detail
