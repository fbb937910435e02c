"""Stopping ends: at every step of a connection or a rebuild, and whatever the other side does or leaves undone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from hedgelock_actors.adapters.bybit import connection as connection_module
from hedgelock_actors.adapters.bybit import delivery as delivery_module
from hedgelock_actors.adapters.bybit.connection import Connection, ConnectionFailed, SocketSpec
from hedgelock_actors.adapters.bybit.delivery import Delivery
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.streams import Patience, Stream
from tests.unit.bybit.fake_venue import NOW_MS, until

# Far longer than a stop takes, and far shorter than the wait that it must not get into.
STOPPED_S = 4.0
QUICK = Patience(answer_s=5.0, silence_s=30.0, look_s=5.0, first_s=30.0, backoff_min_s=0.02, backoff_max_s=0.1)
TOPICS = ("tickers.A", "tickers.B")
ANSWER = json.dumps({"op": "subscribe", "success": True, "ret_msg": ""})
# More turns of the loop than an answer needs to get from the socket to the one who waits for it.
TURNS = range(12)


def spec(url: str = "http://127.0.0.1:1") -> SocketSpec:
    return SocketSpec(Endpoints.local(url), "linear", None, None, lambda: NOW_MS, lambda: 0)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Deaf:
    """A listener that wants nothing."""

    idle = True

    def on_up(self) -> None: ...

    def on_down(self, reason: str) -> None: ...

    def on_message(self, message: Mapping[str, object]) -> None: ...

    def complaint(self) -> str | None:
        return None


class Wire:
    """Stands for a connection: answers when the test says so."""

    made: list[Wire]

    def __init__(self, on_text: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        self.made.append(self)
        self.say, self.lose = on_text, on_lost
        self.sent: list[object] = []
        self.closed = False
        self.alive = True

    async def open(self, spec: SocketSpec) -> None:
        await asyncio.sleep(0)

    def send(self, frame: object) -> None:
        self.sent.append(frame)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
    class Mine(Wire):
        made: list[Wire] = []  # noqa: RUF012 - made anew for each test

    monkeypatch.setattr("hedgelock_actors.adapters.bybit.streams.Connection", Mine)
    return Mine.made


# ------------------------------------------------------------------ in any turn of the loop


@pytest.mark.parametrize("count", TURNS)
@pytest.mark.parametrize("answers", [1, 2], ids=["one of two answers", "the last answer"])
async def test_a_stop_that_comes_with_an_answer_is_not_lost(wires: list[Wire], answers: int, count: int) -> None:
    stream = Stream(spec(), TOPICS, Deaf(), QUICK)
    starting = asyncio.create_task(stream.start())
    await until(lambda: bool(wires) and len(wires[0].sent) == len(TOPICS))
    await turns(20)  # now it waits for the answers
    for _ in range(answers):
        wires[0].say(ANSWER)
    await turns(count)
    async with asyncio.timeout(STOPPED_S):
        await stream.stop()
        await starting
    await asyncio.sleep(0.01)
    assert [wire.closed for wire in wires] == [True]


@pytest.mark.parametrize("count", TURNS)
async def test_a_stop_that_comes_with_a_rebuild_opens_nothing_more(wires: list[Wire], count: int) -> None:
    stream = Stream(spec(), TOPICS, Deaf(), QUICK)
    starting = asyncio.create_task(stream.start())
    await until(lambda: bool(wires) and len(wires[0].sent) == len(TOPICS))
    stream.rebuild("the book has a gap")
    await turns(count)
    async with asyncio.timeout(STOPPED_S):
        await stream.stop()
        await starting
    made = len(wires)
    await asyncio.sleep(0.1)
    assert len(wires) == made
    assert all(wire.closed for wire in wires)


class Instant(connection_module._Socket):
    """Connects when the test says so."""

    release: threading.Event
    left: threading.Event

    def connect(self) -> None:
        self.release.wait(5.0)

    def is_connected(self) -> bool:
        return False

    def leave(self) -> None:
        self.left.set()


@pytest.mark.parametrize("count", TURNS)
async def test_a_cancel_that_comes_with_the_connection_is_not_lost(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    class Mine(Instant):
        release = threading.Event()
        left = threading.Event()

    monkeypatch.setattr(connection_module, "_Socket", Mine)
    connection = Connection(lambda text: None, lambda reason: None)
    opening = asyncio.create_task(connection.open(spec()))
    await turns(5)
    Mine.release.set()
    builder = connection._builder
    assert builder is not None
    builder.join(5.0)  # what it has to say is now queued on this loop
    await turns(count)
    cancelled = opening.cancel()
    result = (await asyncio.gather(opening, return_exceptions=True))[0]
    assert isinstance(result, asyncio.CancelledError if cancelled else ConnectionFailed)
    await connection.close()
    assert Mine.left.is_set()


# ------------------------------------------------------------------ venues that leave things undone


class Wall:
    """Accepts connections, says `greeting(request)` once, and then only listens."""

    def __init__(self, greeting: Callable[[bytes], bytes]) -> None:
        self.begun = 0
        self.ended = 0
        self.url = ""
        self._greeting = greeting

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._greeting(request))
            self.begun += 1
            while await reader.read(1000):
                pass
        except OSError:
            pass  # cut off: an end like any other
        finally:
            self.ended += 1
            writer.close()


@asynccontextmanager
async def wall(greeting: Callable[[bytes], bytes]) -> AsyncIterator[Wall]:
    running = Wall(greeting)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, family=socket.AF_INET)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield running


def nothing(request: bytes) -> bytes:
    return b""


def half_a_frame(request: bytes) -> bytes:
    """A good handshake, and a text frame of 100 bytes of which two come."""
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    seed = key.split(b":", 1)[1].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(seed, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    return head + accept + b"\r\n\r\n" + bytes([0x81, 100]) + b"{ "


@pytest.mark.parametrize("greeting", [nothing, half_a_frame], ids=["no handshake", "half a frame"])
async def test_a_venue_that_keeps_us_waiting_does_not_keep_us_from_stopping(
    monkeypatch: pytest.MonkeyPatch, greeting: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(connection_module, "_CLOSE_TIMEOUT_S", 0.5)
    async with wall(greeting) as venue:
        stream = Stream(spec(venue.url), TOPICS, Deaf(), QUICK)
        starting = asyncio.create_task(stream.start())
        await until(lambda: venue.begun == 1)
        await asyncio.sleep(0.1)
        async with asyncio.timeout(STOPPED_S):
            await stream.stop()
            await starting
        await until(lambda: venue.ended == 1)
        await asyncio.sleep(0.1)
        assert venue.begun == 1


async def test_giving_up_on_a_handshake_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_CONNECT_TIMEOUT_S", 0.2)
    async with wall(nothing) as venue:
        stream = Stream(spec(venue.url), TOPICS, Deaf(), QUICK)
        await stream.start()
        await until(lambda: venue.begun >= 3)
        await until(lambda: venue.ended >= 2)
        await stream.stop()
        await until(lambda: venue.ended == venue.begun)


# ------------------------------------------------------------------ handlers


async def test_a_handler_that_swallows_its_cancellation_is_the_last() -> None:
    heard: list[int] = []

    async def stubborn(event: int) -> None:
        heard.append(event)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass  # as wait_for does when its result comes at the same time

    delivery = Delivery("test", stubborn, lambda: None, 10)
    delivery.start()
    delivery.put(1)
    delivery.put(2)
    await until(lambda: bool(heard))
    async with asyncio.timeout(STOPPED_S):
        await delivery.stop()
    assert heard == [1]


async def test_a_handler_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "_STOP_TIMEOUT_S", 0.05)
    release = asyncio.Event()
    heard: list[int] = []

    async def endless(event: int) -> None:
        heard.append(event)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass  # that is the point

    delivery = Delivery("test", endless, lambda: None, 10)
    delivery.start()
    delivery.put(1)
    delivery.put(2)
    await until(lambda: bool(heard))
    async with asyncio.timeout(STOPPED_S):
        await delivery.stop()
    release.set()
    await asyncio.sleep(0.05)
    assert heard == [1]


async def test_a_handler_may_stop_its_own_delivery() -> None:
    heard: list[int] = []

    async def last(event: int) -> None:
        heard.append(event)
        await delivery.stop()

    delivery = Delivery("test", last, lambda: None, 10)
    delivery.start()
    delivery.put(1)
    delivery.put(2)
    await until(lambda: bool(heard))
    await asyncio.sleep(0.02)
    assert heard == [1]
