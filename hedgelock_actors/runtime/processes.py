"""Processes beside the actors: the simulated exchange, which ends with us, whether we end it or vanish."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hedgelock_actors.runtime.config import ConfigError

READY_S = 60.0
END_S = 5.0


class ExchangeFailed(Exception):
    """The exchange did not start; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeAccount:
    """One account of the simulated exchange."""

    uid: str
    api_key: str
    api_secret: str
    loan: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"ExchangeAccount({self.uid})"


class Exchange:
    """A running exchange process."""

    def __init__(
        self, process: subprocess.Popen[bytes], rest: str, ws: str, accounts: Sequence[ExchangeAccount]
    ) -> None:
        self._process = process
        self.rest = rest
        self.ws = ws
        self.accounts = accounts
        self._http = httpx.AsyncClient(base_url=rest, timeout=30, trust_env=False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once it has ended by whatever cause."""
        return self._process.poll() is None

    @classmethod
    async def start(cls, arguments: Sequence[str], log: Path) -> Exchange:
        """Start on a free port and wait until it is ready.

        Raises:
            ConfigError: an option makes no sense; the exchange said which.
            ExchangeFailed: it ended or stayed silent.
        """
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [sys.executable, "-m", "hedgelock_actors.simulator.main", "--die-with-parent", *arguments]
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own module; a session of its own keeps Ctrl-C away
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
            )
        try:
            line = await asyncio.wait_for(asyncio.to_thread(_first_line, process), READY_S)
            ready = json.loads(line)
        except (TimeoutError, ValueError):
            process.kill()
            code = process.wait()
            said = _lines(log)
            if code == 2 and said:
                raise ConfigError("exchange", said[-1].removeprefix("hedgelock exchange: ")) from None
            raise ExchangeFailed(f"the exchange did not start: {' / '.join(said[-3:]) or 'no word'}") from None
        accounts = [ExchangeAccount(**one) for one in ready["accounts"]]
        return cls(process, str(ready["rest"]), str(ready["ws"]), accounts)

    async def begin(self, participants: Sequence[str]) -> None:
        """Let time run."""
        answer = await self._http.post("/sim/start", json={"participants": list(participants)})
        answer.raise_for_status()

    async def clock(self) -> dict[str, Any]:
        """`/sim/clock`, with `venue_ms` as of now."""
        fields = dict((await self._http.get("/sim/clock")).json())
        if not fields["paced"]:  # the mapping is from the last change; CLOCK_MONOTONIC is shared by all processes
            passed_ms = (time.monotonic_ns() - fields["monotonic_ns"]) * fields["speed"] / 1e6
            fields["venue_ms"] = round(fields["venue_ms"] + passed_ms)
        return fields

    async def report(self) -> dict[str, Any]:
        """`/sim/report`: the venue's own truth about all accounts."""
        return dict((await self._http.get("/sim/report")).json())

    async def stop(self) -> None:
        """End it, by force if it does not go."""
        await self._http.aclose()
        if self.alive:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    return process.stdout.readline() if process.stdout is not None else b""
