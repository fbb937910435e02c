"""The floor of a reaction: one process, one event loop, no journal, no checks: a price comes, an order goes.

Run as `python -m hedgelock_actors.bench.floor` with its task as JSON on standard input; answers with stamps as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import aiohttp
import msgspec
import uvloop

encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
TICK = Decimal("0.1")
THROUGH = Decimal("0.001")
BOTH = frozenset({"orderbook", "tickers"})
WAIT_S = 30.0
FILLS_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Send `orders` limit IOC orders of `qty`, to and fro, one for each price step."""

    ws: str
    api_key: str
    api_secret: str
    symbol: str
    qty: str
    orders: int


@dataclass(slots=True)
class Floor:
    """The loop. Stamps are (stage, key, ns of CLOCK_MONOTONIC), as `bench.stages` reads them."""

    task: Task
    trade: aiohttp.ClientWebSocketResponse
    stamps: list[tuple[str, str, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)
    filled: int = 0
    all_sent: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: dict[int, set[str]] = field(default_factory=dict)
    _mid: Decimal = Decimal(0)

    async def prices(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """React to every step of which both halves, book and ticker, are there."""
        async for message in socket:
            arrived_ns = time.monotonic_ns()
            frame = decode(message.data)
            ts, kind = frame.get("ts"), str(frame.get("topic", "")).partition(".")[0]
            if kind not in BOTH or len(self.links) >= self.task.orders:
                continue
            if kind == "orderbook":
                self._learn(frame["data"])
            halves = self._seen.setdefault(ts, set())
            if not halves:
                self.stamps.append(("frame", str(ts), arrived_ns))
            halves.add(kind)
            if halves == BOTH and self._mid:
                await self._send(ts)

    def _learn(self, book: Mapping[str, Any]) -> None:
        best = [Decimal(side[0][0]) for side in (book["b"], book["a"]) if side]
        if best:
            self._mid = sum(best, Decimal(0)) / len(best)

    async def _send(self, ts: int) -> None:
        number = len(self.links)
        link, sell = f"floor-{ts}-{number}", number % 2 == 0
        limit = self._mid * (1 - THROUGH if sell else 1 + THROUGH)
        order = {
            "category": "linear",
            "symbol": self.task.symbol,
            "side": "Sell" if sell else "Buy",
            "orderType": "Limit",
            "qty": self.task.qty,
            "price": str(limit.quantize(TICK, ROUND_HALF_UP)),
            "timeInForce": "IOC",
            "reduceOnly": not sell,
            "orderLinkId": link,
        }
        header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000), "X-BAPI-RECV-WINDOW": "5000"}
        raw = encode({"reqId": link, "header": header, "op": "order.create", "args": [order]})
        self.links.append((link, ts))
        self.stamps.append(("place", link, time.monotonic_ns()))
        await self.trade.send_str(raw.decode())
        if len(self.links) >= self.task.orders:
            self.all_sent.set()

    async def fills(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Note each fill."""
        async for message in socket:
            arrived_ns = time.monotonic_ns()
            frame = decode(message.data)
            if str(frame.get("topic", "")).startswith("execution"):
                for row in frame["data"]:
                    self.stamps.append(("fill", str(row["orderLinkId"]), arrived_ns))
                    self.filled += 1
                if self.filled >= self.task.orders:
                    self.done.set()

    async def answers(self) -> None:
        """Read the trade socket empty."""
        async for _ in self.trade:
            pass


async def run(task: Task) -> dict[str, object]:
    """Do it. Raises TimeoutError when the venue sends no prices."""
    async with aiohttp.ClientSession() as session:
        public = await session.ws_connect(f"{task.ws}/v5/public/linear")
        private = await session.ws_connect(f"{task.ws}/v5/private")
        trade = await session.ws_connect(f"{task.ws}/v5/trade")
        for socket in (private, trade):
            await socket.send_str(json.dumps({"op": "auth", "args": _auth(task)}))
            await socket.receive()
        await private.send_str(json.dumps({"op": "subscribe", "args": ["execution"]}))
        topics = [f"orderbook.50.{task.symbol}", f"tickers.{task.symbol}"]
        await public.send_str(json.dumps({"op": "subscribe", "args": topics}))
        floor = Floor(task, trade)
        readers = [asyncio.create_task(work) for work in (floor.prices(public), floor.fills(private), floor.answers())]
        try:
            async with asyncio.timeout(WAIT_S + task.orders):
                await floor.all_sent.wait()
            try:
                async with asyncio.timeout(FILLS_S):
                    await floor.done.wait()
            except TimeoutError:
                pass  # some did not fill: what is stamped is what is told
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        return {"stamps": floor.stamps, "links": floor.links}


def _auth(task: Task) -> list[object]:
    expires = time.time_ns() // 1_000_000 + 10_000
    signature = hmac.new(task.api_secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return [task.api_key, expires, signature]


def main() -> int:
    """Task in, stamps out."""
    task = Task(**json.loads(sys.stdin.read()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(run(task))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
