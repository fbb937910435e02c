"""The joint choice of repaying and hedging, on corners worked by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hedgelock_actors.domain import plan
from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.plan import Joint, JointProblem, joint_choice

near = pytest.approx
# After a fall of a half, 5,000 may be owed of 8,000: r + 2,500h ≥ 3,000; a short costs 1,000 of margin per coin.
PROBLEM = JointProblem(
    debt=8_000, collateral=4, price=5_000, haircut=1.0, rungs=(Rung(0.5, 0.5),), reserve=2_000, margin_rate=0.2
)


def test_when_repaying_is_dear_it_hedges() -> None:
    found = joint_choice(PROBLEM, 1.0, 1.0)
    assert (found.feasible, found.repay, found.hedge, found.shortfall) == (True, near(0, abs=1e-9), near(1.2), 0.0)


def test_when_hedging_is_dear_it_repays_as_far_as_the_reserve_goes() -> None:
    # r + 1,000h = 2,000 and r + 2,500h = 3,000: h = 2/3, r = 4,000/3.
    found = joint_choice(PROBLEM, 0.0, 1.0)
    assert (found.repay, found.hedge) == (near(4_000 / 3), near(2 / 3))
    rich = joint_choice(replace(PROBLEM, reserve=10_000), 0.0, 1.0)
    assert rich.hedge == near(0, abs=1e-12)
    assert rich.repay >= 3_000 - 1e-6


def test_a_bound_on_the_ltv_now_must_be_repaid() -> None:
    found = joint_choice(replace(PROBLEM, max_ltv_now=0.35), 1.0, 0.0001)
    assert (found.repay, found.hedge) == (near(1_000), near(0.8))


def test_an_infeasible_choice_says_how_much_is_missing() -> None:
    found = joint_choice(replace(PROBLEM, reserve=500), 1.0, 1.0)
    # The least cash is 1.2 coins of short with 1,200 of margin.
    assert found == Joint(False, near(0, abs=1e-9), near(1.2), near(700))


def test_no_debt_needs_nothing() -> None:
    assert joint_choice(replace(PROBLEM, debt=0.0), 1.0, 1.0) == Joint(True, 0.0, 0.0, 0.0)


def test_free_choices_still_satisfy_the_ladder() -> None:
    found = joint_choice(PROBLEM, 0.0, 0.0)
    assert found.repay + 2_500 * found.hedge >= 3_000 * (1 - 1e-9)


@pytest.mark.parametrize(
    "bad",
    [{"rungs": ()}, {"debt": -1.0}, {"price": 0.0}, {"haircut": 2.0}, {"reserve": float("nan")}, {"margin_rate": 0.0},
     {"max_ltv_now": 0.0}],
)  # fmt: skip
def test_nonsense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        joint_choice(replace(PROBLEM, **bad), 1.0, 1.0)  # type: ignore[arg-type]


def test_negative_costs_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cost_repay"):
        joint_choice(PROBLEM, -1.0, 1.0)


@pytest.mark.parametrize(("status", "why"), [(1, "the solver gave up: too many steps"), (2, "must satisfy every rung")])
def test_a_solver_that_fails_decides_nothing(monkeypatch: pytest.MonkeyPatch, status: int, why: str) -> None:
    answer = SimpleNamespace(status=status, message="too many steps", x=(0.0, 0.0))
    monkeypatch.setattr(plan, "linprog", lambda **_: answer)
    with pytest.raises(InvariantBroken, match=why):
        joint_choice(PROBLEM, 1.0, 1.0)
