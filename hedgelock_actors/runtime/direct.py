"""Messages between actors of one host over Unix sockets: a tenth of what a call through Ray takes.

Ray places actors, names them and starts them again; a message goes straight from process to process. Where there is no
socket (another host, an actor that is just starting) it goes through Ray. What the transport promises stays the same:
it repeats what was not answered, and the receiver takes each message in once.

A frame is a length of four bytes and MessagePack: `[number, [message, …]]` there, `[number, ["" or error, …]]` back.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import struct
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from hedgelock_actors.runtime.transport import Deliver, ReceiverDied, Undelivered
from hedgelock_actors.runtime.wiring import scratch

LOG = logging.getLogger(__name__)
Take = Callable[[Sequence[bytes]], Awaitable[list[str]]]

FRAME_MAX = 64 * 1024 * 1024
CONNECT_S = 0.2
PATH_MAX = 100
"""The kernel takes 107 bytes; a longer path goes without a socket."""

_encode = msgspec.msgpack.Encoder().encode
_requests = msgspec.msgpack.Decoder(tuple[int, list[bytes]])
_replies = msgspec.msgpack.Decoder(tuple[int, list[str]])


class _Framed(asyncio.Protocol):
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for frame in self._frames():
            self.frame(frame)

    @abstractmethod
    def frame(self, frame: bytes) -> None:
        """One whole frame."""

    def write(self, value: object) -> None:
        """Send one frame."""
        if self._transport is not None:
            raw = _encode(value)
            self._transport.write(struct.pack(">I", len(raw)) + raw)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    @property
    def closed(self) -> bool:
        """Nothing can be written."""
        return self._transport is None or self._transport.is_closing()

    def _frames(self) -> Iterator[bytes]:
        while len(self._buffer) >= 4:
            (size,) = struct.unpack_from(">I", self._buffer)
            if size > FRAME_MAX:
                LOG.error("direct.frame_too_long bytes=%d", size)
                self.close()
                return
            if len(self._buffer) < 4 + size:
                return
            frame = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            yield frame


class _Serving(_Framed):
    """The receiver's end: each batch is taken in beside the others, as a call through Ray would be."""

    def __init__(self, take: Take, lines: set[_Serving]) -> None:
        super().__init__()
        self._take, self._lines = take, lines
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.discard(self)

    def frame(self, frame: bytes) -> None:
        number, batch = _requests.decode(frame)
        task = asyncio.ensure_future(self._serve(number, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, batch: Sequence[bytes]) -> None:
        self.write((number, await self._take(batch)))


class _Line(_Framed):
    """The sender's end."""

    def __init__(self) -> None:
        super().__init__()
        self.inode = 0
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[list[str]]] = {}

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ReceiverDied("the receiver hung up"))

    def frame(self, frame: bytes) -> None:
        number, errors = _replies.decode(frame)
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(errors)

    async def ask(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        """Per message "" or why it was not taken in. Raises Undelivered."""
        number = next(self._numbers)
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self.write((number, batch))
            async with asyncio.timeout(wait_s):
                return await future
        except TimeoutError:
            raise Undelivered(f"{to}: no answer in {wait_s:g} s") from None
        finally:
            self._waiting.pop(number, None)


class DirectMail:
    """One process's post: `listen` for its own actor, `deliver` to the others; `otherwise` is the way through Ray."""

    def __init__(self, directory: Path | None, otherwise: Deliver) -> None:
        self._directory, self._otherwise = directory, otherwise
        self._lines: dict[str, _Line] = {}
        self._serving: set[_Serving] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, name: str, take: Take) -> bool:
        """Take messages in under this name; False when no socket can be had, and all goes through Ray."""
        path = self._path(name)
        if path is None or len(os.fsencode(path)) > PATH_MAX:
            return False
        loop = asyncio.get_running_loop()
        fresh = path.with_suffix(f".{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            self._server = await loop.create_unix_server(lambda: _Serving(take, self._serving), str(fresh))
            fresh.chmod(0o600)
            fresh.replace(path)  # a predecessor's socket is out of reach from here on
        except OSError as error:
            LOG.warning("direct.no_socket name=%s %s", name, error)
            return False
        return True

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        """A `runtime.transport.Deliver`."""
        line = await self._line(to)
        if line is None:
            return await self._otherwise(to, batch, wait_s)
        return await line.ask(to, batch, wait_s)

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._server is not None:
            self._server.close()
        for one in [*self._lines.values(), *self._serving]:
            one.close()
        self._lines.clear()

    async def _line(self, to: str) -> _Line | None:
        """The connection to the actor that has the name now, made when there is none; None: no socket answers."""
        path = self._path(to)
        if path is None:
            return None
        try:
            inode = path.stat().st_ino
        except OSError:
            inode = 0
        line = self._lines.get(to)
        if line is not None and not line.closed and line.inode == inode:
            return line
        if line is not None:
            line.close()
            self._lines.pop(to, None)
        return await self._connect(to, path, inode) if inode else None

    async def _connect(self, to: str, path: Path, inode: int) -> _Line | None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                _, made = await asyncio.get_running_loop().create_unix_connection(_Line, str(path))
            made.inode = inode
            known = self._lines.setdefault(to, made)
            if known is not made:
                made.close()  # somebody else of this process was faster
            return known
        return None

    def _path(self, name: str) -> Path | None:
        return None if self._directory is None else self._directory / f"{name}.sock"


def mailboxes(state: Path) -> Path | None:
    """Where the sockets of a run are; None when there is no safe place for them."""
    try:
        return scratch(state)
    except OSError as error:
        LOG.warning("direct.no_place %s", error)
        return None
