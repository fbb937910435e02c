"""Fill now: IOC limits that reach a little through the mid, each further than the one before, then the market.

A spread wider than the slippage cap delays a fill that serves the target and cannot prevent it: the market orders at
the end are bounded by the limits' price bands and the venue's own protection price alone.
"""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import AggressivePolicy
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.machine import GiveUp, Verdict
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.execution.work import Own, Work


class Aggressive:
    """One order at a time; after a miss it waits for a pause and for a newer price."""

    mode = Mode.AGGRESSIVE

    def __init__(self, policy: AggressivePolicy, misses: int = 0, qty: Decimal | None = None) -> None:
        """`misses`: attempts that missed before (after a restart). `qty`: the part to fill; None: all of the goal."""
        self._policy = policy
        # However many missed before, at least one attempt is made.
        self._misses = min(misses, policy.limit_attempts + policy.market_attempts - 1, policy.limit_attempts)
        self._qty = qty
        self._sent: list[Own] = []
        self._counted = True

    @property
    def reserved(self) -> Decimal:
        """What of its part may still have to be asked for; 0 when its part is all of the goal."""
        part = ZERO if self._qty is None else self._qty
        return max(ZERO, part - sum((own.committed for own in self._sent), ZERO))

    def step(self, work: Work) -> Verdict | None:
        """Send the next attempt when the one before has ended and it is time."""
        last = self._sent[-1] if self._sent else None
        if last is not None and not last.closed:
            return None
        self._count(last)
        if self._misses >= self._policy.limit_attempts + self._policy.market_attempts:
            return GiveUp(f"{len(self._sent)} orders did not fill it")
        if last is not None and last.missed and not last.refused and not self._due(last, work):
            return self._out_of_prices(last, work)
        own = work.place(self._part(work), self._price(work), TimeInForce.IOC)
        if own is None:
            return GiveUp(f"no order of {self._part(work)} is taken by the venue and our limits")
        self._sent.append(own)
        self._counted = False
        return None

    def _part(self, work: Work) -> Decimal:
        return work.todo if self._qty is None else min(work.todo, self.reserved)

    def _count(self, last: Own | None) -> None:
        if last is not None and not self._counted and last.missed and not last.refused:
            self._misses += 1
        self._counted = True

    def _due(self, last: Own, work: Work) -> bool:
        """An order at this very price, or a moment ago, did not fill: another one would not either."""
        at_ms = last.sent_ms + self._policy.pause_ms
        if work.now_ms < at_ms:
            work.timer("attempt", at_ms)
            return False
        return work.book.quote.ts_ms != last.quote_ms

    def _out_of_prices(self, last: Own, work: Work) -> Verdict | None:
        at_ms = last.sent_ms + max(self._policy.pause_ms, work.settings.limits.max_quote_age_ms)
        if work.now_ms >= at_ms:
            return GiveUp("no newer price came")
        work.timer("price", at_ms)
        return None

    def _price(self, work: Work) -> Decimal | None:
        if self._misses >= self._policy.limit_attempts:
            return None
        return work.through_mid(self._policy.through_bps + self._misses * self._policy.step_bps)
