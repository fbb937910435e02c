"""The gate of HTTP: Host allow-list against DNS rebinding, bounded bodies, bearer token, one shape of error."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from serve_apps.schemas import HttpError, Reply, reply

LOG = logging.getLogger(__name__)
BODY_MAX = 64 * 1024
_UNAUTHORIZED = "give the token of the state directory's control.token as `Authorization: Bearer …`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as a service sees it: `path` without the route prefix of the service."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Service = Callable[[Call], Awaitable[Reply]]


async def respond(service: Service, request: Request, hosts: Collection[str], prefix: str = "") -> Response:
    """Check the request, ask the service, and turn every error into an answer."""
    try:
        _check_host(request.headers.get("host", ""), hosts)
        body = await _body(request)
        path = request.url.path
        call = Call(method=request.method, path=path.removeprefix(prefix) or "/", headers=request.headers, body=body)
        answer = await service(call)
    except HttpError as error:
        answer = reply(error.body, error.status)
    except ClientDisconnect:
        answer = Reply(status=400, body=b"")
    except Exception:  # the edge: no stack trace leaves the process
        LOG.exception("http.failed path=%s", request.url.path)
        answer = reply(HttpError(500, "internal", "see the log of the service").body, 500)
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


def require_token(call: Call, token: str) -> None:
    """Raises HttpError 401; the same for a missing and for a wrong token."""
    given = call.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise HttpError(401, "unauthorized", _UNAUTHORIZED)


def read_token(path: Path) -> str:
    """The token of a file that only its owner may read. Raises PermissionError otherwise."""
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} may be read by others; chmod 600 it")
    return path.read_text(encoding="utf-8").strip()


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
