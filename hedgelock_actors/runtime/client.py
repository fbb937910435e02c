"""What the command line asks of a running `hedgelock up`, over its HTTP services."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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


class HttpSilent(ControlFailed):
    """HTTP does not answer, or not in order: nobody knows what it has done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose word a command is, and the key under which it is the same command when it is sent again."""

    token_file: Path | None = None
    """None: the control.token of the state directory."""
    key: str = ""


async def ask(
    state: Path,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    caller: Caller | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Mapping[str, object]:
    """Ask the control API. Raises NotRunning, ControlFailed, InvalidInput."""
    info = require_run(state)
    headers = {}
    if method == "POST":
        caller = caller or Caller()
        headers["authorization"] = f"Bearer {_token(caller.token_file or state / CONTROL_TOKEN_FILE)}"
        headers["idempotency-key"] = caller.key or secrets.token_hex(12)
    return await _call(method, info.control_url + path, body, headers, timeout_s)


async def follow_trade(state: Path, trade_id: str, wait_s: float) -> Mapping[str, object] | None:
    """The last report on a trade, or its latest after `wait_s`; None when no router knows it. Raises as `ask`."""
    deadline, found = time.monotonic() + wait_s, None
    while True:
        rows = (await ask(state, "GET", "/trades"))["trades"]
        found = next((row for row in cast("list[Any]", rows) if row.get("trade_id") == trade_id), found)
        if (found is not None and found.get("final")) or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(0.3)


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


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput("--token-file", f"{file} cannot be read ({error.strerror})") from None


async def _call(
    method: str,
    url: str,
    body: Mapping[str, object] | None,
    headers: Mapping[str, str],
    timeout_s: float = TIMEOUT_S,
) -> Mapping[str, Any]:
    answer = None
    try:
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
            answer = await client.request(method, url, json=body, headers=dict(headers))
            value = answer.json()
    except ValueError as error:
        if answer is not None:
            raise HttpSilent(f"{url} answers {answer.status_code} and no JSON; `hedgelock doctor` looks why") from None
        raise InvalidInput("amount", f"cannot be sent as JSON: {error}") from None
    except httpx.HTTPError as error:
        raise HttpSilent(f"{url} does not answer ({type(error).__name__}); `hedgelock doctor` looks why") from None
    if answer.status_code == 422:
        raise InvalidInput(str(value.get("field") or "request"), str(value.get("detail")))
    if answer.status_code >= 500 and value.get("error") == "internal":
        raise HttpSilent(f"{value.get('error')}: {value.get('detail')}")
    if answer.status_code >= 400:
        raise ControlFailed(f"{value.get('error')}: {value.get('detail')}")
    return dict(value)
