"""What the benchmarks promise, and what they show of it."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from hedgelock_actors.bench import kill_table, order_table
from hedgelock_actors.bench.kill_checks import Verdict
from hedgelock_actors.bench.kills import KillOptions, KillResult
from hedgelock_actors.bench.order_bench import BenchOptions, BenchResult
from hedgelock_actors.bench.stages import Spread
from hedgelock_actors.cli import app

GOOD = Spread(count=300, p50_ms=4.0, p90_ms=8.0, p99_ms=12.0, max_ms=20.0)
FLOOR = Spread(count=200, p50_ms=0.5, p90_ms=0.6, p99_ms=1.0, max_ms=2.0)
RESULT = BenchResult(
    options=BenchOptions(),
    wire=GOOD,
    floor_wire=FLOOR,
    ends={"tick received → filled": (GOOD, FLOOR), "nothing": (None, None)},
    stages=[("frame → tick:risk", "one hop", GOOD), ("place → arrived", "the wire", None)],
    within_150_ms=1.0,
    orders=300,
    orders_per_second=4.0,
    duplicates=0,
    rate_limited=0,
    refusals={"RATE": 2},
    cpu_ms_per_order={"order-router-main": 9.5, "redis": 0.001},
)
CLEAN = Verdict(lost=(), doubled=(), orders=40, fills=30)
KILLED = KillResult(
    options=KillOptions(kills=4),
    verdict=CLEAN,
    converged=True,
    recovery_ms={"order-router-main": [1_500.0, 2_500.0], "position-keeper-main": [2_000.0, 4_000.0]},
    orders_meanwhile=20,
)


def shown(table: RenderableType) -> str:
    written = StringIO()
    Console(width=140, file=written).print(table)
    return written.getvalue()


def test_the_order_benchmark_holds_its_promises_or_says_which_it_missed() -> None:
    assert all(RESULT.kept.values())
    assert RESULT.ratio == 8.0
    slow = replace(RESULT, wire=replace(GOOD, p50_ms=6.0, p99_ms=100.0), within_150_ms=0.98, rate_limited=1)
    assert [name for name, held in slow.kept.items() if not held] == [
        "p99 below 100 ms", "99 % within 150 ms", "p50 at most 5 ms (goal)", "p99 at most 15 ms (goal)", "no 10006",
    ]  # fmt: skip
    lifted = replace(RESULT, options=BenchOptions(lifted=True), orders_per_second=49.0, duplicates=1)
    assert [name for name, held in lifted.kept.items() if not held] == ["at least 50 orders/s", "no duplicate"]


def test_the_order_table_shows_it() -> None:
    text = shown(order_table.as_table(RESULT))
    for said in ("4.00 / 8.00 / 12.00 / 20.00", "8.0", "2 RATE", "order-router-main 9.50", "held  no duplicate", "–"):
        assert said in text
    assert "redis" not in text
    assert json.loads(json.dumps(RESULT.as_values(), allow_nan=False))["ratio_p50"] == 8.0


def test_the_kill_benchmark_holds_its_promises_or_says_which_it_missed() -> None:
    assert all(KILLED.kept.values())
    lossy = replace(
        KILLED,
        verdict=replace(CLEAN, lost=("order x is not on record",), doubled=("order y",)),
        converged=False,
        recovery_ms={"order-router-main": [11_000.0]},
    )
    assert not any(lossy.kept.values())
    assert not replace(KILLED, recovery_ms={}).kept["recovery p99 at most 10 s"]


def test_the_kill_table_shows_the_distribution() -> None:
    text = shown(kill_table.as_table(KILLED))
    for said in ("position-keeper-main", "2.50", "█", "20 orders while actors were killed; 40 orders and 30 fills"):
        assert said in text
    lossy = replace(KILLED, verdict=replace(CLEAN, lost=("order x is not on record",)), recovery_ms={})
    assert "order x is not on record" in shown(kill_table.as_table(lossy))
    assert json.loads(json.dumps(KILLED.as_values(), allow_nan=False))["recovery"]["count"] == 4


@pytest.mark.parametrize(
    "arguments", [["order", "--orders", "3"], ["order", "--accounts", "9"], ["kills", "--kills", "0"]]
)
def test_nonsense_is_refused_before_anything_starts(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["bench", *arguments]).exit_code == 2
