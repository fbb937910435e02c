"""How large a short a loan needs, and what it does to the net loan-to-value.

λ_net(P') = (D − h(P − P')) / (κ C P'): the loan-to-value with the hedge's profit swept into the debt. `debt` is D, or,
with a hedge on, the effective debt of `effective_debt`; then every required short is the *total* target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, not_negative, positive


@dataclass(frozen=True, slots=True)
class Rung:
    """One stress: after a fall of `drop` (0.30) the net LTV must not exceed `target_ltv` (0.50)."""

    drop: float
    target_ltv: float

    def __post_init__(self) -> None:
        fraction("rung.drop", self.drop)
        fraction("rung.target_ltv", self.target_ltv)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What brings a breached loan back: this much USDT repaid, or this much coin added (either one)."""

    usdt: float
    coin: float


def required_for_rung(debt: float, collateral: float, price: float, haircut: float, rung: Rung) -> float:
    """h*(x,T) = max(0, (D − TκCP(1−x)) / (P x)), in coin, not capped. It may exceed D/P when λ > T."""
    _check(collateral, price, haircut)
    stressed = haircut * collateral * price * (1.0 - rung.drop)
    return max(0.0, (finite("debt", debt) - rung.target_ltv * stressed) / (price * rung.drop))


def required_short(debt: float, collateral: float, price: float, haircut: float, rungs: Sequence[Rung]) -> float:
    """The least total short that satisfies every rung, in coin, capped at the neutral short D/P.

    At the cap a rung with T < λ is not satisfied: no hedge cures a breach that exists (see `breach_shortfall`).
    """
    if not rungs:
        raise InvalidInput("rungs", "at least one rung is needed, e.g. 0.3:0.5")
    wanted = max(required_for_rung(debt, collateral, price, haircut, rung) for rung in rungs)
    return min(wanted, neutral_short(debt, price))


def neutral_short(debt: float, price: float) -> float:
    """D/P: with it λ_net is λ at every price. 0 when nothing is owed in effect."""
    return max(0.0, finite("debt", debt)) / positive("price", price)


def effective_debt(debt: float, short: float, entry: float, price: float, unswept: float = 0.0) -> float:
    """D_eff = D − h₀(E₀ − P) − S, USDT: the debt if the hedge's profit so far were swept now. May be negative."""
    not_negative("short", short)
    profit = short * (positive("entry", entry) - finite("price", price)) if short else 0.0
    return not_negative("debt", debt) - profit - finite("unswept", unswept)


def hedge_credit(short: float, entry: float, price: float, unswept: float = 0.0) -> float:
    """h(E − P) + S, USDT: what the hedge has earned and not yet swept."""
    return -effective_debt(0.0, short, entry, price, unswept)


def net_ltv(debt: float, credit: float, collateral: float, price: float, haircut: float) -> float:
    """λ_net = (D − credit) / (κ C P). 0 when the credit covers the debt; infinite for debt against nothing."""
    owed = not_negative("debt", debt) - finite("credit", credit)
    if owed <= 0.0:
        return 0.0
    value = haircut * not_negative("collateral", collateral) * finite("price", price)
    return owed / value if value > 0.0 else math.inf


def net_ltv_after_drop(
    debt: float, collateral: float, price: float, haircut: float, short: float, drop: float
) -> float:
    """λ_net after a fractional fall x (a rally when negative), with `debt` the effective debt at `price`."""
    after = positive("price", price) * (1.0 - drop)
    return max(0.0, debt - short * (price - after)) / (haircut * positive("collateral", collateral) * after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Fees as ratios of the traded value; funding expected over the hedge's life, USDT per coin, received > 0."""

    fee_in: float
    fee_out: float
    funding: float = 0.0


def with_costs(
    debt: float, collateral: float, price: float, haircut: float, rung: Rung, perp_price: float, costs: Costs
) -> float:
    """h* = (D − TκCP') / (F₀(1−f_in) − F'(1+f_out) + φ), F' = F₀(1−x), in coin, not capped.

    Raises:
        InvalidInput: the costs eat the whole profit of the fall, so no size helps.
    """
    _check(collateral, price, haircut)
    stressed = price * (1.0 - rung.drop)
    earned = positive("perp_price", perp_price) * (1.0 - costs.fee_in)
    earned += costs.funding - perp_price * (1.0 - rung.drop) * (1.0 + costs.fee_out)
    if earned <= 0.0:
        raise InvalidInput("costs", "fees and funding exceed what a short earns in this fall; no hedge helps")
    return max(0.0, (finite("debt", debt) - rung.target_ltv * haircut * collateral * stressed) / earned)


def breach_shortfall(debt: float, collateral: float, price: float, haircut: float, target: float) -> Shortfall:
    """What is missing to bring λ down to `target` now; zeros when λ ≤ target."""
    _check(collateral, price, haircut)
    fraction("target", target)
    usdt = max(0.0, finite("debt", debt) - target * haircut * collateral * price)
    return Shortfall(usdt, usdt / (target * haircut * price))


def _check(collateral: float, price: float, haircut: float) -> None:
    not_negative("collateral", collateral)
    positive("price", price)
    if not 0.0 < finite("haircut", haircut) <= 1.0:
        raise InvalidInput("haircut", f"must be above 0 and at most 1 as a ratio, not {haircut:g}")
