"""Public market data in: raw but typed events of one venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """The venue's order book as it stands, best level first; (price, qty)."""

    symbol: str
    ts_ms: int
    update_id: int
    bids: Sequence[tuple[Decimal, Decimal]]
    asks: Sequence[tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerView:
    """Last, mark, index and funding of a symbol, deltas already merged. Turnover is 0 while the venue has told none."""

    symbol: str
    ts_ms: int
    last: Decimal
    mark: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_ms: int
    turnover_24h_usdt: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBroken:
    """The stream of a symbol is gapped or disconnected: forget what it said until the next snapshot."""

    symbol: str
    reason: str


MarketEvent = BookView | TickerView | FeedBroken
MarketHandler = Callable[[MarketEvent], Awaitable[None]]


class MarketData(Protocol):
    """Subscribes, reconnects and keeps books by itself; hands over events one after the other, in order."""

    async def start(self, symbols: Sequence[str], handler: MarketHandler) -> None:
        """Connect and deliver, one event at a time; books and tickers conflate while the handler runs."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...
