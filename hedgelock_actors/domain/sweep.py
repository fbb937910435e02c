"""Sweeping hedge profit into repayment: when, how much, and what it buys. Ratios are ratios, money is USDT."""

from __future__ import annotations

import math

from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, not_negative, positive
from hedgelock_actors.domain.loan import ltv


def sweep_ltv(policy_ltv: float, liquidation_ltv: float, worst_move: float) -> float:
    """λ_sweep: the smaller of the policy's and L(1−y), y the worst adverse move while a sweep is under way."""
    if not 0.0 <= finite("worst_move", worst_move) < 1.0:
        raise InvalidInput("worst_move", f"must be at least 0 and below 1 as a ratio, not {worst_move:g}")
    return min(fraction("policy_ltv", policy_ltv), fraction("liquidation_ltv", liquidation_ltv) * (1.0 - worst_move))


def cash_to_reach(debt: float, target: float, haircut: float, collateral: float, price: float) -> float:
    """D − T_s κ C P, USDT: repaying it brings λ to `target`; 0 when λ is there already."""
    value = positive("haircut", haircut) * not_negative("collateral", collateral) * positive("price", price)
    return max(0.0, not_negative("debt", debt) - fraction("target", target) * value)


def max_drop(ltv_now: float, liquidation_ltv: float, safety: float = 0.9) -> float:
    """1 − λ/(sL): the largest fall between two sweeps that a neutral hedge survives, s < 1 for the time it takes."""
    return 1.0 - finite("ltv", ltv_now) / (fraction("safety", safety) * fraction("liquidation_ltv", liquidation_ltv))


def sweeps_needed(fall: float, ltv_now: float, liquidation_ltv: float, safety: float = 0.9) -> int:
    """How many sweeps carry a neutral hedge through a total fall.

    Raises:
        InvalidInput: the loan is already past the safe limit, so no number of sweeps does.
    """
    step = max_drop(ltv_now, liquidation_ltv, safety)
    if step <= 0.0:
        raise InvalidInput("ltv", "is above the safe part of the liquidation LTV; repay first")
    return math.ceil(math.log(1.0 - fraction("fall", fall)) / math.log(1.0 - step) - 1e-12)


def repay_ltv(debt: float, collateral: float, price: float, haircut: float, cash: float) -> float:
    """λ after repaying `cash`: (D − Π)/(κCP)."""
    return ltv(max(0.0, debt - not_negative("cash", cash)), collateral, price, haircut)


def add_ltv(debt: float, collateral: float, price: float, haircut: float, cash: float) -> float:
    """λ after buying collateral for `cash`: D/(κ(CP + Π)). Never below what repaying it gives while λκ ≤ 1."""
    return ltv(debt, collateral + not_negative("cash", cash) / positive("price", price), price, haircut)
