"""A post-only order that follows the mid at a distance, and the rule by which waiting ends."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import PegPolicy
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.work import Own, Work, worsened

_BPS = Decimal(10_000)


class CatchUp:
    """Waiting ends when the level worsens, time runs out, or the price runs away from where it was decided."""

    def __init__(self, policy: PegPolicy) -> None:
        self._policy = policy
        self._until_ms: int | None = None

    def due(self, work: Work) -> bool:
        """It is time to fill the rest at once."""
        if self._until_ms is None:
            self._until_ms = work.now_ms + self._policy.patience_ms
            work.timer("patience", self._until_ms)
        late = work.now_ms >= self._until_ms
        return late or worsened(work) or self._ran_away_bps(work) >= self._policy.run_away_bps

    @staticmethod
    def _ran_away_bps(work: Work) -> Decimal:
        decided = work.goal.decided_mid
        return work.goal.side.sign * (work.book.quote.mid - decided) / decided * _BPS


class Peg:
    """One post-only order at a time. One that is turned away is priced anew, within a limit."""

    def __init__(self, policy: PegPolicy) -> None:
        self._policy = policy
        self._own: Own | None = None
        self._counted = True
        self._rejections = 0
        self._repegs = 0

    @property
    def working(self) -> bool:
        """An order of it may still fill."""
        return self._own is not None and not self._own.closed

    def price(self, work: Work) -> Decimal:
        """Better than the mid by the distance: rounded away from it, so that it never fills at once."""
        return work.no_worse(work.through_mid(-self._policy.better_bps))

    def follow(self, work: Work) -> None:
        """Move the order when the mid has moved away from it."""
        own = self._own
        if own is None or not own.resting or self._repegs >= self._policy.max_repegs:
            return
        wanted, due_ms = self.price(work), max(own.sent_ms, own.amended_ms) + self._policy.repeg_ms
        # An amendment that is still under way counts as done; one that failed shows by the price that still holds.
        in_force = own.asked_price if own.asked_price is not None and work.now_ms < due_ms else own.price
        if abs(wanted - in_force) / wanted * _BPS < self._policy.repeg_bps:
            return
        if work.now_ms < due_ms:
            work.timer("repeg", due_ms)
            return
        self._repegs += 1
        work.amend(own, wanted)

    def place(self, work: Work, qty: Decimal) -> bool:
        """Have another order out, unless it has to wait a moment; False: it was turned away too often, or `qty` is
        too little to be ordered."""
        own = self._own
        if own is not None and own.turned_away:
            self._rejections += 0 if self._counted else 1
            self._counted = True
            if self._rejections > self._policy.max_rejections:
                return False
            if not self._due(own, work):
                return True
        self._own = work.place(qty, self.price(work), TimeInForce.POST_ONLY)
        self._counted = False
        return self._own is not None

    def _due(self, own: Own, work: Work) -> bool:
        """At once with a newer price, else after a pause."""
        due_ms = own.sent_ms + self._policy.repeg_ms
        if own.refused or work.book.quote.ts_ms != own.quote_ms or work.now_ms >= due_ms:
            return True
        work.timer("repeg", due_ms)
        return False
