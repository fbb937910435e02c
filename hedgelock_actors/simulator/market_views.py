"""What everybody may see of a market."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.words import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerView:
    """A linear ticker."""

    symbol: str
    ts_ms: int
    seq: int
    last_price: Decimal
    mark_price: Decimal
    index_price: Decimal
    prev_price_24h: Decimal
    prev_price_1h: Decimal
    high_price_24h: Decimal
    low_price_24h: Decimal
    price_24h_pcnt: Decimal
    turnover_24h: Decimal
    volume_24h: Decimal
    open_interest: Decimal
    open_interest_value: Decimal
    funding_rate: Decimal
    next_funding_ms: int
    funding_interval_hour: int
    funding_cap: Decimal
    bid1_price: Decimal
    bid1_size: Decimal
    ask1_price: Decimal
    ask1_size: Decimal
    tick_direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """The whole book, best first, as texts ready for the wire: ((price, size), ...). `u` grows by 1 per change."""

    symbol: str
    ts_ms: int
    u: int
    seq: int
    bids: tuple[tuple[str, str], ...]
    asks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """A public trade; `side` is the taker's."""

    symbol: str
    trade_id: str
    ts_ms: int
    side: Side
    price: Decimal
    size: Decimal
    tick_direction: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineView:
    """One bar; `confirmed` when it is complete."""

    symbol: str
    interval: str
    start_ms: int
    end_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRecord:
    """A settled funding rate."""

    symbol: str
    rate: Decimal
    ts_ms: int
