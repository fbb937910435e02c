"""Order entry over the venue's trade WebSocket: many requests in flight, each answer found by its request id.

A request is written by the caller's own task, without a thread in between. What is then not answered is NoAnswer: it
may have had its effect. NotSent means that certainly nothing has left us, so another road may be taken.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Mapping

import msgspec

from hedgelock_actors.adapters.bybit.connection import TRADE, LostInWrite, SocketSpec
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.outcome import Answer, NoAnswer, NotSent, Reply
from hedgelock_actors.adapters.bybit.rest import allowance
from hedgelock_actors.adapters.bybit.secret import Credentials
from hedgelock_actors.adapters.bybit.streams import Patience, Stream

_log = logging.getLogger(__name__)

RESTARTING = 10019
DEFAULT_ANSWER_MS = 5_000
# A bound on what may be written without an answer: it keeps a stuck line from filling the kernel's buffer and blocking.
_MAX_IN_FLIGHT = 256
_encode = msgspec.json.Encoder().encode


class TradeLine:
    """One connection that is kept up, and the requests that wait on it. Implements streams.Listener."""

    def __init__(
        self, spec: SocketSpec, patience: Patience | None, answer_s: float, on_refused: Callable[[], None]
    ) -> None:
        self.ready = False
        """Connected and authenticated."""
        self.late = 0
        """Answers that came after their request had been given up."""
        self.stream = Stream(spec, (), self, patience)
        self._answer_s = answer_s
        self._on_refused = on_refused
        self._waiting: dict[str, asyncio.Future[Reply]] = {}

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self._waiting)

    async def request(self, req_id: str, frame: bytes) -> Reply:
        """Write one frame and wait for the answer to `req_id`."""
        if not self.ready:
            return NotSent(code="SOCKET", text="the trade socket is not connected")
        if len(self._waiting) >= _MAX_IN_FLIGHT:
            return NotSent(code="SOCKET", text=f"{_MAX_IN_FLIGHT} requests wait for an answer already")
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[req_id] = answered
        began_s = time.monotonic()
        try:
            if not self.stream.write(frame):
                return NotSent(code="SOCKET", text="the trade socket is closed")
            # Not wait_for: until Python 3.12 it loses a cancellation that comes together with the result.
            async with asyncio.timeout(self._answer_s):
                return await answered
        except LostInWrite as error:
            return NoAnswer(cause=f"trade socket: lost in the write: {error}")
        except TimeoutError:
            if self.stream.heard_s <= began_s:
                self.ready = False  # at once: what comes now shall not go down with this line
                self.stream.rebuild("requests are not answered")
            return NoAnswer(cause=f"trade socket: no answer within {self._answer_s:g} s")
        finally:
            self._waiting.pop(req_id, None)

    # ------------------------------------------------------------------ what the stream says

    @property
    def idle(self) -> bool:
        """Nothing is queued here."""
        return True

    def on_up(self) -> None:
        """Authenticated."""
        self.ready = True

    def on_down(self, reason: str) -> None:
        """Lost: nobody knows what became of the requests on their way."""
        self.ready = False
        for future in self._waiting.values():
            if not future.done():
                future.set_result(NoAnswer(cause=f"trade socket lost: {reason}"))
        if reason.startswith("auth"):
            self._on_refused()

    def on_message(self, message: Mapping[str, object]) -> None:
        """An answer to one of the requests."""
        future = self._waiting.get(str(message.get("reqId")))
        if future is None or future.done():
            self.late += 1
            return
        future.set_result(reply_of(message))

    def complaint(self) -> str | None:
        """It may be silent for as long as nothing is asked."""
        return None


class TradeSocket:
    """The line in use, and those that the venue told us to leave, kept until their last answers are there.

    Args:
        now_ms: the time to sign with.
        window_ms: the receive window of a request.
        on_refused: the authentication was refused; our clock may be wrong.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        now_ms: Callable[[], int],
        window_ms: Callable[[], int],
        *,
        patience: Patience | None = None,
        answer_s: float = DEFAULT_ANSWER_MS / 1000,
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.renewals = 0
        self._spec = SocketSpec(endpoints, TRADE, credentials, None, now_ms, window_ms)
        self._patience = patience
        self._answer_s = answer_s
        self._on_refused = on_refused
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._line = self._new_line()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect; returns when the first attempt has succeeded or failed (then it goes on trying)."""
        await self._line.stream.start()

    async def stop(self) -> None:
        """Disconnect; whoever still waits for an answer gets NoAnswer."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end(self._line)

    @property
    def ready(self) -> bool:
        """A request would go out now."""
        return self._line.ready

    def counters(self) -> dict[str, float]:
        """What happened so far."""
        line = self._line
        return {
            "socket_ready": float(line.ready),
            "socket_connects": float(line.stream.connects),
            "socket_in_flight": float(line.in_flight),
            "socket_late_answers": float(line.late),
            "socket_renewals": float(self.renewals),
        }

    async def request(self, op: str, args: Mapping[str, object]) -> Reply:
        """Send one request, e.g. `order.create`, and wait for its answer. Never raises for what line or venue did."""
        line = self._line
        req_id = f"{self._prefix}-{next(self._numbers)}"
        header = {"X-BAPI-TIMESTAMP": str(self._spec.now_ms()), "X-BAPI-RECV-WINDOW": str(self._spec.auth_expires_ms())}
        frame = _encode({"reqId": req_id, "header": header, "op": op, "args": [args]})
        reply = await line.request(req_id, frame)
        if isinstance(reply, Answer) and reply.code == RESTARTING and line is self._line:
            self._renew()
        return reply

    def _renew(self) -> None:
        """The venue's service restarts: a new line for what comes, and the old one for what is on its way."""
        old, self._line = self._line, self._new_line()
        self.renewals += 1
        old.ready = False
        _log.warning("the trade service restarts: a new socket, %d requests left alone on the old one", old.in_flight)
        for work in (self._line.stream.start(), self._drain(old)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, old: TradeLine) -> None:
        try:
            deadline = time.monotonic() + self._answer_s
            while old.in_flight and time.monotonic() < deadline:  # noqa: ASYNC110 (bounded, and rare)
                await asyncio.sleep(0.02)
        finally:
            await self._end(old)

    async def _end(self, line: TradeLine) -> None:
        await line.stream.stop()
        line.on_down("stopped")

    def _new_line(self) -> TradeLine:
        return TradeLine(self._spec, self._patience, self._answer_s, self._on_refused)


def reply_of(message: Mapping[str, object]) -> Reply:
    """An answer frame as a Reply; one that is not the venue's form is NoAnswer."""
    code, data, ext, header = (message.get(name) for name in ("retCode", "data", "retExtInfo", "header"))
    if not isinstance(code, int) or isinstance(code, bool):
        return NoAnswer(cause=f"trade socket: not an answer: {str(message)[:200]}")
    header = header if isinstance(header, dict) else {}
    stamp = str(header.get("Timenow", ""))
    return Answer(
        code=code,
        text=str(message.get("retMsg", "")),
        time_ms=int(stamp) if stamp.isascii() and stamp.isdigit() else 0,
        result=data if isinstance(data, dict) else {},
        ext=ext if isinstance(ext, dict) else {},
        allowance=allowance(header),
    )
