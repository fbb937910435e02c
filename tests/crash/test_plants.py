"""The checkers see: each of these bugs, put into the router, is found by a schedule of at most one death."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hedgelock_actors.domain.limits import Approved, Working, working_of
from hedgelock_actors.domain.order import OrderRequest, OrderStatus
from hedgelock_actors.domain.position import Execution, PositionFold
from hedgelock_actors.execution import work
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.routing.book import RouterBook, Tracked
from hedgelock_actors.routing.desk import OrderDesk
from hedgelock_actors.routing.events import OrderSought
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.plan import Drop, Planner
from hedgelock_actors.routing.reconcile import Reconciler
from tests.crash.quick_loop import QuickLoop
from tests.crash.runs import Schedule, schedules_from

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def loop() -> Iterator[QuickLoop]:
    logging.disable(logging.CRITICAL)
    loop = QuickLoop()
    yield loop
    loop.close()
    logging.disable(logging.NOTSET)


def id_drawn_for_each_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(work, "order_link_id", lambda *_: f"hl-{secrets.token_hex(16)}")


def id_drawn_for_each_send(patch: pytest.MonkeyPatch) -> None:
    place = OrderDesk._place

    async def placed(self: OrderDesk, order: Approved[OrderRequest]) -> Any:
        drawn = replace(order.request, order_link_id=f"hl-{secrets.token_hex(16)}")
        object.__setattr__(order, "request", drawn)
        return await place(self, order)

    patch.setattr(OrderDesk, "_place", placed)


def not_found_means_rejected(patch: pytest.MonkeyPatch) -> None:
    sought = Reconciler.sought

    async def trusting(self: Reconciler, found: OrderSought) -> None:
        tracked = self._book.orders.get(found.link)
        if found.view is None and tracked is not None and tracked.unresolved:
            self._book.absent(found.link, "not found")
        await sought(self, found)

    patch.setattr(Reconciler, "sought", trusting)


def target_without_unresolved_orders(patch: pytest.MonkeyPatch) -> None:
    def working(self: RouterBook, without: Collection[str] = ()) -> Working:
        known = [one for one in self.unsettled() if not one.unresolved and one.link not in without]
        return working_of(one.state for one in known)

    patch.setattr(RouterBook, "working", working)


def fill_counted_twice(patch: pytest.MonkeyPatch) -> None:
    apply = PositionFold.apply

    def again(self: PositionFold, execution: Execution) -> PositionFold:
        known = execution.exec_id in self.keys
        return apply(self, replace(execution, exec_id=f"{execution.exec_id}#") if known else execution)

    patch.setattr(PositionFold, "apply", again)
    patch.setattr(ExecutionLedger, "_is_new", lambda self, execution: f"{execution.exec_id}#" not in self.fold.keys)


def last_line_left_out(patch: pytest.MonkeyPatch) -> None:
    """Halt and lease are looked at when an order is decided, and not again when it leaves."""
    approve = OrderDesk._approve
    said: dict[tuple[OrderDesk, str], Any] = {}

    def once(self: OrderDesk, request: OrderRequest, *args: Any, **kwargs: Any) -> Any:
        key = (self, request.order_link_id)
        if key in said:
            return said.pop(key)
        said[key] = approve(self, request, *args, **kwargs)
        return said[key]

    patch.setattr(OrderDesk, "_approve", once)


def journal_after_effect(patch: pytest.MonkeyPatch) -> None:
    note = RouterNotes.note

    async def later(self: RouterNotes, kind: str, key: str, payload: Any) -> None:
        if kind == "intent":
            self.owe(kind, key, payload)
        else:
            await note(self, kind, key, payload)

    patch.setattr(RouterNotes, "note", later)


def new_id_instead_of_a_resend(patch: pytest.MonkeyPatch) -> None:
    again = Planner._again

    def renamed(self: Planner, tracked: Tracked, *args: Any) -> Any:
        plan = again(self, tracked, *args)
        silent = tracked.state.status is OrderStatus.UNRESOLVED
        return Drop(tracked.link, "no word of it for long") if silent and plan is not None else plan

    patch.setattr(Planner, "_again", renamed)


@pytest.mark.parametrize(
    ("plant", "story", "lag_ms", "finding"),
    [
        (id_drawn_for_each_attempt, "growth", 0, "is not named after attempt"),
        (id_drawn_for_each_send, "growth", 0, "sends were journalled"),
        (not_found_means_rejected, "growth", 3_000, "could have come to"),
        (target_without_unresolved_orders, "silence", 25_000, "at worst, never more than"),
        (fill_counted_twice, "growth", 0, "the story asked"),
        (last_line_left_out, "halting", 0, "arrived while nothing may be sent"),
        (last_line_left_out, "unleased", 0, "arrived while nothing may be sent"),
        (journal_after_effect, "growth", 0, "sends were journalled"),
        (new_id_instead_of_a_resend, "growth", 25_000, "could have come to"),
    ],
)
def test_a_planted_bug_is_found(
    plant: Plant, story: str, lag_ms: int, finding: str, monkeypatch: pytest.MonkeyPatch, loop: QuickLoop
) -> None:
    plant(monkeypatch)
    found = (what for one in schedules_from(Schedule(story, lag_ms), loop, deaths=1) for what in one.wrong)
    assert any(finding in what for what in found)
