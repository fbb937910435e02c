"""The gate of HTTP: Host allow-list against DNS rebinding, bounded bodies, bearer token, one shape of error."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hedgelock_actors.runtime.people import TOKEN_MIN
from serve_apps.schemas import HttpError, Reply, reply

LOG = logging.getLogger(__name__)
BODY_MAX = 64 * 1024
_UNAUTHORIZED = "give your token as `Authorization: Bearer …`; the operator's is in the state directory's control.token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as a service sees it: `path` without the route prefix of the service."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: str = ""
    """Address that it came from."""


Service = Callable[[Call], Awaitable[Reply]]


async def respond(service: Service, request: Request, hosts: Collection[str], prefix: str = "") -> Response:
    """Check the request, ask the service, and turn every error into an answer."""
    try:
        _check_host(request.headers.get("host", ""), hosts)
        body = await _body(request)
        path = request.url.path
        call = Call(
            method=request.method,
            path=path.removeprefix(prefix) or "/",
            headers=request.headers,
            body=body,
            client=request.client.host if request.client else "",
        )
        answer = await service(call)
    except HttpError as error:
        answer = reply(error.body, error.status)
    except ClientDisconnect:
        answer = Reply(status=400, body=b"")
    except Exception:  # the edge: no stack trace leaves the process
        LOG.exception("http.failed path=%s", request.url.path)
        answer = reply(HttpError(500, "internal", "see the log of the service").body, 500)
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


class People:
    """Who may command: a token names a person."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens`: name → token. Raises ValueError for a weak token and for one that two people share."""
        if len(set(tokens.values())) != len(tokens):
            raise ValueError("two people have the same token; give each their own")
        weak = [name for name, token in tokens.items() if len(token) < TOKEN_MIN]
        if weak:
            raise ValueError(f"the token of {', '.join(weak)} has fewer than {TOKEN_MIN} characters")
        self._given = {name: f"Bearer {token}".encode() for name, token in tokens.items()}

    def require(self, call: Call) -> str:
        """Whose token it is. Raises HttpError 401; the same, in the same time, for a missing and for a wrong token."""
        given = call.headers.get("authorization", "").encode()
        found = [name for name, wanted in self._given.items() if hmac.compare_digest(given, wanted)]
        if not found:
            raise HttpError(401, "unauthorized", _UNAUTHORIZED)
        return found[0]


def _check_host(host: str, allowed: Collection[str]) -> None:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name.strip("[]").lower() not in allowed:
        raise HttpError(400, "bad_host", "this Host is not in http.allowed_hosts")


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > BODY_MAX:
        raise HttpError(413, "too_large", f"a body has at most {BODY_MAX} bytes", "content-length")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_MAX:
            raise HttpError(413, "too_large", f"a body has at most {BODY_MAX} bytes")
        parts.append(part)
    return b"".join(parts)
