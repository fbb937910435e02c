"""The checkers see what they are for: each test plants one bug in the product and lets the proving ground find it.

Every plan of faults is run without the bug first and must pass, so that it is the bug that is found.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hedgelock_actors.domain import limits
from hedgelock_actors.domain.limits import Working
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.routing.book import RouterBook
from hedgelock_actors.routing.desk import OrderDesk
from hedgelock_actors.routing.events import OrderSought
from hedgelock_actors.routing.reconcile import Reconciler
from tests.simulation.arena.knobs import Chances, Knobs, Rates
from tests.simulation.arena.run import simulate

SEEDS = range(1, 13)
Plant = Callable[[pytest.MonkeyPatch], None]

UNSURE = Knobs(
    seed=0,
    market="crash",
    minutes=8,
    quiet_minutes=2,
    dead_band=0.01,
    query_lag_ms=5_000,
    chances=Chances(lose_answer=0.3, lose_request=0.2, late_answer=0.2, drop_push=0.6),
)
"""Nobody knows what became of many an order: answers and pushes get lost, and queries show it late."""

REPEATED = Knobs(
    seed=0, market="crash", minutes=8, quiet_minutes=2, dead_band=0.01, chances=Chances(repeat_push=0.3, drop_push=0.1)
)
"""Executions are told twice, or not at all and then read."""

HALTED = Knobs(
    seed=0,
    market="crash",
    minutes=10,
    quiet_minutes=2,
    dead_band=0.004,
    chances=Chances(journal_slow=0.9),
    rates=Rates(halt=150.0),
)
"""Trading is halted again and again while orders wait for a slow journal."""

UNLEASED = Knobs(
    seed=0,
    market="crash",
    minutes=8,
    quiet_minutes=2,
    dead_band=0.004,
    chances=Chances(journal_slow=0.9, lease_unavailable=0.8),
    rates=Rates(pause=60.0),
)
"""Leases run out again and again while orders wait for a slow journal."""


def found(plan: Knobs) -> set[str]:
    """Names of the checkers that the first failing seed breaks; empty when all seeds pass."""
    for seed in SEEDS:
        verdict = simulate(seed, replace(plan, seed=seed))
        if verdict.violations:
            return {one.checker for one in verdict.violations}
    return set()


@pytest.mark.slow
@pytest.mark.parametrize("plan", [UNSURE, REPEATED, HALTED, UNLEASED], ids=["unsure", "repeated", "halted", "unleased"])
def test_without_a_bug_every_plan_passes(plan: Knobs) -> None:
    assert found(plan) == set()


def test_a_new_id_with_every_send_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    send = OrderDesk._place

    async def place(desk: OrderDesk, order: Any) -> Any:
        object.__setattr__(order, "request", replace(order.request, order_link_id=f"hl-{uuid.uuid4().hex}"))
        return await send(desk, order)

    monkeypatch.setattr(OrderDesk, "_place", place)
    assert "OneEffectPerIntent" in found(UNSURE)


def test_taking_not_found_for_rejected_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sought = Reconciler.sought

    async def naive(reconciler: Reconciler, answer: OrderSought) -> None:
        await sought(reconciler, answer)
        tracked = reconciler._book.orders.get(answer.link)
        if answer.view is None and tracked is not None and tracked.unresolved:
            reconciler._book.absent(answer.link, "the venue does not show it")

    monkeypatch.setattr(Reconciler, "sought", naive)
    assert found(UNSURE) & {"OneEffectPerIntent", "WorstCaseWithinLimits"}


def test_a_target_without_the_unresolved_orders_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_known(book: RouterBook, without: Any = ()) -> Working:
        return limits.working_of(
            one.state for one in book.unsettled() if one.link not in without and not one.unresolved
        )

    monkeypatch.setattr(RouterBook, "working", only_known)
    assert "WorstCaseWithinLimits" in found(UNSURE)


def test_a_fill_that_counts_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def every_time(ledger: ExecutionLedger, execution: Execution) -> bool:
        return ledger.opened_ms is not None

    take = ExecutionLedger._take

    def again(ledger: ExecutionLedger, execution: Execution) -> None:
        known = execution.exec_id in ledger.fold.keys
        take(ledger, replace(execution, exec_id=f"{execution.exec_id}-again") if known else execution)

    monkeypatch.setattr(ExecutionLedger, "_is_new", every_time)
    monkeypatch.setattr(ExecutionLedger, "_take", again)
    assert found(REPEATED) & {"NothingTwice", "ConvergesAfterFaults", "WorstCaseWithinLimits"}


def _without(*codes: RefusalCode) -> Any:
    return tuple((code, check) for code, check in limits.HARD if code not in codes)


def test_a_halt_that_is_not_looked_for_at_the_last_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HARD", _without(RefusalCode.HALTED, RefusalCode.REDUCE_ONLY, RefusalCode.OLD_EPOCH))
    assert "NoCreateAfterHalt" in found(HALTED)


def test_a_lease_that_is_not_looked_for_at_the_last_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HARD", _without(RefusalCode.NOT_THE_WRITER))
    assert "NoCreateWithoutLease" in found(UNLEASED)
