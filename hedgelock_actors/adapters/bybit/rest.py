"""Requests to the venue: pybit's signed HTTP in our own threads, its retries and its clock taken out of its hands."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.outcome import FORBIDDEN, Answer, HttpFailure, NoAnswer, NotSent, Reply, in_trouble
from hedgelock_actors.adapters.bybit.pace import Allowance, Lane, Ticket
from hedgelock_actors.adapters.bybit.secret import Credentials
from hedgelock_actors.adapters.bybit.turns import Turns
from hedgelock_actors.adapters.bybit.venue_time import VenueTime
from hedgelock_actors.domain.breaker import Breaker
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import VenueError

Value = str | int | bool | None | Sequence[Mapping[str, str | int | bool]]
Params = Mapping[str, Value]

DEFAULT_RECV_WINDOW_MS = 5_000
_TIMEOUT_S = 10
_WORKERS = 4
# A kept-alive connection that the venue may have closed meanwhile would turn an order into an Unknown for nothing.
_IDLE_RECONNECT_S = 20.0
_NOT_JSON = 409
_WRONG_TIME, _TOO_OFTEN = 10002, 10006
# What the venue allows of most questions per account; its answers tell where it is less.
_QUERIES_PER_SECOND = 50
_CLOCK_QUERY = "get_server_time"
# While our clock is not believed, the venue's is asked again so often.
_RECHECK_S = 1.0
# Whom the venue refuses by 403 it refuses for ten minutes, and longer when he goes on asking.
BAN_MS = 600_000
# The venue allows an address 600 requests in 5 s and bans it then. Orders and cancels are never held back by this;
# queries are, so that there is always room for them.
_ADDRESS_LIMIT, _ADDRESS_WINDOW_MS, _RESERVED = 600, 5_000, 150
_QUERY_WAIT_MS = 6_000
_BREAKER = (5, 1_000, 30_000)
# pybit takes an empty set of retry codes for "use the default": a code that never comes switches its retries off.
_NO_RETRY_CODES = frozenset({-1})


def recv_window_ms(clock: Clock, base_ms: int) -> int:
    """`base_ms` of wall time in venue time: a replay at speed K moves K ms while a request travels for one."""
    speed = getattr(clock, "speed", 1.0)
    return int(base_ms * max(1.0, float(speed)))


class _SignedHttp(HTTP):  # type: ignore[misc]  # pybit has no type hints
    """pybit's client pointed to `endpoints`, signing with venue time. One object per thread: it has no locks."""

    def __init__(
        self, endpoints: Endpoints, credentials: Credentials | None, now_ms: Callable[[], int], window_ms: int
    ) -> None:
        super().__init__(
            testnet=endpoints.testnet_hosts,
            demo=endpoints.demo_hosts,
            api_key=credentials.api_key if credentials else None,
            api_secret=credentials.api_secret.reveal() if credentials else None,
            timeout=_TIMEOUT_S,
            recv_window=window_ms,
            force_retry=False,
            retry_codes=set(_NO_RETRY_CODES),
            max_retries=1,
            return_response_headers=True,
        )
        self._now_ms = now_ms
        if endpoints.rest_url is not None:
            self.endpoint = endpoints.rest_url
            self.client.trust_env = False  # a proxy in the environment would be used even for loopback

    def __repr__(self) -> str:
        return f"_SignedHttp({self.endpoint})"  # the library's own would show the secret

    def _prepare_headers(
        self, payload: str, recv_window: int, content_type: str = "application/json"
    ) -> dict[str, str]:
        timestamp = self._now_ms()
        return {
            "Content-Type": content_type,
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-SIGN": self._auth(payload=payload, recv_window=recv_window, timestamp=timestamp),
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-TIMESTAMP": str(timestamp),
            "X-BAPI-RECV-WINDOW": str(recv_window),
        }


def breaker() -> Breaker:
    """For one dependency on the venue: five failures in a row leave it alone for 1 s, at most 30 s."""
    return Breaker(*_BREAKER)


def monotonic_ms() -> int:
    """The clock of breakers: it never steps, and goes on while a replayed venue stands still."""
    return time.monotonic_ns() // 1_000_000


class RestClient:
    """Calls pybit's methods by name. A call never raises for what the venue or the network did: that is the Reply.

    It stays silent for ten minutes after a 403, and signs nothing while our clock and the venue's are too far apart:
    such calls are NotSent.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        clock: Clock,
        window_ms: int = DEFAULT_RECV_WINDOW_MS,
        workers: int = _WORKERS,
        venue_time: VenueTime | None = None,
    ) -> None:
        self.time = venue_time or VenueTime(clock)
        self.turns = Turns(clock)
        self.queries = breaker()
        self.bans = 0
        self.clock_refusals = 0
        self.banned_until_ms = 0
        self._endpoints = endpoints
        self._credentials = credentials
        self._clock = clock
        self._window_ms = window_ms
        self._address = Lane(_ADDRESS_LIMIT, _ADDRESS_WINDOW_MS, learns=False)
        self._lanes: dict[str, Lane] = {}
        self._checked_s = 0.0
        self._local = threading.local()
        self._opened: list[_SignedHttp] = []
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="bybit-rest")
        self._closed = False

    async def call(self, method: str, **params: Value) -> Reply:
        """Run pybit's `method` in a thread of the pool and classify what came back."""
        if (refusal := await self.refusal()) is not None:
            return refusal
        return await self._send(method, params, self._address.force(1))

    async def query(self, method: str, **params: Value) -> Answer:
        """A question without effect; a lost connection or a wrong time stamp is tried once more.

        Raises:
            VenueError: there is no usable answer, or the venue's queries are left alone for a while.
        """
        if not self.queries.allows(monotonic_ms()):
            raise VenueError(f"{method}: not asked, queries failed too often (circuit breaker)")
        reply = await self._ask(method, params)
        if isinstance(reply, NoAnswer) or (isinstance(reply, Answer) and reply.code == _WRONG_TIME):
            reply = await self._ask(method, params)
        (self.queries.failed if in_trouble(reply) else self.queries.succeeded)(monotonic_ms())
        match reply:
            case Answer(code=0):
                return reply
            case Answer():
                raise VenueError(f"{method}: the venue said {reply.code} {reply.text}")
            case HttpFailure():
                raise VenueError(f"{method}: HTTP {reply.status}")
            case NoAnswer():
                raise VenueError(f"{method}: {reply.cause}")
            case NotSent():
                raise VenueError(f"{method}: not asked, {reply.text}")

    async def refusal(self) -> NotSent | None:
        """Why nothing may be sent at all, by any road; None when it may."""
        if self._closed:
            return NotSent(code="CLOSED", text="the venue has been stopped")
        left_ms = self.banned_until_ms - self._clock.now_ms()
        if left_ms > 0:
            return NotSent(code="BANNED", text=f"the venue refuses our address (403); silent for {left_ms} ms more")
        if not self.time.trusted and time.monotonic() - self._checked_s > _RECHECK_S:
            await self.resync()
        if not self.time.trusted:
            self.clock_refusals += 1
            return NotSent(
                code="CLOCK", text=f"our clock is {-self.time.offset_ms} ms ahead of the venue's: not signed"
            )
        return None

    async def resync(self) -> None:
        """Ask the venue for its time, and sign by it from now on."""
        self._checked_s = time.monotonic()
        before_ms = self._clock.now_ms()
        reply = await self._send(_CLOCK_QUERY, {}, self._address.force(1))
        if isinstance(reply, Answer) and reply.code == 0:
            self.time.measured(before_ms, reply.time_ms, self._clock.now_ms())

    async def _ask(self, method: str, params: Params) -> Reply:
        if (refusal := await self.refusal()) is not None:
            return refusal
        lane = self._lanes.setdefault(method, Lane(_QUERIES_PER_SECOND))
        turn = await self.turns.take(lane, 1, _QUERY_WAIT_MS)
        if turn is None:
            return NotSent(code="PACE", text="too many of these questions already")
        reply: Reply = NotSent(code="PACE", text="too many requests from our address already")
        try:
            ticket = await self.turns.take(self._address, 1, _QUERY_WAIT_MS, _RESERVED)
            if ticket is not None:
                reply = await self._send(method, params, ticket)
        finally:
            self._settle(lane, turn, reply)
        return reply

    def _settle(self, lane: Lane, turn: Ticket, reply: Reply) -> None:
        now_ms = self.turns.now_ms()
        if isinstance(reply, Answer):
            lane.settle(turn, now_ms, reply.time_ms, reply.allowance)
            if reply.code == _TOO_OFTEN:
                lane.refused(reply.allowance.reset_ms if reply.allowance else 0, now_ms)
        else:
            lane.settle(turn, now_ms)

    async def _send(self, method: str, params: Params, ticket: Ticket) -> Reply:
        try:
            reply = await asyncio.get_running_loop().run_in_executor(self._pool, self._call, method, params)
        except RuntimeError:  # the pool has been shut down meanwhile
            return NotSent(code="CLOSED", text="the venue has been stopped")
        finally:
            self._address.settle(ticket, self.turns.now_ms())
        if isinstance(reply, HttpFailure) and reply.status == FORBIDDEN:
            self.bans += 1
            self.banned_until_ms = self._clock.now_ms() + BAN_MS
        elif isinstance(reply, Answer) and reply.code == _WRONG_TIME:
            await self.resync()
        return reply

    def close(self) -> None:
        """Let running calls end by themselves, take no more, and release the connections."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for http in self._opened:
            http.client.close()

    def _call(self, method: str, params: Params) -> Reply:
        try:
            return _envelope(getattr(self._http(), method)(**params))
        except InvalidRequestError as error:
            return _refusal(error)
        except FailedRequestError as error:
            return NoAnswer(cause="body is not JSON") if error.status_code == _NOT_JSON else _http_failure(error)
        except requests.RequestException as error:
            return NoAnswer(cause=type(error).__name__)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # pybit reads the body before it checks its shape: a list or a bare string ends here.
            return NoAnswer(cause=f"body is not the venue's envelope ({type(error).__name__})")

    def _http(self) -> HTTP:
        http = getattr(self._local, "http", None)
        now = time.monotonic()
        if http is None:
            http = _SignedHttp(self._endpoints, self._credentials, self.time.now_ms, self._window_ms)
            self._local.http = http
            self._opened.append(http)
        elif now - self._local.used_s > _IDLE_RECONNECT_S:
            http.client.close()
        self._local.used_s = now
        http.recv_window = recv_window_ms(self._clock, self._window_ms)
        return http


def _envelope(said: object) -> Reply:
    """pybit's (body, elapsed, headers) as an Answer."""
    body, _, headers = said if isinstance(said, tuple) else (said, None, {})
    if not isinstance(body, dict):
        return NoAnswer(cause="body is not an object")
    code, result, time_ms = body.get("retCode"), body.get("result"), body.get("time")
    if not isinstance(code, int) or not isinstance(result, dict) or not isinstance(time_ms, int):
        return NoAnswer(cause=f"body is not the venue's envelope: {json.dumps(body)[:200]}")
    ext = body.get("retExtInfo")
    return Answer(
        code=code,
        text=str(body.get("retMsg", "")),
        time_ms=time_ms,
        result=result,
        ext=ext if isinstance(ext, dict) else {},
        allowance=allowance(headers),
    )


def allowance(headers: Mapping[str, object]) -> Allowance | None:
    """The three limit headers; None when they are not all there."""
    names = ("X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp")
    try:
        limit, remaining, reset_ms = (int(str(headers[name])) for name in names)
    except (KeyError, ValueError):
        return None
    return Allowance(limit, remaining, reset_ms)


def _refusal(error: InvalidRequestError) -> Reply:
    if not isinstance(error.status_code, int):
        return NoAnswer(cause=f"retCode {error.status_code!r} is not a number")
    said = allowance(error.resp_headers or {})
    return Answer(code=error.status_code, text=str(error.message), time_ms=0, result={}, allowance=said)


def _http_failure(error: FailedRequestError) -> Reply:
    return HttpFailure(status=int(error.status_code))
