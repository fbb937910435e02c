"""Where the router's orders are made: planned, journalled, approved at the last line, sent, and followed to their end.

Owned by one worker: nothing here runs twice at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.codec import outcome_payload, view_payload
from hedgelock_actors.domain.limits import Approved, GateContext, Refused, approve
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.messages import OrderEvent, RealiseProfit, SetTarget, Tick
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
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Json
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.venue import Venue
from hedgelock_actors.router_book import RouterBook, Tracked
from hedgelock_actors.router_plan import Drop, Plan, Planner, RealiseEnd, Send, Situation, Target

DUPLICATE_ID = "110072"
HOLD_MAX_MS = 60_000
ALERT_AGAIN_MS = 600_000
ORDERS_PER_TURN = 4
CANCEL_AGAIN_MS = 5_000
LAST_GOOD_MS = 2_000
"""Older prices are no measure of what a good price is now."""
REFUSED_HOLD_MS = 1_000
TAKEN_TYPES = frozenset({"BustTrade", "AdlTrade"})
TAKEN_CREATED = ("CreateByLiq", "CreateByAdl", "CreateByTakeOver")

Event = Literal["refused", "rejected", "unresolved", "external_fill", "liquidation", "filled"]


class OrderDesk:
    """See the module. `environment` is that of the venue."""

    def __init__(
        self,
        account: str,
        symbol: str,
        *,
        venue: Venue,
        stream: JournalStream,
        clock: Clock,
        policy: Policy,
        latch: Latch,
        environment: str,
        counters: Counter[str],
    ) -> None:
        self.account, self.symbol = account, symbol
        self.book = RouterBook(account, symbol)
        self.ledger = ExecutionLedger(stream, account, symbol, "execution")
        self.instrument: Instrument | None = None
        self.target: Target | None = None
        self.quote: Quote | None = None
        self.reconciled = False
        """Orders, executions and position agreed with the venue when last compared."""
        self.position_ms = 0
        self.events: list[OrderEvent] = []
        """What is to be told, oldest first; taken by the router."""
        self._venue, self._stream, self._clock = venue, stream, clock
        self._policy, self._latch, self._environment = policy, latch, environment
        self._planner = Planner(self.book)
        self._counters = counters
        self._last_good: Decimal | None = None
        self._hold_ms = self._failures = 0
        self._owed: list[Entry] = []
        self._alerted: dict[str, int] = {}
        self._cancelled_ms = 0

    # ------------------------------------------------------------ what it hears

    def price(self, tick: Tick) -> None:
        """A new price; the one before, if recent, bounds how far an order's price may jump."""
        before = self.quote
        recent = before is not None and tick.ts_ms - before.ts_ms <= LAST_GOOD_MS
        self._last_good = before.mid if recent and before is not None else None
        self.quote = Quote(
            ts_ms=tick.ts_ms, last=tick.last, mark=tick.mark, index=tick.index, bid=tick.bid, ask=tick.ask
        )

    def aim(self, message: SetTarget) -> None:
        """Hold this short from now on; an older version changes nothing."""
        if self.target is None or message.version >= self.target.version:
            self.target = Target(
                version=message.version,
                short_qty=message.target_short_qty,
                level=message.level,
                reason=message.reason,
                causation_id=message.causation_id,
            )

    async def take_realise(self, message: RealiseProfit) -> None:
        """A request is carried out once, however often it is heard. Raises JournalUnavailable, StaleEpoch."""
        if message.request_id in self.book.realises:
            return
        payload: dict[str, Json] = {"request_id": message.request_id, "qty": str(message.qty)}
        await self._note("realise", f"realise:{message.request_id}", payload)
        self.book.realise(message.request_id, message.qty)

    async def order_heard(self, view: OrderView) -> None:
        """The venue's word about an order of ours."""
        if not self.book.heard(view):
            return
        tracked = self.book.orders[view.order_link_id]
        if not tracked.state.terminal:
            return
        key = f"order:{view.order_link_id}:{view.status.value}:{view.cum_qty}"
        if tracked.state.outstanding_qty > ZERO:
            tracked.look_ms = min(tracked.look_ms, self._clock.now_ms() + 1_000)
        if view.status is OrderStatus.REJECTED:
            self._rejected(view.order_link_id, view.reject_reason, "the venue rejected the order after taking it")
        elif view.cum_qty > ZERO:
            self._failures = 0
            self.event("filled", view.order_link_id, _filled(view))
        await self._note_later("order", key, view_payload(view))

    async def executed(self, executions: Iterable[Execution]) -> None:
        """Journal and count what is new. Raises JournalUnavailable (nothing is counted then), StaleEpoch."""
        for execution in await self.ledger.book(executions):
            self.book.executed(execution)
            self._counters["executions"] += 1
            self._tell_if_foreign(execution)

    def _tell_if_foreign(self, execution: Execution) -> None:
        if execution.is_funding or execution.order_link_id in self.book.known_links:
            return
        detail = f"{execution.side.value} {execution.qty} at {execution.price} ({execution.exec_type})"
        taken = execution.exec_type in TAKEN_TYPES or execution.create_type.startswith(TAKEN_CREATED)
        self.event("liquidation" if taken else "external_fill", execution.exec_id, detail)

    async def cancel_if_halted(self) -> None:
        """Halting cancels what still works on the venue; it keeps the position."""
        now_ms = self._clock.now_ms()
        if self._latch.state().mode is not TradingMode.HALTED or now_ms - self._cancelled_ms < CANCEL_AGAIN_MS:
            return
        working = [one for one in self.book.unsettled() if not one.state.terminal]
        if working:
            self._cancelled_ms = now_ms
        for tracked in working:
            self._counters["cancels"] += 1
            await self._venue.cancel(self.symbol, tracked.link)

    # ------------------------------------------------------------ acting

    async def act(self) -> None:
        """Send what is to be sent now. Raises JournalUnavailable, StaleEpoch: then nothing more was sent."""
        for _ in range(ORDERS_PER_TURN):
            instrument, plan = self.instrument, self._next()
            if instrument is None or plan is None or not await self._carry_out(plan, instrument):
                return

    def _next(self) -> Plan | None:
        now_ms, quote = self._clock.now_ms(), self.quote
        if self.instrument is None or quote is None or now_ms < self._hold_ms:
            return None
        fresh = now_ms - quote.ts_ms <= self._policy.limits.max_quote_age_ms
        if not fresh or self._latch.state().mode is TradingMode.HALTED:
            return None
        return self._planner.next(
            Situation(
                now_ms=now_ms,
                target=self.target,
                quote=quote,
                signed_qty=self.ledger.fold.signed_qty,
                instrument=self.instrument,
                limits=self._policy.limits,
                execution=self._policy.execution,
            )
        )

    async def _carry_out(self, plan: Plan, instrument: Instrument) -> bool:
        """True when it is worth asking for the next thing to do."""
        match plan:
            case Send():
                return await self._submit(plan, instrument)
            case Drop():
                await self._note("absent", f"absent:{plan.link}", {"order_link_id": plan.link, "why": plan.why})
                self.book.absent(plan.link, plan.why)
            case RealiseEnd():
                payload: dict[str, Json] = {"request_id": plan.request_id, "filled": str(plan.filled)}
                await self._note("realise_done", f"realise_done:{plan.request_id}", payload)
                self.book.realise_done(plan.request_id)
        return True

    async def _submit(self, plan: Send, instrument: Instrument) -> bool:
        request, link = plan.request, plan.request.order_link_id
        epoch = self._latch.state().epoch
        if not plan.resend:
            self.book.decide(plan.payload)
        first = approve(request, self._gate(instrument, request, plan.resend, epoch), self._policy.limits)
        if isinstance(first, Refused):
            self._refused(first)
            return False
        await self.settle_journal()
        kind, send = ("resend", self.book.orders[link].sends + 1) if plan.resend else ("intent", 1)
        await self._note(kind, f"{kind}:{link}:{send}", plan.payload)
        # From here to the write nothing else runs: what the gate is told is what is true when the order leaves.
        verdict = approve(request, self._gate(instrument, request, plan.resend, epoch), self._policy.limits)
        tracked = self.book.sending(request, self._clock.now_ms())
        if self.quote is not None:
            tracked.quote_ms = self.quote.ts_ms
        if isinstance(verdict, Refused):
            self._refused(verdict)
            await self._not_sent(tracked, plan.resend, str(verdict.code))
            return False
        self._counters["orders"] += 1
        return await self._answered(tracked, await self._place(verdict))

    async def _place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        try:
            return await self._venue.place(order)
        except Exception as error:
            # The port does not raise; if it does all the same, nobody knows what became of the order.
            self._counters["errors"] += 1
            return Unknown(f"{type(error).__name__}: {error}")

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
                self._counters["unknown"] += 1
                return False
            case Accepted():
                return True

    def _gate(self, instrument: Instrument, request: OrderRequest, resend: bool, epoch: int) -> GateContext:
        return GateContext(
            now_ms=self._clock.now_ms(),
            account=self.account,
            environment=self._environment,
            instrument=instrument,
            quote=self.quote,
            position_qty=self.ledger.fold.signed_qty,
            position_ms=self.position_ms,
            reconciled=self.reconciled,
            working=self.book.working(),
            intents=self.book.intent_view(request.intent_id),
            recent_order_ms=tuple(self.book.sent_ms),
            last_good_price=self._last_good,
            trading=self._latch.state(),
            epoch=epoch,
            writer=self._stream.is_open,
            level=self.target.level if self.target else RiskLevel.SAFE,
            resend=resend,
        )

    def pause(self, ms: int) -> None:
        """Send nothing for so long."""
        self._hold_ms = max(self._hold_ms, self._clock.now_ms() + ms)

    # ------------------------------------------------------------ when the answer is no

    def _refused(self, refused: Refused[OrderRequest]) -> None:
        self._counters["refused"] += 1
        self._hold_ms = self._clock.now_ms() + REFUSED_HOLD_MS
        self.event_once("refused", str(refused.code), f"{refused.code}: {refused.detail}", refused.request)

    def _rejected(self, link: str, code: str, why: str) -> None:
        """Back off, longer each time until something fills; say it once."""
        self._counters["rejected"] += 1
        self._failures += 1
        self._hold_ms = self._clock.now_ms() + min(HOLD_MAX_MS, 1_000 * 2 ** min(self._failures, 6))
        self.event_once("rejected", code, f"{code}: {why}", link)

    def event_once(self, event: Event, what: str, detail: str, about: OrderRequest | str = "") -> None:
        """As `event`, but the same thing only once in ten minutes."""
        now_ms = self._clock.now_ms()
        told_ms = self._alerted.get(f"{event}:{what}")
        if told_ms is None or now_ms - told_ms >= ALERT_AGAIN_MS:
            self._alerted[f"{event}:{what}"] = now_ms
            self.event(event, about if isinstance(about, str) else about.order_link_id, detail)

    def event(self, event: Event, link: str, detail: str) -> None:
        """Something that a person may need to know."""
        self.events.append(
            OrderEvent(
                account=self.account,
                symbol=self.symbol,
                ts_ms=self._clock.now_ms(),
                event=event,
                order_link_id=link,
                detail=detail,
            )
        )

    # ------------------------------------------------------------ the journal

    async def _note(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Written when this returns. Raises JournalUnavailable, StaleEpoch."""
        await self._stream.append(self._entry(kind, key, payload))

    async def _note_later(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Something that has happened already: if it cannot be written now, then before anything else happens."""
        self._owed.append(self._entry(kind, key, payload))
        await self.settle_journal()

    async def settle_journal(self) -> None:
        """Write what is owed. Raises JournalUnavailable, StaleEpoch."""
        if self._owed:
            await self._stream.append(*self._owed)
            self._owed.clear()

    async def try_journal(self) -> None:
        """After a write that failed: find out whether the journal is back, and leave a trace that it was away."""
        if not self._stream.healthy:
            await self._note("journal_back", f"journal_back:{self._clock.now_ms()}", {})

    def _entry(self, kind: str, key: str, payload: Mapping[str, Json]) -> Entry:
        return Entry(kind=kind, key=key, ts_ms=self._clock.now_ms(), account=self.account, payload=payload)


def _filled(view: OrderView) -> str:
    return f"{view.side.value} {view.cum_qty} of {view.qty} for {view.cum_value} USDT"
