"""One one-way position: signed lots, average entry, realised PnL."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.ledger import money
from hedgelock_actors.simulator.words import ZERO, Side


@dataclass(frozen=True, slots=True)
class Closing:
    """What a fill closed: lots, their entry value, the PnL before fees, and the fees paid when they were opened."""

    lots: int
    entry_value: Decimal
    pnl: Decimal
    open_fee: Decimal


@dataclass(slots=True, kw_only=True)
class Position:
    """`lots` > 0 long, < 0 short; `cost` is the entry value of what is open, ≥ 0."""

    symbol: str
    lots: int = 0
    cost: Decimal = ZERO
    open_fees: Decimal = ZERO
    cur_realised: Decimal = ZERO
    cum_realised: Decimal = ZERO
    status: str = "Normal"
    created_ms: int = 0
    updated_ms: int = 0
    open_ms: int = 0

    @property
    def side(self) -> Side | None:
        """Buy for long, Sell for short, None when flat."""
        if self.lots == 0:
            return None
        return "Buy" if self.lots > 0 else "Sell"

    def unrealised(self, mark_value: Decimal) -> Decimal:
        """PnL of the open part, given |lots| × mark."""
        if self.lots == 0:
            return ZERO
        return mark_value - self.cost if self.lots > 0 else self.cost - mark_value

    def apply(self, side: Side, lots: int, value: Decimal, fee: Decimal, now_ms: int) -> Closing:
        """Take a fill of `lots` for `value` USDT and `fee`; what it closes is settled at average entry."""
        signed = lots if side == "Buy" else -lots
        against = self.lots * signed < 0
        closed = min(abs(self.lots), lots) if against else 0
        closing = self._close(closed, value * closed / lots if closed else ZERO)
        opened = lots - closed
        if opened:
            if self.lots == 0:
                self.open_ms = now_ms
                self.cur_realised = ZERO if not closed else closing.pnl
                self.created_ms = self.created_ms or now_ms
            self.cost += value * opened / lots
            self.open_fees += fee * opened / lots
            self.lots += opened if signed > 0 else -opened
        self.updated_ms = now_ms
        return closing

    def _close(self, closed: int, exit_value: Decimal) -> Closing:
        if closed == 0:
            return Closing(0, ZERO, ZERO, ZERO)
        whole = closed == abs(self.lots)
        entry = self.cost if whole else self.cost * closed / abs(self.lots)
        pnl = money(exit_value - entry if self.lots > 0 else entry - exit_value)
        open_fee = self.open_fees if whole else self.open_fees * closed / abs(self.lots)
        self.cost = ZERO if whole else self.cost - entry
        self.open_fees = ZERO if whole else self.open_fees - open_fee
        self.lots += -closed if self.lots > 0 else closed
        self.realise(pnl)
        return Closing(closed, entry, pnl, money(open_fee))

    def realise(self, amount: Decimal) -> None:
        """Book a realised amount (closing PnL, fee as negative, funding)."""
        self.cur_realised += amount
        self.cum_realised += amount
