"""LedgerBalances (G13), AuditChainIntact (G10), BoundsHold (G14), NoSurprises."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from hedgelock_actors.adapters.chain import ChainCheck
from hedgelock_actors.ports.journal import ChainBroken
from tests.simulation.arena.checkers.base import Checker
from tests.simulation.arena.witness import Handed


class LedgerBalances(Checker):
    """What the router and the keeper say they paid in fees is what the venue took.

    The exchange itself closes its double-entry books at every market step and fails the run when they do not.
    """

    def end(self) -> None:
        for name in ("order-router-main", "position-keeper-main"):
            process = self.world.processes.get(name)
            said = Decimal(str(getattr(process.actor if process else None, "snapshot", dict)().get("fees_usdt", "NaN")))
            if not abs(said - self.world.truth.fees) <= Decimal("0.01"):
                self.broken(f"{name} counts fees of {said}, the venue took {self.world.truth.fees}")


class AuditChainIntact(Checker):
    """Every stream's hash chain verifies from its first record to its last."""

    def end(self) -> None:
        for stream in sorted(self.world.store._streams):
            check = ChainCheck(stream)
            try:
                for row in self.world.store.rows(stream):
                    check.take(row)
            except ChainBroken as error:
                self.broken(str(error))


class BoundsHold(Checker):
    """Orders per second and per minute, size of an order, orders open at once."""

    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self._recent: deque[int] = deque()
        self.most_a_minute = 0

    def handed(self, one: Handed) -> None:
        limits, recent = self.world.policy.limits, self._recent
        recent.append(one.ts_ms)
        while recent[0] <= one.ts_ms - 60_000:
            recent.popleft()
        self.most_a_minute = max(self.most_a_minute, len(recent))
        # A step of the router's clock may make its minute a little shorter than ours.
        if len(recent) > limits.critical_orders_per_minute + 2:
            self.broken(f"{len(recent)} orders within a minute")
        if sum(1 for sent_ms in recent if sent_ms > one.ts_ms - 1_000) > limits.orders_per_second + 1:
            self.broken("more orders within a second than the limit")
        if one.qty > limits.max_order_qty:
            self.broken(f"an order of {one.qty}, the limit is {limits.max_order_qty}")
        open_now = len(self.world.truth.live())
        if open_now > limits.max_open_orders:
            self.broken(f"{open_now} orders open")


class NoSurprises(Checker):
    """Nothing happened that no rule foresees: no actor met an error of its own, no task died unseen."""

    def end(self) -> None:
        for process in self.world.all:
            if process.actor is not None:
                errors = process.actor.health().counters.get("errors", 0)
                if errors:
                    self.broken(f"{process.name} (process {process.pid}) met {errors:.0f} errors of its own")
            for fault in process.faults:
                self.broken(fault)
        for failure in self.world.loop.failures:
            self.broken(failure)
