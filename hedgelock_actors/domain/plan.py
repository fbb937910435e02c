"""Repay, hedge, or both: the cheapest mix that satisfies the stress ladder within a reserve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import linprog

from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken, not_negative, positive
from hedgelock_actors.domain.hedge import Rung


@dataclass(frozen=True, slots=True)
class Joint:
    """The choice. When it is not feasible, `repay` and `hedge` are the mix that needs the least cash, and `shortfall`
    (USDT) is how much more reserve that mix needs."""

    feasible: bool
    repay: float
    """USDT."""
    hedge: float
    """Total short, coin."""
    shortfall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JointProblem:
    """A loan, its ladder, the reserve R (USDT) for repayment and margin, and ρ(g), margin per unit of short value."""

    debt: float
    collateral: float
    price: float
    haircut: float
    rungs: Sequence[Rung]
    reserve: float
    margin_rate: float
    max_ltv_now: float | None = None
    """λ must be at most this after the repayment; None asks nothing of the present."""


def joint_choice(problem: JointProblem, cost_repay: float, cost_hedge: float) -> Joint:
    """Minimise c_r·r + c_h·h over r (USDT) and h (coin), both ≥ 0 and r ≤ D, such that

    r + hPx_j ≥ D − T_jκCP(1−x_j) for every rung, r + ρPh ≤ R, and (D − r)/(κCP) ≤ `max_ltv_now`.

    Costs are per USDT repaid and per coin of short. Solved by HiGHS in units of the debt.

    Raises:
        InvalidInput: nonsense in the problem, or negative costs.
    """
    _check(problem)
    not_negative("cost_repay", cost_repay)
    not_negative("cost_hedge", cost_hedge)
    if problem.debt == 0.0:
        return Joint(True, 0.0, 0.0, 0.0)
    unit_hedge = problem.debt / problem.price
    scale = max(cost_repay * problem.debt, cost_hedge * unit_hedge) or 1.0
    costs = (cost_repay * problem.debt / scale, cost_hedge * unit_hedge / scale)
    solved = _solve(problem, costs, within_reserve=True)
    if solved is not None:
        return Joint(True, solved[0] * problem.debt, solved[1] * unit_hedge, 0.0)
    least = _solve(problem, (1.0, problem.margin_rate), within_reserve=False)
    if least is None:  # repaying everything satisfies every rung
        raise InvariantBroken("repaying the whole debt must satisfy every rung")
    repay, hedge = least
    needed = (repay + problem.margin_rate * hedge) * problem.debt
    return Joint(False, repay * problem.debt, hedge * unit_hedge, max(0.0, needed - problem.reserve))


def _solve(problem: JointProblem, costs: tuple[float, float], *, within_reserve: bool) -> tuple[float, float] | None:
    """Solve in units of the debt: (r/D, hP/D). None when infeasible."""
    value = problem.haircut * problem.collateral * problem.price / problem.debt
    rows = [(-1.0, -rung.drop) for rung in problem.rungs]
    bounds = [rung.target_ltv * value * (1.0 - rung.drop) - 1.0 for rung in problem.rungs]
    if problem.max_ltv_now is not None:
        rows.append((-1.0, 0.0))
        bounds.append(problem.max_ltv_now * value - 1.0)
    if within_reserve:
        rows.append((1.0, problem.margin_rate))
        bounds.append(problem.reserve / problem.debt)
    result = linprog(c=costs, A_ub=rows, b_ub=bounds, bounds=[(0.0, 1.0), (0.0, None)], method="highs")
    if result.status == 2:
        return None
    if result.status != 0:
        raise InvariantBroken(f"the solver gave up: {result.message}")
    return (max(0.0, float(result.x[0])), max(0.0, float(result.x[1])))


def _check(problem: JointProblem) -> None:
    if not problem.rungs:
        raise InvalidInput("rungs", "at least one rung is needed, e.g. 0.3:0.5")
    not_negative("debt", problem.debt)
    not_negative("collateral", problem.collateral)
    not_negative("reserve", problem.reserve)
    positive("price", problem.price)
    positive("margin_rate", problem.margin_rate)
    if not 0.0 < problem.haircut <= 1.0:
        raise InvalidInput("haircut", f"must be above 0 and at most 1 as a ratio, not {problem.haircut:g}")
    if problem.max_ltv_now is not None:
        positive("max_ltv_now", problem.max_ltv_now)
