"""The feed: one good price per symbol, nothing from a broken, old, absurd or half-updated stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.messages import FeedStale, Tick
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.market_feed import MarketFeed
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, MarketHandler, TickerView
from hedgelock_actors.ports.venue import VenueError

SYMBOL = "BTCUSDT"


class FakeMarket:
    """Implements MarketData; refuses to connect `failing` times."""

    def __init__(self) -> None:
        self.handler: MarketHandler | None = None
        self.failing = 0

    async def start(self, symbols: Sequence[str], handler: MarketHandler) -> None:
        if self.failing > 0:
            self.failing -= 1
            raise VenueError("no connection")
        self.handler = handler

    async def stop(self) -> None:
        self.handler = None

    async def give(self, *events: MarketEvent) -> None:
        for event in events:
            assert self.handler is not None
            await self.handler(event)


class Desk:
    """A feed with everything around it in memory."""

    def __init__(self) -> None:
        self.clock, self.transport, self.cache = ManualClock(), MemoryTransport(), MemoryCache()
        self.market = FakeMarket()
        self.feed = MarketFeed(
            "market-feed",
            [SYMBOL],
            market=self.market,
            clock=self.clock,
            transport=self.transport,
            cache=self.cache,
            subscribers=["risk", "keeper"],
            policy=Policy(),
            notifier="notifier",
        )

    def book(self, mid: float, *, age_ms: int = 0, spread: float = 0.2) -> BookView:
        bid, ask = Decimal(str(mid - spread / 2)), Decimal(str(mid + spread / 2))
        return BookView(
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms() - age_ms,
            update_id=1,
            bids=[(bid, Decimal(2)), (bid * Decimal("0.98"), Decimal(50))],
            asks=[(ask, Decimal(3)), (ask * Decimal("1.02"), Decimal(50))],
        )

    def ticker(self, price: float, *, mark: float | None = None, age_ms: int = 0) -> TickerView:
        return TickerView(
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms() - age_ms,
            last=Decimal(str(price)),
            mark=Decimal(str(mark or price)),
            index=Decimal(str(price)),
            funding_rate=Decimal("0.0001"),
            next_funding_ms=0,
            turnover_24h_usdt=Decimal(2_000_000_000),
        )

    def ticks(self) -> list[Tick]:
        return self.transport.messages(Tick, "risk")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.feed.start()
    yield desk
    await desk.feed.stop()
    await desk.clock.stop()


async def test_book_and_ticker_make_a_tick_for_every_subscriber(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_001))
    [tick] = desk.ticks()
    assert (tick.last, tick.bid, tick.ask) == (Decimal("60001.0"), Decimal("59999.9"), Decimal("60000.1"))
    assert tick.bid_depth_usdt == pytest.approx(2 * 59_999.9)
    assert tick.turnover_24h_usdt == 2e9
    assert desk.transport.messages(Tick, "keeper") == [tick]
    assert desk.feed.health().status == "ready"


async def test_the_same_price_again_is_not_told_again_within_a_second(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    assert len(desk.ticks()) == 1
    await desk.clock.advance(1_000)
    await desk.market.give(desk.ticker(60_000))
    assert len(desk.ticks()) == 1, "the book's half of this moment may still come"
    await desk.market.give(desk.book(60_000))
    assert len(desk.ticks()) == 2


async def test_a_fast_move_waits_for_its_other_half_but_not_for_ever(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.clock.advance(500)
    await desk.market.give(desk.book(59_000))
    assert len(desk.ticks()) == 1
    await desk.market.give(desk.ticker(59_000))
    assert desk.ticks()[-1].last == 59_000
    assert len(desk.ticks()) == 2
    await desk.market.give(desk.book(58_500))
    await desk.clock.advance(2_000)
    assert desk.ticks()[-1].bid < 58_501


@pytest.mark.parametrize("price", [0.0, -5.0])
async def test_absurd_prices_go_no_further(desk: Desk, price: float) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.clock.advance(2_000)
    await desk.market.give(desk.ticker(price))
    await desk.clock.advance(2_000)
    assert [tick.last for tick in desk.ticks()] == [Decimal("60000.0")]
    assert desk.feed.health().counters["suspect"] >= 1


async def test_a_jump_of_one_source_goes_no_further_and_a_jump_of_all_does(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.clock.advance(1_000)
    await desk.market.give(desk.ticker(60_000, mark=30_000))
    assert len(desk.ticks()) == 1
    await desk.market.give(desk.book(39_000), desk.ticker(39_000))
    assert desk.ticks()[-1].mark == 39_000


async def test_an_old_price_is_stale(desk: Desk) -> None:
    age_ms = Policy().quote.max_age_ms + 1
    await desk.market.give(desk.book(60_000, age_ms=age_ms), desk.ticker(60_000, age_ms=age_ms))
    assert desk.ticks() == []


async def test_silence_is_told_once_and_ends_with_the_next_price(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.clock.advance(40_000)
    assert len(desk.transport.messages(FeedStale, "keeper")) == 1
    assert len(desk.transport.messages(FeedStale, "notifier")) == 1
    assert desk.feed.health().status == "degraded"
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    assert len(desk.ticks()) == 2
    assert desk.feed.health().status == "ready"


async def test_a_broken_stream_is_forgotten_until_both_halves_are_new(desk: Desk) -> None:
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    await desk.market.give(FeedBroken(symbol=SYMBOL, reason="gap"))
    assert len(desk.transport.messages(FeedStale, "risk")) == 1
    await desk.market.give(desk.ticker(60_500))
    assert len(desk.ticks()) == 1
    await desk.market.give(desk.book(60_500))
    assert len(desk.ticks()) == 2


async def test_depth_is_published_at_most_once_a_second_and_needs_no_cache(desk: Desk) -> None:
    for step in range(4):
        await desk.market.give(desk.book(60_000 + step), desk.ticker(60_000 + step))
        await desk.clock.advance(500)
    assert len(desk.cache.published) == 2
    kept = await desk.cache.get("depth:BTC")
    assert kept is not None
    assert kept["depth_usd"] == pytest.approx(2 * 59_999.9, rel=1e-3)
    desk.cache.available, sent = False, len(desk.ticks())
    await desk.clock.advance(1_000)
    await desk.market.give(desk.book(61_000), desk.ticker(61_000))
    assert len(desk.ticks()) == sent + 1


async def test_a_connection_that_fails_is_tried_again() -> None:
    desk = Desk()
    desk.market.failing = 2
    await desk.feed.start()
    assert desk.feed.health().status == "degraded"
    await desk.clock.advance(3_000)
    await desk.market.give(desk.book(60_000), desk.ticker(60_000))
    assert len(desk.ticks()) == 1
    await desk.feed.stop()
    await desk.clock.stop()
