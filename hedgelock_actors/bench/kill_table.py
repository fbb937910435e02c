"""The kill benchmark for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hedgelock_actors.bench.kills import KillResult
from hedgelock_actors.bench.stages import Spread, spread

BARS = 12
WIDTH = 50


def as_table(found: KillResult) -> RenderableType:
    """Recovery times by actor, their distribution, and what was promised."""
    table = Table(title="From kill -9 to ready again, s", title_justify="left", header_style="bold")
    for name in ("actor", "kills", "p50", "p90", "p99", "max"):
        table.add_column(name, justify="left" if name == "actor" else "right")
    for name, values in found.recovery_ms.items():
        _row(table, name, spread(values))
    _row(table, "both", found.recovery)
    facts = (
        f"{found.orders_meanwhile} orders while actors were killed; {found.verdict.orders} orders and "
        f"{found.verdict.fills} fills in all"
    )
    wrong = [Text(line, "red") for line in (*found.verdict.lost, *found.verdict.doubled)]
    kept = [
        Text(f"{'held' if held else 'MISSED':>6}  {name}", "" if held else "bold red")
        for name, held in found.kept.items()
    ]
    return Group(table, Text(_histogram(found)), Text(facts), *wrong, *kept)


def _row(table: Table, name: str, seen: Spread | None) -> None:
    if seen is not None:
        cells = (seen.p50_ms, seen.p90_ms, seen.p99_ms, seen.max_ms)
        table.add_row(name, str(seen.count), *(f"{one / 1_000:.2f}" for one in cells))


def _histogram(found: KillResult) -> str:
    values = [one / 1_000 for per_actor in found.recovery_ms.values() for one in per_actor]
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / BARS or 1.0
    counts = [0] * BARS
    for one in values:
        counts[min(BARS - 1, int((one - low) / step))] += 1
    tallest = max(counts)
    return "\n".join(
        f"{low + n * step:6.2f} … {low + (n + 1) * step:6.2f} s  {count:4d} {'█' * round(count / tallest * WIDTH)}"
        for n, count in enumerate(counts)
    )
