"""One hedge account: carries out the target position on the venue, each intent with one effect.

Level-triggered: what is ordered = target − position − open − unresolved. The journal has the intent before the venue
has the order, and every execution before it counts. One worker handles one event at a time; queries are made beside
it, so that a slow answer never holds up an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hedgelock_actors.actor import Actor, backoff_ms
from hedgelock_actors.domain.messages import (
    AnyMessage,
    CancelTrade,
    FeedStale,
    ForeignActivityAcknowledged,
    HedgeTrade,
    RealiseProfit,
    SetTarget,
    Tick,
    TradingStateChanged,
)
from hedgelock_actors.domain.order import OrderView
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.trading_state import TradingState
from hedgelock_actors.inbox import Inbox, InboxFull
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Journal, JournalUnavailable, StaleEpoch
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.lease import Lease
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import PrivateEvent, StreamLost, StreamRestored, Venue, VenueError
from hedgelock_actors.routing.events import (
    AccountRead,
    Beat,
    ExecutionsRead,
    InstrumentRead,
    MaintenanceRead,
    OpenOrdersRead,
    OrderSought,
    OwnEvent,
    PositionRead,
    Recover,
    RouterEvent,
    Wake,
    event_of,
)
from hedgelock_actors.routing.parts import RouterParts
from hedgelock_actors.routing.timer import Alarm
from hedgelock_actors.routing.view import snapshot_of

JOURNAL_PAUSE_MS = 1_000
STOP_TIMEOUT_S = 2.0


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
        lease: Lease,
        notifier: str,
        keeper: str = "",
        environment: str = "",
    ) -> None:
        super().__init__(name, clock, transport)
        self.account, self.symbol = account, symbol
        self._venue, self._latch, self._lease, self._notifier = venue, latch, lease, notifier
        self._keeper = keeper or f"position-keeper-{account}"
        self._parts = RouterParts(
            name,
            account,
            symbol,
            venue=venue,
            journal=journal,
            clock=clock,
            policy=policy,
            latch=latch,
            lease=lease,
            environment=environment or policy.limits.environment,
            counters=self.counters,
            put=self._put,
        )
        self.book = self._parts.book
        self._inbox: Inbox[RouterEvent] = Inbox()
        self._alarm = Alarm(clock, self._wake)
        self._worker: asyncio.Task[None] | None = None
        self._cancel_beat: Callable[[], None] = lambda: None
        self._replayed = self._subscribed = self._recovered = False
        self._recover_ms = self._recover_tries = 0

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Replay, reconcile, subscribe; what fails is tried again every second and then less often."""
        await self._lease.start()
        self._worker = asyncio.ensure_future(self._work())
        self._cancel_beat = self.clock.every(1.0, self._beat)
        await self._inbox.put(Recover())

    async def stop(self) -> None:
        """Send nothing any more. What rests in the book is cancelled, within bounded time; the position stays."""
        orderly = not self.stopped and self._recovered and self._worker is not None and not self._worker.done()
        self.mark_stopped()
        self._cancel_beat()
        self._alarm.set(None)
        self._inbox.close()
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._parts.cancels.stop()
        if orderly:
            await self._pull()
        await self._venue.stop()
        await self._lease.stop()

    async def receive(self, message: AnyMessage) -> None:
        """Targets, prices, trades, requests to realise profit, trading states; anything else is not for us."""
        if isinstance(message, FeedStale) and message.symbol == self.symbol:
            self._parts.state.market = None
        if isinstance(message, TradingStateChanged):
            self._latch.set(TradingState(message.mode, message.epoch, message.reason))
        found = event_of(message, self.account, self.symbol)
        if found is not None:
            await self._put(*found)

    def snapshot(self) -> Mapping[str, object]:
        """Target, position, what is at work and why not more, and the newest orders."""
        return snapshot_of(self._parts)

    async def _pull(self) -> None:
        """Nobody will follow what rests from now on."""
        resting = [one.link for one in self._parts.turn.resting()]
        if not resting:
            return
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                self.counters["cancels"] += len(resting)
                await self._venue.cancel_many(self.symbol, resting)
        except (TimeoutError, VenueError, OSError):
            self.counters["not_pulled"] += len(resting)

    # ------------------------------------------------------------ the inbox and its worker

    async def _put(self, event: RouterEvent, key: str | None = None) -> None:
        try:
            done = self._inbox.put(event, key)
        except InboxFull:
            # Nothing is lost for good: what was not taken in is asked for again.
            self.counters["inbox_full"] += 1
            self._parts.watch.doubt()
            return
        if self.clock.paced:
            await done

    async def _wake(self) -> None:
        if not self.stopped:
            await self._put(Wake(), "wake")

    async def _on_private(self, event: PrivateEvent) -> None:
        if isinstance(event, StreamLost):
            # What forbids holds at once, also for an order that the worker is about to send.
            self._parts.state.reconciled = False
            self._parts.watch.doubt()
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
                    await self._act()
            except StaleEpoch:
                self._fenced()
            except JournalUnavailable as error:
                self._journal_lost(error)
            except Exception as error:
                # The edge of the actor: whatever this was, nothing new is opened until all is reconciled again.
                self._parts.doubt_all()
                self.fault(error)
            finally:
                slot.done()
            await self._tell()

    async def _act(self) -> None:
        if self._parts.guard.look():
            self._parts.watch.doubt()
        try:
            await self._parts.turn.act()
        finally:
            if not self.stopped:
                self._alarm.set(self._parts.turn.next_ms())

    def _fenced(self) -> None:
        self.mark_stopped("a newer instance writes this account's journal")
        self._cancel_beat()
        self._alarm.set(None)
        self._inbox.close()

    def _journal_lost(self, error: JournalUnavailable) -> None:
        self.counters["journal_unavailable"] += 1
        self._parts.watch.backfill = True
        self._parts.state.slow(self.clock.now_ms() + JOURNAL_PAUSE_MS)
        self.mark_degraded(f"journal: {error}")

    async def _handle(self, event: RouterEvent) -> None:
        parts = self._parts
        match event:
            case Tick():
                parts.price(event)
            case FeedStale():
                parts.state.market = None
            case SetTarget():
                if parts.state.aim(event):
                    parts.desk.means_changed()
            case RealiseProfit():
                await parts.hearing.realise(event)
            case HedgeTrade():
                await parts.hearing.trade(event)
            case CancelTrade():
                await parts.hearing.cancel_trade(event)
            case ForeignActivityAcknowledged():
                await parts.hearing.acknowledged(event)
            case TradingStateChanged():
                pass
            case OrderView():
                await parts.hearing.order(event)
            case Execution():
                await parts.hearing.executed((event,))
            case _:
                await self._handle_own(event)

    async def _handle_own(self, event: OwnEvent) -> None:
        parts = self._parts
        match event:
            case ExecutionsRead():
                await parts.hearing.executed(event.executions)
            case OrderSought():
                await parts.reconciler.sought(event)
            case OpenOrdersRead():
                await parts.reconciler.open_orders(event)
            case PositionRead():
                await self._compare(event)
            case AccountRead() | MaintenanceRead() | InstrumentRead():
                parts.learn(event)
            case StreamLost():
                # What rests stays: it counts as filled in the worst case, and pulling it would take protection away.
                self.mark_degraded(f"private stream: {event.reason}")
            case StreamRestored():
                parts.watch.doubt()
            case Recover():
                await self._recover()
            case Beat():
                await self._on_beat()
            case Wake():
                pass

    async def _on_beat(self) -> None:
        self._parts.markouts.beat()
        await self._parts.notes.try_again()
        if self._recovered:
            # A net: whatever the reason that nobody follows an order any more, it must not rest for ever.
            self._parts.turn.pull_orphans()
        self.book.forget_old()
        if self._parts.state.reconciled:
            self.mark_ready()

    async def _compare(self, read: PositionRead) -> None:
        wrong = await self._parts.reconciler.compare(read)
        if wrong:
            self.mark_degraded(wrong)
        elif self._parts.state.reconciled:
            self.mark_ready()

    # ------------------------------------------------------------ beginning, and beginning again

    async def _recover(self) -> None:
        parts = self._parts
        try:
            if not self._replayed:
                await parts.replay(self._keeper)
                self._replayed = True
            if parts.state.instrument is None:
                parts.state.instrument = await self._venue.instrument(self.symbol)
            if not self._subscribed:
                await self._venue.start(("order", "execution"), self._on_private)
                self._subscribed = True
            await parts.first_look(self._venue)
        except (VenueError, JournalUnavailable, OSError) as error:
            self._recover_tries += 1
            self._recover_ms = self.clock.now_ms() + backoff_ms(self._recover_tries)
            self.mark_degraded(str(error))
            return
        parts.turn.pull_orphans()
        self._recovered = True
        if parts.state.reconciled:
            self.mark_ready()

    async def _beat(self) -> None:
        if self.stopped:
            return
        if not self._recovered:
            if self.clock.now_ms() >= self._recover_ms:
                await self._inbox.put(Recover(), "recover")
            return
        failed = await self._parts.watch.ask(silent=self._parts.guard.silent)
        if failed and not self._parts.state.reconciled:
            self.mark_degraded(failed)
        await self._inbox.put(Beat(), "beat")

    async def _tell(self) -> None:
        for event in self._parts.alerts.take():
            await self.tell(self._notifier, event)
        for to, report in self._parts.take_reports():
            await self.tell(to, report)
