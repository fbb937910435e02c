"""Recorded prices, funding rates and scenarios from files: the only file access on the engine's side."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from hedgelock_actors.simulator.prices import Bar
from hedgelock_actors.simulator.scenario import Scenario, parse_scenario
from hedgelock_actors.simulator.spec import FundingSchedule

SPELLINGS = {
    "ts": ("ts_ms", "open_time_ms", "open_time", "timestamp", "time", "ts"),
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"),
    "volume": ("volume", "v", "vol", "base_volume"),
    "rate": ("funding_rate", "rate", "fundingrate", "last_funding_rate"),
}


class BadPriceFile(ValueError):
    """The file lacks a column, has no rows, or holds prices that cannot be."""


def _column(names: list[str], meaning: str, path: Path) -> str:
    lower = {name.lower(): name for name in names}
    for spelling in SPELLINGS[meaning]:
        if spelling in lower:
            return lower[spelling]
    raise BadPriceFile(f"{path}: no column for {meaning} (looked for {', '.join(SPELLINGS[meaning])})")


def _times_ms(values: list[object], path: Path) -> list[int]:
    """Times as integer ms, whatever integer unit the file uses (seconds, ms, µs, ns)."""
    times: list[int] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadPriceFile(f"{path}: times must be numbers since the epoch, not {value!r}")
        times.append(int(value))
    size = abs(times[0]) if times else 0
    if size >= 10**17:
        return [t // 10**6 for t in times]
    if size >= 10**14:
        return [t // 10**3 for t in times]
    return times if size >= 10**11 else [t * 1000 for t in times]


def read_bars(path: Path) -> list[Bar]:
    """Bars of a parquet file in rising time. Raises BadPriceFile, FileNotFoundError."""
    table = pq.read_table(path)
    names = table.schema.names
    columns = {key: table[_column(names, key, path)].to_pylist() for key in ("ts", "open", "high", "low", "close")}
    has_volume = any(name.lower() in SPELLINGS["volume"] for name in names)
    volumes = table[_column(names, "volume", path)].to_pylist() if has_volume else [0.0] * table.num_rows
    times = _times_ms(columns["ts"], path)
    rows = zip(times, columns["open"], columns["high"], columns["low"], columns["close"], volumes, strict=True)
    bars = [Bar(t, float(o), float(h), float(low), float(c), float(v or 0.0)) for t, o, h, low, c, v in rows]
    _check(bars, path)
    return bars


def _check(bars: list[Bar], path: Path) -> None:
    if not bars:
        raise BadPriceFile(f"{path}: no rows")
    before = None
    for bar in bars:
        if before is not None and bar.ts_ms <= before:
            raise BadPriceFile(f"{path}: times must rise, not {before} then {bar.ts_ms}")
        if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < float("inf"):
            raise BadPriceFile(f"{path}: impossible bar at {bar.ts_ms}")
        before = bar.ts_ms


def read_funding(path: Path, constant: Decimal = Decimal("0.0001")) -> FundingSchedule:
    """Funding rates of a parquet file (time, fraction per interval). Raises BadPriceFile, FileNotFoundError."""
    table = pq.read_table(path)
    names = table.schema.names
    times = _times_ms(table[_column(names, "ts", path)].to_pylist(), path)
    rates = table[_column(names, "rate", path)].to_pylist()
    pairs = zip(times, rates, strict=True)
    return FundingSchedule(rates={t: round(Decimal(str(rate)), 8) for t, rate in pairs}, constant=constant)


def read_scenario(path: Path) -> Scenario:
    """A scenario of waypoints from YAML. Raises ValueError that names file and key, FileNotFoundError."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{path}: a mapping is needed")
    try:
        return parse_scenario(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
