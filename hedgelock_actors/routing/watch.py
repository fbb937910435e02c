"""What the router asks the venue beside its worker, and when: a slow answer never holds up an order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import Venue, VenueError
from hedgelock_actors.routing.book import RouterBook
from hedgelock_actors.routing.events import (
    AccountRead,
    ExecutionsRead,
    InstrumentRead,
    MaintenanceRead,
    OpenOrdersRead,
    OrderSought,
    PositionRead,
    RouterEvent,
)
from hedgelock_actors.routing.state import RouterState

RECONCILE_MS = 30_000
MAINTENANCE_MS = 60_000
MAINTENANCE_IN_DOUBT_MS = 5_000
INSTRUMENT_MS = 600_000

Put = Callable[[RouterEvent], Awaitable[None]]


class Watch:
    """Owned by the router's beat; hands what it read to the worker as events."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        ledger: ExecutionLedger,
        *,
        venue: Venue,
        clock: Clock,
        counters: Counter[str],
        put: Put,
    ) -> None:
        self._state, self._book, self._ledger, self._symbol = state, book, ledger, state.symbol
        self._venue, self._clock, self._counters, self._put = venue, clock, counters, put
        self.compared_ms = 0
        """When the position was last compared with the venue's; 0: it is to be compared now."""
        self.mismatches = 0
        self.backfill = False
        """Executions may have been missed."""
        self.doubts = 0
        """How often anything may have been missed: what was asked before the last time proves nothing."""
        self._announced_ms = -MAINTENANCE_MS
        self._instrument_ms = 0

    def doubt(self) -> None:
        """Anything may have been missed: read everything again."""
        self.doubts += 1
        self.compared_ms, self.backfill = 0, True

    async def ask(self, *, silent: bool) -> str:
        """Query what is due; returns why that failed, or "". `silent`: the venue is in maintenance."""
        try:
            await self._maintenance()
            if not silent:
                await self._orders()
                await self._account()
        except VenueError as error:
            # What we knew stays known: a query that failed says nothing.
            self._counters["query_failed"] += 1
            self.backfill = True
            return str(error)
        return ""

    async def _maintenance(self) -> None:
        now_ms, read_ms = self._clock.now_ms(), self._announced_ms
        every_ms = MAINTENANCE_MS if self._state.doubted_ms <= read_ms else MAINTENANCE_IN_DOUBT_MS
        if now_ms - read_ms >= every_ms:
            self._announced_ms = now_ms
            await self._put(MaintenanceRead(tuple(await self._venue.maintenance())))

    async def _orders(self) -> None:
        now_ms = self._clock.now_ms()
        for tracked in [one for one in self._book.unsettled() if one.look_ms <= now_ms]:
            asked_ms = self._clock.now_ms()
            view = await self._venue.find_order(self._symbol, tracked.link)
            await self._put(OrderSought(tracked.link, view, asked_ms))
            self.backfill = self.backfill or tracked.state.outstanding_qty > ZERO

    async def _account(self) -> None:
        due, doubts = self._clock.now_ms() - self.compared_ms >= RECONCILE_MS, self.doubts
        compare = due or self.mismatches > 0
        if compare or self.backfill:
            self.backfill = False
            found = await self._venue.executions(self._symbol, self._ledger.since_ms())
            await self._put(ExecutionsRead(tuple(found)))
        if compare:
            before = self._ledger.fold.signed_qty
            await self._put(PositionRead(await self._venue.position(self._symbol), before, doubts))
        if due:
            known = frozenset(one.link for one in self._book.unsettled())
            views = tuple(await self._venue.open_orders(self._symbol))
            await self._put(OpenOrdersRead(views, known))
            faults = tuple(await self._venue.account_faults(self._symbol))
            await self._put(AccountRead(faults, await self._venue.wallet()))
            await self._instrument()

    async def _instrument(self) -> None:
        now_ms = self._clock.now_ms()
        if self._instrument_ms == 0 or now_ms >= self._instrument_ms:
            # Read once by whoever started us: the first time that is due is only noted.
            known, self._instrument_ms = self._instrument_ms > 0, now_ms + INSTRUMENT_MS
            if known:
                await self._put(InstrumentRead(await self._venue.instrument(self._symbol)))
