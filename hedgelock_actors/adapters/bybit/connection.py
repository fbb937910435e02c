"""One WebSocket connection to the venue: pybit's, used only in the way that does not die silently.

pybit connects, authenticates, pings and reads; it gets neither our topics nor our callbacks, and it does not reconnect.
Every text frame is handed over raw. A connection that is lost stays lost: whoever holds it opens a new one.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import websocket
from pybit._http_manager import generate_signature
from pybit._websocket_stream import _WebSocketManager
from pybit._websocket_trading import TRADE_WSS
from pybit.unified_trading import WebSocket

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.secret import Credentials

_CONNECT_TIMEOUT_S = 15.0
_CLOSE_TIMEOUT_S = 5.0
# Frames that the reader may be ahead of the event loop before the connection is given up.
_MAX_BEHIND = 20_000
TRADE = "trade"
# pybit counts down before it looks: n retries are n - 1 attempts.
_ONE_ATTEMPT = 2


class ConnectionFailed(Exception):
    """No connection could be made; the message says why."""


class LostInWrite(Exception):
    """The line broke while a frame was being written: nobody knows whether it left us."""


@dataclass(frozen=True, slots=True)
class SocketSpec:
    """What to connect to. `channel` is `linear`, `private` or `trade`; `pace` joins lock-step under that name."""

    endpoints: Endpoints
    channel: str
    credentials: Credentials | None
    pace: str | None
    now_ms: Callable[[], int]
    auth_expires_ms: Callable[[], int]


class _Abandoned(websocket.WebSocketException):
    """Nobody wants this connection any more."""


class _Socket(WebSocket):  # type: ignore[misc]  # pybit has no type hints
    """Made at once and connected later, so that it can be given up from outside while it connects."""

    def __init__(self, spec: SocketSpec, on_text: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        self._spec = spec
        self._on_text = on_text
        self._on_lost = on_lost
        self._core: websocket.WebSocket | None = None
        self._connected = False
        self.endpoint = ""
        self.abandoned = False
        self.last_error = "connection failed"

    def connect(self) -> None:
        """Blocks until connected; raises what pybit's reader met, or _Abandoned soon after `abandoned` was set."""
        spec, keys = self._spec, self._spec.credentials
        options = {
            "testnet": spec.endpoints.testnet_hosts,
            "demo": spec.endpoints.demo_hosts,
            "api_key": keys.api_key if keys else None,
            "api_secret": keys.api_secret.reveal() if keys else None,
            "retries": _ONE_ATTEMPT,
            "restart_on_error": False,
        }
        if spec.channel == TRADE:
            # pybit's own class for this socket matches answers by itself and loses some: its machinery is all we need.
            _WebSocketManager.__init__(self, self._on_text, TRADE, **options)
            self._connect(TRADE_WSS)
        else:
            super().__init__(channel_type=spec.channel, callback_function=self._on_text, **options)
        self._connected = True

    def write(self, frame: bytes) -> bool:
        """Hand a text frame to the kernel; False when there is no line, so that nothing has left us.

        Raises:
            LostInWrite: the line broke meanwhile.
        """
        core = self._core
        if core is None or core.sock is None or not core.connected:
            return False
        try:
            core.send(frame, websocket.ABNF.OPCODE_TEXT)
        except (websocket.WebSocketException, OSError) as error:
            raise LostInWrite(f"{type(error).__name__}: {error}") from error
        return True

    def is_connected(self) -> bool:
        # pybit asks this every few milliseconds while it connects, for as long as the other side keeps it waiting.
        if self.abandoned:
            raise _Abandoned("given up")
        return bool(super().is_connected())

    def leave(self) -> None:
        """Blocks for the closing handshake, at most the library's three seconds unless a read or write is stuck."""
        if not self._connected:
            self.cut()
            return
        core = self._core or self.ws.sock
        with suppress(websocket.WebSocketException, OSError):  # it may be on its way down already
            self.exit()
        if core is not None:
            # The library leaves the descriptor open when the other side closed first.
            core.shutdown()

    def cut(self) -> None:
        """End it at once, from any thread and in any state: whoever is stuck in a read or a write is woken."""
        app = getattr(self, "ws", None)
        if app is None:
            return
        app.keep_running = False
        core = self._core or app.sock
        raw = core.sock if core is not None else None
        if raw is not None:
            with suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def _connect(self, url: str) -> None:
        pace = f"pace={self._spec.pace}" if self._spec.pace else ""
        super()._connect(self._spec.endpoints.stream_url(url, pace))

    def _auth(self) -> None:
        expires = self._spec.now_ms() + self._spec.auth_expires_ms()
        signature = generate_signature(False, self.api_secret, f"GET/realtime{expires}")
        self.ws.send(json.dumps({"op": "auth", "args": [self.api_key, expires, signature]}))

    def _on_open(self) -> None:
        self._core = self.ws.sock
        if self.abandoned:
            self.ws.keep_running = False  # too late: the reader closes it instead of reading

    def _on_message(self, message: str) -> None:
        self._on_text(message)

    def _on_error(self, error: object) -> None:
        self.last_error = f"{type(error).__name__}: {error}"[:200]
        self._on_lost(self.last_error)

    def _on_close(self) -> None:
        self._on_lost("closed")

    def _send_custom_ping(self) -> None:
        with suppress(websocket.WebSocketException, OSError):  # on a timer's thread; the reader finds out by itself
            super()._send_custom_ping()

    def __repr__(self) -> str:
        return f"_Socket({self.endpoint})"


class Connection:
    """A connection and its hand-over to the event loop. `on_text` and `on_lost` are called on the loop."""

    def __init__(self, on_text: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliver = on_text
        self._lose = on_lost
        self._socket: _Socket | None = None
        self._builder: threading.Thread | None = None
        self._posted = 0
        self._taken = 0
        self._open = False
        self._closed = False

    async def open(self, spec: SocketSpec) -> None:
        """Connect, and send the authentication if there are credentials (its answer comes as a frame).

        Raises:
            ConnectionFailed: not within the time allowed, or refused.
        """
        done: asyncio.Future[str | None] = self._loop.create_future()
        made = self._socket = _Socket(spec, self._post_text, self._post_lost)
        self._builder = threading.Thread(
            target=self._build, args=(made, done), name=f"connect-{spec.channel}", daemon=True
        )
        self._builder.start()
        try:
            # Not wait_for: until Python 3.12 it loses a cancellation that comes together with the result.
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reason = await done
        except TimeoutError:
            raise ConnectionFailed(f"no connection within {_CONNECT_TIMEOUT_S:.0f} s") from None
        if reason is not None:
            raise ConnectionFailed(reason)
        self._open = True
        if not self.alive:
            raise ConnectionFailed(made.last_error)

    @property
    def alive(self) -> bool:
        """The socket is connected and its reader runs."""
        made = self._socket
        if made is None or not self._open or self._closed:
            return False
        return made.is_connected() and made.wst.is_alive()

    def send(self, frame: object) -> None:
        """Send a JSON frame; a dead connection is found by the reader or by `alive`, not here."""
        if self._socket is None or not self._open or self._closed:
            return
        try:
            self._socket.ws.send(json.dumps(frame))
        except (websocket.WebSocketException, OSError) as error:
            self._post_lost(f"send failed: {type(error).__name__}")

    def write(self, frame: bytes) -> bool:
        """Write an encoded text frame at once, on the caller's thread; False when certainly nothing has left us.

        Raises:
            LostInWrite: the line broke while it was written.
        """
        if self._socket is None or not self._open or self._closed:
            return False
        try:
            return self._socket.write(frame)
        except LostInWrite as error:
            self._post_lost(f"send failed: {error}")
            raise

    async def close(self) -> None:
        """Close, or give up connecting; returns within a few seconds whatever the other side does.

        Afterwards nothing is open, and nothing will be: also not when it is cancelled, or when the loop ends.
        """
        self._closed = True
        made, builder = self._socket, self._builder
        if made is None or builder is None:
            return
        made.abandoned = not self._open
        done: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._leave, args=(made, builder, done), name="close-stream", daemon=True).start()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await done
        except TimeoutError:
            pass  # cut below
        finally:
            if done.cancelled() or not done.done():
                made.cut()

    # ------------------------------------------------------------------ on threads

    def _build(self, made: _Socket, done: asyncio.Future[str | None]) -> None:
        reason = None
        try:
            made.connect()
        except Exception as error:  # the edge: pybit raises what its thread met
            made.cut()
            reason = f"{type(error).__name__}: {error}"[:300]
        self._call(_settle, done, reason)

    def _leave(self, made: _Socket, builder: threading.Thread, done: asyncio.Future[None]) -> None:
        builder.join(_CLOSE_TIMEOUT_S)  # it sees within milliseconds that it has been abandoned
        made.leave()
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
