"""12 March 2020 as recorded, through real processes: BTC loses more than half its value, the loan is kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import World
from tests.end_to_end.test_up import ACTORS, assert_protected

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.data]

PRICES = "btcusdt-spot-binance_1m_2020-03-12_black-thursday.parquet"
WINDOW = ("--from", "2020-03-12T00:00Z", "--to", "2020-03-13T12:00Z")
LOAN = ("--ltv", "0.40", "--collateral", "10", "--reserve", "0.35")
PLUNGE_MS = int(datetime(2020, 3, 12, 10, 30, tzinfo=UTC).timestamp() * 1000)
END_S = 2_000


def replay(world: World, prices: Path) -> None:
    world.up("--prices", str(prices), *WINDOW, *LOAN, "--speed", "max", "--exit-at-end")


def assert_kept(report: dict[str, Any]) -> None:
    assert_protected(report)
    # What a plain model of the rules reached on this and 32 other recorded falls.
    assert report["max_lender_ltv"] <= 0.464
    assert report["swept_usdt"] > 5_000


def test_the_loan_is_kept(world: World, shared_data: Callable[[str], Path]) -> None:
    replay(world, shared_data(PRICES))
    report = world.ended(END_S)
    assert_kept(report)
    assert report["recoveries"] == []
    assert world.run("audit")["ok"]


def test_the_loan_is_kept_though_every_actor_is_killed_in_the_plunge(
    world: World, shared_data: Callable[[str], Path]
) -> None:
    replay(world, shared_data(PRICES))
    world.await_ready()
    world.until(lambda: world.status()["ts_ms"] >= PLUNGE_MS, END_S, "in the plunge")
    for name in ACTORS:
        pid = world.status()["actors"][name]["pid"]
        os.kill(pid, signal.SIGKILL)

        def back(name: str = name, pid: int = pid) -> bool:
            health = world.status()["actors"].get(name, {})
            return health.get("pid") != pid and health.get("status") == "ready" and not health.get("down")

        world.until(back, 120, f"{name} back")
    report = world.ended(END_S)
    assert_protected(report)
    assert {recovery["actor"] for recovery in report["recoveries"]} == set(ACTORS)
