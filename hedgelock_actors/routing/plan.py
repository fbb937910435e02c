"""What the router would do next: a pure function of what it knows. One goal at a time, protection first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from hedgelock_actors.codec import request_payload
from hedgelock_actors.domain.gap import Gap, gap_to, price_through_mid
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO, round_to_step
from hedgelock_actors.domain.order import OrderRequest, OrderStatus, Side, TimeInForce
from hedgelock_actors.execution.strategy import Book, Goal, Mode
from hedgelock_actors.ports.journal import Json
from hedgelock_actors.routing.book import (
    SHOWN_BY_MS,
    IntentBook,
    Realise,
    RouterBook,
    Tracked,
    gap_intent_id,
    realise_intent_id,
    trade_intent_id,
)
from hedgelock_actors.routing.state import RouterState
from hedgelock_actors.routing.trades import Trade, TradeBook

RESEND_AFTER_MS = 10_000
"""Longer than the venue's receive window (5 s): a request still under way by then would be refused for its age."""
RETRY_AFTER_MS = 1_000
LOOKS_TO_PROVE = 2
FORGOTTEN_MS = 86_400_000
NEVER_ARRIVED = "looked for, not found, and too late to arrive"
OVERRIDDEN = "TARGET_OVERRIDDEN"
"""Why a trade ends: a person holds the target, and nothing is held beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that the next step depends on, beside the books."""

    now_ms: int
    state: RouterState
    market: Book
    instrument: Instrument
    signed_qty: Decimal
    limits: Limits

    @property
    def quote(self) -> Quote:
        """The prices."""
        return self.market.quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Send this order again under its own id; `payload` is what the journal keeps of it."""

    request: OrderRequest
    payload: Mapping[str, Json]


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


@dataclass(frozen=True, slots=True)
class TradeEnd:
    """This trade is over; `error` "" when it succeeded."""

    trade: Trade
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginGoal:
    """Have a strategy work on this intent. `asked`: by that one."""

    goal: Goal
    intent: IntentBook
    asked: Mode | None = None


Plan = Resend | Drop | RealiseEnd | TradeEnd | BeginGoal


class Planner:
    """The router's mind for one account and symbol."""

    def __init__(self, book: RouterBook, trades: TradeBook) -> None:
        self._book, self._trades = book, trades
        self._prefix = f"{book.account}:{book.symbol}"

    def next_goal(self, at: Situation) -> BeginGoal | RealiseEnd | TradeEnd | None:
        """What to begin (or to end) when no strategy is at work; None when the position is where it should be, or
        something must be waited for.
        """
        gap = self._gap(at)
        if gap is not None and gap.side is Side.SELL:
            return self._close_gap(gap, at)
        realise = self._book.pending_realise()
        if realise is not None:
            plan = self._realise(realise, at)
            if plan is not None:
                return plan
        elif gap is not None:
            return self._close_gap(gap, at)
        trade = self._trades.pending()
        return None if trade is None else self._trade(trade, at)

    def again(self, at: Situation, owned: Collection[str] = ()) -> Resend | Drop | None:
        """An order of which nothing is known, and that is to go out again under its own id (or is not needed).

        `owned`: the orders of the strategy at work; what nobody follows any more is to fill at once or not at all.
        """
        for tracked in self._book.unsettled():
            plan = self._again(tracked, at, tracked.link in owned)
            if plan is not None:
                return plan
        return None

    def missing(self, at: Situation, without: Collection[str] = ()) -> Decimal:
        """How much short is missing (> 0) or too much (< 0), with some orders left out; not on any grid."""
        if at.state.target is None:
            return ZERO
        working = self._book.working(without)
        return self._wanted_short(at, without) + at.signed_qty - working.sell_qty + working.buy_qty

    def has_gap(self, at: Situation, without: Collection[str] = ()) -> bool:
        """There is a gap large enough to be ordered, with some orders left out."""
        return self._gap(at, without) is not None

    def _wanted_short(self, at: Situation, without: Collection[str] = ()) -> Decimal:
        target = at.state.target.short_qty if at.state.target is not None else ZERO
        if _exact(at):
            return target
        return max(ZERO, target + self._trades.offset + self._book.trade_working(without))

    def _gap(self, at: Situation, without: Collection[str] = ()) -> Gap | None:
        if at.state.target is None:
            return None
        working = self._book.working(without)
        return gap_to(self._wanted_short(at, without), at.signed_qty, working, at.instrument, at.quote.mark)

    # ------------------------------------------------------------ goals

    def _close_gap(self, gap: Gap, at: Situation) -> BeginGoal | None:
        if at.state.target is None:
            return None
        version = at.state.target.version
        intent = self._book.latest_intent(self._prefix, version, gap.side)
        if intent is not None and not intent.ended:
            left = intent.qty - self._book.committed(intent)
            if left >= at.instrument.min_qty:
                return None if self._book.alive(intent) else self._begin(intent, min(gap.qty, left), at)
        number = self._book.gaps.get(version, 0)
        intent = IntentBook(gap_intent_id(self._prefix, version, number), gap.side, gap.qty, gap=number)
        return self._begin(intent, gap.qty, at)

    def _realise(self, realise: Realise, at: Situation) -> BeginGoal | RealiseEnd | None:
        intent_id = realise_intent_id(self._prefix, realise.request_id)
        intent = self._book.intents.get(intent_id)
        if intent is None:
            short = self._short(at)
            if short < realise.qty and self._book.unsettled():
                # Fills are still on their way: what can be realised is not known yet.
                return None
            qty = round_to_step(min(realise.qty, short), at.instrument.qty_step, "down")
            if qty < at.instrument.min_qty:
                return RealiseEnd(realise.request_id, ZERO)
            intent = IntentBook(intent_id, Side.BUY, qty, realise.request_id)
        if self._book.alive(intent):
            return None
        left = min(intent.qty - self._book.committed(intent), self._short(at))
        if left < at.instrument.min_qty or intent.ended:
            return RealiseEnd(realise.request_id, self._book.filled(intent))
        return self._begin(intent, left, at, Mode.AGGRESSIVE)

    def _trade(self, trade: Trade, at: Situation) -> BeginGoal | TradeEnd | None:
        intent_id = trade_intent_id(self._prefix, trade.trade_id)
        intent = self._book.intents.get(intent_id)
        if intent is None:
            return self._new_trade(trade, intent_id, at)
        if self._book.alive(intent):
            return None
        left = intent.qty - self._book.committed(intent)
        if left < at.instrument.min_qty:
            return TradeEnd(trade, "" if intent.qty >= trade.command.qty - at.instrument.qty_step else "CUT_SHORT")
        if _exact(at):
            return TradeEnd(trade, OVERRIDDEN)
        if trade.cancelled or trade.over or intent.ended:
            return TradeEnd(trade, "CANCELLED" if trade.cancelled else trade.over or trade.error or "NOT_FILLED")
        return self._begin(intent, left, at, trade.asked, trade)

    def _new_trade(self, trade: Trade, intent_id: str, at: Situation) -> BeginGoal | TradeEnd:
        command = trade.command
        if trade.cancelled or trade.fault or trade.over:
            return TradeEnd(trade, trade.fault or trade.over or "CANCELLED")
        if command.expires_ms is not None and at.now_ms > command.expires_ms:
            return TradeEnd(trade, "EXPIRED")
        if _exact(at):
            return TradeEnd(trade, OVERRIDDEN)
        most = self._trades.can_take_back(trade, self._book.trade_working())
        qty = round_to_step(min(command.qty, most), at.instrument.qty_step, "down")
        if qty < at.instrument.min_qty:
            return TradeEnd(trade, "NOTHING_TO_TAKE_BACK" if command.side is Side.BUY else "BELOW_VENUE_MIN_QTY")
        intent = IntentBook(intent_id, command.side, qty, trade_id=trade.trade_id)
        return self._begin(intent, qty, at, trade.asked, trade)

    def _begin(
        self, intent: IntentBook, qty: Decimal, at: Situation, asked: Mode | None = None, trade: Trade | None = None
    ) -> BeginGoal:
        if intent.decided_mid <= ZERO:
            intent.decided_mid = at.quote.mid
        goal = Goal(
            account=self._book.account,
            symbol=self._book.symbol,
            intent_id=intent.intent_id,
            side=intent.side,
            qty=qty,
            level=at.state.level,
            decided_mid=intent.decided_mid,
            first_attempt=intent.next_attempt,
            misses=self._book.misses(intent),
            limit_price=trade.command.limit_price if trade is not None else None,
            reference_price=trade.command.reference_price if trade is not None else None,
            must_fill=trade is None,
        )
        return BeginGoal(goal=goal, intent=intent, asked=asked)

    def _short(self, at: Situation) -> Decimal:
        return max(ZERO, -at.signed_qty - self._book.working().buy_qty)

    # ------------------------------------------------------------ the same order again

    def _again(self, tracked: Tracked, at: Situation, owned: bool) -> Resend | Drop | None:
        """Send an order again under its own id when nothing of it is known and it is still needed."""
        if not tracked.unresolved or tracked.sends > tracked.answers:
            return None
        refused = tracked.state.status is OrderStatus.PENDING_SUBMIT
        if refused and at.now_ms - tracked.sent_ms < RETRY_AFTER_MS:
            return None
        if not refused and not _looked_long_enough(tracked, at.now_ms):
            return None
        needed = self._still_needed(tracked.state.request, at)
        if needed < at.instrument.min_qty:
            if refused:
                return Drop(tracked.link, "refused, and not needed any more")
            # Silence alone proves nothing; that it is too late to arrive, and everything else agrees, does.
            return Drop(tracked.link, NEVER_ARRIVED) if _never_arrived(tracked, at) else None
        again = same_order(tracked, needed, at.quote, at.limits, at.instrument, may_rest=owned)
        return Resend(request=again, payload=_resend_payload(again, tracked.sends + 1, at))

    def _still_needed(self, request: OrderRequest, at: Situation) -> Decimal:
        intent = self._book.intents.get(request.intent_id)
        if intent is not None and intent.trade_id:
            trade = self._trades.trades.get(intent.trade_id)
            return request.qty if trade is not None and not trade.done and not trade.cancelled else ZERO
        if intent is not None and intent.realise_id:
            realise = self._book.realises.get(intent.realise_id)
            pending = realise is not None and not realise.done
            return min(request.qty, max(ZERO, -at.signed_qty)) if pending else ZERO
        gap = self._gap(at, without=(request.order_link_id,))
        return min(request.qty, gap.qty) if gap is not None and gap.side is request.side else ZERO


def same_order(
    tracked: Tracked, qty: Decimal, quote: Quote, limits: Limits, instrument: Instrument, *, may_rest: bool
) -> OrderRequest:
    """The same attempt to be sent again: its own id and type, for not more than before, at its own price as far as
    that is still within what we may pay (and, if it is to rest, not beyond the touch).

    Unless it `may_rest`, an order that was to rest is sent to fill at once.
    """
    request = tracked.state.request
    if request.price is None:
        return replace(request, qty=min(request.qty, qty))
    selling = request.side is Side.SELL
    if tracked.resting and may_rest:
        touch = quote.touch(not selling)
        price = max(request.price, touch) if selling else min(request.price, touch)
    else:
        worst = price_through_mid(request.side, quote, limits.max_slippage_bps, instrument)
        near = quote.touch(selling)
        price = max(worst, min(request.price, near)) if selling else min(worst, max(request.price, near))
    time_in_force = request.time_in_force if may_rest else TimeInForce.IOC
    return replace(request, price=price, qty=min(request.qty, qty), time_in_force=time_in_force)


def _resend_payload(request: OrderRequest, send: int, at: Situation) -> Mapping[str, Json]:
    target = at.state.target
    return {
        **request_payload(request),
        "send": send,
        "target_version": target.version if target else 0,
        "target_qty": str(target.short_qty if target else ZERO),
        "position_qty": str(at.signed_qty),
        "quote_ms": at.quote.ts_ms,
        "sent_ms": at.now_ms,
    }


def _never_arrived(tracked: Tracked, at: Situation) -> bool:
    """Too late for the venue to take it, long enough for the venue to show it, not shown, and the position agrees.

    Beyond a day the venue forgets what it rejected: then a person must find out.
    """
    looked = tracked.missed_looks >= LOOKS_TO_PROVE and at.now_ms - tracked.sent_ms < FORGOTTEN_MS
    return looked and at.state.reconciled and at.state.position_ms - tracked.sent_ms >= SHOWN_BY_MS


def _looked_long_enough(tracked: Tracked, now_ms: int) -> bool:
    silent = tracked.state.status is OrderStatus.UNRESOLVED
    return silent and tracked.looks > 0 and now_ms - tracked.sent_ms >= RESEND_AFTER_MS


def _exact(at: Situation) -> bool:
    return at.state.target is not None and at.state.target.exact
