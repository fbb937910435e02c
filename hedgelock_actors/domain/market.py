"""Instruments and prices, and what makes a price fit to decide on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.money import ZERO

ASSETS = MappingProxyType({"BTC": "BTCUSDT", "ETH": "ETHUSDT", "LTC": "LTCUSDT", "XRP": "XRPUSDT"})
"""Collateral coin → the perpetual that hedges it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Filters and limits of one linear perpetual, as the venue states them (loaded, never constants of ours)."""

    symbol: str
    base_coin: str
    tick_size: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    """Largest limit order."""
    max_market_qty: Decimal
    min_notional: Decimal
    """USDT."""
    funding_interval_min: int
    max_leverage: Decimal
    price_limit_ratio: Decimal
    """How far from the mark a limit price may lie, as a ratio (priceLimitRatioX)."""

    def __post_init__(self) -> None:
        for name in ("tick_size", "qty_step", "min_qty", "max_qty", "max_market_qty"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= ZERO:
                raise InvalidInput(f"instrument.{name}", f"must be greater than 0, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Prices of one symbol at one time of the venue (ms), USDT per unit."""

    ts_ms: int
    last: Decimal
    mark: Decimal
    index: Decimal
    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        """Half-way between bid and ask."""
        return (self.bid + self.ask) / 2

    def touch(self, selling: bool) -> Decimal:
        """The first price that a market order meets: the bid for a sell, the ask for a buy."""
        return self.bid if selling else self.ask

    @property
    def lender_price(self) -> Decimal:
        """What the lender values collateral at: the lower of last and index."""
        return min(self.last, self.index)

    @property
    def spread_bps(self) -> float:
        """Ask less bid, in basis points of the mid."""
        return float((self.ask - self.bid) / self.mid) * 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePolicy:
    """What is absurd, and what is too old."""

    max_jump: float = 0.30
    """A move of one tick, as a ratio, that needs the agreement of index, mark and last."""
    max_divergence: float = 0.10
    """How far mark, index, last and mid may lie apart, as a ratio of the index. Real crashes have shown several percent
    between perpetual and spot, and a hedge must still be possible then."""
    max_age_ms: int = 10_000
    max_ahead_ms: int = 1_000
    """How far a venue time may lie ahead of our clock."""
    max_spread: float = 0.05


@dataclass(frozen=True, slots=True)
class Suspect:
    """A quote not to be used, and why. What was good before stays in use until it is stale."""

    reason: str


def check_quote(new: Quote, previous: Quote | None, policy: QuotePolicy, now_ms: int) -> Quote | Suspect:
    """The quote, or why it must not be used.

    A jump beyond `max_jump` passes only when last, mark, index and mid moved together: one print moves one of them.
    """
    found = _bad_number(new) or _bad_time(new, previous, policy, now_ms) or _bad_book(new, policy)
    if found is not None:
        return Suspect(found)
    apart = _divergence(new)
    if apart > policy.max_divergence:
        jumped = previous is not None and _jump(new, previous) > policy.max_jump
        return Suspect(f"{'jump of one source: ' if jumped else ''}last, mark, index and mid lie {apart:.1%} apart")
    if previous is not None and _jump(new, previous) > policy.max_jump and apart > policy.max_divergence / 2:
        return Suspect(f"jump of {_jump(new, previous):.1%} in one tick without agreement of the sources")
    return new


def stale_ms(quote: Quote, now_ms: int) -> int:
    """Age of a quote in ms (never negative)."""
    return max(0, now_ms - quote.ts_ms)


def _prices(quote: Quote) -> tuple[Decimal, ...]:
    return (quote.last, quote.mark, quote.index, quote.bid, quote.ask)


def _bad_number(quote: Quote) -> str | None:
    for field in fields(quote):
        value = getattr(quote, field.name)
        if isinstance(value, Decimal) and (not value.is_finite() or value <= ZERO):
            return f"{field.name} is {value}"
    return None


def _bad_time(new: Quote, previous: Quote | None, policy: QuotePolicy, now_ms: int) -> str | None:
    if previous is not None and new.ts_ms < previous.ts_ms:
        return f"older than the previous one by {previous.ts_ms - new.ts_ms} ms"
    if stale_ms(new, now_ms) > policy.max_age_ms:
        return f"stale: {stale_ms(new, now_ms)} ms old"
    if new.ts_ms - now_ms > policy.max_ahead_ms:
        return f"from the future: {new.ts_ms - now_ms} ms ahead"
    return None


def _bad_book(quote: Quote, policy: QuotePolicy) -> str | None:
    if quote.bid >= quote.ask:
        return f"crossed book: bid {quote.bid}, ask {quote.ask}"
    if quote.spread_bps > policy.max_spread * 10_000.0:
        return f"spread of {quote.spread_bps:.0f} bps"
    return None


def _divergence(quote: Quote) -> float:
    sources = (quote.last, quote.mark, quote.index, quote.mid)
    return float((max(sources) - min(sources)) / quote.index)


def _jump(new: Quote, previous: Quote) -> float:
    return max(abs(float(a / b) - 1.0) for a, b in zip(_prices(new), _prices(previous), strict=True))


def depth_within(levels: Iterable[tuple[Decimal, Decimal]], mid: Decimal, ratio: float) -> float:
    """USDT resting within `ratio` of the mid, for one side of a book given as (price, qty), best level first.

    Raises:
        InvalidInput: a mid that is not positive, or a ratio outside (0, 1).
    """
    if not mid.is_finite() or mid <= ZERO:
        raise InvalidInput("mid", f"must be greater than 0, not {mid}")
    if not 0.0 < ratio < 1.0:
        raise InvalidInput("ratio", f"must be between 0 and 1, not {ratio}")
    reach = mid * Decimal(repr(ratio))
    return float(sum((price * qty for price, qty in levels if abs(price - mid) <= reach), ZERO))
