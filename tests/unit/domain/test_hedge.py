"""Hedge, margin, sweeps and probability on vectors worked by hand, so that the suite means something by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.hedge import (
    Costs,
    Rung,
    breach_shortfall,
    effective_debt,
    hedge_credit,
    net_ltv,
    net_ltv_after_drop,
    neutral_short,
    required_for_rung,
    required_short,
    with_costs,
)
from hedgelock_actors.domain.margin import (
    Exposure,
    UtaAccount,
    cap_short,
    carve_out,
    margin_for_rally,
    rally_release,
    rho,
    short_liquidation_price,
    uta_band,
    uta_liquidation,
)
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.probability import first_passage
from hedgelock_actors.domain.quality import (
    funding_apr,
    funding_per_day,
    implementation_shortfall,
    markout,
    price_improvement,
    slippage_bps,
)
from hedgelock_actors.domain.sweep import add_ltv, cash_to_reach, max_drop, repay_ltv, sweep_ltv, sweeps_needed

D = Decimal
near = pytest.approx
# 4 coins at 5,000 with a debt of 8,000: λ = 0.4.
LOAN = (8_000.0, 4.0, 5_000.0, 1.0)
HALF_FALL = Rung(0.5, 0.5)


def test_required_short_by_hand() -> None:
    # After a fall of a half the coins are worth 10,000; 5,000 may be owed; the short must earn 3,000 over 2,500.
    assert required_for_rung(*LOAN, HALF_FALL) == near(1.2)
    assert net_ltv_after_drop(*LOAN, 1.2, 0.5) == near(0.5)
    assert required_short(*LOAN, (HALF_FALL, Rung(0.25, 0.5))) == near(1.2)
    assert required_short(*LOAN, (Rung(0.1, 0.9),)) == 0.0


def test_a_breach_asks_for_the_neutral_short_and_names_what_is_missing() -> None:
    breached = (12_000.0, 4.0, 5_000.0, 1.0)
    assert required_for_rung(*breached, Rung(0.01, 0.5)) > neutral_short(12_000, 5_000)
    assert required_short(*breached, (Rung(0.01, 0.5),)) == 2.4
    missing = breach_shortfall(*breached, 0.5)
    assert (missing.usdt, missing.coin) == (2_000.0, near(0.8))
    assert (12_000 - missing.usdt) / 20_000 == 0.5
    assert 12_000 / ((4 + missing.coin) * 5_000) == near(0.5)
    assert breach_shortfall(*LOAN, 0.5).usdt == 0.0


def test_the_effective_debt_counts_profit_and_loss_not_yet_swept() -> None:
    assert effective_debt(8_000, 1, 5_500, 5_000, 100) == 7_400
    assert effective_debt(8_000, 1, 4_500, 5_000) == 8_500
    assert effective_debt(8_000, 0, 0.0, 5_000) == 8_000
    assert hedge_credit(1, 5_500, 5_000, 100) == 600
    assert net_ltv(8_000, 600, 4, 5_000, 1.0) == near(0.37)
    assert net_ltv(8_000, 9_000, 4, 5_000, 1.0) == 0.0
    assert net_ltv(8_000, 0, 0, 5_000, 1.0) == math.inf


def test_a_loan_that_owes_nothing_needs_nothing() -> None:
    assert required_short(0.0, 4, 5_000, 1.0, (HALF_FALL,)) == 0.0
    assert required_short(-500.0, 4, 5_000, 1.0, (HALF_FALL,)) == 0.0
    assert neutral_short(-500.0, 5_000) == 0.0


def test_costs_raise_the_size() -> None:
    free = Costs(fee_in=0.0, fee_out=0.0)
    assert with_costs(*LOAN, HALF_FALL, 5_000, free) == near(1.2)
    # 3,000 / (5,000 × 0.999 − 2,500 × 1.001 + 10)
    paid = Costs(fee_in=0.001, fee_out=0.001, funding=10.0)
    assert with_costs(*LOAN, HALF_FALL, 5_000, paid) == near(3_000 / 2_502.5)
    with pytest.raises(InvalidInput, match="no hedge helps"):
        with_costs(*LOAN, Rung(0.001, 0.399), 5_000, Costs(fee_in=0.001, fee_out=0.001))


@pytest.mark.parametrize("rung", [(0.0, 0.5), (1.0, 0.5), (30.0, 0.5), (0.3, 0.0), (0.3, 50.0), (math.nan, 0.5)])
def test_a_rung_in_percent_is_refused(rung: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput):
        Rung(*rung)


@pytest.mark.parametrize(
    "loan", [(math.nan, 4.0, 5e3, 1.0), (8e3, -4.0, 5e3, 1.0), (8e3, 4.0, 0.0, 1.0), (8e3, 4.0, 5e3, 1.5)]
)
def test_a_hedge_of_nonsense_is_refused(loan: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        required_short(*loan, (HALF_FALL,))


def test_no_ladder_is_no_answer() -> None:
    with pytest.raises(InvalidInput, match="rung"):
        required_short(*LOAN, ())


# ---------------------------------------------------------------- margin


def test_margin_survives_exactly_the_rally_it_is_for() -> None:
    assert rho(0.0, 0.0, 0.0) == 0.0
    assert rho(0.5, 0.01, 0.01) == near(0.53)
    margin = margin_for_rally(2, 5_000, 0.5, 0.01, 0.01)
    assert margin == near(5_300)
    assert short_liquidation_price(margin, 2, 5_000, 0.01, 0.01) == near(7_500)
    assert short_liquidation_price(margin, 0, 5_000, 0.01, 0.01) is None


def test_a_unified_account_that_is_never_safe() -> None:
    account = UtaAccount(
        collateral=1, haircut=1.0, debt=8_000, short=1.2, entry=5_000, maintenance=0.0, borrow_maintenance=0.0
    )
    assert uta_liquidation(account).kind is Exposure.NEVER_SAFE


def test_a_unified_account_that_a_rally_liquidates() -> None:
    account = UtaAccount(
        collateral=1, haircut=1.0, debt=5_000, short=1.5, entry=5_000, maintenance=0.0, borrow_maintenance=0.0
    )
    found = uta_liquidation(account)
    # At P the account is worth P − 5,000 + 1.5(5,000 − P) = 2,500 − P/2: nothing at 5,000.
    assert (found.kind, found.price) == (Exposure.UPSIDE, 5_000)


def test_a_unified_account_that_only_a_fall_or_nothing_at_all_liquidates() -> None:
    account = UtaAccount(
        collateral=1, haircut=1.0, debt=3_000, short=0.5, entry=5_000, maintenance=0.0, borrow_maintenance=0.0
    )
    # P − 3,000 + 0.5(5,000 − P) = P/2 − 500: nothing at 1,000.
    assert (uta_liquidation(account).kind, uta_liquidation(account).price) == (Exposure.DOWNSIDE, 1_000)
    safe = replace(account, short=0.8)
    assert (uta_liquidation(safe).kind, uta_liquidation(safe).price) == (Exposure.ALWAYS_SAFE, None)
    assert uta_band(account) == (near(0.6), near(1.0))
    assert uta_band(replace(account, debt=6_000)) is None


def test_a_carve_out_takes_its_margin_from_the_collateral() -> None:
    # 4 coins at 5,000 and 8,000 owed: after −30 % at most 0.5 wants (8,000 − 7,000)/1,500 = 2/3 without a carve-out.
    found = carve_out(8_000, 4, 5_000, 1.0, Rung(0.3, 0.5), rate=0.1, margin_ratio=1.0)
    assert found is not None
    drain = 0.5 * 0.7 * 0.1 / 0.3
    assert found.short == near(2 / 3 / (1 - drain))
    assert found.withdrawn == near(found.short * 0.1)
    assert found.ltv_after == near(8_000 / ((4 - found.withdrawn) * 5_000))
    # After the fall, what is left and what the short has earned are worth exactly the target.
    assert (8_000 - found.short * 1_500) / ((4 - found.withdrawn) * 3_500) == near(0.5)
    assert carve_out(40_000, 4, 5_000, 1.0, Rung(0.3, 0.5), rate=0.4, margin_ratio=1.0) is None


def test_a_carve_out_that_feeds_on_itself_has_no_solution() -> None:
    assert carve_out(*LOAN, Rung(0.1, 0.9), rate=0.5, margin_ratio=0.9) is None


def test_a_rally_frees_collateral() -> None:
    # 8,000 owed at 0.4 needs 20,000; at 6,250 that is 3.2 of 4 coins.
    assert rally_release(8_000, 4, 5_000, 1.0, 0.4, 0.25) == near(0.8)
    assert rally_release(8_000, 4, 5_000, 1.0, 0.4, 0.0) == 0.0


def test_the_smallest_cap_rules() -> None:
    limits = {"neutral": 1.6, "free_margin": 1_000.0, "price": 5_000.0, "rate": 0.25}
    assert cap_short(**limits) == near(0.8)
    assert cap_short(**{**limits, "free_margin": 1e9}) == 1.6
    assert cap_short(**limits, max_qty=0.5) == 0.5
    assert cap_short(**limits, band_high=0.4) == 0.4
    assert cap_short(**{**limits, "free_margin": -5.0}) == 0.0
    with pytest.raises(InvalidInput):
        cap_short(**{**limits, "neutral": math.nan})


# ---------------------------------------------------------------- sweeps


def test_sweeps_by_hand() -> None:
    assert sweep_ltv(0.45, 0.95, 0.1) == 0.45
    assert sweep_ltv(0.45, 0.40, 0.5) == near(0.2)
    assert cash_to_reach(8_000, 0.3, 1.0, 4, 5_000) == near(2_000)
    assert cash_to_reach(8_000, 0.5, 1.0, 4, 5_000) == 0.0
    assert max_drop(0.36, 0.8) == near(0.5)
    assert sweeps_needed(0.75, 0.36, 0.8) == 2
    assert repay_ltv(8_000, 4, 5_000, 1.0, 2_000) == near(0.3)
    assert repay_ltv(8_000, 4, 5_000, 1.0, 9_000) == 0.0
    assert add_ltv(8_000, 4, 5_000, 1.0, 5_000) == near(0.32)
    with pytest.raises(InvalidInput, match="repay first"):
        sweeps_needed(0.75, 0.9, 0.8)
    with pytest.raises(InvalidInput):
        sweep_ltv(0.45, 0.95, 1.0)


# ---------------------------------------------------------------- probability


def test_first_passage_by_hand() -> None:
    # σ√τ = 0.4 and a barrier at e^(−0.08) puts a − μτ at 0: p = Φ(0) + e^0.08·Φ(−0.4).
    expected = 0.5 + math.exp(0.08) * 0.3445782583896758
    assert first_passage(1.0, math.exp(-0.08), 0.4, 1.0) == near(expected, rel=1e-12)
    assert first_passage(1.0, 1.0, 0.4, 1.0) == 1.0
    assert first_passage(1.0, 0.0, 0.4, 1.0) == 0.0
    assert first_passage(1.0, 0.9, 0.4, 0.0) == 0.0


# ---------------------------------------------------------------- execution quality


def test_a_buy_is_the_mirror_of_a_sell() -> None:
    sold = implementation_shortfall(Side.SELL, D(2), D(100), [(D(1), D(99))], D(97), D("0.5"))
    bought = implementation_shortfall(Side.BUY, D(2), D(100), [(D(1), D(101))], D(103), D("0.5"))
    assert sold == bought
    assert (sold.execution, sold.opportunity, sold.total, sold.bps) == (D(1), D(3), D("4.5"), D(225))


def test_quality_signs() -> None:
    assert slippage_bps(Side.SELL, D(99), D(100)) == slippage_bps(Side.BUY, D(101), D(100)) == D(100)
    assert price_improvement(Side.SELL, D(100), D(99)) == price_improvement(Side.BUY, D(99), D(100)) == D(1)
    assert markout(Side.SELL, D(100), D(98)) == markout(Side.BUY, D(98), D(100)) == D(2)


@pytest.mark.parametrize("qty", ["0", "1"])
def test_a_shortfall_of_nothing_is_refused(qty: str) -> None:
    with pytest.raises(InvalidInput):
        implementation_shortfall(Side.SELL, D(qty), D(100), [(D(2), D(99))], D(97), D(0))


def test_a_years_funding_without_compounding() -> None:
    assert funding_apr(Decimal("0.0001"), 480) == Decimal("0.1095")


def test_funding_reads_its_interval() -> None:
    assert funding_per_day(D("0.0001"), D(1), D(60_000), 60) == D(144)
    with pytest.raises(InvalidInput):
        funding_per_day(D("0.0001"), D(1), D(60_000), 0)
