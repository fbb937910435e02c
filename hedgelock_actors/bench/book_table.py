"""The book benchmark for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hedgelock_actors.bench.book import UPDATES, BookResult
from hedgelock_actors.bench.machine import said


def as_table(found: BookResult) -> RenderableType:
    """Ours beside the floor, then what was promised."""
    promises = [
        Text(f"{'held' if held else 'MISSED':>6}  {name}", "" if held else "bold red")
        for name, held in found.kept.items()
    ]
    return Group(_times(found), Text(_facts(found)), *promises)


def _times(found: BookResult) -> Table:
    title = f"{found.loans:,} loans of {found.accounts:,} accounts, one core"
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("", "book", "floor: every loan", "ratio"):
        table.add_column(name, justify="left" if not name else "right")
    rows = (
        ("any tick: all changes of level, p50", found.tick_us_p50, found.naive_tick_ms),
        ("of ticks that change loans, p50", found.tick_us_p50_changing, found.naive_tick_ms),
        ("the same, caches cold", found.tick_us_p50_cold, found.naive_tick_ms),
        (f"any tick, {min(UPDATES, found.loans):,} changes not merged", found.tick_us_p50_pending, found.naive_tick_ms),
        ("any tick, floor without hysteresis", found.tick_us_p50, found.naive_levels_ms),
        ("required hedge of the book at a price, p50", found.requirement_us_p50, found.naive_requirement_ms),
        ("of every account", found.account_requirements_ms * 1e3, found.naive_requirement_ms),
    )
    for name, ours_us, floor_ms in rows:
        table.add_row(name, f"{ours_us:,.1f} µs", f"{floor_ms:,.1f} ms", f"{floor_ms * 1e3 / ours_us:,.0f}")
    curve_ms, floor_s = found.stress_curve_ms, found.naive_requirement_ms
    table.add_row(
        "stress curve of 1,000 prices", f"{curve_ms:,.1f} ms", f"> {floor_s:,.0f} s", f"{floor_s * 1e3 / curve_ms:,.0f}"
    )
    table.add_row("one loan changed, p50 / p99", f"{found.update_us_p50:,.1f} / {found.update_us_p99:,.1f} µs", "", "")
    table.add_row(
        f"merge of {found.merged_loans:,} rows, in the background",
        f"{found.merge_ms:,.0f} ms ({found.merge_cpu_ms:,.0f} of processor)",
        "",
        "",
    )
    table.add_row("what the book stands still for", f"{found.merge_pause_ms:,.2f} ms", "", "")
    return table


def _facts(found: BookResult) -> str:
    return (
        f"tick p99 {found.tick_us_p99:.1f} µs over {found.ticks:,} ticks ({found.prices}), "
        f"{found.changing_ticks:,} of which change loans\n"
        f"built in {found.build_s:.1f} s ({found.build_cpu_s:.1f} of processor)\n"
        f"{found.bytes_per_loan:.1f} bytes a loan\n"
        f"{found.checked_ticks} ticks compared loan by loan, {found.wrong_ticks} differ; "
        f"{found.changed_per_tick:,.0f} loans changed a tick; greatest relative error {found.max_relative_error:.1e}\n"
        f"ids of changed loans are views of the book's own array: a tick's time does not grow with its answer\n"
        f"{said(dict(found.machine))}"
    )
