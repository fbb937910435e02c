"""One hedge account: carries out the target position on the venue, each intent with one effect.

Level-triggered: order = target − position − open − unresolved. The journal has the intent before the venue has the
order, and every execution before it counts. One worker handles one event at a time; queries are made beside it, so that
a slow answer never holds up an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hedgelock_actors.actor import Actor, JournalStream, backoff_ms
from hedgelock_actors.codec import amount, integer, text
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AnyMessage,
    FeedStale,
    RealiseProfit,
    SetTarget,
    Tick,
    TradingStateChanged,
)
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderView
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.inbox import Inbox, InboxFull
from hedgelock_actors.order_desk import OrderDesk
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Journal, JournalUnavailable, StaleEpoch
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import PrivateEvent, StreamLost, StreamRestored, Venue, VenueError
from hedgelock_actors.router_events import (
    Beat,
    ExecutionsRead,
    OrderSought,
    PositionRead,
    Recover,
    RouterEvent,
    event_of,
)
from hedgelock_actors.router_plan import Target

RECONCILE_MS = 30_000
UNRESOLVED_ALERT_MS = 10_000
LOOK_MAX_MS = 30_000
MISMATCHES_TO_TELL = 3


class OrderRouter(Actor):
    """See the module. `environment` is that of the venue; `keeper` is whose journal stream holds the targets."""

    def __init__(
        self,
        name: str,
        account: str,
        symbol: str,
        *,
        venue: Venue,
        journal: Journal,
        clock: Clock,
        transport: Transport,
        policy: Policy,
        latch: Latch,
        notifier: str,
        keeper: str = "",
        environment: str = "",
    ) -> None:
        super().__init__(name, clock, transport)
        self.account, self.symbol = account, symbol
        self._venue, self._latch, self._notifier = venue, latch, notifier
        self._keeper = keeper or f"position-keeper-{account}"
        self._stream = JournalStream(journal, name)
        self._desk = OrderDesk(
            account,
            symbol,
            venue=venue,
            stream=self._stream,
            clock=clock,
            policy=policy,
            latch=latch,
            environment=environment or policy.limits.environment,
            counters=self.counters,
        )
        self.book, self._ledger = self._desk.book, self._desk.ledger
        self._inbox: Inbox[RouterEvent] = Inbox()
        self._worker: asyncio.Task[None] | None = None
        self._cancel_beat: Callable[[], None] = lambda: None
        self._replayed = self._subscribed = self._recovered = False
        self._recover_ms = self._recover_tries = 0
        self._compared_ms = self._mismatches = 0
        self._backfill = False

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Replay, reconcile, subscribe; what fails is tried again every second and then less often."""
        self._worker = asyncio.ensure_future(self._work())
        self._cancel_beat = self.clock.every(1.0, self._beat)
        await self._inbox.put(Recover())

    async def stop(self) -> None:
        """Send nothing any more. Orders and position stay as they are."""
        self.mark_stopped()
        self._cancel_beat()
        self._inbox.close()
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._venue.stop()

    async def receive(self, message: AnyMessage) -> None:
        """Targets, prices, requests to realise profit, trading states; anything else is not for us."""
        if isinstance(message, TradingStateChanged):
            self._latch.set(TradingState(message.mode, message.epoch, message.reason))
        found = event_of(message, self.account, self.symbol)
        if found is not None:
            await self._put(*found)

    def snapshot(self) -> Mapping[str, object]:
        """Target, position and the newest orders."""
        working = self.book.working()
        return {
            "account": self.account,
            "symbol": self.symbol,
            "target_short_qty": str(self._desk.target.short_qty) if self._desk.target else None,
            "target_version": self._desk.target.version if self._desk.target else 0,
            "position_qty": str(self._ledger.fold.signed_qty),
            "entry_price": str(self._ledger.fold.entry_price),
            "fees_usdt": str(self._ledger.fold.fees),
            "funding_usdt": str(self._ledger.fold.funding),
            "working_sell_qty": str(working.sell_qty),
            "working_buy_qty": str(working.buy_qty),
            "reconciled": self._desk.reconciled,
            "trading_mode": self._latch.state().mode.value,
            "trading_epoch": self._latch.state().epoch,
            "orders": self.book.summary(),
        }

    # ------------------------------------------------------------ the inbox and its worker

    async def _put(self, event: RouterEvent, key: str | None = None) -> None:
        try:
            done = self._inbox.put(event, key)
        except InboxFull:
            # Nothing is lost for good: what was not taken in is asked for again.
            self.counters["inbox_full"] += 1
            self._backfill, self._compared_ms = True, 0
            return
        if self.clock.paced:
            await done

    async def _on_private(self, event: PrivateEvent) -> None:
        found = event_of(event, self.account, self.symbol)
        if found is not None:
            await self._put(*found)

    async def _work(self) -> None:
        try:
            await self._take_in()
        finally:
            # Whatever ended it: nobody is left waiting for a worker that is gone.
            self._inbox.close()

    async def _take_in(self) -> None:
        while not self.stopped:
            slot = await self._inbox.get()
            try:
                await self._handle(slot.event)
                if self._recovered:
                    await self._desk.act()
            except StaleEpoch:
                self._fenced()
            except JournalUnavailable as error:
                self._journal_lost(error)
            except Exception as error:
                # The edge of the actor: whatever this was, nothing new is opened until all is reconciled again.
                self._desk.reconciled, self._compared_ms = False, 0
                self.fault(error)
            finally:
                slot.done()
            await self._tell_events()

    def _fenced(self) -> None:
        self.mark_stopped("a newer instance writes this account's journal")
        self._cancel_beat()
        self._inbox.close()

    def _journal_lost(self, error: JournalUnavailable) -> None:
        self.counters["journal_unavailable"] += 1
        self._backfill = True
        self._desk.pause(1_000)
        self.mark_degraded(f"journal: {error}")

    async def _handle(self, event: RouterEvent) -> None:
        match event:
            case Tick():
                self._desk.price(event)
            case FeedStale():
                self._desk.quote = None
            case SetTarget():
                self._desk.aim(event)
            case RealiseProfit():
                await self._desk.take_realise(event)
            case TradingStateChanged():
                await self._desk.cancel_if_halted()
            case OrderView():
                await self._desk.order_heard(event)
            case Execution():
                await self._desk.executed((event,))
            case _:
                await self._handle_own(event)

    async def _handle_own(
        self, event: ExecutionsRead | OrderSought | PositionRead | StreamLost | StreamRestored | Recover | Beat
    ) -> None:
        match event:
            case ExecutionsRead():
                await self._desk.executed(event.executions)
            case OrderSought():
                await self._sought(event)
            case PositionRead():
                self._compare(event)
            case StreamLost():
                self._desk.reconciled, self._compared_ms, self._backfill = False, 0, True
                self.mark_degraded(f"private stream: {event.reason}")
            case StreamRestored():
                self._compared_ms, self._backfill = 0, True
            case Recover():
                await self._recover()
            case Beat():
                await self._desk.settle_journal()
                await self._desk.cancel_if_halted()
                await self._desk.try_journal()
                self.book.forget_old()
                if self._desk.reconciled:
                    self.mark_ready()

    # ------------------------------------------------------------ beginning, and beginning again

    async def _recover(self) -> None:
        try:
            if not self._replayed:
                await self._replay()
            if self._desk.instrument is None:
                self._desk.instrument = await self._venue.instrument(self.symbol)
            if not self._subscribed:
                await self._venue.start(("order", "execution"), self._on_private)
                self._subscribed = True
            await self._first_reconcile()
        except (VenueError, JournalUnavailable, OSError) as error:
            self._recover_tries += 1
            self._recover_ms = self.clock.now_ms() + backoff_ms(self._recover_tries)
            self.mark_degraded(str(error))
            return
        self._recovered = True
        if self._desk.reconciled:
            self.mark_ready()

    async def _replay(self) -> None:
        await self._stream.open()
        async for record in self._stream.read():
            execution = self._ledger.replay(record)
            if execution is not None:
                self.book.executed(execution)
            else:
                self.book.replay(record)
        self.book.replayed()
        self.book.forget_old()
        async for record in self._stream.read("trading_state", stream="control"):
            payload = record.entry.payload
            mode = TradingMode(text(payload, "mode"))
            self._latch.set(TradingState(mode, integer(payload, "epoch"), text(payload, "reason")))
        async for record in self._stream.read("target", stream=self._keeper):
            payload = record.entry.payload
            self._desk.target = Target(
                version=integer(payload, "version"),
                short_qty=amount(payload, "target_short_qty"),
                level=RiskLevel(text(payload, "level")),
                reason=text(payload, "reason"),
                causation_id=text(payload, "causation_id"),
            )
        self._replayed = True

    async def _first_reconcile(self) -> None:
        """Before the first order: our orders, then executions, then the position, as the venue has them."""
        if self._ledger.opened_ms is None:
            before_ms = self.clock.now_ms()
            await self._ledger.open_with(await self._venue.position(self.symbol), before_ms)
        for tracked in self.book.unsettled():
            await self._sought(OrderSought(tracked.link, await self._venue.find_order(self.symbol, tracked.link)))
        since_ms = self._ledger.since_ms()
        await self._desk.executed(await self._venue.executions(self.symbol, since_ms))
        self._compare(PositionRead(await self._venue.position(self.symbol), self._ledger.fold.signed_qty))

    # ------------------------------------------------------------ what time brings

    async def _beat(self) -> None:
        if self.stopped:
            return
        if not self._recovered:
            if self.clock.now_ms() >= self._recover_ms:
                await self._inbox.put(Recover(), "recover")
            return
        await self._ask()
        await self._inbox.put(Beat(), "beat")

    async def _ask(self) -> None:
        """Query what is due, beside the worker, and hand it the answers as events."""
        now_ms = self.clock.now_ms()
        try:
            for tracked in [one for one in self.book.unsettled() if one.look_ms <= now_ms]:
                view = await self._venue.find_order(self.symbol, tracked.link)
                await self._put(OrderSought(tracked.link, view))
                self._backfill = self._backfill or tracked.state.outstanding_qty > ZERO
            due = now_ms - self._compared_ms >= RECONCILE_MS or self._mismatches > 0
            if due or self._backfill:
                self._backfill = False
                found = await self._venue.executions(self.symbol, self._ledger.since_ms())
                await self._put(ExecutionsRead(tuple(found)))
            if due:
                before = self._ledger.fold.signed_qty
                await self._put(PositionRead(await self._venue.position(self.symbol), before))
        except VenueError as error:
            # What we knew stays known: a query that failed says nothing.
            self.counters["query_failed"] += 1
            self._backfill = True
            if not self._desk.reconciled:
                self.mark_degraded(str(error))

    async def _sought(self, found: OrderSought) -> None:
        tracked = self.book.orders.get(found.link)
        if tracked is None:
            return
        if found.view is not None:
            await self._desk.order_heard(found.view)
        now_ms = self.clock.now_ms()
        tracked.looks += 1
        tracked.look_ms = now_ms + min(LOOK_MAX_MS, 1_000 * 2 ** min(tracked.looks, 5))
        if tracked.unresolved and not tracked.told and now_ms - tracked.sent_ms >= UNRESOLVED_ALERT_MS:
            tracked.told = True
            self._desk.event("unresolved", tracked.link, f"no word of the order for {now_ms - tracked.sent_ms} ms")

    def _compare(self, read: PositionRead) -> None:
        """The venue's position against the fold. Inconclusive when fills came in while it was asked."""
        if read.fold_before != self._ledger.fold.signed_qty:
            return
        now_ms = self.clock.now_ms()
        self._compared_ms = now_ms
        if not self._ledger.differs_from(read.position.signed_qty):
            self._mismatches, self._desk.reconciled, self._desk.position_ms = 0, True, now_ms
            self.mark_ready()
            return
        self._mismatches += 1
        if self._mismatches >= MISMATCHES_TO_TELL:
            said, folded = read.position.signed_qty, self._ledger.fold.signed_qty
            self._desk.reconciled = False
            self.mark_degraded(f"the venue says {said}, our executions add up to {folded}")
            self._desk.event_once("unresolved", "position", f"position: the venue says {said}, we count {folded}")

    async def _tell_events(self) -> None:
        events = self._desk.events[:]
        self._desk.events.clear()
        for event in events:
            await self.tell(self._notifier, event)
