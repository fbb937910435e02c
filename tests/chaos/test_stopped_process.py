"""A router that is stopped and goes on later must find, before anything else, that it may not trade any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import psutil
import pytest

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from tests.integration.exchange_process import ROOT, Running, eventually, exchange
from tests.services import running_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TTL_MS = 1_000
WAIT_S = 40.0
_numbers = count()


class Child:
    """A router process, and the newest that it said of itself."""

    def __init__(self, config: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tests.chaos.router_process", json.dumps(config)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said = json.loads(line)

    def target(self, version: int, qty: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{version} {qty}\n".encode())
        self.process.stdin.flush()

    def until(self, true: Callable[[dict[str, Any]], bool]) -> None:
        eventually(lambda: bool(self.said) and true(self.said), WAIT_S)

    def ready(self) -> None:
        self.until(lambda said: said["status"] == "ready" and said["held"])

    def stopped(self) -> bool:
        return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


class Stage:
    """One account of the exchange, and the routers that have claimed it."""

    def __init__(self, running: Running, postgres: EmbeddedPostgres) -> None:
        self.running, self.postgres, self.number = running, postgres, next(_numbers)
        self.children: list[Child] = []
        self.uid = str(running.accounts[self.number]["uid"])

    def router(self, *, stop_in_act: bool = False) -> Child:
        account = self.running.accounts[self.number]
        config = {
            "rest": self.running.rest,
            "ws": self.running.ws,
            "key": account["api_key"],
            "secret": account["api_secret"],
            "dsn": self.postgres.app_dsn,
            "account": f"order-router-stage{self.number}",
            "holder": f"router-{len(self.children)}",
            "ttl_ms": TTL_MS,
            "stop_in_act": stop_in_act,
        }
        child = Child(config)
        self.children.append(child)
        return child

    def short(self) -> Decimal:
        return -Decimal(str(self.running.sim("report", uid=self.uid)["positions"].get("BTCUSDT", 0)))

    def held(self, qty: str) -> None:
        eventually(lambda: self.short() == Decimal(qty), WAIT_S)

    def creates(self) -> list[dict[str, Any]]:
        return [row for row in self.running.sim("orders", uid=self.uid)["list"] if row["op"].startswith("create")]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--accounts", "4") as process:
        yield process


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def stage(running: Running, postgres: EmbeddedPostgres) -> Iterator[Stage]:
    made = Stage(running, postgres)
    yield made
    for child in made.children:
        child.end()


def stopped_in_the_act(stage: Stage) -> Child:
    """A router that holds 0.3 and is stopped with the decision on record to sell 0.3 more."""
    first = stage.router(stop_in_act=True)
    first.ready()
    first.target(1, "0.3")
    stage.held("0.3")
    first.until(lambda said: said["position"] == "-0.300")
    first.target(2, "0.6")
    eventually(first.stopped, WAIT_S)
    return first


def test_f48_after_a_long_stop_the_first_act_is_refused(stage: Stage) -> None:
    """G5: nobody else took over, and the order that was about to leave does not; with the lease renewed, one does."""
    first = stopped_in_the_act(stage)
    time.sleep(2.5 * TTL_MS / 1000)
    assert len(stage.creates()) == 1
    first.signal(signal.SIGCONT)
    first.until(lambda said: any(one.startswith("NOT_THE_WRITER") for one in said["refused"]))
    stage.held("0.6")
    creates = stage.creates()
    assert len(creates) == 2
    assert len({row["order_link_id"] for row in creates}) == 2
    assert stage.running.sim("report", uid=stage.uid)["duplicate_orders"] == 0


def test_f50_a_router_that_comes_back_after_its_successor_changes_nothing(stage: Stage) -> None:
    """G12: while the first is stopped a second takes over, whole; the first goes on, and sends nothing ever again."""
    first = stopped_in_the_act(stage)
    second = stage.router()
    second.ready()
    second.target(2, "0.6")
    stage.held("0.6")
    second.until(lambda said: said["position"] == "-0.600")
    before = len(stage.creates())
    first.signal(signal.SIGCONT)
    first.until(lambda said: bool(said["lost"]) or said["status"] == "stopped")
    first.target(3, "0.9")
    time.sleep(1.0)
    assert len(stage.creates()) == before
    assert not first.said["held"]
    second.target(3, "0.5")
    stage.held("0.5")
    assert stage.running.sim("report", uid=stage.uid)["duplicate_orders"] == 0
    assert len(stage.creates()) == before + 1
