"""Bars, scenarios and files into ticks."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hedgelock_actors.simulator.price_files import BadPriceFile, read_bars, read_funding, read_scenario
from hedgelock_actors.simulator.prices import Bar, BarPath, RandomWalk
from hedgelock_actors.simulator.scenario import parse_scenario

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"
BARS = [Bar(60_000 * k, 100.0 + k, 103.0 + k, 98.0 + k, 101.0 + k, 12.0) for k in range(5)]


def all_ticks(path: BarPath) -> list[tuple[int, float, float]]:
    ticks = []
    while path.next_ms() is not None:
        tick = path.take()
        ticks.append((tick.ts_ms, tick.price, tick.volume))
    return ticks


def test_each_bar_becomes_ticks_within_it_that_carry_its_volume() -> None:
    ticks = all_ticks(BarPath(BARS, seed=3))
    assert len(ticks) == 5 * 12
    for k, bar in enumerate(BARS):
        mine = ticks[12 * k : 12 * k + 12]
        assert all(bar.ts_ms <= ts < bar.ts_ms + 60_000 for ts, _, _ in mine)
        assert sum(volume for _, _, volume in mine) == pytest.approx(12.0)


def test_five_minute_bars_keep_the_tick_rate() -> None:
    bars = [Bar(300_000 * k, 100.0, 101.0, 99.0, 100.0) for k in range(3)]
    ticks = all_ticks(BarPath(bars, seed=1, ticks_per_minute=6))
    assert len(ticks) == 3 * 30
    assert {b[0] - a[0] for a, b in itertools.pairwise(ticks)} == {10_000}


def test_the_window_is_half_open() -> None:
    times = [ts for ts, _, _ in all_ticks(BarPath(BARS, 1, from_ms=60_000, to_ms=180_000))]
    assert (min(times), max(times)) == (60_000, 175_000)
    with pytest.raises(ValueError, match="no bars"):
        BarPath(BARS, 1, from_ms=10_000_000)
    with pytest.raises(ValueError, match="at least 4"):
        BarPath(BARS, 1, ticks_per_minute=3)


def test_a_walk_never_ends_and_stays_positive() -> None:
    walk = RandomWalk(60000.0, 1_000, seed=5, volatility=2.0)
    ticks = [walk.take() for _ in range(5000)]
    assert [t.ts_ms for t in ticks[:3]] == [1_000, 2_000, 3_000]
    assert min(t.price for t in ticks) > 0
    assert walk.next_ms() == 5_001_000


@pytest.mark.parametrize(("name", "low", "high"), [("crash", 0.52, 0.58), ("rally", 1.45, 1.55)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_built_in_scenarios(name: str, low: float, high: float, seed: int) -> None:
    scenario = read_scenario(ROOT / "configs" / "scenarios" / f"{name}.yaml")
    assert scenario.name == name
    bars = scenario.bars(seed)
    assert len(bars) == 180
    start = bars[0].open
    extreme = min(b.close for b in bars) if name == "crash" else max(b.close for b in bars)
    assert low < extreme / start < high
    closes = {bar.ts_ms: bar.close for bar in bars}
    for minute, price in scenario.waypoints[1:]:
        assert closes[scenario.start_ms + (minute - 1) * 60_000] == pytest.approx(price)
    assert scenario.bars(seed) == bars
    assert scenario.bars(seed + 10) != bars


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"waypoints": []}, "waypoints"),
        ({"waypoints": [{"minute": 0, "price": 5}]}, "minute 0"),
        ({"start_price": "high"}, "start_price"),
        ({"noise": -1}, "noise"),
    ],
)
def test_a_bad_scenario_names_its_key(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {
        "start_ms": 0,
        "start_price": 100,
        "noise": 0.001,
        "volume": 1,
        "waypoints": [{"minute": 5, "price": 90}],
    }
    assert len(parse_scenario(good).bars(1)) == 5
    with pytest.raises(ValueError, match=words):
        parse_scenario(good | change)


def write(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_common_spellings_and_units_of_time(tmp_path: Path) -> None:
    seconds: list[object] = [1_600_000_000, 1_600_000_060]
    file = write(tmp_path / "a.parquet", Time=seconds, O=[1.0, 2.0], H=[3.0, 3.0], L=[0.5, 1.0], C=[2.0, 2.5])
    bars = read_bars(file)
    assert [bar.ts_ms for bar in bars] == [1_600_000_000_000, 1_600_000_060_000]
    assert (bars[0].high, bars[1].low, bars[0].volume) == (3.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("times", "low", "words"),
    [([1, 1], 0.5, "rise"), ([1, 2], 1.5, "impossible"), ([1, 2], -1.0, "impossible"), ([], 0.5, "no rows")],
)
def test_bad_files_are_refused(tmp_path: Path, times: list[object], low: float, words: str) -> None:
    n = len(times)
    file = write(tmp_path / "b.parquet", ts_ms=times, open=[1.0] * n, high=[2.0] * n, low=[low] * n, close=[1.0] * n)
    with pytest.raises(BadPriceFile, match=words):
        read_bars(file)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPriceFile, match="close"):
        read_bars(write(tmp_path / "c.parquet", ts_ms=[1], open=[1.0], high=[1.0], low=[1.0]))


def test_funding_rates_are_exact_decimals(tmp_path: Path) -> None:
    due = 1_609_459_200_000
    schedule = read_funding(write(tmp_path / "f.parquet", ts_ms=[due], funding_rate=[0.00034729]))
    assert schedule.rate_at(due) == Decimal("0.00034729")
    assert schedule.rate_at(due + 1) == Decimal("0.0001")


@pytest.mark.data
def test_the_recorded_crash_keeps_its_extremes() -> None:
    file = DATA / "btcusdt-spot-binance_1m_2020-03-12_black-thursday.parquet"
    if not file.exists():
        pytest.skip("recorded prices are not beside this repository")
    bars = read_bars(file)
    path = BarPath(bars, 1, from_ms=1_583_971_200_000, to_ms=1_584_100_800_000)
    prices = [price for _, price, _ in all_ticks(path)]
    assert len(prices) == 36 * 60 * 12
    assert min(prices) == 3782.13
