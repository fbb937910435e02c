"""Facts as the router hears them: each journalled before it counts, and what they mean for whoever looks after us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from hedgelock_actors.codec import view_payload
from hedgelock_actors.domain.messages import CancelTrade, ForeignActivityAcknowledged, HedgeTrade, RealiseProfit
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderStatus, OrderView, TimeInForce
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.execution.feedback import FeedbackMeter
from hedgelock_actors.execution_ledger import ADJUSTMENT, OPENING, ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Json, Record
from hedgelock_actors.routing.alerts import RouterAlerts
from hedgelock_actors.routing.book import SHOWN_BY_MS, RouterBook
from hedgelock_actors.routing.cancels import Canceller
from hedgelock_actors.routing.desk import OrderDesk
from hedgelock_actors.routing.markouts import Markouts
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.state import RouterState
from hedgelock_actors.routing.strategy import Conductor
from hedgelock_actors.routing.trades import TradeBook, trade_payload

FOREIGN = "foreign activity"
TAKEN_TYPES = frozenset({"BustTrade", "AdlTrade"})
TAKEN_CREATED = ("CreateByLiq", "CreateByAdl", "CreateByTakeOver")
POST_ONLY_CROSSED = "PostOnly"


class Hearing:
    """Owned by one worker. Its methods raise JournalUnavailable (nothing is counted then) and StaleEpoch."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        trades: TradeBook,
        ledger: ExecutionLedger,
        *,
        desk: OrderDesk,
        conductor: Conductor,
        cancels: Canceller,
        notes: RouterNotes,
        alerts: RouterAlerts,
        meter: FeedbackMeter,
        markouts: Markouts,
        clock: Clock,
        counters: Counter[str],
    ) -> None:
        self._state, self._book, self._trades, self._ledger = state, book, trades, ledger
        self._desk, self._conductor, self._cancels = desk, conductor, cancels
        self._notes, self._alerts = notes, alerts
        self._meter, self._markouts, self._clock, self._counters = meter, markouts, clock, counters

    # ------------------------------------------------------------ from the journal

    def replay(self, record: Record) -> None:
        """Fold one record of our own stream."""
        execution = self._ledger.replay(record)
        if execution is not None:
            self._book.executed(execution)
            self._count_trade(execution)
            if self._is_foreign(execution) or execution.exec_type == ADJUSTMENT:
                self._state.restrictions[FOREIGN] = _foreign(execution)
        elif record.entry.kind == "foreign_ack":
            self._state.restrictions.pop(FOREIGN, None)
        else:
            self._book.replay(record)
            self._trades.replay(record)

    # ------------------------------------------------------------ from the venue

    async def order(self, view: OrderView) -> None:
        """The venue's word about an order of ours."""
        if view.order_link_id not in self._book.orders and view.status.terminal:
            self._cancels.closed(view.order_link_id)
        if not self._book.heard(view):
            return
        tracked = self._book.orders[view.order_link_id]
        if not tracked.state.terminal:
            return
        if tracked.state.outstanding_qty > ZERO:
            tracked.look_ms = min(tracked.look_ms, self._clock.now_ms() + 1_000)
        if view.status is OrderStatus.REJECTED and POST_ONLY_CROSSED not in view.reject_reason:
            self._desk.rejected(view.order_link_id, view.reject_reason, "the venue rejected the order after taking it")
        elif view.cum_qty > ZERO:
            self._desk.filled()
            self._alerts.event("filled", view.order_link_id, _filled(view))
        key = f"order:{view.order_link_id}:{view.status.value}:{view.cum_qty}"
        await self._notes.note_later("order", key, view_payload(view))

    async def executed(self, executions: Iterable[Execution]) -> None:
        """Journal and count what is new."""
        for execution in await self._ledger.book(executions):
            self._book.executed(execution)
            self._count_trade(execution)
            self._counters["executions"] += 1
            self._measure(execution)
            self._conductor.executed(execution, self._clock.now_ms())
            self._tell_if_not_ours(execution)

    async def adjust(self, signed_qty: Decimal, price: Decimal) -> None:
        """The venue's word about the position is followed although its executions do not explain it."""
        adjustment = await self._ledger.adjust(signed_qty, price, self._clock.now_ms())
        self._state.restrictions[FOREIGN] = _foreign(adjustment)
        self._alerts.event("external_fill", adjustment.exec_id, _foreign(adjustment))

    def _count_trade(self, execution: Execution) -> None:
        tracked = self._book.orders.get(execution.order_link_id)
        intent = self._book.intents.get(tracked.state.request.intent_id) if tracked is not None else None
        if intent is not None and intent.trade_id and not execution.is_funding:
            self._trades.executed(intent.trade_id, execution)

    def _measure(self, execution: Execution) -> None:
        tracked = self._book.orders.get(execution.order_link_id)
        if tracked is not None and not execution.is_funding:
            passive = tracked.state.request.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
            self._meter.fill(self._clock.now_ms(), execution, passive)
            self._markouts.fill(execution)

    def _tell_if_not_ours(self, execution: Execution) -> None:
        if _is_taken(execution):
            self._alerts.event("liquidation", execution.exec_id, _foreign(execution))
        elif self._is_foreign(execution):
            self._state.restrictions[FOREIGN] = _foreign(execution)
            self._alerts.event("external_fill", execution.exec_id, _foreign(execution))

    def _is_foreign(self, execution: Execution) -> bool:
        """Somebody else traded the account. Funding moves no position; what the venue does by force is no person's."""
        if execution.is_funding or execution.exec_type in (OPENING, ADJUSTMENT) or _is_taken(execution):
            return False
        return execution.order_link_id not in self._book.known_links

    # ------------------------------------------------------------ from other actors

    async def realise(self, message: RealiseProfit) -> None:
        """A request is carried out once, however often it is heard."""
        if message.request_id in self._book.realises:
            return
        payload: dict[str, Json] = {"request_id": message.request_id, "qty": str(message.qty)}
        await self._notes.note("realise", f"realise:{message.request_id}", payload)
        self._book.realise(message.request_id, message.qty)

    async def trade(self, message: HedgeTrade) -> None:
        """A trade is carried out once, however often it is heard."""
        if self._trades.knows(message.trade_id):
            self._trades.tell_again(message.trade_id)
            return
        await self._notes.note("trade", f"trade:{message.trade_id}", trade_payload(message))
        self._trades.take(message)

    async def cancel_trade(self, message: CancelTrade) -> None:
        """A trade is to stop."""
        trade = self._trades.trades.get(message.trade_id)
        if trade is None or trade.cancelled or trade.done:
            return
        await self._notes.note("trade_cancel", f"trade_cancel:{message.trade_id}", {"trade_id": message.trade_id})
        self._trades.cancel(message.trade_id)

    async def acknowledged(self, message: ForeignActivityAcknowledged) -> None:
        """A person has seen what was not ours, or has found out what the venue does not say."""
        if message.order_link_id:
            await self._never_was(message)
            return
        if FOREIGN not in self._state.restrictions:
            return
        payload: dict[str, Json] = {"who": message.who, "reason": message.reason}
        await self._notes.note("foreign_ack", f"foreign_ack:{self._clock.now_ms()}", payload)
        self._state.restrictions.pop(FOREIGN, None)

    async def _never_was(self, message: ForeignActivityAcknowledged) -> None:
        """Of an order that the venue has spoken of, or may still take, nobody's word counts but the venue's."""
        tracked = self._book.orders.get(message.order_link_id)
        if tracked is None or not tracked.unresolved or self._clock.now_ms() - tracked.sent_ms < SHOWN_BY_MS:
            self._counters["not_cleared"] += 1
            return
        why = f"{message.who} has looked for it: {message.reason}"
        payload: dict[str, Json] = {"order_link_id": tracked.link, "why": why}
        await self._notes.note("absent", f"absent:{tracked.link}", payload)
        self._book.absent(tracked.link, why)


def _is_taken(execution: Execution) -> bool:
    return execution.exec_type in TAKEN_TYPES or execution.create_type.startswith(TAKEN_CREATED)


def _foreign(execution: Execution) -> str:
    return f"{execution.side.value} {execution.qty} at {execution.price} ({execution.exec_type})"


def _filled(view: OrderView) -> str:
    return f"{view.side.value} {view.cum_qty} of {view.qty} for {view.cum_value} USDT"
