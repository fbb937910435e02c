"""What the exchange pushes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.market_views import BookView, KlineView, TickerView, TradeView
from hedgelock_actors.simulator.views import ExecutionView, OrderView, PositionView, WalletView
from hedgelock_actors.simulator.words import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdate:
    """Private `order` push."""

    order: OrderView


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Private `execution` push."""

    execution: ExecutionView


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUpdate:
    """Private `position` push (also after create, amend and cancel)."""

    position: PositionView


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletUpdate:
    """Private `wallet` push; `coin` is the coin that changed."""

    wallet: WalletView
    coin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """The book has a new state. `book_stream.BookStream` turns these into snapshots and deltas of a depth."""

    book: BookView


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerChanged:
    """Public `tickers`."""

    ticker: TickerView


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrades:
    """Public `publicTrade`."""

    trades: tuple[TradeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineChanged:
    """The running one-minute bar, or its completion. Longer intervals: `ExchangeApi.klines(..., limit=1)`."""

    kline: KlineView


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """Public `allLiquidation`: side Buy = a long was liquidated; price = bankruptcy price."""

    symbol: str
    side: Side
    size: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLimit:
    """Public `priceLimit`."""

    symbol: str
    buy_limit: Decimal
    sell_limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanEvent:
    """Venue-internal (no stream has it): kind margin_call, recovered, liquidated."""

    kind: str
    ltv: Decimal


Payload = (
    OrderUpdate
    | Execution
    | PositionUpdate
    | WalletUpdate
    | BookChanged
    | TickerChanged
    | PublicTrades
    | KlineChanged
    | Liquidation
    | PriceLimit
    | LoanEvent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at `ts_ms`; `uid` None = public."""

    ts_ms: int
    uid: str | None
    symbol: str | None
    payload: Payload
