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
from hedgelock_actors.adapters.bybit.outcome import Answer, HttpFailure, NoAnswer, Reply
from hedgelock_actors.adapters.bybit.secret import Credentials
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


class RestClient:
    """Calls pybit's methods by name. A call never raises for what the venue or the network did: that is the Reply."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        clock: Clock,
        window_ms: int = DEFAULT_RECV_WINDOW_MS,
        workers: int = _WORKERS,
    ) -> None:
        self._endpoints = endpoints
        self._credentials = credentials
        self._clock = clock
        self._window_ms = window_ms
        self._local = threading.local()
        self._opened: list[_SignedHttp] = []
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="bybit-rest")

    async def call(self, method: str, **params: Value) -> Reply:
        """Run pybit's `method` in a thread of the pool and classify what came back."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, method, params)

    async def query(self, method: str, **params: Value) -> Answer:
        """A question without effect; a lost connection is tried once more.

        Raises:
            VenueError: there is no usable answer.
        """
        reply = await self.call(method, **params)
        if isinstance(reply, NoAnswer):
            reply = await self.call(method, **params)
        match reply:
            case Answer(code=0):
                return reply
            case Answer():
                raise VenueError(f"{method}: the venue said {reply.code} {reply.text}")
            case HttpFailure():
                raise VenueError(f"{method}: HTTP {reply.status}")
            case NoAnswer():
                raise VenueError(f"{method}: {reply.cause}")

    def close(self) -> None:
        """Let running calls end by themselves, take no more, and release the connections."""
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
            http = _SignedHttp(self._endpoints, self._credentials, self._clock.now_ms, self._window_ms)
            self._local.http = http
            self._opened.append(http)
        elif now - self._local.used_s > _IDLE_RECONNECT_S:
            http.client.close()
        self._local.used_s = now
        http.recv_window = recv_window_ms(self._clock, self._window_ms)
        return http


def _envelope(body: object) -> Reply:
    if not isinstance(body, dict):
        return NoAnswer(cause="body is not an object")
    code, result, time_ms = body.get("retCode"), body.get("result"), body.get("time")
    if not isinstance(code, int) or not isinstance(result, dict) or not isinstance(time_ms, int):
        return NoAnswer(cause=f"body is not the venue's envelope: {json.dumps(body)[:200]}")
    ext = body.get("retExtInfo")
    text = str(body.get("retMsg", ""))
    return Answer(code=code, text=text, time_ms=time_ms, result=result, ext=ext if isinstance(ext, dict) else {})


def _refusal(error: InvalidRequestError) -> Reply:
    if not isinstance(error.status_code, int):
        return NoAnswer(cause=f"retCode {error.status_code!r} is not a number")
    return Answer(code=error.status_code, text=str(error.message), time_ms=0, result={})


def _http_failure(error: FailedRequestError) -> Reply:
    return HttpFailure(status=int(error.status_code))
