"""The contract of ports.market_data.MarketData, held by the Bybit adapter on the simulated exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.streams import Patience
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.domain.market import Quote, QuotePolicy, check_quote
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, TickerView
from tests.contract.venue_kit import QUICK, until
from tests.integration.exchange_process import Running, exchange

pytestmark = pytest.mark.integration
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--speed", "5") as process:
        yield process


class Feed:
    def __init__(self, running: Running, patience: Patience) -> None:
        self.events: list[MarketEvent] = []
        self.clock = ReplayClock(running.rest, "feed")
        self.data = BybitMarketData(Endpoints.local(running.rest), self.clock, patience=patience)

    async def hear(self, event: MarketEvent) -> None:
        self.events.append(event)

    def books(self, symbol: str = "BTCUSDT") -> list[BookView]:
        return [event for event in self.events if isinstance(event, BookView) and event.symbol == symbol]

    def tickers(self, symbol: str = "BTCUSDT") -> list[TickerView]:
        return [event for event in self.events if isinstance(event, TickerView) and event.symbol == symbol]

    def broken(self) -> list[FeedBroken]:
        return [event for event in self.events if isinstance(event, FeedBroken)]


@pytest.fixture
async def feed(running: Running) -> AsyncIterator[Feed]:
    opened = Feed(running, QUICK)
    await opened.clock.start()
    await opened.data.start(SYMBOLS, opened.hear)
    yield opened
    await opened.data.stop()
    await opened.clock.stop()


async def test_books_and_tickers_of_every_symbol_are_fit_to_decide_on(feed: Feed) -> None:
    for symbol in SYMBOLS:
        await until(lambda s=symbol: len(feed.books(s)) > 20 and len(feed.tickers(s)) > 5)  # type: ignore[misc]
        book, ticker = feed.books(symbol)[-1], feed.tickers(symbol)[-1]
        assert len(book.bids) == len(book.asks) == 50
        assert book.bids[0][0] < book.asks[0][0]
        quote = Quote(
            ts_ms=ticker.ts_ms, last=ticker.last, mark=ticker.mark, index=ticker.index,
            bid=book.bids[0][0], ask=book.asks[0][0],
        )  # fmt: skip
        checked = check_quote(quote, None, QuotePolicy(), feed.clock.now_ms())
        assert checked is quote, checked
    assert not feed.broken()
    assert feed.data.counters()["rejected"] == 0


async def test_updates_follow_each_other(feed: Feed) -> None:
    await until(lambda: len(feed.books()) > 50)
    ids = [book.update_id for book in feed.books()]
    assert ids == sorted(set(ids))
    times = [book.ts_ms for book in feed.books()]
    assert times == sorted(times)


@pytest.mark.parametrize("fault", ["close", "reset"])
async def test_f02_a_lost_line_breaks_the_feed_and_heals(feed: Feed, running: Running, fault: str) -> None:
    await until(lambda: bool(feed.books()))
    running.fault(kind=fault, channel="linear")
    await until(lambda: {event.symbol for event in feed.broken()} == set(SYMBOLS))
    at = len(feed.books())
    await until(lambda: len(feed.books()) > at + 5)


async def test_a_restarted_book_service_is_followed(feed: Feed, running: Running) -> None:
    await until(lambda: len(feed.books()) > 5)
    running.fault(kind="restart_book")
    await until(lambda: any(book.update_id == 1 for book in feed.books()))
    await until(lambda: 1 < feed.books()[-1].update_id < 10_000)


async def test_f01_a_market_that_has_gone_silent_is_subscribed_anew(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgelock_actors.adapters.bybit.market_data._SILENT_VENUE_MS", 2_000)
    monkeypatch.setattr("hedgelock_actors.adapters.bybit.market_data._SILENT_WALL_S", 0.5)
    feed = Feed(running, QUICK)
    await feed.clock.start()
    await feed.data.start(SYMBOLS, feed.hear)
    await until(lambda: bool(feed.books()))
    running.fault(kind="silence", channel="linear")
    await until(lambda: any("no data for" in event.reason for event in feed.broken()))
    at = len(feed.books())
    await until(lambda: len(feed.books()) > at + 5)
    await feed.data.stop()
    await feed.clock.stop()
