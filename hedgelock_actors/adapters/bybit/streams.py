"""A subscription that is kept alive: connects, checks every answer, notices death and silence, and starts anew."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from hedgelock_actors.adapters.bybit.connection import Connection, ConnectionFailed, SocketSpec

_log = logging.getLogger(__name__)

# More than closing a connection may take.
_STOP_TIMEOUT_S = 10.0
_CONTROL_OPS = frozenset({"auth", "subscribe", "unsubscribe", "ping", "pong"})


class SubscriptionRefused(Exception):
    """The venue refused the authentication or a topic, or did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Wall-clock bounds, seconds. The venue's keep-alive answers at least every 20 s, so silence means a dead line."""

    answer_s: float = 10.0
    silence_s: float = 45.0
    look_s: float = 1.0
    first_s: float = 12.0
    backoff_min_s: float = 0.25
    backoff_max_s: float = 20.0
    settled_s: float = 30.0
    """A connection that has lived so long resets the back-off."""


class Listener(Protocol):
    """Who hears what the stream says. All calls are made on the event loop and return at once."""

    @property
    def idle(self) -> bool:
        """Everything heard so far has been fully taken in."""
        ...

    def on_up(self) -> None:
        """Subscribed to everything."""
        ...

    def on_down(self, reason: str) -> None:
        """Interrupted: anything may have been missed."""
        ...

    def on_message(self, message: Mapping[str, object]) -> None:
        """A data message, or an answer to a request."""
        ...

    def complaint(self) -> str | None:
        """Why the connection should be given up although it lives; None when all is well."""
        ...


class Stream:
    """Keeps `topics` subscribed. In lock-step it acknowledges frames once the listener has taken them in."""

    def __init__(
        self, spec: SocketSpec, topics: Sequence[str], listener: Listener, patience: Patience | None = None
    ) -> None:
        self.connects = 0
        self.unreadable = 0
        self._spec = spec
        self._topics = tuple(topics)
        self._listener = listener
        self._patience = patience or Patience()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._first = asyncio.Event()
        self._connection: Connection | None = None
        self._frames = 0
        self._acked = 0
        self._heard_s = 0.0
        self._control: asyncio.Queue[Mapping[str, object]] = asyncio.Queue()
        self._down: asyncio.Future[str] | None = None

    async def start(self) -> None:
        """Begin; returns when the first attempt has succeeded or failed (then it goes on trying)."""
        self._task = asyncio.create_task(self._run(), name=f"stream-{self._spec.channel}")
        try:
            async with asyncio.timeout(self._patience.first_s):
                await self._first.wait()
        except TimeoutError:
            pass  # it goes on in the background and tells the listener when it is up

    async def stop(self) -> None:
        """Disconnect for good; bounded, whatever the venue does and however far a connection or a rebuild has come."""
        task, self._task = self._task, None
        self._stopped = True
        self._first.set()
        if task is None:
            return
        task.cancel()
        _, late = await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)
        if late:
            _log.error("%s stream did not stop within %.0f s", self._spec.channel, _STOP_TIMEOUT_S)

    def rebuild(self, reason: str) -> None:
        """Give this connection up and open another."""
        if self._down is not None and not self._down.done():
            self._down.set_result(reason)

    @property
    def heard_s(self) -> float:
        """When the last frame came, by the monotonic clock."""
        return self._heard_s

    def write(self, frame: bytes) -> bool:
        """Write an encoded frame at once; False when certainly nothing has left us. Raises LostInWrite."""
        return self._connection is not None and self._connection.write(frame)

    def acknowledge(self) -> None:
        """Lock-step: tell the venue that all frames so far have been taken in, if they have."""
        connection = self._connection
        if not self._spec.pace or connection is None or self._acked == self._frames or not self._listener.idle:
            return
        self._acked = self._frames
        connection.send({"op": "sim.ack", "args": [self._frames]})

    # ------------------------------------------------------------------ keeping it up

    async def _run(self) -> None:
        delay_s = self._patience.backoff_min_s
        while True:
            began = time.monotonic()
            reason = await self._live_once()
            if self._stopped:
                return
            self._first.set()
            _log.warning("%s stream lost: %s", self._spec.channel, reason)
            if time.monotonic() - began > self._patience.settled_s:
                delay_s = self._patience.backoff_min_s
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))
            delay_s = min(delay_s * 2, self._patience.backoff_max_s)

    async def _live_once(self) -> str:
        """Connect, subscribe, stay until it ends; returns why it ended."""
        self._frames = self._acked = 0
        self._control = asyncio.Queue()
        down: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._down = down
        connection = Connection(self._take, self.rebuild)
        self._connection = connection
        try:
            reason = await self._stay(connection, down)
            self._connection = None
            if not self._stopped:
                self._listener.on_down(reason)  # before closing, which may take seconds
            return reason
        finally:
            self._connection = None
            await connection.close()

    async def _stay(self, connection: Connection, down: asyncio.Future[str]) -> str:
        try:
            await connection.open(self._spec)
            self.connects += 1
            self._heard_s = time.monotonic()
            await self._subscribe(connection, down)
            self._listener.on_up()
            self._first.set()
            self.acknowledge()
            return await self._watch(connection, down)
        except (ConnectionFailed, SubscriptionRefused) as error:
            return str(error)

    async def _subscribe(self, connection: Connection, down: asyncio.Future[str]) -> None:
        if self._spec.credentials is not None:
            await self._expect("auth", 1, down)
        for number, topic in enumerate(self._topics):
            connection.send({"op": "subscribe", "req_id": str(number), "args": [topic]})
        await self._expect("subscribe", len(self._topics), down)

    async def _expect(self, op: str, count: int, down: asyncio.Future[str]) -> None:
        """Wait for `count` good answers to `op`: the venue does not always echo which request an answer belongs to."""
        deadline = time.monotonic() + self._patience.answer_s
        while count:
            try:
                # Not wait_for: until Python 3.12 it loses a cancellation that comes together with the answer,
                # and whoever stops this stream would wait for it without end.
                async with asyncio.timeout(deadline - time.monotonic()):
                    answer = await self._next_control(down)
            except TimeoutError:
                raise SubscriptionRefused(f"{op}: no answer within {self._patience.answer_s:.0f} s") from None
            if answer.get("op") != op:
                continue
            if answer.get("success") is not True and answer.get("retCode") != 0:  # the trade socket has its own form
                raise SubscriptionRefused(f"{op}: {answer.get('ret_msg', answer.get('retMsg'))}")
            count -= 1

    async def _next_control(self, down: asyncio.Future[str]) -> Mapping[str, object]:
        """The next control frame; ends with SubscriptionRefused when the connection goes first."""
        getter = asyncio.ensure_future(self._control.get())
        try:
            await asyncio.wait((getter, down), return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result()
            raise SubscriptionRefused(down.result())
        finally:
            getter.cancel()

    async def _watch(self, connection: Connection, down: asyncio.Future[str]) -> str:
        while True:
            await asyncio.wait({down}, timeout=self._patience.look_s)
            if down.done():
                return down.result()
            if not connection.alive:
                return "the reader has ended"
            if time.monotonic() - self._heard_s > self._patience.silence_s:
                return f"silent for {self._patience.silence_s:.0f} s"
            if (complaint := self._listener.complaint()) is not None:
                return complaint

    # ------------------------------------------------------------------ frames

    def _take(self, text: str) -> None:
        self._frames += 1
        self._heard_s = time.monotonic()
        message = self._decode(text)
        if message is None:
            self.rebuild("a frame that is not a JSON object")
        elif message.get("op") in _CONTROL_OPS:
            if "topic" not in message and message.get("op") in ("auth", "subscribe"):
                self._control.put_nowait(message)
        elif "topic" in message or "reqId" in message:
            self._listener.on_message(message)
        self.acknowledge()

    def _decode(self, text: str) -> Mapping[str, object] | None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if isinstance(message, dict):
            return message
        self.unreadable += 1
        return None
