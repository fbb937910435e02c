"""Frames of the public and private topics, and who gets them."""

import json
from decimal import Decimal
from typing import Any, cast

from hedgelock_actors.simulator.api import BookChanged, BookView, Event, ExchangeApi, Liquidation, LoanEvent, PriceLimit
from hedgelock_actors.simulator.dcp import DisconnectProtection
from hedgelock_actors.simulator.faults import ServerFaults
from hedgelock_actors.simulator.pacing import Pacing
from hedgelock_actors.simulator.ws_connection import Connection
from hedgelock_actors.simulator.ws_feed import PrivateFeed, PublicFeed
from hedgelock_actors.simulator.ws_hub import Hub


class Listener:
    """A connection that keeps what it is sent."""

    def __init__(self, pace: str = "") -> None:
        self.kind, self.pace, self.topics = "linear", pace, dict[str, str]()
        self.frames: list[Any] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(json.loads(frame))


class OneBook:
    """An exchange that has a book and nothing else."""

    def __init__(self, *levels: tuple[str, str]) -> None:
        self.view = book(1, *levels)

    def book(self, symbol: str) -> BookView:
        return self.view


def book(ts_ms: int, *bids: tuple[str, str]) -> BookView:
    return BookView(symbol="BTCUSDT", ts_ms=ts_ms, u=ts_ms, seq=ts_ms, bids=bids, asks=(("101", "1"),))


def listening(hub: Hub, topic: str, kind: str = "linear") -> Listener:
    listener = Listener()
    hub.subscribe(cast("Connection", listener), topic, f"{kind}/{topic}")
    return listener


def public(payload: Any, ts_ms: int = 5) -> Event:
    return Event(ts_ms=ts_ms, uid=None, symbol="BTCUSDT", payload=payload)


def test_liquidations_and_price_limits() -> None:
    hub = Hub(Pacing(1))
    feed = PublicFeed(cast("ExchangeApi", OneBook()), hub)
    liquidations, limits = listening(hub, "allLiquidation.BTCUSDT"), listening(hub, "priceLimit.BTCUSDT")
    feed.publish(public(Liquidation(symbol="BTCUSDT", side="Sell", size=Decimal("0.5"), price=Decimal("61000.1"))))
    feed.publish(public(PriceLimit(symbol="BTCUSDT", buy_limit=Decimal(61000), sell_limit=Decimal(59000))))
    feed.publish(public(LoanEvent(kind="margin_call", ltv=Decimal("0.85"))))
    assert liquidations.frames == [
        {
            "topic": "allLiquidation.BTCUSDT",
            "type": "snapshot",
            "ts": 5,
            "data": [{"T": 5, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "61000.1"}],
        }
    ]
    assert limits.frames[0]["data"] == {"symbol": "BTCUSDT", "buyLmt": "61000", "sellLmt": "59000"}


def test_a_late_subscriber_joins_the_same_book_stream() -> None:
    hub, exchange = Hub(Pacing(1)), OneBook(("100", "1"), ("99", "2"))
    feed, topic = PublicFeed(cast("ExchangeApi", exchange), hub), "orderbook.50.BTCUSDT"
    opening = json.loads(feed.first_frames("linear", topic, 1)[0])
    early = listening(hub, topic)
    exchange.view = book(2, ("100", "3"), ("98", "1"))
    feed.publish(public(BookChanged(book=exchange.view), 2))
    joined = json.loads(feed.first_frames("linear", topic, 2)[0])
    late = listening(hub, topic)
    exchange.view = book(3, ("100", "4"), ("98", "1"))
    feed.publish(public(BookChanged(book=exchange.view), 3))
    assert early.frames[-1] == late.frames[-1]
    assert joined["data"]["b"] == [["100", "3"], ["98", "1"]]
    assert early.frames[0]["data"]["b"] == [["100", "3"], ["98", "1"], ["99", "0"]]
    assert [row["data"]["u"] for row in (opening, joined, late.frames[0])] == [1, 2, 3]


def test_who_left_hears_nothing() -> None:
    hub = Hub(Pacing(1))
    listener = listening(hub, "tickers.BTCUSDT")
    hub.publish("linear/tickers.BTCUSDT", b"{}")
    hub.remove(cast("Connection", listener))
    assert not hub.wanted("linear/tickers.BTCUSDT")
    hub.publish("linear/tickers.BTCUSDT", b"{}")
    assert len(listener.frames) == 1


def test_a_loan_event_is_no_push() -> None:
    hub = Hub(Pacing(1))
    listener = listening(hub, "order", kind="1")
    event = Event(ts_ms=1, uid="1", symbol=None, payload=LoanEvent(kind="liquidated", ltv=Decimal(1)))
    PrivateFeed(hub, ServerFaults(), lambda: "id").publish(event)
    assert listener.frames == []


def test_disconnect_protection_fires_when_all_armed_connections_are_dead_for_the_window() -> None:
    fired: list[str] = []
    guard = DisconnectProtection(fired.append)
    assert not guard.set_window("1", "DERIVATIVES", 2)
    assert guard.set_window("1", "DERIVATIVES", 10)
    guard.armed("1")
    guard.armed("1")
    guard.lost("1", 1_000)
    guard.check(60_000)
    assert fired == [], "one connection is alive"
    guard.lost("1", 2_000)
    guard.check(11_999)
    guard.armed("1")
    guard.check(99_000)
    assert fired == [], "it came back in time"
    guard.lost("1", 100_000)
    guard.check(110_000)
    guard.check(120_000)
    assert fired == ["1"]


def test_without_a_window_there_is_no_protection() -> None:
    fired: list[str] = []
    guard = DisconnectProtection(fired.append)
    guard.armed("1")
    guard.lost("1", 0)
    guard.check(10**9)
    assert fired == []
