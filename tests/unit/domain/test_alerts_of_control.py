"""People are told when a person takes a target over, when that ends, and when it leaves the loans too little."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import alerts_for, override_below_floor
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import HedgeDemand, TargetOverridden

OVERRIDE = TargetOverridden(
    account="main",
    symbol="BTCUSDT",
    override_id="o1",
    version=1,
    ts_ms=0,
    target_short_qty=Decimal("3.2"),
    expires_ms=7_200_000,
    who="ada",
    reason="drill",
)


def test_an_override_is_told_with_its_size_its_person_and_its_time() -> None:
    [alert] = alerts_for(OVERRIDE)
    assert alert.severity is Severity.HIGH
    assert "3.2" in alert.title
    assert "ada, for 120 min: drill" in alert.body
    assert alerts_for(OVERRIDE) == (alert,)


def test_so_is_its_end() -> None:
    [begin] = alerts_for(OVERRIDE)
    [end] = alerts_for(OVERRIDE.model_copy(update={"target_short_qty": None, "reason": "its time is over"}))
    assert end.severity is Severity.MEDIUM
    assert "its time is over" in end.body
    assert end.dedup_key != begin.dedup_key


def test_too_little_protection_is_critical_and_folds_into_one() -> None:
    demand = HedgeDemand(
        account="main",
        symbol="BTCUSDT",
        ts_ms=5,
        price=Decimal(60_000),
        floor_qty=Decimal(4),
        neutral_qty=Decimal(6),
        collateral_qty=Decimal(10),
        debt=Decimal(1),
        level=RiskLevel.DANGER,
        lender_ltv=0.46,
        net_ltv=0.4,
    )
    first = override_below_floor(OVERRIDE, Decimal("3.2"), demand)
    again = override_below_floor(OVERRIDE, Decimal("3.2"), demand.model_copy(update={"ts_ms": 9}))
    assert first.severity is Severity.CRITICAL
    assert "0.8 of protection are missing" in first.body
    assert first.dedup_key == again.dedup_key
