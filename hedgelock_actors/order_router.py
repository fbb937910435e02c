"""One hedge account: carries out the target position on the venue, each intent with one effect.

Level-triggered: order = target − position − open − unresolved. The journal has the intent before the venue has the
order, and every execution before it counts. One worker handles one event at a time; queries are made beside it, so that
a slow answer never holds up an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Literal, cast

from hedgelock_actors.actor import Actor, JournalStream
from hedgelock_actors.codec import amount, integer, outcome_payload, text, view_payload
from hedgelock_actors.domain.errors import require
from hedgelock_actors.domain.limits import GateContext, Refused, approve
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.messages import (
    AnyMessage,
    FeedStale,
    OrderEvent,
    RealiseProfit,
    SetTarget,
    Tick,
    TradingStateChanged,
)
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import (
    Accepted,
    OrderRequest,
    OrderStatus,
    OrderView,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.inbox import Inbox, InboxFull
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Journal, JournalUnavailable, Json, StaleEpoch
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import PositionView, PrivateEvent, StreamLost, StreamRestored, Venue, VenueError
from hedgelock_actors.router_book import RouterBook, Tracked
from hedgelock_actors.router_events import (
    Beat,
    ExecutionsRead,
    OrderSought,
    PositionRead,
    Recover,
    RouterEvent,
    event_of,
)
from hedgelock_actors.router_plan import Drop, Plan, Planner, RealiseEnd, Send, Situation, Target

DUPLICATE_ID = "110072"
RECONCILE_MS = 30_000
UNRESOLVED_ALERT_MS = 10_000
LOOK_MAX_MS = 30_000
HOLD_MAX_MS = 60_000
ALERT_AGAIN_MS = 600_000
ORDERS_PER_TURN = 4
MISMATCHES_TO_TELL = 3
CANCEL_AGAIN_MS = 5_000
REFUSED_HOLD_MS = 1_000
TAKEN_TYPES = frozenset({"BustTrade", "AdlTrade"})
TAKEN_CREATED = ("CreateByLiq", "CreateByAdl", "CreateByTakeOver")

Event = Literal["refused", "rejected", "unresolved", "external_fill", "liquidation", "filled"]


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
        self.book = RouterBook(account, symbol)
        self._venue, self._policy, self._latch = venue, policy, latch
        self._notifier = notifier
        self._keeper = keeper or f"position-keeper-{account}"
        self._environment = environment or policy.limits.environment
        self._stream = JournalStream(journal, name)
        self._ledger = ExecutionLedger(self._stream, account, symbol, "execution")
        self._planner = Planner(self.book)
        self._inbox: Inbox[RouterEvent] = Inbox()
        self._worker: asyncio.Task[None] | None = None
        self._cancel_beat: Callable[[], None] = lambda: None
        self._instrument: Instrument | None = None
        self._target: Target | None = None
        self._quote: Quote | None = None
        self._last_good: Decimal | None = None
        self._replayed = self._subscribed = self._reconciled = False
        self._recovered = False
        self._recover_ms = self._recover_tries = 0
        self._position_ms = self._compared_ms = 0
        self._mismatches = 0
        self._backfill = False
        self._hold_ms = self._failures = 0
        self._owed: list[Entry] = []
        self._events: list[OrderEvent] = []
        self._alerted: dict[str, int] = {}
        self._cancelled_ms = 0

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
            "target_short_qty": str(self._target.short_qty) if self._target else None,
            "target_version": self._target.version if self._target else 0,
            "position_qty": str(self._ledger.fold.signed_qty),
            "entry_price": str(self._ledger.fold.entry_price),
            "fees_usdt": str(self._ledger.fold.fees),
            "funding_usdt": str(self._ledger.fold.funding),
            "working_sell_qty": str(working.sell_qty),
            "working_buy_qty": str(working.buy_qty),
            "reconciled": self._reconciled,
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
        while not self.stopped:
            slot = await self._inbox.get()
            try:
                await self._handle(slot.event)
                await self._act()
            except StaleEpoch:
                self._fenced()
            except JournalUnavailable as error:
                self._journal_lost(error)
            except Exception as error:
                # The edge of the actor: whatever this was, nothing new is opened until all is reconciled again.
                self._reconciled, self._compared_ms = False, 0
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
        self._hold_ms = self.clock.now_ms() + 1_000
        self.mark_degraded(f"journal: {error}")

    async def _handle(self, event: RouterEvent) -> None:
        match event:
            case Tick():
                self._last_good = self._quote.mid if self._quote is not None else None
                self._quote = Quote(
                    ts_ms=event.ts_ms,
                    last=event.last,
                    mark=event.mark,
                    index=event.index,
                    bid=event.bid,
                    ask=event.ask,
                )
            case FeedStale():
                self._quote = None
            case SetTarget():
                self._aim(event)
            case RealiseProfit():
                await self._take_realise(event)
            case TradingStateChanged():
                await self._cancel_if_halted()
            case OrderView():
                await self._order_heard(event)
            case Execution():
                await self._book_executions((event,))
            case ExecutionsRead():
                await self._book_executions(event.executions)
            case OrderSought():
                await self._sought(event)
            case PositionRead():
                self._compare(event)
            case StreamLost():
                self._reconciled, self._compared_ms, self._backfill = False, 0, True
                self.mark_degraded(f"private stream: {event.reason}")
            case StreamRestored():
                self._compared_ms, self._backfill = 0, True
            case Recover():
                await self._recover()
            case Beat():
                await self._settle_journal()
                await self._cancel_if_halted()
                self.book.forget_old()

    def _aim(self, message: SetTarget) -> None:
        if self._target is None or message.version >= self._target.version:
            self._target = Target(
                version=message.version,
                short_qty=message.target_short_qty,
                level=message.level,
                reason=message.reason,
                causation_id=message.causation_id,
            )

    async def _take_realise(self, message: RealiseProfit) -> None:
        if message.request_id in self.book.realises:
            return
        payload: dict[str, Json] = {"request_id": message.request_id, "qty": str(message.qty)}
        await self._note("realise", f"realise:{message.request_id}", payload)
        self.book.realise(message.request_id, message.qty)

    # ------------------------------------------------------------ beginning, and beginning again

    async def _recover(self) -> None:
        try:
            if not self._replayed:
                await self._replay()
            if self._instrument is None:
                self._instrument = await self._venue.instrument(self.symbol)
            if not self._subscribed:
                await self._venue.start(("order", "execution"), self._on_private)
                self._subscribed = True
            await self._first_reconcile()
        except (VenueError, JournalUnavailable, OSError) as error:
            self._recover_tries += 1
            self._recover_ms = self.clock.now_ms() + min(30_000, 1_000 * 2 ** min(self._recover_tries, 5))
            self.mark_degraded(str(error))
            return
        self._recovered = True
        if self._reconciled:
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
            self._target = Target(
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
        await self._book_executions(await self._venue.executions(self.symbol, since_ms))
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
            if not self._reconciled:
                self.mark_degraded(str(error))

    async def _sought(self, found: OrderSought) -> None:
        tracked = self.book.orders.get(found.link)
        if tracked is None:
            return
        if found.view is not None:
            await self._order_heard(found.view)
        now_ms = self.clock.now_ms()
        tracked.looks += 1
        tracked.look_ms = now_ms + min(LOOK_MAX_MS, 1_000 * 2 ** min(tracked.looks, 5))
        if tracked.unresolved and not tracked.told and now_ms - tracked.sent_ms >= UNRESOLVED_ALERT_MS:
            tracked.told = True
            self._event("unresolved", tracked.link, f"no word of the order for {now_ms - tracked.sent_ms} ms")

    def _compare(self, read: PositionRead) -> None:
        """The venue's position against the fold. Inconclusive when fills came in while it was asked."""
        if read.fold_before != self._ledger.fold.signed_qty:
            return
        now_ms = self.clock.now_ms()
        self._compared_ms = now_ms
        if not self._ledger.differs_from(read.position.signed_qty):
            self._mismatches, self._reconciled, self._position_ms = 0, True, now_ms
            self.mark_ready()
            return
        self._mismatches += 1
        if self._mismatches >= MISMATCHES_TO_TELL:
            said, folded = read.position.signed_qty, self._ledger.fold.signed_qty
            self._reconciled = False
            self.mark_degraded(f"the venue says {said}, our executions add up to {folded}")
            self._event_once("unresolved", "position", f"position: the venue says {said}, we count {folded}")

    # ------------------------------------------------------------ orders and executions

    async def _order_heard(self, view: OrderView) -> None:
        if not self.book.heard(view):
            return
        tracked = self.book.orders[view.order_link_id]
        if not tracked.state.terminal:
            return
        key = f"order:{view.order_link_id}:{view.status.value}:{view.cum_qty}"
        if tracked.state.outstanding_qty > ZERO:
            tracked.look_ms = min(tracked.look_ms, self.clock.now_ms() + 1_000)
        if view.status is OrderStatus.REJECTED:
            self._rejected(view.order_link_id, view.reject_reason, "the venue rejected the order after taking it")
        elif view.cum_qty > ZERO:
            self._failures = 0
            self._event("filled", view.order_link_id, _filled(view))
        await self._note("order", key, view_payload(view))

    async def _book_executions(self, executions: Iterable[Execution]) -> None:
        for execution in await self._ledger.book(executions):
            self.book.executed(execution)
            self.counters["executions"] += 1
            self._tell_if_foreign(execution)

    def _tell_if_foreign(self, execution: Execution) -> None:
        if execution.is_funding or execution.order_link_id in self.book.known_links:
            return
        detail = f"{execution.side.value} {execution.qty} at {execution.price} ({execution.exec_type})"
        taken = execution.exec_type in TAKEN_TYPES or execution.create_type.startswith(TAKEN_CREATED)
        self._event("liquidation" if taken else "external_fill", execution.exec_id, detail)

    async def _cancel_if_halted(self) -> None:
        """Halting cancels what still works on the venue; it keeps the position."""
        now_ms = self.clock.now_ms()
        if self._latch.state().mode is not TradingMode.HALTED or now_ms - self._cancelled_ms < CANCEL_AGAIN_MS:
            return
        working = [one for one in self.book.unsettled() if not one.state.terminal]
        if working:
            self._cancelled_ms = now_ms
        for tracked in working:
            self.counters["cancels"] += 1
            await self._venue.cancel(self.symbol, tracked.link)

    # ------------------------------------------------------------ acting

    async def _act(self) -> None:
        for _ in range(ORDERS_PER_TURN):
            plan = self._next()
            if plan is None or not await self._carry_out(plan):
                return

    def _next(self) -> Plan | None:
        now_ms, quote = self.clock.now_ms(), self._quote
        if not self._recovered or self.stopped or self._instrument is None or quote is None or now_ms < self._hold_ms:
            return None
        fresh = now_ms - quote.ts_ms <= self._policy.limits.max_quote_age_ms
        if not fresh or self._latch.state().mode is TradingMode.HALTED:
            return None
        return self._planner.next(
            Situation(
                now_ms=now_ms,
                target=self._target,
                quote=quote,
                signed_qty=self._ledger.fold.signed_qty,
                instrument=self._instrument,
                limits=self._policy.limits,
                execution=self._policy.execution,
            )
        )

    async def _carry_out(self, plan: Plan) -> bool:
        """True when it is worth asking for the next thing to do."""
        match plan:
            case Send():
                return await self._submit(plan)
            case Drop():
                await self._note("absent", f"absent:{plan.link}", {"order_link_id": plan.link, "why": plan.why})
                self.book.absent(plan.link, plan.why)
            case RealiseEnd():
                payload: dict[str, Json] = {"request_id": plan.request_id, "filled": str(plan.filled)}
                await self._note("realise_done", f"realise_done:{plan.request_id}", payload)
                self.book.realise_done(plan.request_id)
        return True

    async def _submit(self, plan: Send) -> bool:
        request, link = plan.request, plan.request.order_link_id
        epoch = self._latch.state().epoch
        if not plan.resend:
            self.book.decide(plan.payload)
        first = approve(request, self._gate(request, plan.resend, epoch), self._policy.limits)
        if isinstance(first, Refused):
            self._refused(first)
            return False
        await self._settle_journal()
        kind, send = ("resend", self.book.orders[link].sends + 1) if plan.resend else ("intent", 1)
        await self._note(kind, f"{kind}:{link}:{send}", plan.payload)
        # From here to the write nothing else runs: what the gate is told is what is true when the order leaves.
        verdict = approve(request, self._gate(request, plan.resend, epoch), self._policy.limits)
        tracked = self.book.sending(request, self.clock.now_ms())
        if self._quote is not None:
            tracked.quote_ms = self._quote.ts_ms
        if isinstance(verdict, Refused):
            self._refused(verdict)
            await self._not_sent(tracked, plan.resend, str(verdict.code))
            return False
        self.counters["orders"] += 1
        outcome = await self._venue.place(verdict)
        return await self._answered(tracked, outcome)

    async def _not_sent(self, tracked: Tracked, resend: bool, why: str) -> None:
        """The gate closed between the journal and the write. A resend says nothing about the send before it."""
        if resend:
            tracked.answers = tracked.sends
            return
        self.book.absent(tracked.link, why)
        payload: dict[str, Json] = {"order_link_id": tracked.link, "why": why}
        await self._note_later("absent", f"absent:{tracked.link}", payload)

    async def _answered(self, tracked: Tracked, outcome: SubmitOutcome) -> bool:
        if isinstance(outcome, Rejected) and outcome.code == DUPLICATE_ID:
            # The venue has this very order from an earlier send: adopt it.
            outcome = Accepted("")
        self.book.answered(tracked.link, outcome)
        payload = {"order_link_id": tracked.link, "send": tracked.sends, **outcome_payload(outcome)}
        await self._note_later("outcome", f"outcome:{tracked.link}:{tracked.sends}", payload)
        match outcome:
            case Rejected():
                self._rejected(tracked.link, outcome.code, outcome.text)
                return False
            case Unknown():
                self.counters["unknown"] += 1
                return False
            case Accepted():
                return True

    def _gate(self, request: OrderRequest, resend: bool, epoch: int) -> GateContext:
        require(self._instrument is not None, "an order is planned before the instrument is known")
        return GateContext(
            now_ms=self.clock.now_ms(),
            account=self.account,
            environment=self._environment,
            instrument=cast(Instrument, self._instrument),
            quote=self._quote,
            position_qty=self._ledger.fold.signed_qty,
            position_ms=self._position_ms,
            reconciled=self._reconciled,
            working=self.book.working(),
            intents=self.book.intent_view(request.intent_id),
            recent_order_ms=tuple(self.book.sent_ms),
            last_good_price=self._last_good,
            trading=self._latch.state(),
            epoch=epoch,
            writer=self._stream.is_open,
            level=self._target.level if self._target else RiskLevel.SAFE,
            resend=resend,
        )

    # ------------------------------------------------------------ when the answer is no

    def _refused(self, refused: Refused[OrderRequest]) -> None:
        self.counters["refused"] += 1
        self._hold_ms = self.clock.now_ms() + REFUSED_HOLD_MS
        self._event_once("refused", str(refused.code), f"{refused.code}: {refused.detail}", refused.request)

    def _rejected(self, link: str, code: str, why: str) -> None:
        """Back off, longer each time until something fills; say it once."""
        self.counters["rejected"] += 1
        self._failures += 1
        self._hold_ms = self.clock.now_ms() + min(HOLD_MAX_MS, 1_000 * 2 ** min(self._failures, 6))
        self._event_once("rejected", code, f"{code}: {why}", link)

    def _event_once(self, event: Event, what: str, detail: str, about: OrderRequest | str = "") -> None:
        now_ms = self.clock.now_ms()
        told_ms = self._alerted.get(f"{event}:{what}")
        if told_ms is None or now_ms - told_ms >= ALERT_AGAIN_MS:
            self._alerted[f"{event}:{what}"] = now_ms
            self._event(event, about if isinstance(about, str) else about.order_link_id, detail)

    def _event(self, event: Event, link: str, detail: str) -> None:
        self._events.append(
            OrderEvent(
                account=self.account,
                symbol=self.symbol,
                ts_ms=self.clock.now_ms(),
                event=event,
                order_link_id=link,
                detail=detail,
            )
        )

    async def _tell_events(self) -> None:
        events, self._events = self._events, []
        for event in events:
            await self.tell(self._notifier, event)

    # ------------------------------------------------------------ the journal

    async def _note(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Written when this returns. Raises JournalUnavailable, StaleEpoch."""
        await self._stream.append(self._entry(kind, key, payload))

    async def _note_later(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Something that has happened already: if it cannot be written now, then before anything else happens."""
        self._owed.append(self._entry(kind, key, payload))
        await self._settle_journal()

    async def _settle_journal(self) -> None:
        if self._owed:
            await self._stream.append(*self._owed)
            self._owed.clear()

    def _entry(self, kind: str, key: str, payload: Mapping[str, Json]) -> Entry:
        return Entry(kind=kind, key=key, ts_ms=self.clock.now_ms(), account=self.account, payload=payload)


def _filled(view: OrderView) -> str:
    return f"{view.side.value} {view.cum_qty} of {view.qty} for {view.cum_value} USDT"
