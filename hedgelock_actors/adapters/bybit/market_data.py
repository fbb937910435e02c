"""Public market data: the book and the ticker of each symbol over one self-healing stream."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from hedgelock_actors.adapters.bybit.book import OrderBook
from hedgelock_actors.adapters.bybit.connection import SocketSpec
from hedgelock_actors.adapters.bybit.delivery import Delivery
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.adapters.bybit.streams import Patience, Stream
from hedgelock_actors.adapters.bybit.ticker import Ticker
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, MarketHandler, TickerView

_log = logging.getLogger(__name__)

BOOK_DEPTH = 50
_QUEUE_BOUND = 100_000
# A market that says nothing for so long, both in venue time and on the wall, is a subscription that has died.
_SILENT_VENUE_MS = 30_000
_SILENT_WALL_S = 15.0


class BybitMarketData:
    """Implements MarketData for linear perpetuals.

    `pace` is the name under which this process takes part in lock-step; it has no effect on a clock that is not paced.
    While the handler is busy, books and tickers conflate to the latest. In lock-step nothing conflates, and the venue
    is told that a message has been taken in only after the handler has returned.
    """

    def __init__(
        self, endpoints: Endpoints, clock: Clock, pace: str | None = None, patience: Patience | None = None
    ) -> None:
        self.rejected = 0
        """Messages that said something impossible."""
        self._endpoints = endpoints
        self._clock = clock
        self._pace = pace
        self._patience = patience
        self._books: dict[str, OrderBook] = {}
        self._tickers: dict[str, Ticker] = {}
        self._stream: Stream | None = None
        self._delivery: Delivery[MarketEvent] | None = None
        self._heard_ms = 0
        self._heard_s = 0.0

    async def start(self, symbols: Sequence[str], handler: MarketHandler) -> None:
        """Connect and deliver; returns when the first attempt has succeeded or failed."""
        if self._stream is not None:
            raise RuntimeError("market data has been started already")
        topics = [topic for symbol in symbols for topic in (f"orderbook.{BOOK_DEPTH}.{symbol}", f"tickers.{symbol}")]
        self._books = {symbol: OrderBook(symbol) for symbol in symbols}
        self._tickers = {symbol: Ticker(symbol) for symbol in symbols}
        pace = self._pace = self._pace if self._clock.paced else None
        spec = SocketSpec(self._endpoints, "linear", None, pace, self._clock.now_ms, lambda: 0)
        self._stream = Stream(spec, topics, self, self._patience)
        self._delivery = Delivery("market-data", handler, self._stream.acknowledge, _QUEUE_BOUND)
        self._delivery.start()
        await self._stream.start()

    async def stop(self) -> None:
        """Disconnect; no event comes after it has returned."""
        if self._stream is not None:
            await self._stream.stop()
        if self._delivery is not None:
            await self._delivery.stop()
        self._stream = self._delivery = None

    def counters(self) -> dict[str, float]:
        """What happened so far, for health reports."""
        delivery, stream = self._delivery, self._stream
        return {
            "rejected": float(self.rejected),
            "connects": float(stream.connects if stream else 0),
            "conflated": float(delivery.conflated if delivery else 0),
            "handler_failures": float(delivery.failures if delivery else 0),
        }

    # ------------------------------------------------------------------ what the stream says

    @property
    def idle(self) -> bool:
        """Nothing is waiting for the handler."""
        return self._delivery is None or self._delivery.idle

    def on_up(self) -> None:
        """Subscribed: silence is counted from here."""
        self._heard_ms, self._heard_s = self._clock.now_ms(), time.monotonic()

    def on_down(self, reason: str) -> None:
        """Everything known is void until the next snapshots."""
        for symbol in self._books:
            self._break(symbol, reason)

    def on_message(self, message: Mapping[str, object]) -> None:
        """Merge one message and hand over the new view."""
        stamp = message.get("ts")
        if isinstance(stamp, int):
            self._clock.observe(stamp)
        kind, _, rest = str(message.get("topic")).partition(".")
        symbol = rest.rpartition(".")[2]
        book, ticker = self._books.get(symbol), self._tickers.get(symbol)
        if book is None or ticker is None:
            return
        try:
            view: BookView | TickerView | None = (
                book.apply(message) if kind == "orderbook" else ticker.apply(message) if kind == "tickers" else None
            )
        except BadData as error:
            self._reject(symbol, f"{kind}: {error}")
            return
        if view is not None:
            self._heard_ms, self._heard_s = self._clock.now_ms(), time.monotonic()
            self._put(view, (kind, symbol))

    def complaint(self) -> str | None:
        """A running market that has said nothing for long."""
        if self._pace or time.monotonic() - self._heard_s < _SILENT_WALL_S:
            return None
        silent_ms = self._clock.now_ms() - self._heard_ms
        return f"no data for {silent_ms} ms" if silent_ms > _SILENT_VENUE_MS else None

    # ------------------------------------------------------------------ inside

    def _reject(self, symbol: str, why: str) -> None:
        self.rejected += 1
        _log.warning("%s: refused market data: %s", symbol, why)
        self._break(symbol, why)
        if self._stream is not None:
            self._stream.rebuild(f"{symbol}: {why}")  # a new subscription begins with snapshots

    def _break(self, symbol: str, reason: str) -> None:
        self._books[symbol].invalidate()
        self._tickers[symbol].invalidate()
        if self._delivery is not None:
            self._delivery.drop(("orderbook", symbol))
            self._delivery.drop(("tickers", symbol))
        self._put(FeedBroken(symbol=symbol, reason=reason), ("broken", symbol))

    def _put(self, event: MarketEvent, key: tuple[str, str]) -> None:
        if self._delivery is not None:
            self._delivery.put(event, None if self._pace else key)
