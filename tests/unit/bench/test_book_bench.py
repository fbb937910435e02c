"""The book benchmark runs, its floor finds what the book finds, and it would notice if not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hedgelock_actors.bench import book as bench
from hedgelock_actors.bench.book_floor import EveryLoan, recorded_path, seeded_path, wildest
from hedgelock_actors.cli import app
from hedgelock_actors.domain.hedge import Rung, required_short
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.loan_book import Change, Product

KEYS = {
    "tick_us_p50",
    "tick_us_p99",
    "requirement_us_p50",
    "naive_tick_ms",
    "naive_requirement_ms",
    "max_relative_error",
    "bytes_per_loan",
    "update_us_p50",
    "merge_ms",
    "changed_per_tick",
    "machine",
}


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "bars.parquet"
    rng = np.random.default_rng(5)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 60)))
    opened = np.concatenate(([60_000.0], close[:-1]))
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    times = np.arange(60) * 60_000 + 1_600_000_000_000
    pq.write_table(pa.table({"ts_ms": times, "open": opened, "high": high, "low": low, "close": close}), path)
    return path


def test_it_prints_the_documented_keys_and_finds_every_change(bars: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "book", "--loans", "20000", "--prices", str(bars), "--json"])
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert (found["wrong_ticks"], found["checked_ticks"]) == (0, 40)
    assert found["changed_per_tick"] > 0
    assert found["max_relative_error"] <= 1e-9
    assert found["merged_loans"] > 0
    assert found["machine"]["cores"] > 0


def test_a_file_that_holds_no_bars_is_said(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    done = CliRunner().invoke(app, ["bench", "book", "--loans", "1000", "--prices", str(path)])
    assert done.exit_code == 2
    assert "no column" in done.stderr


def test_a_change_that_is_missing_twice_told_or_wrong_is_noticed() -> None:
    ids, safe, caution = np.array([3, 1]), np.zeros(2, dtype=np.int8), np.ones(2, dtype=np.int8)
    found = [Change(ids, RiskLevel.SAFE, RiskLevel.CAUTION)]
    places = np.array([1, 3])
    assert bench._same(found, places, safe, caution)
    assert not bench._same([], places, safe, caution)
    assert not bench._same(found, np.array([1, 2]), safe, caution)
    assert not bench._same(found, places, safe, caution + 1)
    assert not bench._same([*found, *found], places, safe, caution)


def test_the_floor_is_the_ladder() -> None:
    product = Product(asset="BTC", haircut=0.9, rungs=(Rung(0.3, 0.5), Rung(0.5, 0.7)))
    debt, collateral = np.array([10_000.0, 30_000.0, 90_000.0]), np.array([1.0, 1.0, 2.0])
    floor = EveryLoan(product, collateral, debt)
    expected = [required_short(d, c, 60_000.0, 0.9, product.rungs) for d, c in zip(debt, collateral, strict=True)]
    assert floor.requirement(60_000.0) == pytest.approx(expected)
    assert floor.levels_alone(60_000.0).tolist() == [0, 3, 3]


def test_paths(bars: Path) -> None:
    prices, times = recorded_path(bars)
    assert prices.size == 240
    assert set(np.diff(times).tolist()) == {15_000}
    assert wildest(np.array([1.0, 1.0, 1.0, 2.0, 2.0]), 2) == 2
    assert wildest(np.ones(3), 5) == 0
    made, _ = seeded_path(3)
    assert made.tolist() == seeded_path(3)[0].tolist()
    assert made.min() < 0.85 * made[0]
    long, at = np.arange(3.0 * bench.LONGEST_PATH), np.arange(3 * bench.LONGEST_PATH)
    for wild in (0, 30_000, long.size - 1):
        part, its = bench._around(long, at, wild)
        assert part.size == its.size == bench.LONGEST_PATH
        assert part[0] <= wild <= part[-1]
    assert bench._around(long[:10], at[:10], 3)[0].tolist() == long[:10].tolist()
