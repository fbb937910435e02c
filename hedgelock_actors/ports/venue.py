"""The exchange account: orders in, truth out. Only approved orders can be sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import (
    AmendOutcome,
    AmendRequest,
    CancelOutcome,
    OrderRequest,
    OrderView,
    SubmitOutcome,
)
from hedgelock_actors.domain.position import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """The venue's word about a position. `signed_qty` < 0 is a short."""

    symbol: str
    ts_ms: int
    signed_qty: Decimal
    entry_price: Decimal
    mark: Decimal
    unrealised_pnl: Decimal
    liquidation_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """The unified account in USDT."""

    ts_ms: int
    wallet_usdt: Decimal
    equity_usdt: Decimal
    available_usdt: Decimal
    initial_margin_usdt: Decimal
    maintenance_margin_usdt: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanView:
    """One pooled crypto loan of the account, USDT borrowed against one coin."""

    loan_id: str
    ts_ms: int
    collateral_coin: str
    collateral: Decimal
    collateral_value_usd: Decimal
    """After the venue's tiered collateral ratio."""
    debt: Decimal
    lender_ltv: float
    haircut: float
    """Effective κ: value after the tiered ratio ÷ raw value at the collateral's index price; 1.0 when unknown price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLost:
    """A private stream was interrupted: anything may have been missed, reconcile by query."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRestored:
    """The private streams are subscribed (again)."""


PrivateEvent = OrderView | Execution | PositionView | WalletView | StreamLost | StreamRestored
PrivateHandler = Callable[[PrivateEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A window in which the venue announces that it does not trade; the end may be unknown (None)."""

    title: str
    begin_ms: int
    end_ms: int | None
    ongoing: bool


class VenueError(Exception):
    """A query failed; nothing is known. The message says what was asked and what came back."""


class Venue(Protocol):
    """One account on one venue."""

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        """Subscribe to topics among order, execution, position, wallet; events are handed over one by one."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...

    async def instrument(self, symbol: str) -> Instrument:
        """Filters and limits of a symbol. Raises VenueError."""
        ...

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        """Send an order. Never raises for what the venue or the network did: that is the outcome."""
        ...

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        """Ask for another price of a resting order; what then holds comes by the order stream. Never raises."""
        ...

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        """Ask for a cancel; the result comes by the order stream."""
        ...

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        """Cancel several at once (the venue's batch); outcomes in the order of the ids. Never raises."""
        ...

    async def maintenance(self) -> Sequence[Maintenance]:
        """Announced and ongoing windows that touch us, soonest first. Raises VenueError."""
        ...

    async def account_faults(self, symbol: str) -> Sequence[str]:
        """What about the account's settings forbids new orders: hedge mode, reduce-only set by the venue, a changed
        leverage or risk limit. Empty when all is as it must be. Raises VenueError.
        """
        ...

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        """Open and recently closed orders as the venue lists them. Raises VenueError."""
        ...

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        """Realtime, then history. None is *not* evidence of absence. Raises VenueError."""
        ...

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        """All executions since a time, oldest first (funding, liquidation and ADL included). Raises VenueError."""
        ...

    async def position(self, symbol: str) -> PositionView:
        """Raises VenueError."""
        ...

    async def wallet(self) -> WalletView:
        """Raises VenueError."""
        ...


class Loans(Protocol):
    """The lender and the Funding wallet of the same account."""

    async def loans(self) -> Sequence[LoanView]:
        """All open loans. Raises VenueError."""
        ...

    async def funding_wallet_usdt(self) -> Decimal:
        """USDT in the Funding wallet. Raises VenueError."""
        ...

    async def transferable_usdt(self) -> Decimal:
        """USDT that may leave the unified account now. Raises VenueError."""
        ...

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        """UNIFIED → FUND. The same `transfer_id` (a UUID) moves money once; a known id answers Accepted."""
        ...

    async def find_transfer(self, transfer_id: str) -> str | None:
        """SUCCESS, PENDING or FAILED; None if the venue shows nothing. Raises VenueError."""
        ...

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        """Repay the flexible USDT loan from the Funding wallet. Not idempotent on the venue: check before repeating."""
        ...
