"""One WebSocket connection to the venue: pybit's, used only in the way that does not die silently.

pybit connects, authenticates, pings and reads; it gets neither our topics nor our callbacks, and it does not reconnect.
Every text frame is handed over raw. A connection that is lost stays lost: whoever holds it opens a new one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

import websocket
from pybit._http_manager import generate_signature
from pybit.unified_trading import WebSocket

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.secret import Credentials

_CONNECT_TIMEOUT_S = 15.0
_CLOSE_TIMEOUT_S = 5.0
# Frames that the reader may be ahead of the event loop before the connection is given up.
_MAX_BEHIND = 20_000
# pybit counts down before it looks: n retries are n - 1 attempts.
_ONE_ATTEMPT = 2


class ConnectionFailed(Exception):
    """No connection could be made; the message says why."""


@dataclass(frozen=True, slots=True)
class SocketSpec:
    """What to connect to. `channel` is `linear` or `private`; `pace` joins lock-step under that name."""

    endpoints: Endpoints
    channel: str
    credentials: Credentials | None
    pace: str | None
    now_ms: Callable[[], int]
    auth_expires_ms: Callable[[], int]


class _Socket(WebSocket):  # type: ignore[misc]  # pybit has no type hints
    def __init__(self, spec: SocketSpec, on_text: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        self._spec = spec
        self._on_text = on_text
        self._on_lost = on_lost
        self.last_error = "connection failed"
        keys = spec.credentials
        super().__init__(
            channel_type=spec.channel,
            testnet=spec.endpoints.testnet_hosts,
            demo=spec.endpoints.demo_hosts,
            api_key=keys.api_key if keys else None,
            api_secret=keys.api_secret.reveal() if keys else None,
            callback_function=on_text,
            retries=_ONE_ATTEMPT,
            restart_on_error=False,
        )

    def _connect(self, url: str) -> None:
        pace = f"pace={self._spec.pace}" if self._spec.pace else ""
        super()._connect(self._spec.endpoints.stream_url(url, pace))

    def _auth(self) -> None:
        expires = self._spec.now_ms() + self._spec.auth_expires_ms()
        signature = generate_signature(False, self.api_secret, f"GET/realtime{expires}")
        self.ws.send(json.dumps({"op": "auth", "args": [self.api_key, expires, signature]}))

    def _on_message(self, message: str) -> None:
        self._on_text(message)

    def _on_error(self, error: object) -> None:
        self.last_error = f"{type(error).__name__}: {error}"[:200]
        self._on_lost(self.last_error)

    def _on_close(self) -> None:
        self._on_lost("closed")

    def _send_custom_ping(self) -> None:
        try:
            super()._send_custom_ping()
        except (websocket.WebSocketException, OSError):
            pass  # it runs on a timer's thread; the reader finds out by itself

    def __repr__(self) -> str:
        return f"_Socket({self.endpoint})"


class Connection:
    """A connection and its hand-over to the event loop. `on_text` and `on_lost` are called on the loop."""

    def __init__(self, on_text: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliver = on_text
        self._lose = on_lost
        self._socket: _Socket | None = None
        self._core: websocket.WebSocket | None = None
        self._posted = 0
        self._taken = 0
        self._open = False
        self._closed = False

    async def open(self, spec: SocketSpec) -> None:
        """Connect, and send the authentication if there are credentials (its answer comes as a frame).

        Raises:
            ConnectionFailed: not within the time allowed, or refused.
        """
        done: asyncio.Future[_Socket] = self._loop.create_future()
        threading.Thread(target=self._build, args=(spec, done), name=f"connect-{spec.channel}", daemon=True).start()
        try:
            self._socket = await asyncio.wait_for(done, _CONNECT_TIMEOUT_S)
        except TimeoutError:
            self._closed = True
            raise ConnectionFailed(f"no connection within {_CONNECT_TIMEOUT_S:.0f} s") from None
        self._core = self._socket.ws.sock
        self._open = True
        if not self.alive:
            raise ConnectionFailed(self._socket.last_error)

    @property
    def alive(self) -> bool:
        """The socket is connected and its reader runs."""
        socket = self._socket
        return socket is not None and not self._closed and socket.is_connected() and socket.wst.is_alive()

    def send(self, frame: object) -> None:
        """Send a JSON frame; a dead connection is found by the reader or by `alive`, not here."""
        if self._socket is None:
            return
        try:
            self._socket.ws.send(json.dumps(frame))
        except (websocket.WebSocketException, OSError) as error:
            self._post_lost(f"send failed: {type(error).__name__}")

    async def close(self) -> None:
        """Close without waiting longer than a few seconds for the other side."""
        self._closed = True
        if self._socket is None:
            return
        done: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._exit, args=(self._socket, done), name="close-stream", daemon=True).start()
        try:
            await asyncio.wait_for(done, _CLOSE_TIMEOUT_S)
        except TimeoutError:
            pass  # the threads are daemons; the kernel closes what is left

    # ------------------------------------------------------------------ on threads

    def _build(self, spec: SocketSpec, done: asyncio.Future[_Socket]) -> None:
        try:
            socket = _Socket(spec, self._post_text, self._post_lost)
        except Exception as error:  # the edge: pybit raises what its thread met
            self._call(_settle_error, done, ConnectionFailed(f"{type(error).__name__}: {error}"[:300]))
            return
        self._call(self._opened, done, socket)

    def _exit(self, socket: _Socket, done: asyncio.Future[None]) -> None:
        core = self._core or socket.ws.sock
        try:
            socket.exit()
        except (websocket.WebSocketException, OSError):
            pass  # it was on its way down already
        if core is not None:
            # The library leaves the descriptor open when the other side closed first.
            core.shutdown()
        self._call(_settle, done, None)

    def _post_text(self, text: str) -> None:
        self._posted += 1
        if self._posted - self._taken > _MAX_BEHIND:
            self._post_lost("the event loop is too far behind")
            return
        self._call(self._take, text)

    def _post_lost(self, reason: str) -> None:
        self._call(self._lost, reason)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            pass  # the loop has ended: nobody is left to hear it

    # ------------------------------------------------------------------ on the loop

    def _opened(self, done: asyncio.Future[_Socket], socket: _Socket) -> None:
        if not done.done():
            done.set_result(socket)
            return
        # Nobody waits for it any more: it came too late, or the stream was stopped meanwhile.
        ended: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._exit, args=(socket, ended), name="close-stream", daemon=True).start()

    def _take(self, text: str) -> None:
        self._taken += 1
        if not self._closed:
            self._deliver(text)

    def _lost(self, reason: str) -> None:
        # Before `open` has returned, a first attempt that failed is pybit's business.
        if self._open and not self._closed:
            self._lose(reason)


def _settle(done: asyncio.Future[object], value: object) -> None:
    if not done.done():
        done.set_result(value)


def _settle_error(done: asyncio.Future[object], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
