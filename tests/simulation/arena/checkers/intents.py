"""OneEffectPerIntent (G1): the venue's orders of an intent never come to more than the intent asked for.

At every arrival and market step: fills + what may still fill, over all orders of an intent, ≤ its quantity. Every order
that reaches the venue was journalled before under its id, and no id takes effect twice. What is an intent's comes from
the journal; what was filled and what is live comes from the venue.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.checkers.base import Checker
from tests.simulation.arena.witness import Arrived

ZERO = Decimal(0)


class OneEffectPerIntent(Checker):
    """See the module."""

    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self._intent_of: dict[str, str] = {}
        self._asked: dict[str, Decimal] = {}
        self._filled: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._seen = 0
        self._taken: set[str] = set()

    def recorded(self, record: Record) -> None:
        payload = record.entry.payload
        if record.entry.kind == "intent" and record.stream.startswith("order-router"):
            intent = str(payload["intent_id"])
            self._intent_of[str(payload["order_link_id"])] = intent
            self._asked.setdefault(intent, Decimal(str(payload["intent_qty"])))

    def arrived(self, one: Arrived) -> None:
        if one.link not in self._intent_of:
            self.broken(f"order {one.link} reached the venue and was never journalled")
            return
        if one.code == "0":
            if one.link in self._taken:
                self.broken(f"order {one.link} took effect twice")
            self._taken.add(one.link)
        self._check()

    def step(self) -> None:
        self._check()

    def end(self) -> None:
        self._check()
        if self.world.truth.duplicate_orders:
            self.broken(f"{self.world.truth.duplicate_orders} client ids took effect twice")

    def _check(self) -> None:
        truth = self.world.truth
        touched = self._new_fills()
        live: defaultdict[str, Decimal] = defaultdict(Decimal)
        for order in truth.live():
            live[self._intent_of.get(order.link_id, "")] += truth.open_qty(order)
        for intent in sorted(touched | set(live)):
            if not intent:
                continue
            total, asked = self._filled[intent] + live[intent], self._asked[intent]
            if total > asked:
                self.broken(
                    f"intent {intent} asked for {asked}; {self._filled[intent]} filled, {live[intent]} may fill"
                )

    def _new_fills(self) -> set[str]:
        touched = set()
        executions = self.world.truth.executions
        for one in executions[self._seen :]:
            if one.order_link_id:
                intent = self._intent_of.get(one.order_link_id, "")
                if not intent:
                    self.broken(f"execution {one.exec_id} of order {one.order_link_id}, which was never journalled")
                self._filled[intent] += one.exec_qty
                touched.add(intent)
        self._seen = len(executions)
        return touched
