"""What a loan and the account of its hedge would be after a shock, and how near the nearest one is.

A shock is told by what it does to each side: the price at which the lender values the collateral, the price of the
perpetual, the haircut, the funding paid, and whether the hedge's profit can be swept into the debt in time. The rules
are those of the plan: λ = D/(κCP), λ_net = (D − profit)/(κCP), equity = margin + h(E − F) − funding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hedgelock_actors.domain import hedge, loan, margin
from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, not_negative, positive
from hedgelock_actors.domain.hedge import Rung, Shortfall
from hedgelock_actors.domain.loan import Levels, RiskLevel
from hedgelock_actors.domain.probability import DAYS_PER_YEAR, first_passage, first_passage_up, worst_fall

MINUTES_PER_YEAR = DAYS_PER_YEAR * 24 * 60
_NOWHERE = 1e-9
"""Of the price: stands for a short that is past its liquidation at every price."""
FALLS = tuple(number / 10 for number in range(1, 10))
RALLIES = tuple(number / 10 for number in range(1, 11))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A loan and its hedge now. Coins and USDT; `margin` is the hedge account's money without the short's profit."""

    debt: float
    collateral: float
    price: float
    haircut: float = 1.0
    short: float = 0.0
    entry: float | None = None
    """None: the price of now."""
    margin: float = 0.0

    def __post_init__(self) -> None:
        not_negative("debt", self.debt)
        positive("collateral", self.collateral)
        positive("price", self.price)
        not_negative("short", self.short)
        finite("margin", self.margin)
        if self.entry is not None:
            positive("entry", self.entry)
        if not 0.0 < finite("haircut", self.haircut) <= 1.0:
            raise InvalidInput("haircut", f"must be above 0 and at most 1 as a ratio, not {self.haircut:g}")

    @property
    def entered(self) -> float:
        """Price of entry."""
        return self.price if self.entry is None else self.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class StressRules:
    """What the answers are measured by."""

    levels: Levels = field(default_factory=Levels)
    rungs: tuple[Rung, ...] = (Rung(0.30, 0.50),)
    liquidation_ltv: float = 0.95
    margin_call_ltv: float = 0.85
    maintenance: float = 0.005
    taker_fee: float = 0.00055
    rally: float = 0.30
    sigma: float = 0.8
    """Volatility per √year."""
    horizon_days: float = 30.0

    def __post_init__(self) -> None:
        fraction("margin_call_ltv", self.margin_call_ltv)
        fraction("liquidation_ltv", self.liquidation_ltv)
        positive("sigma", self.sigma)
        not_negative("horizon_days", self.horizon_days)

    @property
    def years(self) -> float:
        """The horizon."""
        return self.horizon_days / DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """`loan_move` and `perp_move` are fractional (−0.3: a fall of 30 %)."""

    name: str
    loan_move: float = 0.0
    """Of the price at which the lender values the collateral."""
    perp_move: float = 0.0
    """Of the perpetual."""
    haircut_cut: float = 0.0
    """The haircut's κ becomes κ(1 − cut)."""
    funding: float = 0.0
    """Paid by the short until then, a ratio of its value."""
    swept: bool = True
    """The hedge's profit is used for repayment in time."""

    def __post_init__(self) -> None:
        for name in ("loan_move", "perp_move"):
            if finite(name, getattr(self, name)) <= -1.0:
                raise InvalidInput(name, "a price cannot fall by all of itself: give more than -1")
        if not 0.0 <= finite("haircut_cut", self.haircut_cut) < 1.0:
            raise InvalidInput("haircut_cut", "must be at least 0 and below 1 as a ratio")
        finite("funding", self.funding)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShockSizes:
    """How large the special shocks are. Ratios."""

    gap: float = 0.30
    funding_cap: float = 0.005
    """Of one settlement, against the short."""
    settlements_per_day: float = 3.0
    funding_days: float = 3.0
    divergence: float = 0.05
    """The index below the last price; the lender values at the lower."""
    haircut_cut: float = 0.10
    usdt: float = 0.95
    """What a USDT is worth, USD."""
    outage_minutes: float = 60.0
    outage_move: float = 0.10
    """The least fall to reckon with in an outage; more when volatility makes more than one in a thousand likely."""


def standard_shocks(sizes: ShockSizes, rules: StressRules) -> tuple[Shock, ...]:
    """−10 … −90 %, +10 … +100 %, and one of each special kind.

    A USDT below a dollar raises the perpetual's price in USDT, while a lender that takes a USDT for a dollar sees the
    collateral's dollar price unchanged: the worse reading, in which only the short's loss is felt.
    """
    fall = worst_fall(rules.sigma, not_negative("outage", sizes.outage_minutes) / MINUTES_PER_YEAR, 0.001)
    fall = max(fall, sizes.outage_move)
    paid = sizes.funding_cap * sizes.settlements_per_day * sizes.funding_days
    depeg = 1.0 / positive("usdt", sizes.usdt) - 1.0
    return (
        *(Shock(name=f"{-fall:.0%}", loan_move=-fall, perp_move=-fall) for fall in FALLS),
        *(Shock(name=f"+{rise:.0%}", loan_move=rise, perp_move=rise) for rise in RALLIES),
        Shock(name=f"gap of {-sizes.gap:.0%}, no sweep", loan_move=-sizes.gap, perp_move=-sizes.gap, swept=False),
        Shock(name=f"funding at the cap for {sizes.funding_days:g} days", funding=paid),
        Shock(name=f"index {sizes.divergence:.0%} below the last price", loan_move=-sizes.divergence),
        Shock(name=f"haircut {-sizes.haircut_cut:.0%}", haircut_cut=sizes.haircut_cut),
        Shock(name=f"USDT at {sizes.usdt:g} USD", perp_move=depeg),
        Shock(
            name=f"venue away {sizes.outage_minutes:g} min, {-fall:.1%}", loan_move=-fall, perp_move=-fall, swept=False
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanSide:
    """The loan after a shock. `ltv` is the lender's: after the sweep when there is one."""

    price: float
    ltv: float
    net_ltv: float
    level: RiskLevel
    margin_called: bool
    liquidated: bool
    required_hedge: float
    """Total, coins."""
    shortfall: Shortfall
    """What brings the lender's λ to the ceiling of the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSide:
    """The hedge's account after a shock, USDT."""

    price: float
    swept: float
    equity: float
    """What is left after the sweep."""
    maintenance: float
    """Below this equity the short is liquidated."""
    liquidated: bool
    margin_needed: float
    """For the hedge required then to survive the policy's rally from there."""
    margin_shortfall: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both sides of one shock."""

    shock: Shock
    loan: LoanSide
    hedge: HedgeSide


def apply(standing: Standing, shock: Shock, rules: StressRules) -> Outcome:
    """Both sides after the shock. A short that is liquidated on the way earns what it earned until there: its loss."""
    haircut = standing.haircut * (1.0 - shock.haircut_cut)
    price, perp = standing.price * (1.0 + shock.loan_move), standing.price * (1.0 + shock.perp_move)
    short = standing.short
    profit = short * (standing.entered - perp) - shock.funding * short * standing.price
    equity = standing.margin + profit
    maintenance = short * perp * (rules.maintenance + rules.taker_fee)
    lost = short > 0.0 and equity < maintenance
    swept = min(standing.debt, max(0.0, profit)) if shock.swept and not lost else 0.0
    debt, left = standing.debt - swept, 0.0 if lost else equity - swept
    # The target counts profit that is not swept yet; a short that is gone has none.
    owed = debt - (0.0 if lost else profit - swept)
    required = hedge.required_short(owed, standing.collateral, price, haircut, rules.rungs)
    needed = margin.margin_for_rally(required, perp, rules.rally, rules.maintenance, rules.taker_fee)
    now = loan.ltv(debt, standing.collateral, price, haircut)
    return Outcome(
        shock,
        LoanSide(
            price=price,
            ltv=now,
            net_ltv=loan.ltv(max(0.0, owed), standing.collateral, price, haircut),
            level=rules.levels.level_of(now),
            margin_called=now >= rules.margin_call_ltv,
            liquidated=now >= rules.liquidation_ltv,
            required_hedge=required,
            shortfall=hedge.breach_shortfall(debt, standing.collateral, price, haircut, rules.levels.ceiling),
        ),
        HedgeSide(
            price=perp,
            swept=swept,
            equity=left,
            maintenance=0.0 if lost else maintenance,
            liquidated=lost,
            margin_needed=needed,
            margin_shortfall=max(0.0, needed - left),
        ),
    )


@dataclass(frozen=True, slots=True)
class Breach:
    """A price at which something happens, and the probability that it is touched within the horizon."""

    what: str
    price: float
    move: float
    probability: float


def breaches(standing: Standing, rules: StressRules) -> tuple[Breach, ...]:
    """Every price at which a side breaks, the nearest first (by the ratio of prices)."""
    one = (standing.debt, standing.collateral)
    owed = standing.debt - standing.short * (standing.entered - standing.price)
    below: list[tuple[str, float | None]] = [
        ("loan: margin call, nothing swept", loan.liquidation_price(*one, rules.margin_call_ltv, standing.haircut)),
        ("loan: liquidated, nothing swept", loan.liquidation_price(*one, rules.liquidation_ltv, standing.haircut)),
    ]
    if standing.short > 0.0:
        swept = loan.net_liquidation_price(
            owed, standing.collateral, standing.price, standing.short, rules.liquidation_ltv, standing.haircut
        )
        below.append(("loan: liquidated, profit swept", swept))
    found = [_below(what, price, standing.price, rules) for what, price in below if price and math.isfinite(price)]
    upper = margin.short_liquidation_price(
        standing.margin, standing.short, standing.entered, rules.maintenance, rules.taker_fee
    )
    if upper is not None:
        upper = max(upper, _NOWHERE * standing.price)
        likely = first_passage_up(standing.price, upper, rules.sigma, rules.years)
        found.append(Breach("short: liquidated", upper, upper / standing.price - 1.0, likely))
    return tuple(sorted(found, key=lambda one: (one.probability < 1.0, abs(math.log(one.price / standing.price)))))


def _below(what: str, price: float, now: float, rules: StressRules) -> Breach:
    return Breach(what, price, price / now - 1.0, first_passage(now, price, rules.sigma, rules.years))


def stress(standing: Standing, shocks: Sequence[Shock], rules: StressRules) -> tuple[Outcome, ...]:
    """Both sides after each shock."""
    return tuple(apply(standing, shock, rules) for shock in shocks)
