"""What the exchange did, as frames: public topics shared by all, private topics per account."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from hedgelock_actors.simulator import render, render_market
from hedgelock_actors.simulator.api import (
    BookChanged,
    BookView,
    Event,
    ExchangeApi,
    Execution,
    KlineChanged,
    Liquidation,
    OrderUpdate,
    PositionUpdate,
    PriceLimit,
    PublicTrades,
    TickerChanged,
    TickerView,
    WalletUpdate,
)
from hedgelock_actors.simulator.book_stream import BookMessage, BookStream
from hedgelock_actors.simulator.faults import ServerFaults
from hedgelock_actors.simulator.ws_connection import encode
from hedgelock_actors.simulator.ws_hub import Hub

DEPTHS = (1, 50, 200, 1000)
TOUCH_REPEAT_MS = 3_000
_HELD_S = 0.05
INTERVALS = frozenset(("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D"))


def _book_frame(message: BookMessage, depth: int) -> bytes:
    return encode(
        {
            "topic": f"orderbook.{depth}.{message.symbol}",
            "type": message.type,
            "ts": message.ts_ms,
            "data": {"s": message.symbol, "b": message.bids, "a": message.asks, "u": message.u, "seq": message.seq},
            "cts": message.ts_ms,
        }
    )


class PublicFeed:
    """Frames of the public topics. State per topic is kept only while someone listens."""

    def __init__(self, exchange: ExchangeApi, hub: Hub) -> None:
        self._exchange = exchange
        self._hub = hub
        self._tickers: dict[str, dict[str, str]] = {}
        self._books: dict[tuple[str, int], BookStream] = {}
        self._touched_ms: dict[str, int] = {}

    # ------------------------------------------------------------------ what a new subscriber gets first

    def first_frames(self, kind: str, topic: str, now_ms: int) -> list[bytes]:
        """The snapshot that a subscription of `topic` begins with; must be asked before the subscription is entered."""
        name, _, rest = topic.partition(".")
        if name == "orderbook":
            depth, _, symbol = rest.partition(".")
            return self._book_snapshot(symbol, int(depth), shared=self._hub.wanted(f"{kind}/{topic}"))
        if name != "tickers":
            return []
        if kind == "spot":
            return [self._spot_ticker(rest, now_ms)]
        if not self._hub.wanted(f"{kind}/{topic}") or rest not in self._tickers:
            self._tickers[rest] = render_market.ticker_stream(self._exchange.ticker(rest))
        return [self._ticker_frame(rest, "snapshot", self._tickers[rest], now_ms, self._exchange.ticker(rest).seq)]

    def _book_snapshot(self, symbol: str, depth: int, shared: bool) -> list[bytes]:
        stream = self._books.get((symbol, depth))
        if stream is None or not shared:
            stream = self._books[(symbol, depth)] = BookStream(depth)
            stream.update(self._exchange.book(symbol))
            if depth == 1:
                self._touched_ms[symbol] = self._exchange.now_ms
        message = stream.snapshot()
        return [_book_frame(message, depth)] if message is not None else []

    def restart_books(self) -> None:
        """Begin all books anew, as after a restart of the venue's service: snapshots with u = 1."""
        for symbol, depth in list(self._books):
            for frame in self._book_snapshot(symbol, depth, shared=False):
                self._hub.publish(f"linear/orderbook.{depth}.{symbol}", frame)

    # ------------------------------------------------------------------ what happens

    def publish(self, event: Event) -> None:
        """Tell the listeners of one public event."""
        match event.payload:
            case BookChanged(book=book):
                for depth in DEPTHS:
                    self._book(book, depth)
            case TickerChanged(ticker=view):
                self._ticker(view, event.ts_ms)
            case PublicTrades(trades=trades) if trades:
                key = f"linear/publicTrade.{trades[0].symbol}"
                if self._hub.wanted(key):
                    self._simple(key, event.ts_ms, [render_market.trade_push(trade) for trade in trades])
            case KlineChanged(kline=bar):
                self._klines(bar.symbol, event.ts_ms)
            case Liquidation():
                self._liquidation(event.payload, event.ts_ms)
            case PriceLimit():
                self._price_limit(event.payload, event.ts_ms)
            case _:
                pass  # loan events have no stream

    def _simple(self, key: str, ts_ms: int, data: object) -> None:
        topic = key.partition("/")[2]
        self._hub.publish(key, encode({"topic": topic, "type": "snapshot", "ts": ts_ms, "data": data}))

    def _book(self, book: BookView, depth: int) -> None:
        key = f"linear/orderbook.{depth}.{book.symbol}"
        stream = self._books.get((book.symbol, depth))
        if stream is None or not self._hub.wanted(key):
            return
        message = stream.update(book)
        if message is not None:
            if depth == 1:
                self._touched_ms[book.symbol] = message.ts_ms
            self._hub.publish(key, _book_frame(message, depth))

    def repeat_touch(self, now_ms: int) -> None:
        """Send level 1 again where it has not changed for 3 s, with the same `u`."""
        for (symbol, depth), stream in self._books.items():
            if depth != 1 or now_ms - self._touched_ms.get(symbol, 0) < TOUCH_REPEAT_MS:
                continue
            self._touched_ms[symbol] = now_ms
            message = stream.snapshot()
            if message is not None and self._hub.wanted(f"linear/orderbook.1.{symbol}"):
                self._hub.publish(f"linear/orderbook.1.{symbol}", _book_frame(replace(message, ts_ms=now_ms), 1))

    def _ticker(self, view: TickerView, ts_ms: int) -> None:
        symbol = view.symbol
        if self._hub.wanted(f"spot/tickers.{symbol}"):
            self._hub.publish(f"spot/tickers.{symbol}", self._spot_ticker(symbol, ts_ms))
        key = f"linear/tickers.{symbol}"
        if not self._hub.wanted(key):
            return
        before, now = self._tickers.get(symbol, {}), render_market.ticker_stream(view)
        self._tickers[symbol] = now
        changed = {"symbol": symbol, **{name: value for name, value in now.items() if before.get(name) != value}}
        if len(changed) > 1:
            self._hub.publish(key, self._ticker_frame(symbol, "delta", changed, ts_ms, view.seq))

    @staticmethod
    def _ticker_frame(symbol: str, kind: str, data: dict[str, str], ts_ms: int, seq: int) -> bytes:
        return encode({"topic": f"tickers.{symbol}", "type": kind, "data": data, "cs": seq, "ts": ts_ms})

    def _spot_ticker(self, symbol: str, ts_ms: int) -> bytes:
        view = self._exchange.ticker(symbol)
        return encode(
            {
                "topic": f"tickers.{symbol}",
                "ts": ts_ms,
                "type": "snapshot",
                "cs": view.seq,
                "data": render_market.spot_ticker(view, stream=True),
            }
        )

    def _klines(self, symbol: str, ts_ms: int) -> None:
        for interval in INTERVALS:
            key = f"linear/kline.{interval}.{symbol}"
            if not self._hub.wanted(key):
                continue
            rows = [render_market.kline_push(bar, ts_ms) for bar in self._exchange.klines(symbol, interval, limit=1)]
            topic = key.partition("/")[2]
            self._hub.publish(key, encode({"topic": topic, "data": rows, "ts": ts_ms, "type": "snapshot"}))

    def _liquidation(self, item: Liquidation, ts_ms: int) -> None:
        row = {
            "T": ts_ms,
            "s": item.symbol,
            "S": item.side,
            "v": render.text(item.size),
            "p": render.text(item.price),
        }
        self._simple(f"linear/allLiquidation.{item.symbol}", ts_ms, [row])

    def _price_limit(self, item: PriceLimit, ts_ms: int) -> None:
        key = f"linear/priceLimit.{item.symbol}"
        if self._hub.wanted(key):
            data = {
                "symbol": item.symbol,
                "buyLmt": render.text(item.buy_limit),
                "sellLmt": render.text(item.sell_limit),
            }
            self._hub.publish(key, encode({"topic": f"priceLimit.{item.symbol}", "data": data, "ts": ts_ms}))


class PrivateFeed:
    """Frames of the private topics. A topic may be the whole or its linear part (`order`, `order.linear`)."""

    def __init__(self, hub: Hub, faults: ServerFaults, new_id: Callable[[], str]) -> None:
        self._hub = hub
        self._faults = faults
        self._new_id = new_id
        self._held: dict[str, tuple[str, bytes]] = {}

    def publish(self, event: Event) -> None:
        """Tell the account's listeners of one private event."""
        uid, payload = event.uid or "", event.payload
        match payload:
            case OrderUpdate(order=order):
                self._push(uid, "order", event.ts_ms, lambda: render.order_push(order))
            case Execution(execution=execution):
                seq_id = f"{uid}_{execution.symbol}_{execution.seq}"
                self._push(uid, "execution", event.ts_ms, lambda: render.execution_push(execution), seq_id)
                if execution.exec_type == "Trade":
                    self._push(uid, "execution.fast", event.ts_ms, lambda: render.fast_execution_push(execution), None)
            case PositionUpdate(position=position):
                self._push(uid, "position", event.ts_ms, lambda: render.position_push(position))
            case WalletUpdate(wallet=wallet, coin=coin):
                coins = frozenset((coin,)) if coin else None
                self._push(uid, "wallet", event.ts_ms, lambda: render.wallet(wallet, coins))
            case _:
                pass  # loan events have no stream

    def _push(
        self, uid: str, name: str, ts_ms: int, data: Callable[[], render.Json], message_id: str | None = ""
    ) -> None:
        for topic in (name, f"{name}.linear"):
            key = f"{uid}/{topic}"
            if not self._hub.wanted(key):
                continue
            message: dict[str, object] = {"topic": topic, "creationTime": ts_ms, "data": [data()]}
            if message_id is not None:
                message = {"id": message_id or f"{uid}{self._new_id()}", **message}
            self._send(uid, key, encode(message))

    def _send(self, uid: str, key: str, frame: bytes) -> None:
        held = self._held.pop(uid, None)
        if held is None and self._faults.reorder_private:
            # Every second frame overtakes the one before it; one that nothing follows is not held for long.
            self._held[uid] = (key, frame)
            asyncio.get_running_loop().call_later(_HELD_S, self._release, uid, frame)
            return
        for name, one in ((key, frame), held or ("", b"")):
            for _ in range(2 if self._faults.duplicate_private else 1):
                self._hub.publish(name, one)

    def _release(self, uid: str, frame: bytes) -> None:
        held = self._held.get(uid)
        if held is not None and held[1] is frame:
            del self._held[uid]
            self._hub.publish(*held)
