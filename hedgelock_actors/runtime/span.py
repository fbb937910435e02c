"""From when to when a replay goes: to show its progress, and to refuse nonsense before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import yaml

from hedgelock_actors.runtime.config import ConfigError

MINUTE_MS = 60_000


def parse_time(option: str, text: str) -> int:
    """ISO 8601 (UTC unless it says otherwise) → ms. Raises ConfigError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(option, f"write a time like 2020-03-12T00:00Z, not {text!r}") from None
    return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def check_files(prices: Sequence[str], funding: Path | None, scenario: Path) -> None:
    """Raises ConfigError for a file that is not there."""
    for price in prices:
        path = Path(price.partition("=")[2] or price)
        if not path.is_file():
            raise ConfigError("--prices", f"there is no file {path}")
    if funding is not None and not funding.is_file():
        raise ConfigError("--funding", f"there is no file {funding}")
    if not prices and not scenario.is_file():
        raise ConfigError("--scenario", f"there is no file {scenario}")


def replay_span(prices: Sequence[str], scenario: Path, from_: str | None, to: str | None) -> tuple[int, int] | None:
    """First and last venue time of a replay in ms; None when the data do not tell."""
    span = _of_prices(prices) if prices else _of_scenario(scenario)
    start = parse_time("--from", from_) if from_ is not None else None
    end = parse_time("--to", to) if to is not None else None
    if start is not None and end is not None and end <= start:
        raise ConfigError("--to", "must be later than --from")
    if span is None:
        return None
    first, last = max(span[0], start or span[0]), min(span[1], end or span[1])
    if last <= first:
        raise ConfigError(
            "--from", f"no price lies between --from and --to; the data span {_iso(span[0])}/{_iso(span[1])}"
        )
    return first, last


def _of_prices(prices: Sequence[str]) -> tuple[int, int] | None:
    spans = []
    for price in prices:
        try:
            table = pyarrow.parquet.read_table(price.partition("=")[2] or price, columns=["ts_ms"])
        except (OSError, ValueError, KeyError):
            return None  # the exchange reads the file properly and tells what is wrong with it
        times = table.column("ts_ms")
        if not len(times):
            return None
        spans.append((int(times[0].as_py()), int(times[len(times) - 1].as_py()) + MINUTE_MS))
    return min(one[0] for one in spans), max(one[1] for one in spans)


def _of_scenario(path: Path) -> tuple[int, int] | None:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        start = int(raw["start_ms"])
        return start, start + max(int(point["minute"]) for point in raw["waypoints"]) * MINUTE_MS
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%MZ")
