"""Trades that were asked for beside the target: each carried out once, what filled of it kept apart from the target.

The sum of what trades have sold, less what they have bought back, is the *offset*: the short that is held is the
target's plus the offset, so that neither trades against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.codec import Payload, integer, text
from hedgelock_actors.domain.messages import HedgeTrade, TradeReported
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.ports.journal import Json, Record

KEPT = 1_000
IDS_KEPT = 50_000
TOLD_AGAIN = 10
DAY_MS = 86_400_000


@dataclass(slots=True)
class Trade:
    """One trade and what became of it so far."""

    command: HedgeTrade
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Σ qty × price of the fills, USDT."""
    maker_qty: Decimal = ZERO
    mode: str = ""
    orders: int = 0
    error: str = ""
    cancelled: bool = False
    done: bool = False
    over: str = ""
    """Why nothing more can come of it although not all of it filled; empty while something can."""

    @property
    def trade_id(self) -> str:
        """As its sender calls it."""
        return self.command.trade_id

    @property
    def asked(self) -> Mode | None:
        """The strategy it asks for."""
        return Mode(self.command.strategy) if self.command.strategy else None

    @property
    def fault(self) -> str:
        """Why it can never be carried out as asked; empty when it can."""
        command = self.command
        if command.qty <= ZERO:
            return "INVALID: the quantity must be greater than 0"
        if command.strategy and command.strategy not in list(Mode):
            return f"INVALID: no strategy is called {command.strategy}"
        if command.strategy == Mode.RESTING and command.limit_price is None:
            return "INVALID: a resting order needs the price at which it waits"
        return ""

    def report(self, now_ms: int) -> TradeReported:
        """Its full state now."""
        return TradeReported(
            account=self.command.account,
            symbol=self.command.symbol,
            trade_id=self.trade_id,
            ts_ms=now_ms,
            final=self.done,
            success=self.done and not self.error,
            side=self.command.side,
            qty=self.command.qty,
            filled_qty=self.filled,
            average_price=self.value / self.filled if self.filled > ZERO else None,
            mode=self.mode,
            maker_qty=self.maker_qty,
            taker_qty=self.filled - self.maker_qty,
            retries=max(0, self.orders - 1),
            error=self.error,
        )


class TradeBook:
    """A fold of the router's journal and of executions; owned by one worker."""

    def __init__(self) -> None:
        self.trades: dict[str, Trade] = {}
        self._open: dict[str, Trade] = {}
        self._known: dict[str, None] = {}
        """Ids of trades, longer remembered than the trades themselves."""
        self.offset = ZERO
        self._day = 0
        self._day_qty = ZERO
        self._changed: dict[str, None] = {}
        self._again: dict[str, None] = {}

    def replay(self, record: Record) -> None:
        """Fold one journal record."""
        payload = record.entry.payload
        match record.entry.kind:
            case "trade":
                self.take(HedgeTrade.model_validate(dict(payload)))
            case "trade_cancel":
                self.cancel(text(payload, "trade_id"))
            case "trade_done":
                self.end(text(payload, "trade_id"), text(payload, "error"))
                self._ended_before(payload)
            case _:
                pass

    def take(self, command: HedgeTrade) -> None:
        """A trade is to be carried out; a known one stays as it was."""
        if not self.knows(command.trade_id):
            self._known[command.trade_id] = None
            self.trades[command.trade_id] = self._open[command.trade_id] = Trade(command)

    def knows(self, trade_id: str) -> bool:
        """It was asked for before."""
        return trade_id in self._known

    def _ended_before(self, payload: Payload) -> None:
        """Whoever asked may not have heard of the end: the newest ones are told again."""
        trade_id = text(payload, "trade_id")
        trade = self.trades.get(trade_id)
        if trade is not None:
            trade.mode, trade.orders = text(payload, "mode"), integer(payload, "orders")
            self._again[trade_id] = None
        while len(self._again) > TOLD_AGAIN:
            del self._again[next(iter(self._again))]

    def tell_again(self, trade_id: str) -> None:
        """Whoever asked asks again: the state is to be reported."""
        if trade_id in self.trades:
            self._again[trade_id] = None

    def cancel(self, trade_id: str) -> None:
        """Nothing more is to be traded for it."""
        trade = self.trades.get(trade_id)
        if trade is not None:
            trade.cancelled = True

    def end(self, trade_id: str, error: str) -> None:
        """It is over; `error` "" when it succeeded."""
        trade = self.trades.get(trade_id)
        if trade is not None:
            trade.done, trade.error = True, error
            self._open.pop(trade_id, None)
        for old in [one.trade_id for one in self.trades.values() if one.done][: max(0, len(self.trades) - KEPT)]:
            del self.trades[old]
        while len(self._known) > IDS_KEPT:
            del self._known[next(iter(self._known))]

    def executed(self, trade_id: str, execution: Execution) -> None:
        """One fill of one of its orders, told once."""
        self.offset -= execution.side.sign * execution.qty
        day = execution.ts_ms // DAY_MS
        self._day_qty = self._day_qty + execution.qty if day == self._day else execution.qty
        self._day = day
        trade = self.trades.get(trade_id)
        if trade is not None:
            trade.filled += execution.qty
            trade.value += execution.qty * execution.price
            trade.maker_qty += execution.qty if execution.is_maker else ZERO
            self._changed[trade_id] = None

    def pending(self) -> Trade | None:
        """The oldest that is not over."""
        return next(iter(self._open.values()), None)

    def traded_today(self, now_ms: int) -> Decimal:
        """What filled of all trades since midnight UTC, either side."""
        return self._day_qty if now_ms // DAY_MS == self._day else ZERO

    def can_take_back(self, trade: Trade, outstanding: Decimal) -> Decimal:
        """The most that a trade may still ask for: a buy only takes back what trades have added. `outstanding`: what
        orders of trades may yet add to the short.
        """
        if trade.command.side is Side.SELL:
            return trade.command.qty
        return min(trade.command.qty, max(ZERO, self.offset + min(ZERO, outstanding)))

    def reports(self, now_ms: int) -> list[tuple[str, TradeReported]]:
        """(to whom, what) for each trade of which something changed since this was last asked."""
        if not self._changed and not self._again:
            return []
        changed = [self.trades[one] for one in self._changed if one in self.trades and not self.trades[one].done]
        changed += [self.trades[one] for one in self._again if one in self.trades]
        self._changed.clear()
        self._again.clear()
        return [(one.command.reply_to, one.report(now_ms)) for one in changed]


def trade_payload(command: HedgeTrade) -> dict[str, Json]:
    """A trade as the journal keeps it."""
    return command.model_dump(mode="json")


def done_payload(trade: Trade, error: str) -> Payload:
    """The end of a trade as the journal keeps it."""
    return {
        "trade_id": trade.trade_id,
        "error": error,
        "filled": str(trade.filled),
        "mode": trade.mode,
        "orders": trade.orders,
    }
