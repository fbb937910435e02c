"""`hedgelock up` as a person runs it, in a network of its own where the machine allows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

COMMAND = [sys.executable, "-m", "hedgelock_actors.cli"]
READY_S = 180.0

SHORT = """\
name: short
description: a fall by a third within half an hour
start_ms: 1767225600000
start_price: 60000
noise: 0.001
volume: 40
waypoints:
  - {minute: 3, price: 59500}
  - {minute: 10, price: 52000}
  - {minute: 14, price: 54000}
  - {minute: 22, price: 44000}
  - {minute: 28, price: 40000}
  - {minute: 32, price: 42500}
"""


class World:
    """A state directory and a network; `up` starts HedgeLock there."""

    def __init__(self, state: Path, prefix: Sequence[str]) -> None:
        self.state = state
        self.scenario = state.parent / "short.yaml"
        self.scenario.write_text(SHORT, encoding="utf-8")
        self.report = state.parent / "out.json"
        self.log = state.parent / "up.log"
        self._prefix = list(prefix)
        self._env = {**os.environ, "HEDGELOCK__HTTP__PORT": "0", "HEDGELOCK__STATE_DIR": str(state)}
        self._process: subprocess.Popen[bytes] | None = None

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start, with a report and without a screen."""
        base = ["up", "--report", str(self.report), "--plain", "--no-dashboard"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *COMMAND, *base, *arguments],
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._process

    def run(self, *arguments: str, seconds: float = 120) -> dict[str, Any]:
        """Another command, beside the running one; its JSON answer."""
        done = subprocess.run(
            [*self._prefix, *COMMAND, *arguments, "--json"],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def status(self) -> dict[str, Any]:
        """`/v1/status`, asked without the weight of the command line."""
        url = json.loads((self.state / "run.json").read_text(encoding="utf-8"))["control_url"] + "/status"
        code = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=30).read().decode())"
        done = subprocess.run([*self._prefix, sys.executable, "-S", "-c", code], capture_output=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def await_ready(self) -> None:
        """Until the commands know where it runs."""
        self.until(self._told, READY_S, "ready")

    def _told(self) -> bool:
        file = self.state / "run.json"
        return self._process is not None and file.exists() and json.loads(file.read_text())["pid"] == self._process.pid

    def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert self._process is not None
            assert self._process.poll() is None, f"hedgelock up ended before {what}:\n{self.said()}"
            assert time.monotonic() < deadline, f"not {what} within {seconds} s:\n{self.said()}"
            time.sleep(0.2)

    def ended(self, seconds: float) -> dict[str, Any]:
        """Wait for the end; the report."""
        assert self._process is not None
        assert self._process.wait(seconds) == 0, self.said()
        report: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))
        return report

    def said(self) -> str:
        """What was printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]

    def assert_nothing_left(self) -> None:
        """Everything that was started has ended, give or take the moment in which Ray's agents notice."""
        deadline = time.monotonic() + 60
        while left := self._left_over():
            assert time.monotonic() < deadline, left
            time.sleep(0.2)

    def _left_over(self) -> list[str]:
        """Processes with our state directory in their command line, or (Ray's) in their environment."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status", "environ"]):
            line = " ".join(process.info["cmdline"] or [])
            token = (process.info["environ"] or {}).get("RAY_AUTH_TOKEN_PATH", "")
            if str(self.state) in line + token and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(f"{process.info['pid']}: {line[:200]}")
        return found

    def close(self) -> None:
        """End what a failed test has left, through the front door first."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        subprocess.run([*self._prefix, *COMMAND, "down"], env=self._env, capture_output=True, timeout=120, check=False)


@pytest.fixture
def world() -> Iterator[World]:
    """A place to run in. Not pytest's own: other sessions shut that to the account that PostgreSQL runs under."""
    place = Path(tempfile.mkdtemp(prefix="hedgelock-e2e-"))
    name = f"hl-test-{os.getpid()}"
    isolated = os.geteuid() == 0 and shutil.which("ip") is not None
    if isolated:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        isolated = made.returncode == 0
    if isolated:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    here = World(place / "state", ["ip", "netns", "exec", name] if isolated else [])
    yield here
    here.close()
    if isolated:
        subprocess.run(["ip", "netns", "delete", name], check=False)
    shutil.rmtree(place, ignore_errors=True)
