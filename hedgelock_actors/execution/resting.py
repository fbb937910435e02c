"""A limit order that waits at its price until it is filled or not wanted any more: the trigger leg of a spread."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import RestingPolicy
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.machine import GiveUp, Verdict
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.execution.work import Own, Work


class Resting:
    """One order good till cancelled; one that ends without us is put back, within a limit."""

    mode = Mode.RESTING

    def __init__(self, policy: RestingPolicy, price: Decimal) -> None:
        self._policy, self._price = policy, price
        self._sent: list[Own] = []

    def step(self, work: Work) -> Verdict | None:
        """See that the order is out."""
        last = self._sent[-1] if self._sent else None
        if last is not None and not last.closed:
            return None
        if sum(1 for own in self._sent if own.turned_away and not own.refused) >= self._policy.max_orders:
            return GiveUp(f"{self._policy.max_orders} orders were not kept by the venue")
        if last is not None and last.turned_away and work.now_ms < last.sent_ms + self._policy.pause_ms:
            work.timer("again", last.sent_ms + self._policy.pause_ms)
            return None
        own = work.place(work.todo, work.on_grid(self._price), TimeInForce.GTC)
        if own is None:
            return GiveUp(f"no order of {work.todo} is taken by the venue and our limits")
        self._sent.append(own)
        return None
