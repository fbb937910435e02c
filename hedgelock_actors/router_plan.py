"""Which order the router would send next: a pure function of what it knows. One at a time, protection first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from hedgelock_actors.codec import Payload, request_payload
from hedgelock_actors.domain.gap import Gap, gap_to
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO, round_to_step
from hedgelock_actors.domain.order import OrderRequest, OrderStatus, Side
from hedgelock_actors.domain.policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Goal, Settings, attempt_order, attempts_in_all, same_order
from hedgelock_actors.ports.journal import Json
from hedgelock_actors.router_book import (
    IntentBook,
    Realise,
    RouterBook,
    Tracked,
    gap_intent_id,
    realise_intent_id,
)

RESEND_AFTER_MS = 10_000
"""Longer than the venue's receive window (5 s): a request still under way by then would be refused for its age."""
RETRY_AFTER_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The short that is to be held, as last stated."""

    version: int
    short_qty: Decimal
    level: RiskLevel
    reason: str
    causation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that the next order depends on, beside the book."""

    now_ms: int
    target: Target | None
    quote: Quote
    signed_qty: Decimal
    instrument: Instrument
    limits: Limits
    execution: ExecutionPolicy

    @property
    def settings(self) -> Settings:
        """What bounds an attempt."""
        return Settings(instrument=self.instrument, limits=self.limits, policy=self.execution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send (or send again) this order; `payload` is what the journal keeps of the decision."""

    request: OrderRequest
    payload: Mapping[str, Json]
    resend: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """This order certainly never had an effect and is not needed any more."""

    link: str
    why: str


@dataclass(frozen=True, slots=True)
class RealiseEnd:
    """This request is finished, wholly or as far as it went."""

    request_id: str
    filled: Decimal


Plan = Send | Drop | RealiseEnd


class Planner:
    """The router's mind for one account and symbol."""

    def __init__(self, book: RouterBook) -> None:
        self._book = book
        self._prefix = f"{book.account}:{book.symbol}"

    def next(self, at: Situation) -> Plan | None:
        """What to do now; None when the position is where it should be, or something must be waited for."""
        for tracked in self._book.unsettled():
            plan = self._again(tracked, at)
            if plan is not None:
                return plan
        gap = self._gap(at)
        if gap is not None and gap.side is Side.SELL:
            return self._close_gap(gap, at)
        realise = self._book.pending_realise()
        if realise is not None:
            plan = self._realise(realise, at)
            if plan is not None:
                return plan
        return None if gap is None or realise is not None else self._close_gap(gap, at)

    def _gap(self, at: Situation, without: str = "") -> Gap | None:
        if at.target is None:
            return None
        working = self._book.working(without)
        return gap_to(at.target.short_qty, at.signed_qty, working, at.instrument, at.quote.mark)

    # ------------------------------------------------------------ new orders

    def _close_gap(self, gap: Gap, at: Situation) -> Send | None:
        if at.target is None or self._waits(gap.side, at):
            return None
        intent = self._book.latest_intent(self._prefix, at.target.version, gap.side)
        left = ZERO if intent is None else intent.qty - self._book.committed(intent)
        if intent is not None and left >= at.instrument.min_qty:
            if self._book.alive(intent):
                return None
            if not self._spent(intent, at):
                return self._send(intent, min(gap.qty, left), at, gap=self._book.gaps[at.target.version] - 1)
        number = self._book.gaps.get(at.target.version, 0)
        intent = IntentBook(gap_intent_id(self._prefix, at.target.version, number), gap.side, gap.qty)
        return self._send(intent, gap.qty, at, gap=number)

    def _spent(self, intent: IntentBook, at: Situation) -> bool:
        return self._book.misses(intent) >= attempts_in_all(at.execution)

    def _realise(self, realise: Realise, at: Situation) -> Send | RealiseEnd | None:
        intent_id = realise_intent_id(self._prefix, realise.request_id)
        intent = self._book.intents.get(intent_id)
        if intent is None:
            short = max(ZERO, -at.signed_qty - self._book.working().buy_qty)
            if short < realise.qty and self._book.unsettled():
                # Fills are still on their way: what can be realised is not known yet.
                return None
            qty = round_to_step(min(realise.qty, short), at.instrument.qty_step, "down")
            if qty < at.instrument.min_qty:
                return RealiseEnd(realise.request_id, ZERO)
            intent = IntentBook(intent_id, Side.BUY, qty, realise.request_id)
        if self._book.alive(intent):
            return None
        left = intent.qty - self._book.committed(intent)
        if left < at.instrument.min_qty or self._spent(intent, at):
            return RealiseEnd(realise.request_id, self._book.filled(intent))
        if self._waits(Side.BUY, at):
            return None
        short = max(ZERO, -at.signed_qty - self._book.working().buy_qty)
        return self._send(intent, min(left, short), at)

    def _send(self, intent: IntentBook, qty: Decimal, at: Situation, gap: int = 0) -> Send | None:
        goal = Goal(account=self._book.account, symbol=self._book.symbol, intent_id=intent.intent_id, side=intent.side)
        misses = self._book.misses(intent)
        request = attempt_order(goal, len(intent.links), misses, qty, at.quote, at.settings)
        if request is None:
            return None
        return Send(request=request, payload=self._payload(request, intent, at, gap))

    def _payload(self, request: OrderRequest, intent: IntentBook, at: Situation, gap: int) -> Payload:
        return {
            **request_payload(request),
            "intent_qty": str(intent.qty),
            "realise_id": intent.realise_id,
            "gap": gap,
            "target_version": at.target.version if at.target else 0,
            "target_qty": str(at.target.short_qty if at.target else ZERO),
            "position_qty": str(at.signed_qty),
            "level": (at.target.level if at.target else RiskLevel.SAFE).value,
            "mid": str(at.quote.mid),
            "mark": str(at.quote.mark),
            "quote_ms": at.quote.ts_ms,
            "reason": at.target.reason if at.target else "",
            "causation_id": at.target.causation_id if at.target else "",
        }

    def _waits(self, side: Side, at: Situation) -> bool:
        """An order at this very price, or a moment ago, did not fill: another one would not either."""
        return any(
            (tracked.quote_ms == at.quote.ts_ms or at.now_ms - tracked.sent_ms < at.execution.pause_ms)
            and tracked.state.request.side is side
            and tracked.state.status is not OrderStatus.FILLED
            for tracked in islice(reversed(self._book.orders.values()), 4)
        )

    # ------------------------------------------------------------ the same order again

    def _again(self, tracked: Tracked, at: Situation) -> Plan | None:
        """Send an order again under its own id when nothing of it is known and it is still needed."""
        if not tracked.unresolved or tracked.sends > tracked.answers:
            return None
        refused = tracked.state.status is OrderStatus.PENDING_SUBMIT
        if refused and at.now_ms - tracked.sent_ms < RETRY_AFTER_MS:
            return None
        if not refused and not self._looked_long_enough(tracked, at.now_ms):
            return None
        request = tracked.state.request
        needed = self._still_needed(request, at)
        if needed < at.instrument.min_qty:
            # Only a refusal proves that the venue has nothing; silence never does.
            return Drop(request.order_link_id, "refused, and not needed any more") if refused else None
        intent = self._book.intents.get(request.intent_id)
        misses = self._book.misses(intent) if intent is not None else 0
        again = same_order(request, misses, needed, at.quote, at.settings)
        return Send(request=again, payload={**request_payload(again), "send": tracked.sends + 1}, resend=True)

    def _looked_long_enough(self, tracked: Tracked, now_ms: int) -> bool:
        silent = tracked.state.status is OrderStatus.UNRESOLVED
        return silent and tracked.looks > 0 and now_ms - tracked.sent_ms >= RESEND_AFTER_MS

    def _still_needed(self, request: OrderRequest, at: Situation) -> Decimal:
        intent = self._book.intents.get(request.intent_id)
        if intent is not None and intent.realise_id:
            realise = self._book.realises.get(intent.realise_id)
            pending = realise is not None and not realise.done
            return min(request.qty, max(ZERO, -at.signed_qty)) if pending else ZERO
        gap = self._gap(at, without=request.order_link_id)
        return min(request.qty, gap.qty) if gap is not None and gap.side is request.side else ZERO
