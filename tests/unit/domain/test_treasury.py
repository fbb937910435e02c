"""Which sweep is due, and from where its money comes."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.treasury import AccountValues, SweepPolicy, plan_sweep, transfer_id

D = Decimal
POLICY = SweepPolicy(maintenance=0.0, taker_fee=0.0, rally=0.5)
# 10 coins at 5,000, 23,000 owed: λ = 0.46; 2,000 bring it to 0.42. A short of 2 from 6,000 needs 5,000 for the rally.
AT = AccountValues(
    debt=D(23_000), collateral=D(10), haircut=1.0, price=D(5_000), lender_ltv=0.46, liquidation_ltv=0.95,
    equity=D(9_000), transferable=D(9_000), funding_wallet=D(0), short_qty=D(2), entry_price=D(6_000), mark=D(5_000),
    qty_step=D("0.001"),
)  # fmt: skip


def planned(**changes: object) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
    plan = plan_sweep(replace(AT, **changes), POLICY)  # type: ignore[arg-type]
    return None if plan is None else (plan.cash, plan.from_wallet, plan.realise_qty, plan.shortfall)


def test_a_due_sweep_brings_the_lender_to_the_target() -> None:
    assert planned() == (D(2_000), D(0), D(0), D(0))
    plan = plan_sweep(AT, POLICY)
    assert plan is not None
    assert plan.repay == D(2_000)
    assert (AT.debt - plan.repay) / 50_000 == D("0.42")


def test_below_the_trigger_nothing_moves() -> None:
    assert planned(lender_ltv=0.4499, debt=D(22_495)) is None
    assert planned(debt=D(0)) is None


def test_the_trigger_itself_sweeps() -> None:
    assert planned(lender_ltv=0.45, debt=D(22_500)) == (D(1_500), D(0), D(0), D(0))


def test_the_lenders_own_number_rules_when_it_is_worse() -> None:
    # The lender says 0.50 (its price is lower): 16 % of the debt must go.
    assert planned(lender_ltv=0.50) == (D(3_680), D(0), D(0), D(0))


def test_a_low_liquidation_ltv_sweeps_earlier() -> None:
    assert planned(lender_ltv=0.44, debt=D(22_000), liquidation_ltv=0.48) == (D(1_000), D(0), D(0), D(0))


def test_the_buffer_repays_first() -> None:
    assert planned(funding_wallet=D(1_500)) == (D(500), D(1_500), D(0), D(0))
    plan = plan_sweep(replace(AT, funding_wallet=D(1_500)), POLICY)
    assert plan is not None
    assert plan.repay == D(2_000)
    assert planned(funding_wallet=D(99_999)) == (D(0), D(2_000), D(0), D(0))


def test_the_margin_of_the_short_is_never_touched() -> None:
    assert planned(equity=D(5_700)) == (D(700), D(0), D(0), D(1_300))
    assert planned(equity=D(4_000)) == (D(0), D(0), D(0), D(2_000))
    assert planned(equity=D(2_000), short_qty=D(0)) == (D(2_000), D(0), D(0), D(0))


def test_profit_that_is_not_cash_is_realised_first() -> None:
    # 1,500 more are spare but not cash; each coin closed and re-opened turns 1,000 into cash.
    assert planned(transferable=D(500)) == (D(500), D(0), D("1.500"), D(0))
    assert planned(transferable=D(0), short_qty=D("1.2"), equity=D(9_000)) == (D(0), D(0), D("1.200"), D(0))


def test_a_short_without_profit_cannot_be_realised() -> None:
    assert planned(transferable=D(500), entry_price=D(5_000)) == (D(500), D(0), D(0), D(1_500))


def test_realising_pays_for_its_fees() -> None:
    policy = replace(POLICY, taker_fee=0.01)
    plan = plan_sweep(replace(AT, transferable=D(500)), policy)
    assert plan is not None
    # 6,000 − 5,000 × 1.02 = 900 per coin
    assert plan.realise_qty == D("1.667")


def test_one_sweep_and_one_day_are_bounded() -> None:
    small = replace(POLICY, max_operation_usdt=D(1_000), max_daily_usdt=D(1_500))
    plan = plan_sweep(AT, small)
    assert plan is not None
    assert (plan.cash, plan.shortfall) == (D(1_000), D(0)), "the rest follows by the next sweep"
    plan = plan_sweep(replace(AT, swept_today=D(1_000)), small)
    assert plan is not None
    assert (plan.cash, plan.shortfall) == (D(500), D(500))
    plan = plan_sweep(replace(AT, swept_today=D(1_500)), small)
    assert plan is not None
    assert (plan.cash, plan.shortfall) == (D(0), D(2_000))
    assert "daily" in plan.reason


def test_crumbs_are_not_moved() -> None:
    assert planned(equity=D(5_009)) == (D(0), D(0), D(0), D(2_000))
    assert planned(equity=D(5_010)) == (D(10), D(0), D(0), D(1_990))
    assert planned(transferable=D(1_990)) == (D(1_990), D(0), D("0.010"), D(0))
    assert planned(transferable=D(1_991)) == (D(1_991), D(0), D(0), D(9))


def test_a_crumb_of_a_loan_is_left_alone() -> None:
    crumb = {"debt": D(92), "collateral": D("0.04"), "short_qty": D(0)}
    assert planned(**crumb) is None
    assert planned(**{**crumb, "debt": D(230), "collateral": D("0.1")}) == (D(20), D(0), D(0), D(0))


@pytest.mark.parametrize(
    "bad", [{"target_ltv": 0.45}, {"trigger_ltv": 45.0}, {"min_operation_usdt": D(0)}, {"max_operation_usdt": D(1)}]
)
def test_a_policy_of_nonsense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(POLICY, **bad)  # type: ignore[arg-type]


def test_a_transfer_has_one_uuid_per_action() -> None:
    ids = {transfer_id(f"sweep-{n}") for n in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids)
    assert transfer_id("sweep-1") == transfer_id("sweep-1")
    with pytest.raises(InvalidInput):
        transfer_id("")
