"""A programmable venue on loopback: says exactly what a test tells it to, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret

KEYS = Credentials("key-of-test", Secret("secret-of-test"))
NOW_MS = 1_700_000_000_000

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def envelope(result: object = None, code: int = 0, text: str = "OK") -> dict[str, object]:
    return {"retCode": code, "retMsg": text, "result": result or {}, "retExtInfo": {}, "time": NOW_MS}


@dataclass
class Request:
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Line:
    """One WebSocket connection as the venue sees it."""

    socket: web.WebSocketResponse
    path: str
    query: dict[str, str]
    frames: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0

    async def send(self, frame: object) -> None:
        self.sent += 1
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    @property
    def acks(self) -> list[int]:
        return [frame["args"][0] for frame in self.frames if frame.get("op") == "sim.ack"]

    @property
    def subscribed(self) -> list[str]:
        return [topic for frame in self.frames if frame.get("op") == "subscribe" for topic in frame["args"]]


TradeAnswerer = Callable[[Line, dict[str, Any]], Awaitable[None]]


async def answer_trade(line: Line, frame: dict[str, Any]) -> None:
    """What the venue says on the trade socket when all is well."""
    op = frame["op"]
    if op == "auth":
        await line.send({"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"})
    elif op.startswith("order."):
        await line.send(trade_answer(frame, data={"orderId": "o-1", "orderLinkId": frame["args"][0]["orderLinkId"]}))


def trade_answer(frame: dict[str, Any], code: int = 0, text: str = "OK", data: object = None) -> dict[str, object]:
    return {
        "reqId": frame["reqId"],
        "retCode": code,
        "retMsg": text,
        "op": frame["op"],
        "data": data or {},
        "retExtInfo": {},
        "header": {
            "X-Bapi-Limit": "10",
            "X-Bapi-Limit-Status": "9",
            "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS),
            "Timenow": str(NOW_MS),
        },
        "connId": "c",
    }


class FakeVenue:
    """`answers[path]` are used up in order, the last one stays; `on_line` is called for each new connection."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.lines: list[Line] = []
        self.trades: list[Line] = []
        self.on_trade: TradeAnswerer = answer_trade
        self.answers: dict[str, deque[object]] = {}
        self.refuse_auth = False
        self.refuse_topic: str | None = None
        self.mute = False
        self.handshake_status: deque[int] = deque()
        self.url = ""

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.local(self.url)

    def answer(self, path: str, *answers: object) -> None:
        self.answers[path] = deque(answers)

    async def line(self, number: int = -1, count: int = 1) -> Line:
        """The connection `number`, once there are `count` with all their topics subscribed."""
        await until(lambda: len(self.lines) >= count and bool(self.lines[number].subscribed))
        return self.lines[number]

    async def rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        headers = dict(request.headers)
        self.requests.append(Request(request.method, request.path, request.rel_url.raw_query_string, body, headers))
        queue = self.answers.get(request.path)
        if queue is None:
            return web.json_response(envelope(code=10001, text="the fake knows no such path"))
        answer = queue.popleft() if len(queue) > 1 else queue[0]
        if callable(answer):
            result: web.StreamResponse = await answer(request)
            return result
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, text=answer.text, content_type=answer.content_type)
        return web.json_response(answer)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.handshake_status:
            return web.Response(status=self.handshake_status.popleft())
        socket = web.WebSocketResponse(timeout=1.0)  # for the other side's close
        await socket.prepare(request)
        line = Line(socket, request.path, dict(request.query))
        self.lines.append(line)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            frame = json.loads(message.data)
            line.frames.append(frame)
            await self.reply(line, frame)
        return socket

    async def trade(self, request: web.Request) -> web.StreamResponse:
        """The trade socket; what it answers is up to `on_trade`."""
        socket = web.WebSocketResponse(timeout=1.0)
        await socket.prepare(request)
        line = Line(socket, request.path, dict(request.query))
        self.trades.append(line)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            frame = json.loads(message.data)
            line.frames.append(frame)
            await self.on_trade(line, frame)
        return socket

    async def reply(self, line: Line, frame: dict[str, Any]) -> None:
        if self.mute:
            return
        match frame["op"]:
            case "auth":
                await line.send({"success": not self.refuse_auth, "ret_msg": "", "op": "auth", "conn_id": "c"})
            case "subscribe":
                bad = self.refuse_topic in frame["args"]
                text = f"error:handler not found,topic:{frame['args'][0]}" if bad else ""
                await line.send({"success": not bad, "ret_msg": text, "op": "subscribe", "req_id": frame["req_id"]})


@asynccontextmanager
async def fake_venue() -> AsyncIterator[FakeVenue]:
    venue = FakeVenue()
    app = web.Application()
    app.router.add_get("/v5/public/linear", venue.stream)
    app.router.add_get("/v5/private", venue.stream)
    app.router.add_get("/v5/trade", venue.trade)
    app.router.add_route("*", "/{path:.*}", venue.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield venue
    finally:
        for line in (*venue.lines, *venue.trades):
            await line.socket.close()
        await runner.cleanup()


async def until(check: Callable[[], bool], timeout_s: float = 8.0) -> None:
    """Wait until `check` holds."""
    async with asyncio.timeout(timeout_s):
        while not check():  # noqa: ASYNC110 (the checks look at other threads too)
            await asyncio.sleep(0.01)


def order_row(**changes: object) -> dict[str, object]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o-1",
        "orderLinkId": "hl-1",
        "side": "Sell",
        "orderType": "Limit",
        "price": "60000.0",
        "qty": "0.500",
        "orderStatus": "PartiallyFilled",
        "cancelType": "UNKNOWN",
        "rejectReason": "EC_NoError",
        "leavesQty": "0.300",
        "cumExecQty": "0.200",
        "cumExecValue": "12000",
        "cumExecFee": "6.6",
        "cumFeeDetail": {"USDT": "6.6"},
        "reduceOnly": False,
        "createType": "CreateByUser",
        "updatedTime": str(NOW_MS),
        **changes,
    }


def execution_row(**changes: object) -> dict[str, object]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "execId": "e-1",
        "orderId": "o-1",
        "orderLinkId": "hl-1",
        "side": "Sell",
        "execQty": "0.2",
        "execPrice": "60000",
        "execFee": "6.6",
        "execType": "Trade",
        "isMaker": False,
        "execTime": str(NOW_MS),
        "closedSize": "",
        "createType": "CreateByUser",
        **changes,
    }


def book_message(
    kind: str, u: int, bids: list[list[str]], asks: list[list[str]], symbol: str = "BTCUSDT", ts: int = NOW_MS
) -> dict[str, object]:
    data = {"s": symbol, "b": bids, "a": asks, "u": u, "seq": u}
    return {"topic": f"orderbook.50.{symbol}", "type": kind, "ts": ts, "data": data, "cts": ts}


def ticker_message(kind: str, symbol: str = "BTCUSDT", ts: int = NOW_MS, **fields: str) -> dict[str, object]:
    return {"topic": f"tickers.{symbol}", "type": kind, "ts": ts, "cs": 1, "data": {"symbol": symbol, **fields}}


FULL_TICKER = {
    "lastPrice": "60000.5",
    "markPrice": "60001",
    "indexPrice": "60002",
    "fundingRate": "0.0001",
    "nextFundingTime": str(NOW_MS + 3_600_000),
    "turnover24h": "1500000000.25",
}
