"""A line between two programs that can be made bad: late, slow, in crumbs, deaf in one direction, cut in the middle.

Addresses are (host, port), or the path of a Unix socket. What is set holds for the connections that are open and for
those to come, until `heal`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

Address = tuple[str, int] | str
_CHUNK = 65_536
_RST = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Way:
    """What happens to the bytes of one direction."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Added to the latency, drawn evenly from 0 to this."""
    crumb_bytes: int = 0
    """Handed on in pieces of at most so many bytes; 0: as they come."""
    bytes_per_s: float = 0.0
    """0: without a limit."""
    deaf: bool = False
    """Taken in and never handed on, while the connection stays open (half-open)."""
    cut_after: int = -1
    """So many more bytes are handed on, over all connections; then the connection is reset. −1: never."""


OPEN = Way()


@dataclass(eq=False)
class _Line:
    """One connection and its continuation."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    spoilt: bool = False
    """Bytes of it were swallowed: it cannot be mended, only closed."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        """Both ends see a reset at once."""
        for writer in (self.client, self.server):
            if writer is not None and not writer.transport.is_closing():
                sock = writer.get_extra_info("socket")
                if sock is not None and sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
                writer.transport.abort()


class Proxy:
    """`up` is from whoever connects to the target, `down` the way back."""

    def __init__(self, target: Address, listen: Address = ("127.0.0.1", 0), seed: int = 0) -> None:
        self.up = self.down = OPEN
        self.refusing = False
        """New connections are reset at once."""
        self.accepted = self.refused = self.cut = 0
        self.carried = {"up": 0, "down": 0}
        """Bytes handed on."""
        self.swallowed = 0
        self._target, self._listen = target, listen
        self._rng = random.Random(seed)
        self._lines: set[_Line] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        if isinstance(self._listen, str):
            self._server = await asyncio.start_unix_server(self._accept, self._listen)
            Path(self._listen).chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._accept, *self._listen)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for line in self._lines for task in line.tasks]
        self.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def lines(self) -> int:
        """Connections that are open."""
        return len(self._lines)

    def reset(self) -> None:
        """Reset every connection."""
        self.cut += len(self._lines)
        for line in list(self._lines):
            line.reset()

    def partition(self) -> None:
        """Nothing passes in either direction, and nobody is told."""
        self.up, self.down = Way(deaf=True), Way(deaf=True)

    def heal(self) -> None:
        """As good as new; connections that have lost bytes are reset."""
        self.up = self.down = OPEN
        self.refusing = False
        for line in list(self._lines):
            if line.spoilt:
                line.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(writer)
        if self.refusing:
            self.refused += 1
            line.reset()
            return
        self.accepted += 1
        self._lines.add(line)
        try:
            there, line.server = await self._connect()
            line.tasks = [
                asyncio.create_task(self._carry(line, "up", reader, line.server)),
                asyncio.create_task(self._carry(line, "down", there, writer)),
            ]
            await asyncio.wait(line.tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the target is not there: the connection is reset, as it would be without us
        finally:
            for task in line.tasks:
                task.cancel()
            self._lines.discard(line)
            line.reset()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    def _way(self, direction: str) -> Way:
        return self.up if direction == "up" else self.down

    async def _carry(
        self, line: _Line, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                way = self._way(direction)
                if way.latency_s or way.jitter_s:
                    await asyncio.sleep(way.latency_s + self._rng.uniform(0, way.jitter_s))
                for crumb in _crumbs(data, way.crumb_bytes):
                    if not await self._hand_on(line, direction, crumb, writer):
                        return
        except OSError:
            return

    async def _hand_on(self, line: _Line, direction: str, data: bytes, writer: asyncio.StreamWriter) -> bool:
        way = self._way(direction)
        if way.deaf or line.spoilt:
            # After a gap nothing more may come through: the receiver would read it as the continuation.
            line.spoilt = True
            self.swallowed += len(data)
            return True
        if way.cut_after >= 0:
            data, left = data[: way.cut_after], way.cut_after - len(data)
            changed = replace(way, cut_after=max(0, left))
            self.up, self.down = (changed, self.down) if direction == "up" else (self.up, changed)
        writer.write(data)
        await writer.drain()
        self.carried[direction] += len(data)
        if way.bytes_per_s:
            await asyncio.sleep(len(data) / way.bytes_per_s)
        elif way.crumb_bytes:
            await asyncio.sleep(0)
        if way.cut_after >= 0 and self._way(direction).cut_after <= 0:
            self.cut += 1
            return False
        return True


def _crumbs(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
