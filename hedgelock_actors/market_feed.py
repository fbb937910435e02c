"""Public market data in; one clean, fresh, conflated Tick per symbol and the book's depth out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.actor import Actor
from hedgelock_actors.domain.market import ASSETS, Quote, Suspect, check_quote, depth_within
from hedgelock_actors.domain.messages import AnyMessage, FeedStale, Tick
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.ports.cache import Cache, CacheUnavailable
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketData, MarketEvent, TickerView
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import VenueError

DEPTH_REACH = 0.01
DEPTH_EVERY_MS = 1_000
COHERENT_BPS = Decimal(25)
IN_STEP_MS = 150
APART_MS = 250
INCOHERENT_MAX_MS = 1_000
STALE_AGAIN_MS = 60_000
DEPTH_TTL_S = 60.0


@dataclass(slots=True)
class Feed:
    """What one symbol's streams said last, and what was made of it."""

    symbol: str
    asset: str
    book: BookView | None = None
    ticker: TickerView | None = None
    good: Quote | None = None
    """The last quote that passed every check."""
    sent: Tick | None = None
    apart_ms: int | None = None
    """Since when the book and the ticker have told of different moments, or different prices."""
    heard_ms: int = 0
    stale_told_ms: int | None = None
    depth_ms: int = 0
    publishing: asyncio.Task[None] | None = None
    """The depth on its way to the cache."""


class MarketFeed(Actor):
    """See the module. `stale_after_ms` without a good price makes a symbol stale.

    `subscribers` get every Tick in the order given. Name the routers first, then the keepers, then the risk shards: who
    is asked to act on a price has it then before the request comes.
    """

    def __init__(
        self,
        name: str,
        symbols: Sequence[str],
        *,
        market: MarketData,
        clock: Clock,
        transport: Transport,
        cache: Cache,
        subscribers: Sequence[str],
        policy: Policy,
        notifier: str = "",
        stale_after_ms: int = 15_000,
    ) -> None:
        super().__init__(name, clock, transport)
        self._market, self._cache, self._policy = market, cache, policy
        self._subscribers, self._notifier = tuple(subscribers), notifier
        self._stale_after_ms = stale_after_ms
        assets = {symbol: asset for asset, symbol in ASSETS.items()}
        self._feeds = {symbol: Feed(symbol, assets.get(symbol, symbol)) for symbol in symbols}
        self._connected = False
        self._cancel: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Connect; if that fails, again every second until it works."""
        for feed in self._feeds.values():
            feed.heard_ms = self.clock.now_ms()
        self._cancel = self.clock.every(1.0, self._beat)
        await self._connect()

    async def stop(self) -> None:
        """Disconnect."""
        self.mark_stopped()
        self._cancel()
        await self._market.stop()
        publishing = [feed.publishing for feed in self._feeds.values() if feed.publishing is not None]
        for task in publishing:
            task.cancel()
        await asyncio.gather(*publishing, return_exceptions=True)

    async def receive(self, message: AnyMessage) -> None:
        """Nobody tells the feed anything."""

    def snapshot(self) -> Mapping[str, object]:
        """The last good price of each symbol."""
        return {symbol: _shown(feed) for symbol, feed in self._feeds.items()}

    async def _connect(self) -> None:
        try:
            await self._market.start(tuple(self._feeds), self._on_market)
            self._connected = True
        except (VenueError, OSError) as error:
            self.counters["connect_failed"] += 1
            self.mark_degraded(str(error))

    async def _on_market(self, event: MarketEvent) -> None:
        feed = self._feeds.get(event.symbol)
        if feed is None or self.stopped:
            return
        match event:
            case BookView():
                feed.book = event
            case TickerView():
                feed.ticker = event
            case FeedBroken():
                feed.book = feed.ticker = None
                await self._stale(feed, event.reason)
                return
        await self._consider(feed)

    async def _consider(self, feed: Feed, *, waited: bool = False) -> None:
        """Make a Tick of what is known, when it is fit to decide on."""
        new = _quote(feed)
        if new is None or feed.book is None or feed.ticker is None:
            return
        if not waited and self._waits_for_other_half(feed, feed.book, feed.ticker, new):
            return
        feed.apart_ms = None
        checked = check_quote(new, feed.good, self._policy.quote, self.clock.now_ms())
        if isinstance(checked, Suspect):
            self.counters["suspect"] += 1
            self._degrade(feed, checked.reason)
            return
        feed.good, feed.heard_ms = checked, self.clock.now_ms()
        tick = _tick(checked, feed.book, feed.ticker)
        if feed.sent is not None and _same_prices(tick, feed.sent) and tick.ts_ms - feed.sent.ts_ms < 1_000:
            return
        feed.sent, feed.stale_told_ms = tick, None
        self.counters["ticks"] += 1
        self.mark_ready()
        await self._tell_all(self._subscribers, tick)
        await self._offer_depth(feed, tick)

    def _waits_for_other_half(self, feed: Feed, book: BookView, ticker: TickerView, quote: Quote) -> bool:
        """Book and ticker arrive apart: a pair of two different moments is not decided on while the other may come."""
        in_step = abs(book.ts_ms - ticker.ts_ms) <= IN_STEP_MS
        coherent = abs(quote.mid - quote.last) * 10_000 <= COHERENT_BPS * abs(quote.last)
        if in_step and coherent:
            return False
        now_ms = self.clock.now_ms()
        if feed.apart_ms is None:
            feed.apart_ms = now_ms
        return now_ms - feed.apart_ms < (APART_MS if coherent else INCOHERENT_MAX_MS)

    def _degrade(self, feed: Feed, reason: str) -> None:
        if self.clock.now_ms() - feed.heard_ms > self._stale_after_ms:
            self.mark_degraded(f"{feed.symbol}: {reason}")

    async def _beat(self) -> None:
        if not self._connected:
            await self._connect()
        now_ms = self.clock.now_ms()
        for feed in self._feeds.values():
            if feed.apart_ms is not None and now_ms - feed.apart_ms >= INCOHERENT_MAX_MS:
                await self._consider(feed, waited=True)
            if now_ms - feed.heard_ms > self._stale_after_ms:
                await self._stale(feed, f"no good price for {now_ms - feed.heard_ms} ms")

    async def _stale(self, feed: Feed, reason: str) -> None:
        now_ms = self.clock.now_ms()
        if feed.stale_told_ms is not None and now_ms - feed.stale_told_ms < STALE_AGAIN_MS:
            return
        feed.stale_told_ms, feed.sent = now_ms, None
        self.counters["stale"] += 1
        self.mark_degraded(f"{feed.symbol}: {reason}")
        message = FeedStale(symbol=feed.symbol, ts_ms=now_ms, reason=reason)
        await self._tell_all(self._subscribers, message)
        if self._notifier:
            await self.tell(self._notifier, message)

    async def _tell_all(self, receivers: Sequence[str], message: Tick | FeedStale) -> None:
        """All at once: a router has the price then before a target that follows from it can reach the router."""
        key = f"tick:{message.symbol}"
        await asyncio.gather(*(self.tell(to, message, conflate=key) for to in receivers))

    async def _offer_depth(self, feed: Feed, tick: Tick) -> None:
        """Beside the prices, so that a cache that does not answer never holds them up; in lock-step, in its turn."""
        if tick.ts_ms - feed.depth_ms < DEPTH_EVERY_MS or (feed.publishing is not None and not feed.publishing.done()):
            return
        feed.depth_ms = tick.ts_ms
        feed.publishing = asyncio.create_task(self._publish_depth(feed, tick), name=f"depth-{feed.symbol}")
        if self.clock.paced:
            await feed.publishing

    async def _publish_depth(self, feed: Feed, tick: Tick) -> None:
        value: dict[str, object] = {
            "asset": feed.asset,
            "depth_usd": min(tick.bid_depth_usdt, tick.ask_depth_usdt),
            "mid": float((tick.bid + tick.ask) / 2),
            "ts_ms": tick.ts_ms,
        }
        try:
            await self._cache.set(f"depth:{feed.asset}", value, DEPTH_TTL_S)
            await self._cache.publish("depth", value)
        except CacheUnavailable:
            # Depth is a convenience for sizing: nothing about the hedge depends on it.
            self.counters["cache_unavailable"] += 1


def _quote(feed: Feed) -> Quote | None:
    book, ticker = feed.book, feed.ticker
    if book is None or ticker is None or not book.bids or not book.asks:
        return None
    return Quote(
        ts_ms=max(book.ts_ms, ticker.ts_ms),
        last=ticker.last,
        mark=ticker.mark,
        index=ticker.index,
        bid=book.bids[0][0],
        ask=book.asks[0][0],
    )


def _tick(quote: Quote, book: BookView, ticker: TickerView) -> Tick:
    return Tick(
        symbol=book.symbol,
        ts_ms=quote.ts_ms,
        last=quote.last,
        mark=quote.mark,
        index=quote.index,
        bid=quote.bid,
        ask=quote.ask,
        bid_depth_usdt=depth_within(book.bids, quote.mid, DEPTH_REACH),
        ask_depth_usdt=depth_within(book.asks, quote.mid, DEPTH_REACH),
        funding_rate=float(ticker.funding_rate),
        next_funding_ms=ticker.next_funding_ms,
        turnover_24h_usdt=float(ticker.turnover_24h_usdt),
    )


def _same_prices(a: Tick, b: Tick) -> bool:
    return (a.last, a.mark, a.index, a.bid, a.ask) == (b.last, b.mark, b.index, b.bid, b.ask)


def _shown(feed: Feed) -> Mapping[str, object] | None:
    return None if feed.sent is None else feed.sent.model_dump(mode="json")
