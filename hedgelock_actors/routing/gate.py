"""What the gate is told when an order is about to leave: everything known, at this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from hedgelock_actors.domain.gate_context import OpenOrder, RecentOrder, TradeBudget
from hedgelock_actors.domain.limits import GateContext
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.routing.book import IntentBook, RouterBook, Tracked
from hedgelock_actors.routing.state import RouterState
from hedgelock_actors.routing.trades import TradeBook

MINUTE_MS = 60_000
PHANTOM_MS = 10_000


class GateFacts:
    """Gathers the context of one account and symbol. `writer`: whether we may write for the account at all."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        trades: TradeBook,
        ledger: ExecutionLedger,
        *,
        clock: Clock,
        latch: Latch,
        environment: str,
        duplicate_window_ms: int,
        writer: Callable[[], bool],
    ) -> None:
        self._state, self._book, self._trades, self._ledger = state, book, trades, ledger
        self._clock, self._latch, self._environment, self._writer = clock, latch, environment, writer
        self._duplicate_window_ms = duplicate_window_ms

    @property
    def epoch(self) -> int:
        """Of the trading state now."""
        return self._latch.state().epoch

    def context(self, instrument: Instrument, intent_id: str, *, epoch: int, resend: bool = False) -> GateContext:
        """For an order of this intent that was decided in this epoch."""
        state, book, now_ms = self._state, self._book, self._clock.now_ms()
        intent = book.intents.get(intent_id)
        recent = [one for one in book.recent(now_ms) if now_ms - one.sent_ms < MINUTE_MS]
        realised, fees = self._ledger.today(now_ms)
        return GateContext(
            now_ms=now_ms,
            account=state.account,
            environment=self._environment,
            instrument=instrument,
            quote=state.quote,
            position_qty=self._ledger.fold.signed_qty,
            position_ms=state.position_ms,
            reconciled=state.reconciled and not state.blind,
            working=book.working(),
            intents=book.intent_view(intent_id),
            recent_order_ms=tuple(book.sent_ms),
            last_good_price=state.last_good,
            trading=self._latch.state(),
            epoch=epoch,
            writer=self._writer(),
            level=state.level,
            resend=resend,
            # A resend adds nothing to the worst case: what its first send may do is not undone by refusing it.
            target_short_qty=None if resend else self._wanted_short(intent),
            restrictions=tuple(state.restrictions.values()),
            available_usdt=state.available_usdt,
            liquidation_price=state.liquidation_price,
            money_ms=state.money_ms,
            notional_last_minute_usdt=self._notional(recent),
            funding_rate=state.funding_rate,
            open_orders=_open_orders(book.unsettled(), now_ms),
            recent_orders=_recent_orders(one for one in recent if now_ms - one.sent_ms < self._duplicate_window_ms),
            recent_amend_ms=tuple(book.amended_ms),
            realised_today_usdt=realised,
            fees_today_usdt=fees,
            trade=self._budget(intent, now_ms),
        )

    def _wanted_short(self, intent: IntentBook | None) -> Decimal | None:
        target = self._state.target
        if target is None or intent is None or intent.realise_id or intent.trade_id:
            return None
        if target.exact:
            return target.short_qty
        return max(ZERO, target.short_qty + self._trades.offset + self._book.trade_working())

    def _budget(self, intent: IntentBook | None, now_ms: int) -> TradeBudget | None:
        if intent is None or not intent.trade_id:
            return None
        working = sum((one.state.outstanding_qty for one in self._book.of_trades()), ZERO)
        return TradeBudget(traded_today_qty=self._trades.traded_today(now_ms) + working)

    def _notional(self, recent: Iterable[Tracked]) -> Decimal:
        mark = self._state.quote.mark if self._state.quote is not None else ZERO
        return sum((one.effect_qty * (one.state.request.price or mark) for one in recent), ZERO)


def _open_orders(unsettled: Iterable[Tracked], now_ms: int) -> tuple[OpenOrder, ...]:
    """What may stand in our own way; what the venue has not shown for long must not stop protection."""
    return tuple(
        OpenOrder(
            order_link_id=one.link,
            side=one.state.request.side,
            price=one.price,
            qty=one.state.worst_case_qty,
            rests=one.state.request.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY),
        )
        for one in unsettled
        if not one.state.terminal and one.state.worst_case_qty > ZERO and not _is_phantom(one, now_ms)
    )


def _is_phantom(tracked: Tracked, now_ms: int) -> bool:
    return tracked.unresolved and now_ms - tracked.sent_ms >= PHANTOM_MS


def _recent_orders(recent: Iterable[Tracked]) -> tuple[RecentOrder, ...]:
    return tuple(
        RecentOrder(
            intent_id=one.state.request.intent_id,
            side=one.state.request.side,
            price=one.state.request.price,
            qty=one.state.request.qty,
            sent_ms=one.sent_ms,
        )
        for one in recent
        if one.effect_qty > ZERO
    )
