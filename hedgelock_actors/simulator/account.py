"""Everything the exchange keeps about one uid, beside the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.position import Position
from hedgelock_actors.simulator.truth import Truth
from hedgelock_actors.simulator.views import (
    AdjustRecord,
    BorrowRecord,
    ClosedPnlRecord,
    ExecutionView,
    RepayRecord,
    TransactionRecord,
    TransferRecord,
)


@dataclass(slots=True)
class LoanState:
    """Interest still unpaid by currency (part of the ledger's debt), and where the loan stands."""

    interest: dict[str, Decimal] = field(default_factory=dict)
    status: str = "healthy"
    busy_until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """How an account is set up. `position_mode` 0 is one-way, 3 hedge; `reduce_only` is set by the venue."""

    reduce_only: bool = False
    position_mode: int = 0
    margin_mode: str = "REGULAR_MARGIN"
    unified_status: int = 6


@dataclass(slots=True, eq=False)
class Account:
    """Orders by id and by client id (for ever), positions, histories oldest first."""

    uid: str
    leverage: dict[str, Decimal]
    positions: dict[str, Position]
    truth: Truth
    orders: dict[str, Order] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    by_link: dict[str, str] = field(default_factory=dict)
    executions: list[ExecutionView] = field(default_factory=list)
    transactions: list[TransactionRecord] = field(default_factory=list)
    closed: list[ClosedPnlRecord] = field(default_factory=list)
    transfers: dict[str, TransferRecord] = field(default_factory=dict)
    loan: LoanState = field(default_factory=LoanState)
    settings: AccountSettings = AccountSettings()
    borrows: list[BorrowRecord] = field(default_factory=list)
    repays: list[RepayRecord] = field(default_factory=list)
    adjusts: list[AdjustRecord] = field(default_factory=list)
    last_effect_ms: int = 0
    last_push_ms: int = 0

    def live_of(self, symbol: str) -> list[Order]:
        """Orders of a symbol that may still trade."""
        return [order for order in self.live.values() if order.symbol == symbol]

    def lookup(self, symbol: str | None, order_id: str, link_id: str) -> Order | None:
        """By id (wins) or client id."""
        order = self.orders.get(order_id or self.by_link.get(link_id, ""))
        return None if order is None or (symbol is not None and order.symbol != symbol) else order

    def reduce_only_lots(self, symbol: str) -> int:
        """Lots promised to live reduce-only orders, those on their way included."""
        return sum(order.left for order in self.live_of(symbol) if order.reduce_only)

    def reduce_only_booked(self, symbol: str, but: Order) -> int:
        """Lots promised to the reduce-only orders that have arrived, without `but`."""
        booked = [order for order in self.live_of(symbol) if order.reduce_only and order.shown_open]
        return sum(order.left for order in booked if order is not but)

    def busy(self) -> bool:
        """Whether the account needs a margin check at a tick."""
        return any(position.lots for position in self.positions.values())
