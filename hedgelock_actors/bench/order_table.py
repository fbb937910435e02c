"""The order benchmark for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hedgelock_actors.bench.order_bench import BenchResult
from hedgelock_actors.bench.stages import Spread


def as_table(found: BenchResult) -> RenderableType:
    """Latencies against the floor, where the time goes, and what was promised."""
    return Group(_ends(found), _stages(found), Text(_cpu(found)), Text(_facts(found)), *_promises(found))


def _ends(found: BenchResult) -> Table:
    table = Table(title="Latency, ms (p50 / p90 / p99 / max)", title_justify="left", header_style="bold")
    for name in ("", "actors on Ray", "floor: one loop", "ratio of p50"):
        table.add_column(name, justify="left" if not name else "right")
    for name, (ours, floor) in found.ends.items():
        ratio = f"{ours.p50_ms / floor.p50_ms:.1f}" if ours is not None and floor is not None else "–"
        table.add_row(name, _shown(ours), _shown(floor), ratio)
    return table


def _stages(found: BenchResult) -> Table:
    table = Table(title="Where the time goes, ms (p50 / p90 / p99 / max)", title_justify="left", header_style="bold")
    for name in ("step", "what", "ms"):
        table.add_column(name, justify="right" if name == "ms" else "left")
    for step, what, seen in found.stages:
        table.add_row(step, what, _shown(seen))
    return table


def _cpu(found: BenchResult) -> str:
    used = sorted(found.cpu_ms_per_order.items(), key=lambda one: -one[1])
    shown = ", ".join(f"{name} {ms:.2f}" for name, ms in used if ms >= 0.005)
    return f"processor time per order, ms: {sum(found.cpu_ms_per_order.values()):.2f} in all: {shown}"


def _facts(found: BenchResult) -> str:
    lifted = "limits lifted" if found.options.lifted else "limits on"
    ours = ", ".join(f"{count} {code}" for code, count in found.refusals.items()) or "none"
    return (
        f"{found.orders} orders of {found.options.accounts} accounts at {found.orders_per_second:.1f}/s, {lifted}; "
        f"{found.within_150_ms:.2%} read by the venue within 150 ms of the price\n"
        f"{found.duplicates} duplicates; {found.rate_limited} refused by the venue as too many (10006); "
        f"stopped by our own limits: {ours}"
    )


def _promises(found: BenchResult) -> list[Text]:
    return [
        Text(f"{'held' if held else 'MISSED':>6}  {name}", "" if held else "bold red")
        for name, held in found.kept.items()
    ]


def _shown(seen: Spread | None) -> str:
    if seen is None:
        return "–"
    return f"{seen.p50_ms:.2f} / {seen.p90_ms:.2f} / {seen.p99_ms:.2f} / {seen.max_ms:.2f}"
