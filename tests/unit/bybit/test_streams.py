"""Streams: checked answers, no silent death, order kept, and lock-step acknowledged only when taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.streams import Patience
from hedgelock_actors.adapters.bybit.venue import BybitVenue
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.order import OrderView
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, TickerView
from hedgelock_actors.ports.venue import PositionView, PrivateEvent, StreamLost, StreamRestored
from tests.unit.bybit.fake_venue import (
    FULL_TICKER,
    KEYS,
    NOW_MS,
    FakeVenue,
    Line,
    book_message,
    envelope,
    execution_row,
    fake_venue,
    order_row,
    ticker_message,
    until,
)

QUICK = Patience(answer_s=0.5, silence_s=30.0, look_s=0.05, first_s=3.0, backoff_min_s=0.02, backoff_max_s=0.1)
BIDS = [["100", "1"]]
ASKS = [["101", "1"]]
SYMBOL = "BTCUSDT"


@pytest.fixture
async def fake() -> AsyncIterator[FakeVenue]:
    async with fake_venue() as running:
        yield running


class Market:
    """Market data with everything that was heard."""

    def __init__(self, fake: FakeVenue, pace: str | None = None, patience: Patience = QUICK) -> None:
        self.heard: list[MarketEvent] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.data = BybitMarketData(fake.endpoints, ManualClock(NOW_MS), pace, patience)

    async def handle(self, event: MarketEvent) -> None:
        await self.gate.wait()
        self.heard.append(event)

    def views(self) -> list[BookView]:
        return [event for event in self.heard if isinstance(event, BookView)]

    def broken(self) -> list[FeedBroken]:
        return [event for event in self.heard if isinstance(event, FeedBroken)]


@pytest.fixture
async def market(fake: FakeVenue) -> AsyncIterator[Market]:
    running = Market(fake)
    await running.data.start([SYMBOL], running.handle)
    yield running
    await running.data.stop()


class Account:
    """A private stream with everything that was heard."""

    def __init__(self, fake: FakeVenue, pace: str | None = None, patience: Patience = QUICK) -> None:
        self.heard: list[PrivateEvent] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.venue = BybitVenue(fake.endpoints, KEYS, "main", ManualClock(NOW_MS), pace, patience=patience)

    async def handle(self, event: PrivateEvent) -> None:
        await self.gate.wait()
        self.heard.append(event)


@pytest.fixture
async def account(fake: FakeVenue) -> AsyncIterator[Account]:
    running = Account(fake)
    await running.venue.start(["order", "execution", "position", "wallet"], running.handle)
    yield running
    await running.venue.stop()


def push(topic: str, *rows: dict[str, object]) -> dict[str, object]:
    return {"id": "1", "topic": topic, "creationTime": NOW_MS, "data": list(rows)}


async def give_book(line: Line, u: int = 10) -> None:
    await line.send(book_message("snapshot", u, BIDS, ASKS))


# ------------------------------------------------------------------ market data


async def test_book_and_ticker_come_as_views(fake: FakeVenue, market: Market) -> None:
    line = await fake.line()
    await until(lambda: len(line.subscribed) == 2)
    assert sorted(line.subscribed) == ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"]
    await give_book(line)
    await line.send(ticker_message("snapshot", **FULL_TICKER))
    await line.send(ticker_message("delta", ts=NOW_MS + 1, lastPrice="59999"))
    await until(lambda: any(isinstance(event, TickerView) and event.last == 59999 for event in market.heard))
    assert market.views()[0].bids == ((Decimal(100), Decimal(1)),)


async def test_f02_a_closed_line_breaks_the_feed_and_is_opened_anew(fake: FakeVenue, market: Market) -> None:
    line = await fake.line()
    await give_book(line)
    await until(lambda: bool(market.views()))
    await line.socket.close()
    again = await fake.line(1, count=2)
    await until(lambda: bool(market.broken()))
    await give_book(again, 50)
    await until(lambda: len(market.views()) == 2)
    assert [type(event) for event in market.heard] == [BookView, FeedBroken, BookView]


async def test_f05_a_gap_breaks_the_feed_and_subscribes_anew(fake: FakeVenue, market: Market) -> None:
    line = await fake.line()
    await give_book(line)
    await until(lambda: len(market.views()) == 1)
    await line.send(book_message("delta", 12, [["100", "9"]], []))
    await give_book(await fake.line(1, count=2), 60)
    await until(lambda: len(market.views()) == 2)
    assert "does not follow 10" in market.broken()[0].reason
    assert [view.update_id for view in market.views()] == [10, 60]


@pytest.mark.parametrize(
    "bad",
    [
        book_message("delta", 11, BIDS, ASKS),
        ticker_message("delta", lastPrice="60000"),
        ticker_message("snapshot", **{**FULL_TICKER, "lastPrice": "0"}),
        "<html>gateway</html>",
        "[1]",
    ],
    ids=["delta before snapshot", "ticker delta before snapshot", "zero price", "not JSON", "not an object"],
)
async def test_f07_what_cannot_be_is_never_handed_over(fake: FakeVenue, market: Market, bad: object) -> None:
    await (await fake.line()).send(bad)
    await fake.line(1, count=2)
    await until(lambda: bool(market.broken()))
    assert {type(event) for event in market.heard} == {FeedBroken}


async def test_a_refused_handshake_and_topic_are_tried_again(fake: FakeVenue) -> None:
    fake.handshake_status.extend([503, 403, 503, 503])
    fake.refuse_topic = "tickers.BTCUSDT"
    market = Market(fake)
    await market.data.start([SYMBOL], market.handle)
    await until(lambda: any("handler not found" in event.reason for event in market.broken()))
    fake.refuse_topic = None
    before = len(fake.lines)
    line = await fake.line(-1, count=before + 1)
    await give_book(line)
    await until(lambda: bool(market.views()))
    await market.data.stop()


async def test_f01_a_silent_line_is_given_up(fake: FakeVenue) -> None:
    impatient = Patience(answer_s=0.5, silence_s=0.2, look_s=0.05, first_s=3.0, backoff_min_s=0.02)
    market = Market(fake, patience=impatient)
    await market.data.start([SYMBOL], market.handle)
    await fake.line(1, count=2)
    await until(lambda: any("silent" in event.reason for event in market.broken()))
    await market.data.stop()


async def test_a_venue_that_does_not_answer_subscriptions_is_left(fake: FakeVenue) -> None:
    fake.mute = True
    market = Market(fake)
    await market.data.start([SYMBOL], market.handle)
    await until(lambda: any("no answer" in event.reason for event in market.broken()))
    await market.data.stop()


async def test_books_conflate_while_the_handler_is_busy(fake: FakeVenue, market: Market) -> None:
    line = await fake.line()
    market.gate.clear()
    await give_book(line, 10)
    for u in range(11, 60):
        await line.send(book_message("delta", u, [["100", str(u)]], []))
    await until(lambda: market.data.counters()["conflated"] >= 45)
    market.gate.set()
    await until(lambda: bool(market.views()) and market.views()[-1].update_id == 59)
    assert len(market.views()) <= 4
    assert market.views()[-1].bids[0] == (Decimal(100), Decimal(59))


async def test_a_handler_that_fails_does_not_stop_the_feed(fake: FakeVenue) -> None:
    seen: list[MarketEvent] = []

    async def clumsy(event: MarketEvent) -> None:
        seen.append(event)
        raise RuntimeError("clumsy")

    data = BybitMarketData(fake.endpoints, ManualClock(NOW_MS), None, QUICK)
    await data.start([SYMBOL], clumsy)
    line = await fake.line()
    await give_book(line)
    await until(lambda: len(seen) == 1)
    await line.send(book_message("delta", 11, [], []))
    await until(lambda: len(seen) == 2)
    assert data.counters()["handler_failures"] == 2
    assert len(fake.lines) == 1
    await data.stop()


async def test_nothing_comes_after_stop(fake: FakeVenue, market: Market) -> None:
    line = await fake.line()
    await market.data.stop()
    heard = len(market.heard)
    await until(lambda: line.socket.closed)
    await asyncio.sleep(0.2)
    assert len(market.heard) == heard
    assert len(fake.lines) == 1


# ------------------------------------------------------------------ lock-step


async def test_lock_step_acknowledges_after_the_handler_and_conflates_nothing(fake: FakeVenue) -> None:
    market = Market(fake, pace="feed")
    await market.data.start([SYMBOL], market.handle)
    line = await fake.line()
    assert line.query == {"pace": "feed"}
    await until(lambda: line.acks[-1:] == [2])  # the two answers to the subscriptions
    market.gate.clear()
    await give_book(line, 10)
    await line.send(book_message("delta", 11, [], []))
    await line.send({"op": "pong", "args": ["1"], "conn_id": "c"})
    await asyncio.sleep(0.2)
    assert line.acks[-1] == 2
    market.gate.set()
    await until(lambda: line.acks[-1:] == [line.sent])
    assert line.sent == 5
    assert [view.update_id for view in market.views()] == [10, 11]
    await market.data.stop()


async def test_a_name_for_lock_step_has_no_effect_in_real_time(fake: FakeVenue) -> None:
    data = BybitMarketData(fake.endpoints, ManualClock(NOW_MS, paced=False), "feed", QUICK)
    heard: list[MarketEvent] = []

    async def hear(event: MarketEvent) -> None:
        heard.append(event)

    await data.start([SYMBOL], hear)
    line = await fake.line()
    await give_book(line)
    await until(lambda: bool(heard))
    assert (line.query, line.acks) == ({}, [])
    await data.stop()


async def test_stopping_while_connecting_leaves_nothing_open(fake: FakeVenue) -> None:
    market = Market(fake)
    starting = asyncio.create_task(market.data.start([SYMBOL], market.handle))
    await asyncio.sleep(0.005)
    await market.data.stop()
    await starting
    await until(lambda: all(line.socket.closed for line in fake.lines))


async def test_lock_step_counts_frames_per_connection(fake: FakeVenue) -> None:
    account = Account(fake, pace="main")
    await account.venue.start(["order"], account.handle)
    first = await fake.line()
    await first.send(push("order", order_row(), order_row(orderId="o-2")))
    await until(lambda: first.acks[-1:] == [3])
    await first.socket.close()
    second = await fake.line(1, count=2)
    await until(lambda: second.acks[-1:] == [2])
    await account.venue.stop()


# ------------------------------------------------------------------ private


async def test_private_events_come_in_order(fake: FakeVenue, account: Account) -> None:
    line = await fake.line()
    position = {"category": "linear", "symbol": SYMBOL, "side": "Sell", "size": "0.2", "entryPrice": "60000"}
    await line.send(push("execution", execution_row()))
    await line.send(push("order", order_row(), order_row(category="spot", orderStatus="Unheard")))
    await line.send(push("position", position))
    await line.send(push("greeks", {"baseCoin": "BTC"}))
    await until(lambda: len(account.heard) == 4)
    assert [type(event) for event in account.heard] == [StreamRestored, Execution, OrderView, PositionView]
    assert line.frames[0]["args"][:2] == [KEYS.api_key, NOW_MS + 5000]


async def test_a_lost_private_line_is_told_and_restored(fake: FakeVenue, account: Account) -> None:
    line = await fake.line()
    await line.socket.close()
    await until(lambda: account.heard[-1:] == [StreamRestored()] and len(account.heard) == 3)
    assert isinstance(account.heard[1], StreamLost)


async def test_an_unreadable_row_makes_the_handler_reconcile(fake: FakeVenue, account: Account) -> None:
    await (await fake.line()).send(push("order", order_row(orderStatus="Brandnew")))
    await until(lambda: len(account.heard) == 3)
    assert isinstance(account.heard[1], StreamLost)
    assert "Brandnew" in account.heard[1].reason
    assert account.heard[2] == StreamRestored()
    assert len(fake.lines) == 1


async def test_f21_a_refused_authentication_asks_for_the_time_and_is_tried_again(fake: FakeVenue) -> None:
    fake.refuse_auth = True
    fake.answer("/v5/market/time", {**envelope({"timeSecond": "1"}), "time": NOW_MS - 2_000})
    account = Account(fake)
    await account.venue.start(["order"], account.handle)
    await until(lambda: bool(account.heard))
    assert account.heard[0] == StreamLost(reason="auth: ")
    fake.refuse_auth = False
    await until(lambda: StreamRestored() in account.heard)
    await until(lambda: account.venue.counters()["clock_offset_ms"] == -2_000)
    await account.venue.stop()


async def test_a_handler_too_far_behind_is_told_that_events_are_lost(
    fake: FakeVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgelock_actors.adapters.bybit.venue._QUEUE_BOUND", 5)
    account = Account(fake)
    await account.venue.start(["execution"], account.handle)
    line = await fake.line()
    await until(lambda: len(account.heard) == 1)
    account.gate.clear()
    for number in range(10):
        await line.send(push("execution", execution_row(execId=f"e-{number}")))
    await fake.line(1, count=2)
    account.gate.set()
    await until(lambda: account.heard[-1:] == [StreamRestored()] and len(account.heard) > 1)
    lost = [event for event in account.heard if isinstance(event, StreamLost)]
    assert [event.reason for event in lost] == ["the handler is too far behind"]
    await account.venue.stop()


async def test_an_unknown_topic_is_a_mistake_of_ours(fake: FakeVenue) -> None:
    account = Account(fake)
    with pytest.raises(ValueError, match="greeks"):
        await account.venue.start(["order", "greeks"], account.handle)
    await account.venue.stop()
