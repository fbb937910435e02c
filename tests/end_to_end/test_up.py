"""The whole loop on Ray: a fall, survived; again; stopped half-way; and with every actor killed once."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.end_to_end.conftest import World

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KEYS = {
    "max_lender_ltv",
    "max_net_ltv",
    "end_lender_ltv",
    "loan_liquidated",
    "short_liquidated",
    "orders",
    "fills",
    "duplicate_orders",
    "sweeps",
    "swept_usdt",
    "fees_usdt",
    "funding_usdt",
    "hedge_pnl_usdt",
    "refused",
    "alerts",
    "ticks",
    "wall_s",
}
ACTORS = (
    "market-feed",
    "risk-calculator-0",
    "position-keeper-main",
    "order-router-main",
    "treasury",
    "notifier",
)


def assert_protected(report: dict[str, Any]) -> None:
    assert set(report) >= KEYS
    assert report["max_lender_ltv"] <= 0.50
    assert not report["loan_liquidated"]
    assert not report["short_liquidated"]
    assert report["duplicate_orders"] == 0
    assert report["fills"] > 0
    assert report["sweeps"] > 0
    assert report["journal"]["executions"] == report["fills"]
    assert report["journal"]["verified"]
    assert report["clock"]["pace_overruns"] == 0


def test_a_fall_is_survived_and_a_second_run_works_in_the_same_place(world: World) -> None:
    for _ in range(2):
        world.up("--scenario", str(world.scenario), "--speed", "max", "--exit-at-end")
        report = world.ended(400)
        assert_protected(report)
        assert report["recoveries"] == []
        assert report["clock"]["paced"]
        world.assert_nothing_left()
        assert not (world.state / "run.json").exists()
    audit = world.run("audit")
    assert audit["ok"]
    assert audit["records"] >= report["journal"]["records"]


def test_f47_killing_any_actor_changes_nothing(world: World) -> None:
    process = world.up("--speed", "max", "--exit-at-end")
    world.await_ready()
    for name in ACTORS:
        pid = world.status()["actors"][name]["pid"]
        os.kill(pid, signal.SIGKILL)

        def back(name: str = name, pid: int = pid) -> bool:
            health = world.status()["actors"].get(name, {})
            return health.get("pid") != pid and health.get("status") == "ready" and not health.get("down")

        world.until(back, 90, f"{name} back")
    assert process.poll() is None, "the replay ended before the last actor was killed"
    report = world.ended(400)
    assert_protected(report)
    recovered = {recovery["actor"]: recovery["down_ms_wall"] for recovery in report["recoveries"]}
    assert set(recovered) == set(ACTORS)
    assert all(0 < down_ms < 60_000 for down_ms in recovered.values())


def test_halt_resume_and_ctrl_c_in_real_time(world: World) -> None:
    process = world.up("--speed", "20")
    world.await_ready()
    halted = world.run("halt", "--reason", "drill")
    assert (halted["mode"], halted["confirmed"], halted["recorded"]) == ("HALTED", True, True)
    status = world.run("status")
    assert status["trading_state"]["mode"] == "HALTED"
    assert {health["mode"] for health in status["actors"].values()} == {"HALTED"}
    assert world.run("resume", "--reason", "over")["mode"] == "ACTIVE"
    sized = world.run("size", "BTC", "1000", "--score", "0.5")
    assert 0.0 < sized["hedge_pct"] <= 1.0
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert_no_loss(world.ended(60))
    assert time.monotonic() - began < 60
    world.assert_nothing_left()


def assert_no_loss(report: dict[str, Any]) -> None:
    assert report["duplicate_orders"] == 0
    assert report["journal"]["executions"] == report["fills"]
    assert report["journal"]["verified"]


def test_f51_after_kill_9_of_the_whole_thing_the_next_run_works(world: World) -> None:
    process = world.up("--speed", "20")
    world.await_ready()
    process.kill()
    process.wait()
    time.sleep(1)
    process = world.up("--speed", "20")  # finds the databases that were left, and ends them with everything else
    world.await_ready()
    world.run("down")
    assert_no_loss(world.ended(60))
    world.assert_nothing_left()
    process = world.up("--speed", "20")
    world.await_ready()
    process.kill()
    process.wait()
    assert world.run("down")["ended"]
    world.assert_nothing_left()
    world.up("--scenario", str(world.scenario), "--speed", "max", "--exit-at-end")
    assert_protected(world.ended(400))
