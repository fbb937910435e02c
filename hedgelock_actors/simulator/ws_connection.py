"""One WebSocket of a client: an ordered outgoing queue of frames that are encoded once, and a count for lock-step."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable

import msgspec
from aiohttp import WSMsgType, web

encode: Callable[[object], bytes] = msgspec.json.Encoder(decimal_format="string").encode
decode: Callable[[bytes], object] = msgspec.json.Decoder().decode
_QUEUE_MAX = 20_000


class Connection:
    """`kind` is linear, spot, private, trade, status or clock. Slow readers are cut off when 20,000 frames wait for
    them.
    """

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, kind: str, pace: str
    ) -> None:
        self.socket = socket
        self._transport = transport
        self.kind = kind
        self.pace = pace
        self.conn_id = secrets.token_hex(10)
        self.uid = ""
        self.topics: dict[str, str] = {}
        self.sent = 0
        self.acked = 0
        self.excused = False
        self.silent = False
        self._queue: deque[bytes] = deque()
        self._ready = asyncio.Event()

    def send(self, frame: bytes) -> None:
        """Queue an encoded text frame."""
        if self.silent or self.socket.closed:
            return
        if len(self._queue) >= _QUEUE_MAX:
            self.abort()
            return
        self._queue.append(frame)
        self.sent += 1
        self._ready.set()

    def send_json(self, value: object) -> None:
        """Queue a value for this connection alone."""
        self.send(encode(value))

    def abort(self) -> None:
        """Reset the TCP connection."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close with a close frame."""
        await self.socket.close()

    async def write(self) -> None:
        """Send what is queued, for as long as the connection lives."""
        while True:
            while self._queue:
                try:
                    await self.socket.send_frame(self._queue.popleft(), WSMsgType.TEXT)
                except (ConnectionError, RuntimeError):
                    return  # the client has gone; the reader notices and cleans up
            self._ready.clear()
            await self._ready.wait()
