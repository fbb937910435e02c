"""The starting rules, and what people are told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import alerts_for
from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken, StaleInput, require
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AnyMessage,
    FeedStale,
    OrderEvent,
    RealiseProfit,
    RiskStateChanged,
    TradingStateChanged,
    TreasuryActed,
)
from hedgelock_actors.domain.policy import LoanPolicy, Policy, SizingPolicy
from hedgelock_actors.domain.trading_state import TradingMode
from tests.unit.domain.make import NOW

D = Decimal


def test_the_starting_rules() -> None:
    policy = Policy()
    assert (policy.levels.caution, policy.levels.danger, policy.levels.critical) == (0.40, 0.45, 0.48)
    assert policy.levels.ceiling == 0.50
    assert [(rung.drop, rung.target_ltv) for rung in policy.rungs] == [(0.30, 0.50)]
    assert policy.target.dead_band == 0.05
    assert (policy.sweep.trigger_ltv, policy.sweep.target_ltv, policy.sweep.rally) == (0.45, 0.42, 0.30)
    assert (policy.limits.max_order_qty, policy.limits.max_position_qty) == (D(10), D(50))
    assert (policy.limits.orders_per_minute, policy.limits.critical_orders_per_minute) == (20, 40)
    assert policy.limits.max_slippage_bps == D(50)


def test_rules_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidInput, match="rungs"):
        replace(Policy(), rungs=())
    with pytest.raises(InvalidInput, match="ceiling"):
        replace(Policy(), sweep=replace(Policy().sweep, trigger_ltv=0.6))
    with pytest.raises(InvalidInput):
        SizingPolicy(max_hedge_pct=100.0)
    with pytest.raises(InvalidInput):
        LoanPolicy(liquidation_ltv=0.8)


def test_errors_say_what_to_do() -> None:
    assert str(InvalidInput("debt", "must be 0 or more")) == "debt: must be 0 or more"
    assert isinstance(InvalidInput("debt", "…"), ValueError)
    assert "4000 ms" in str(StaleInput("score", 4_000, 3_000))
    require(True, "never seen")
    with pytest.raises(InvariantBroken, match="seen"):
        require(False, "seen")


def risk(previous: RiskLevel, level: RiskLevel) -> RiskStateChanged:
    return RiskStateChanged(
        account="main", loan_id="l1", ts_ms=NOW, previous=previous, level=level, lender_ltv=0.46, net_ltv=0.44,
        price=D(50_000), required_hedge=D(3),
    )  # fmt: skip


def order(event: str, link: str = "hl-1") -> OrderEvent:
    return OrderEvent(
        account="main", symbol="BTCUSDT", ts_ms=NOW, event=event, order_link_id=link, detail="…"  # type: ignore[arg-type]
    )  # fmt: skip


def acted(action: str, shortfall: int = 0) -> TreasuryActed:
    return TreasuryActed(
        account="main", ts_ms=NOW, action_id="a1", action=action, amount_usdt=D(10),  # type: ignore[arg-type]
        shortfall_usdt=D(shortfall), lender_ltv_before=0.46, lender_ltv_after=0.42, detail="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "severity"),
    [
        (risk(RiskLevel.SAFE, RiskLevel.CAUTION), Severity.MEDIUM),
        (risk(RiskLevel.CAUTION, RiskLevel.DANGER), Severity.HIGH),
        (risk(RiskLevel.SAFE, RiskLevel.CRITICAL), Severity.CRITICAL),
        (risk(RiskLevel.CRITICAL, RiskLevel.SAFE), Severity.LOW),
        (order("refused"), Severity.HIGH),
        (order("rejected"), Severity.HIGH),
        (order("unresolved"), Severity.HIGH),
        (order("external_fill"), Severity.HIGH),
        (order("liquidation"), Severity.CRITICAL),
        (acted("sweep"), Severity.MEDIUM),
        (acted("sweep_short_of_cash", 500), Severity.CRITICAL),
        (acted("sweep_failed"), Severity.HIGH),
        (TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=NOW, reason="drill"), Severity.HIGH),
        (TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=NOW, reason="over"), Severity.MEDIUM),
        (FeedStale(symbol="BTCUSDT", ts_ms=NOW, reason="silent"), Severity.HIGH),
    ],
)
def test_who_hears_what_how_loudly(message: AnyMessage, severity: Severity) -> None:
    (alert,) = alerts_for(message)
    assert alert.severity is severity
    assert alert.title
    assert alert.body
    assert alerts_for(message) == (alert,), "the same message is the same alert"
    assert alerts_for(alert) == (alert,)


def test_most_messages_are_for_nobody() -> None:
    realise = RealiseProfit(account="main", symbol="BTCUSDT", request_id="r", ts_ms=NOW, qty=D(1))
    assert alerts_for(realise) == ()
    assert alerts_for(order("filled")) == ()


def test_a_shortfall_is_named() -> None:
    (alert,) = alerts_for(acted("sweep_short_of_cash", 500))
    assert "500 USDT are missing" in alert.body


def test_refusals_fold_into_one_and_rejections_are_one_per_order() -> None:
    assert alerts_for(order("refused", "a"))[0].dedup_key == alerts_for(order("refused", "b"))[0].dedup_key
    assert alerts_for(order("rejected", "a"))[0].dedup_key != alerts_for(order("rejected", "b"))[0].dedup_key
