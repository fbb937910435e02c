"""The exchange as a process for tests, and a small signed client that shares no code with ours."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
STOP_S = 10.0


@dataclass(frozen=True)
class Running:
    """A running exchange: where it is, and its accounts as it printed them."""

    process: subprocess.Popen[bytes]
    rest: str
    ws: str
    accounts: list[dict[str, Any]]

    @property
    def uid(self) -> str:
        return str(self.accounts[0]["uid"])

    @property
    def key(self) -> str:
        return str(self.accounts[0]["api_key"])

    @property
    def secret(self) -> str:
        return str(self.accounts[0]["api_secret"])

    def sim(self, path: str, **query: str) -> Any:
        return requests.get(f"{self.rest}/sim/{path}", params=query, timeout=10).json()

    def heard(self, *topics: str, uid: str = "") -> None:
        """Wait until the account's private topics are subscribed by someone."""
        keys = {f"{uid or self.uid}/{topic}" for topic in topics}
        eventually(lambda: keys <= self.sim("report")["server"]["listeners"].keys(), 15)

    def fault(self, **spec: object) -> None:
        answer = requests.post(f"{self.rest}/sim/fault", json=spec, timeout=10)
        assert answer.status_code == 200, answer.text

    def start(self, *participants: str) -> Any:
        return requests.post(f"{self.rest}/sim/start", json={"participants": participants}, timeout=10)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hedgelock_actors.simulator.main", "--port", "0", *arguments]


def launch(*arguments: str) -> Running:
    """Start the exchange and read its ready line."""
    process = subprocess.Popen(
        command("--die-with-parent", *arguments), cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "NO_PROXY": "*"}
    )
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_S)
    line = process.stdout.readline() if readable else b""
    if not line:
        stop(process)
        raise AssertionError(f"the exchange did not come up (exit {process.returncode})")
    ready = json.loads(line)
    return Running(process, ready["rest"], ready["ws"], ready["accounts"])


def stop(process: subprocess.Popen[bytes]) -> int:
    """End the process, by force if it must be."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return int(process.returncode)


@contextmanager
def exchange(*arguments: str) -> Iterator[Running]:
    """A running exchange that is always stopped."""
    running = launch(*arguments)
    try:
        yield running
    finally:
        stop(running.process)


class Signed:
    """Signs by hand, so that tests can sign wrongly."""

    def __init__(self, running: Running, account: int = 0) -> None:
        self._base = running.rest
        self._key = str(running.accounts[account]["api_key"])
        self._secret = str(running.accounts[account]["api_secret"])
        self._session = requests.Session()
        self._session.trust_env = False

    def headers(self, payload: str, stamp: int | None = None, window: int = 5000, secret: str = "") -> dict[str, str]:
        moment = str(time.time_ns() // 1_000_000 if stamp is None else stamp)
        text = f"{moment}{self._key}{window}{payload}".encode()
        return {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": moment,
            "X-BAPI-RECV-WINDOW": str(window),
            "X-BAPI-SIGN": hmac.new((secret or self._secret).encode(), text, hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }

    def get_raw(self, path: str, query: str = "", **signing: Any) -> requests.Response:
        url = f"{self._base}{path}" + (f"?{query}" if query else "")
        return self._session.get(url, headers=self.headers(query, **signing), timeout=20)

    def get(self, path: str, **query: object) -> Any:
        return self.get_raw(path, "&".join(f"{name}={value}" for name, value in sorted(query.items()))).json()

    def post_raw(self, path: str, body: object, **signing: Any) -> requests.Response:
        payload = json.dumps(body)
        return self._session.post(self._base + path, data=payload, headers=self.headers(payload, **signing), timeout=20)

    def post(self, path: str, **body: object) -> Any:
        return self.post_raw(path, body).json()

    def close(self) -> None:
        self._session.close()


def eventually(check: Any, timeout_s: float = 5.0) -> Any:
    """The first true value of `check`, asked again and again."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
