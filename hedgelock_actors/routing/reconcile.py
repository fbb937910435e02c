"""What we know against what the venue says: orders, executions, position. At the start, and all the time."""

from __future__ import annotations

from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import Venue
from hedgelock_actors.routing.alerts import RouterAlerts
from hedgelock_actors.routing.book import SHOWN_BY_MS, RouterBook
from hedgelock_actors.routing.cancels import Canceller
from hedgelock_actors.routing.events import OpenOrdersRead, OrderSought, PositionRead
from hedgelock_actors.routing.guard import Guard
from hedgelock_actors.routing.hearing import Hearing
from hedgelock_actors.routing.state import RouterState
from hedgelock_actors.routing.watch import Watch

UNRESOLVED_ALERT_MS = 10_000
LOOK_MAX_MS = 30_000
MISMATCHES_TO_TELL = 3
MISMATCHES_TO_FOLLOW = 20
FOLLOW_AFTER_MS = 120_000
"""So long the venue must say another position than its executions add up to before its word is followed."""
OURS = "hl-"


class Reconciler:
    """Owned by one worker. Its methods raise JournalUnavailable, StaleEpoch; `first` also VenueError."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        ledger: ExecutionLedger,
        *,
        venue: Venue,
        clock: Clock,
        hearing: Hearing,
        cancels: Canceller,
        guard: Guard,
        watch: Watch,
        alerts: RouterAlerts,
    ) -> None:
        self._state, self._book, self._ledger = state, book, ledger
        self._venue, self._clock, self._hearing, self._cancels = venue, clock, hearing, cancels
        self._guard, self._watch, self._alerts = guard, watch, alerts
        self._differs_since_ms = 0

    async def first(self) -> None:
        """Before the first order: our orders, then executions, then the position, as the venue has them."""
        symbol = self._state.symbol
        self._guard.begun()
        if self._ledger.opened_ms is None:
            await self._ledger.open_with(await self._venue.position(symbol))
        for tracked in self._book.unsettled():
            asked_ms = self._clock.now_ms()
            await self.sought(OrderSought(tracked.link, await self._venue.find_order(symbol, tracked.link), asked_ms))
        await self._hearing.executed(await self._venue.executions(symbol, self._ledger.since_ms()))
        before, doubts = self._ledger.fold.signed_qty, self._watch.doubts
        await self.compare(PositionRead(await self._venue.position(symbol), before, doubts))

    async def sought(self, found: OrderSought) -> None:
        """The answer to a question after one order."""
        tracked = self._book.orders.get(found.link)
        if tracked is None:
            return
        if found.view is not None:
            await self._hearing.order(found.view)
        elif found.asked_ms - tracked.sent_ms >= SHOWN_BY_MS:
            tracked.missed_looks += 1
        now_ms = self._clock.now_ms()
        tracked.looks += 1
        tracked.look_ms = now_ms + min(LOOK_MAX_MS, 1_000 * 2 ** min(tracked.looks, 5))
        if tracked.unresolved and not tracked.told and now_ms - tracked.sent_ms >= UNRESOLVED_ALERT_MS:
            tracked.told = True
            self._alerts.event("unresolved", tracked.link, f"no word of the order for {now_ms - tracked.sent_ms} ms")

    async def open_orders(self, read: OpenOrdersRead) -> None:
        """The venue's list against the book: strangers under our name are cancelled, what vanished is looked for."""
        listed = {view.order_link_id: view for view in read.views}
        for link, view in listed.items():
            if link in self._book.orders:
                await self._hearing.order(view)
            elif link.startswith(OURS):
                self._stranger(link, closed=view.status.terminal, what=f"{view.side} {view.qty} at {view.price}")
        for link in self._cancels.links:
            if link not in listed and link not in self._book.orders:
                self._cancels.closed(link)
        for link in read.ours - listed.keys():
            tracked = self._book.orders.get(link)
            if tracked is not None and not tracked.state.terminal:
                tracked.look_ms = min(tracked.look_ms, self._clock.now_ms())

    def _stranger(self, link: str, *, closed: bool, what: str) -> None:
        if closed:
            self._cancels.closed(link)
            return
        self._cancels.want([link])
        detail = f"an open order under our name that is not on record is cancelled: {what}"
        self._alerts.once("unresolved", f"stranger:{link}", detail, link)

    async def compare(self, read: PositionRead) -> str:
        """The venue's position against the fold; returns what is wrong, or "". Inconclusive when fills came in while
        it was asked, or when anything may have been missed since.
        """
        if read.fold_before != self._ledger.fold.signed_qty or read.doubts != self._watch.doubts:
            return ""
        now_ms, said = self._clock.now_ms(), read.position.signed_qty
        self._watch.compared_ms = now_ms
        self._state.liquidation_price = read.position.liquidation_price
        if not self._ledger.differs_from(said):
            self._agreed(now_ms)
            return ""
        if self._watch.mismatches == 0:
            self._differs_since_ms = now_ms
        self._watch.mismatches += 1
        if self._watch.mismatches < MISMATCHES_TO_TELL:
            return ""
        wrong = f"the venue says {said}, our executions add up to {self._ledger.fold.signed_qty}"
        self._state.reconciled = False
        self._alerts.once("unresolved", "position", f"position: {wrong}")
        lasting = now_ms - self._differs_since_ms >= FOLLOW_AFTER_MS
        if lasting and self._watch.mismatches >= MISMATCHES_TO_FOLLOW and self._nothing_outstanding():
            await self._hearing.adjust(said, read.position.mark)
            self._agreed(now_ms)
            return ""
        return wrong

    def _agreed(self, now_ms: int) -> None:
        self._watch.mismatches = 0
        self._state.reconciled, self._state.position_ms = True, now_ms
        self._guard.reconciled()

    def _nothing_outstanding(self) -> bool:
        """No order of ours could still explain the difference."""
        return all(one.state.outstanding_qty == ZERO for one in self._book.unsettled())
