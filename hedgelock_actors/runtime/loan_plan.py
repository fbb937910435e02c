"""`hedgelock plan`: what one loan needs, computed by the domain alone. Nothing is read, asked or changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hedgelock_actors.domain import hedge, loan, margin, sweep
from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, not_negative, positive
from hedgelock_actors.domain.hedge import Rung, Shortfall
from hedgelock_actors.domain.plan import Joint, JointProblem, joint_choice

UNLIMITED = 100.0
"""A reserve of this many debts binds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """The loan and the hedge as a person states them. Money in USDT, `collateral` and `short_qty` in coin."""

    collateral: float
    debt: float
    price: float
    haircut: float = 1.0
    liquidation_ltv: float = 0.95
    rungs: Sequence[Rung] = ()
    short_qty: float | None = None
    short_entry: float | None = None
    unswept: float = 0.0
    """Realised hedge profit that has not been used for repayment yet."""
    margin: float | None = None
    maintenance: float = 0.005
    taker_fee: float = 0.00055
    rally: float = 0.5
    reserve: float | None = None
    costs: tuple[float, float] | None = None
    """Per USDT repaid, and per coin of short."""
    sweep_trigger: float = 0.45
    sweep_target: float = 0.42
    worst_move: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answers. None for a price means: there is none."""

    ltv: float
    net_ltv: float
    liquidation_price: float
    drop_to_liquidation: float
    required_hedge: float
    neutral_hedge: float
    order: float
    net_liquidation_price: float | None
    short_liquidation_price: float | None
    rally_margin: float
    sweep_ltv: float
    sweep_cash: float
    joint: Joint
    breaches: Sequence[tuple[Rung, Shortfall]]
    """Rungs whose target is below the LTV of now: no hedge cures them, this much repayment or collateral does."""

    def as_json(self) -> dict[str, object]:
        """The documented keys."""
        keys = (
            "ltv",
            "liquidation_price",
            "drop_to_liquidation",
            "required_hedge",
            "neutral_hedge",
            "order",
            "net_liquidation_price",
            "short_liquidation_price",
            "rally_margin",
            "sweep_ltv",
            "sweep_cash",
        )
        joint = self.joint
        return {key: getattr(self, key) for key in keys} | {
            "joint": {
                "feasible": joint.feasible,
                "repay": joint.repay,
                "hedge": joint.hedge,
                "shortfall": joint.shortfall,
            }
        }


def make_plan(given: PlanInput) -> Plan:
    """Compute everything. Raises InvalidInput naming the field and the remedy."""
    _check(given)
    held = given.short_qty or 0.0
    entry = given.short_entry if given.short_entry is not None else given.price
    effective = hedge.effective_debt(given.debt, held, entry, given.price, given.unswept)
    book = (given.collateral, given.price, given.haircut)
    required = hedge.required_short(effective, *book, given.rungs)
    short = given.short_qty if given.short_qty is not None else required
    now = loan.ltv(given.debt, *book)
    net_price = loan.net_liquidation_price(
        effective, given.collateral, given.price, required, given.liquidation_ltv, given.haircut
    )
    return Plan(
        ltv=now,
        net_ltv=max(0.0, effective) / (given.haircut * given.collateral * given.price),
        liquidation_price=loan.liquidation_price(given.debt, given.collateral, given.liquidation_ltv, given.haircut),
        drop_to_liquidation=loan.drop_to_liquidation(now, given.liquidation_ltv),
        required_hedge=required,
        neutral_hedge=hedge.neutral_short(effective, given.price),
        order=required - held,
        net_liquidation_price=net_price if net_price is not None and math.isfinite(net_price) else None,
        short_liquidation_price=_short_liquidation(given, short, entry),
        rally_margin=margin.margin_for_rally(short, entry, given.rally, given.maintenance, given.taker_fee),
        sweep_ltv=sweep.sweep_ltv(given.sweep_trigger, given.liquidation_ltv, given.worst_move),
        sweep_cash=sweep.cash_to_reach(given.debt, given.sweep_target, given.haircut, given.collateral, given.price),
        joint=_joint(given, max(0.0, effective)),
        breaches=_breaches(given, effective),
    )


def parse_rung(text: str) -> Rung:
    """`0.3:0.6` → after a fall of 30 %, a net LTV of at most 0.6."""
    drop, target = _pair("rung", text, ":", "DROP:TARGET as ratios, e.g. 0.3:0.6")
    return Rung(drop, target)


def parse_short(text: str) -> tuple[float, float]:
    """`0.5@62000` → short 0.5 coin, entered at 62,000."""
    quantity, entry = _pair("short", text, "@", "QTY@ENTRY, e.g. 0.5@62000")
    return not_negative("short", quantity), positive("short entry", entry)


def parse_costs(text: str) -> tuple[float, float]:
    """`REPAY:HEDGE` → cost per USDT repaid, cost per coin of short."""
    repay, short = _pair(
        "reserve-costs", text, ":", "REPAY:HEDGE, cost per USDT repaid and per coin of short, e.g. 1:500"
    )
    return not_negative("reserve-costs", repay), not_negative("reserve-costs", short)


def _pair(field: str, text: str, separator: str, remedy: str) -> tuple[float, float]:
    left, found, right = text.partition(separator)
    try:
        if found:
            return finite(field, float(left)), finite(field, float(right))
    except ValueError:
        pass  # told below, with the form that would be accepted
    raise InvalidInput(field, f"write {remedy}; not {text!r}")


def _check(given: PlanInput) -> None:
    positive("collateral", given.collateral)
    not_negative("debt", given.debt)
    positive("price", given.price)
    fraction("liquidation-ltv", given.liquidation_ltv)
    finite("swept", given.unswept)
    not_negative("maintenance", given.maintenance)
    not_negative("taker-fee", given.taker_fee)
    not_negative("rally", given.rally)
    if given.maintenance >= 1.0 or given.taker_fee >= 1.0:
        raise InvalidInput("maintenance/taker-fee", "must be ratios below 1 (0.005, not 0.5 for half a percent)")
    if not 0.0 < finite("haircut", given.haircut) <= 1.0:
        raise InvalidInput("haircut", f"must be above 0 and at most 1 as a ratio, not {given.haircut:g}")
    for field, value in (("margin", given.margin), ("reserve", given.reserve)):
        if value is not None:
            not_negative(field, value)


def _short_liquidation(given: PlanInput, short: float, entry: float) -> float | None:
    if given.margin is None:
        return None
    return margin.short_liquidation_price(given.margin, short, entry, given.maintenance, given.taker_fee)


def _joint(given: PlanInput, effective: float) -> Joint:
    rate = margin.rho(given.rally, given.maintenance, given.taker_fee)
    problem = JointProblem(
        debt=effective,
        collateral=given.collateral,
        price=given.price,
        haircut=given.haircut,
        rungs=given.rungs,
        reserve=given.reserve if given.reserve is not None else UNLIMITED * max(effective, given.debt),
        margin_rate=rate,
    )
    # Without stated costs: the mix that ties up the least cash.
    repay_cost, hedge_cost = given.costs if given.costs is not None else (1.0, rate * given.price)
    return joint_choice(problem, repay_cost, hedge_cost)


def _breaches(given: PlanInput, effective: float) -> Sequence[tuple[Rung, Shortfall]]:
    found = []
    for rung in given.rungs:
        missing = hedge.breach_shortfall(
            max(0.0, effective), given.collateral, given.price, given.haircut, rung.target_ltv
        )
        if missing.usdt > 0.0:
            found.append((rung, missing))
    return found
