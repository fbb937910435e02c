"""What the command line asks of a running `hedgelock up`, over its HTTP services."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.runfile import read_run, remove_run, require_run
from hedgelock_actors.runtime.wiring import CONTROL_TOKEN_FILE

TIMEOUT_S = 15.0
END_S = 60.0


class ControlFailed(Exception):
    """The service did not do what was asked; the message says why."""


async def ask(state: Path, method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, object]:
    """Ask the control API. Raises NotRunning, ControlFailed."""
    info = require_run(state)
    headers = {}
    if method == "POST":
        headers["authorization"] = f"Bearer {(state / CONTROL_TOKEN_FILE).read_text(encoding='utf-8').strip()}"
    return await _call(method, info.control_url + path, body, headers)


async def ask_size(state: Path, asset: str, amount_usd: float, score: float | None) -> Mapping[str, object]:
    """Ask the sizing service. Raises NotRunning, ControlFailed."""
    body: dict[str, object] = {"asset": asset, "amount_usd": amount_usd}
    if score is not None:
        body["override_score"] = score
    return await _call("POST", require_run(state).sizing_url + "/hedge", body, {})


async def end_run(state: Path) -> Mapping[str, object]:
    """End what runs in `state` by a signal and wait; else stop databases that a killed run has left."""
    info = read_run(state)
    if info is not None:
        os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            if read_run(state) is None:
                return {"ended": True, "detail": f"ended the run of process {info.pid}"}
            await asyncio.sleep(0.2)
        raise ControlFailed(f"process {info.pid} has not ended within {END_S:.0f} s; look at its terminal")
    left = []
    for name, server in (("Redis", EmbeddedRedis(state)), ("Postgres", EmbeddedPostgres(state))):
        if server.pid() is not None:
            await server.stop()
            left.append(name)
    remove_run(state)
    found = f"stopped what a killed run had left: {', '.join(left)}" if left else "nothing runs there"
    return {"ended": bool(left), "detail": found}


async def _call(
    method: str, url: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
) -> Mapping[str, Any]:
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = await client.request(method, url, json=body, headers=dict(headers))
            value = answer.json()
    except ValueError as error:
        raise InvalidInput("amount", f"cannot be sent as JSON: {error}") from None
    except httpx.HTTPError as error:
        raise ControlFailed(f"{url} does not answer ({type(error).__name__}); `hedgelock doctor` looks why") from None
    if answer.status_code == 422:
        raise InvalidInput(str(value.get("field") or "request"), str(value.get("detail")))
    if answer.status_code >= 400:
        raise ControlFailed(f"{value.get('error')}: {value.get('detail')}")
    return dict(value)
