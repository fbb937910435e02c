"""Who is calling: API keys, HMAC-SHA256 signatures and the receive window, checked as the venue checks them.

The string that is signed is `timestamp + api_key + recv_window + payload`, payload being the raw query string (GET)
or the raw body (POST).
A query that the client's HTTP library had to escape differs on the wire from what was signed, so the decoded form is
tried second.
"""

import hashlib
import hmac
import random
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

DEFAULT_RECV_WINDOW_MS = 5_000
FUTURE_TOLERANCE_MS = 1_000
_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One account's credentials; `key` is 18 and `secret` 36 characters, as the venue issues them."""

    uid: str
    key: str
    secret: str


class AuthError(Exception):
    """The venue refuses the caller. `code` is 10001, 10002, 10003 or 10004."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks a caller may sign by, ms: the venue's, and the host's (a client that knows nothing of a replay).

    `step_ms` is by how much venue time has jumped in the last lock-step step: a request that was signed before it and
    arrives after it is not late.
    """

    venue_ms: int
    wall_ms: int
    step_ms: int = 0

    def reference(self, timestamp_ms: int) -> int:
        """The clock the timestamp was evidently taken from: the nearer one."""
        venue_is_nearer = abs(timestamp_ms - self.venue_ms) <= abs(timestamp_ms - self.wall_ms)
        return self.venue_ms if venue_is_nearer else self.wall_ms


def issue_key(uid: str, rng: random.Random) -> ApiKey:
    """New credentials for `uid`, drawn from `rng` (a SystemRandom, or a seeded one for repeatable launches)."""
    return ApiKey(uid, _text(rng, 18), _text(rng, 36))


def _text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(_KEY_ALPHABET, k=length))


def sign(secret: str, text: str) -> str:
    """Lower-case hex HMAC-SHA256 of `text`."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class KeyRing:
    """All keys of the venue, by key."""

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._by_key = {key.key: key for key in keys}

    def find(self, key: str) -> ApiKey:
        """The credentials behind `key`; raises AuthError 10003 when there are none."""
        found = self._by_key.get(key)
        if found is None:
            raise AuthError(10003, "API key is invalid.")
        return found

    def verify_request(self, headers: Mapping[str, str], payload: str, clocks: Clocks) -> ApiKey:
        """The caller of a REST request with raw query or body `payload`; raises AuthError."""
        key = self.find(headers.get("X-BAPI-API-KEY", ""))
        stamp, window = headers.get("X-BAPI-TIMESTAMP", ""), headers.get("X-BAPI-RECV-WINDOW", "")
        check_window(stamp, window, clocks)
        given = headers.get("X-BAPI-SIGN", "").lower()
        for candidate in (payload, unquote(payload)):
            origin = f"{stamp}{key.key}{window}{candidate}"
            if hmac.compare_digest(sign(key.secret, origin).encode(), given.encode()):
                return key
        raise AuthError(10004, f"error sign! origin_string[{stamp}{key.key}{window}{payload}]")

    def verify_socket(self, args: object, clocks: Clocks) -> ApiKey:
        """The caller behind the `args` of a WebSocket auth frame, `[key, expires_ms, signature]`; raises AuthError."""
        if not isinstance(args, list) or len(args) != 3:
            raise AuthError(10001, "Request parameter error.")
        key = self.find(str(args[0]))
        try:
            expires = int(args[1])
        except (TypeError, ValueError):
            raise AuthError(10001, "Request parameter error.") from None
        if expires <= clocks.reference(expires) - clocks.step_ms:
            raise AuthError(10004, "Params Error")
        if not hmac.compare_digest(sign(key.secret, f"GET/realtime{expires}").encode(), str(args[2]).lower().encode()):
            raise AuthError(10004, "error sign!")
        return key


def check_window(timestamp: object, recv_window: object, clocks: Clocks) -> None:
    """`server - recv_window <= timestamp < server + 1000`, else AuthError 10002; 10001 when they are not integers."""
    try:
        stamp = int(str(timestamp))
        window = int(str(recv_window)) if recv_window not in ("", None) else DEFAULT_RECV_WINDOW_MS
    except ValueError:
        raise AuthError(10001, "Request parameter error.") from None
    now = clocks.reference(stamp)
    grace = clocks.step_ms if now == clocks.venue_ms else 0
    if not now - window - grace <= stamp < now + FUTURE_TOLERANCE_MS:
        raise AuthError(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
        )
