"""The HTTP services without Ray: the same service objects behind a plain ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.security import Service, respond

HOSTS = ("127.0.0.1", "localhost")
KNOTS = "knots:\n  - [0.0, 0.05]\n  - [0.3, 0.25]\n  - [0.7, 0.75]\n  - [1.0, 1.0]\n"


def asgi(service: Service, prefix: str = "") -> ASGIApp:
    """What Serve does around a service."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await respond(service, Request(scope, receive), HOSTS, prefix)
        await response(scope, receive, send)

    return app


@pytest.fixture
def client() -> Callable[..., object]:
    """`async with client(service) as http: ...`"""

    @asynccontextmanager
    async def make(service: Service, prefix: str = "") -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=asgi(service, prefix), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8470") as http:
            yield http

    return make


@pytest.fixture
def knots(tmp_path: Path) -> Path:
    """A knots file of one's own."""
    file = tmp_path / "knots.yaml"
    file.write_text(KNOTS, encoding="utf-8")
    return file
