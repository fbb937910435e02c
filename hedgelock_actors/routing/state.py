"""What an order router knows beside its orders: the target, the market, and why it may not act at present."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.messages import SetTarget, Tick
from hedgelock_actors.execution.strategy import Book

LAST_GOOD_MS = 2_000
"""Older prices are no measure of what a good price is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The short that is to be held, as last stated."""

    version: int
    short_qty: Decimal
    level: RiskLevel
    reason: str
    causation_id: str
    exact: bool = False
    """Nothing is held beside it, neither what trades have sold."""


@dataclass(slots=True)
class RouterState:
    """Mutable, owned by one worker. Times in ms of venue time."""

    account: str
    symbol: str
    instrument: Instrument | None = None
    target: Target | None = None
    market: Book | None = None
    last_good: Decimal | None = None
    """The mid of the price before the present one, if that was recent."""
    funding_rate: float = 0.0
    reconciled: bool = False
    """Orders, executions and position agreed with the venue when last compared."""
    blind: bool = False
    """Something may have happened that we could not see (another holder of the lease, a maintenance window): nothing
    at all is sent until the next comparison agrees."""
    position_ms: int = 0
    available_usdt: Decimal | None = None
    """Free margin by the last reading of the wallet."""
    liquidation_price: Decimal | None = None
    money_ms: int = 0
    """When the venue said so."""
    hold_ms: int = 0
    """Until then nothing is sent and no strategy works, because the venue said no."""
    hold_why: str = ""
    slow_ms: int = 0
    """Until then nothing is sent (the venue asked to slow down, or the journal is away); strategies wait."""
    doubted_ms: int = 0
    """When the venue last refused an order or left it without an answer: it may be in maintenance."""
    rest_ms: int = 0
    """Until then no new goal is begun: the last one ended without success."""
    restrictions: dict[str, str] = field(default_factory=dict)
    """Cause → text: while there is any, only orders that shrink the hedge are sent."""

    @property
    def quote(self) -> Quote | None:
        """The last price; None while the feed is stale."""
        return self.market.quote if self.market is not None else None

    @property
    def level(self) -> RiskLevel:
        """Of the loan book, as the target says."""
        return self.target.level if self.target is not None else RiskLevel.SAFE

    def price(self, tick: Tick) -> None:
        """A new price; the one before, if recent, bounds how far an order's price may jump."""
        before = self.quote
        recent = before is not None and tick.ts_ms - before.ts_ms <= LAST_GOOD_MS
        self.last_good = before.mid if recent and before is not None else None
        self.funding_rate = tick.funding_rate
        self.market = Book(
            quote=Quote(ts_ms=tick.ts_ms, last=tick.last, mark=tick.mark, index=tick.index, bid=tick.bid, ask=tick.ask),
            bid_depth_usdt=tick.bid_depth_usdt,
            ask_depth_usdt=tick.ask_depth_usdt,
            turnover_24h_usdt=tick.turnover_24h_usdt,
        )

    def aim(self, message: SetTarget) -> bool:
        """Hold this short from now on; an older version changes nothing. True when the quantity is another one now."""
        if self.target is not None and message.version < self.target.version:
            return False
        known, wanted = self.target, (message.target_short_qty, message.exact)
        changed = known is None or (known.short_qty, known.exact) != wanted
        self.target = Target(
            version=message.version,
            short_qty=message.target_short_qty,
            level=message.level,
            reason=message.reason,
            causation_id=message.causation_id,
            exact=message.exact,
        )
        return changed

    def fresh_market(self, now_ms: int, max_age_ms: int) -> Book | None:
        """The market when it is fit to decide on."""
        market = self.market
        return market if market is not None and now_ms - market.quote.ts_ms <= max_age_ms else None

    def hold(self, until_ms: int, why: str) -> None:
        """Send nothing until then (never shortens)."""
        if until_ms > self.hold_ms:
            self.hold_ms, self.hold_why = until_ms, why

    def slow(self, until_ms: int) -> None:
        """Send nothing until then (never shortens)."""
        self.slow_ms = max(self.slow_ms, until_ms)

    def release(self) -> None:
        """What held us back has changed."""
        self.hold_ms, self.hold_why = 0, ""
