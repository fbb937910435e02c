"""The execution report for a terminal, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hedgelock_actors.reporting.execution_page import NONE, verdict
from hedgelock_actors.reporting.execution_quality import ExecutionQuality, Quality
from hedgelock_actors.reporting.experiments import Comparison


def as_values(found: ExecutionQuality, comparisons: Sequence[Comparison]) -> dict[str, object]:
    """JSON-ready. Ratios are ratios, money is USDT, costs are > 0."""
    return {
        "overall": _values(found.overall),
        "strategies": [_values(one) for one in found.strategies],
        "variants": [_values(one) for one in found.variants],
        "experiments": [{**asdict(one), "significant": one.significant} for one in comparisons],
    }


def _values(one: Quality) -> Mapping[str, object]:
    return {**asdict(one), "target_fill_rate": one.target_fill_rate}


def as_table(found: ExecutionQuality, comparisons: Sequence[Comparison]) -> RenderableType:
    """Strategies side by side, and the experiments below."""
    table = Table(title="Execution quality", title_justify="left", header_style="bold")
    table.add_column("")
    columns = [*found.strategies, *found.variants, found.overall]
    for one in columns:
        table.add_column(f"{one.strategy}/{one.variant}" if one.variant else one.strategy, justify="right")
    for name, cells in _rows(columns):
        table.add_row(name, *cells)
    return Group(table, *(Text(_sentence(one)) for one in comparisons))


def _rows(columns: Sequence[Quality]) -> list[tuple[str, list[str]]]:
    horizons = sorted({point.horizon_ms for one in columns for point in one.markouts})
    rows = [
        ("targets filled", [f"{one.targets_filled} of {one.targets}" for one in columns]),
        ("targets superseded", [str(one.targets_superseded) for one in columns]),
        ("targets filled, share", [f"{one.target_fill_rate:.4f}" for one in columns]),
        ("intents", [str(one.intents) for one in columns]),
        ("orders", [str(one.orders) for one in columns]),
        ("retries", [str(one.retries) for one in columns]),
        ("quantity filled, share", [f"{one.fill_rate:.4f}" for one in columns]),
        ("traded, USDT", [f"{one.traded_usdt:,.0f}" for one in columns]),
        ("fees, USDT", [f"{one.fees_usdt:,.2f}" for one in columns]),
        ("shortfall, USDT", [f"{one.shortfall_usdt:,.2f}" for one in columns]),
        ("shortfall, bps", [f"{one.shortfall_bps:.2f}" for one in columns]),
        ("  price / fees / unfilled", [
            f"{one.execution_bps:.2f} / {one.fees_bps:.2f} / {one.opportunity_bps:.2f}" for one in columns
        ]),
        ("slippage, bps", [_opt(one.slippage_bps, "{:.2f}") for one in columns]),
        ("maker share", [_opt(one.maker_share, "{:.3f}") for one in columns]),
        ("time to fill p50, ms", [_opt(one.fill_ms_p50, "{:,.0f}") for one in columns]),
        ("time to fill p99, ms", [_opt(one.fill_ms_p99, "{:,.0f}") for one in columns]),
    ]  # fmt: skip
    marks = [(f"markout {at / 1000:g} s, bps", [_markout(one, at) for one in columns]) for at in horizons]
    return [*rows, *marks]


def _markout(one: Quality, horizon: int) -> str:
    point = next((point for point in one.markouts if point.horizon_ms == horizon), None)
    if point is None:
        return NONE
    half = "" if point.half_width_bps is None else f" ± {point.half_width_bps:.2f}"
    return f"{point.mean_bps:+.2f}{half}"


def _sentence(one: Comparison) -> str:
    return (
        f"{one.strategy}: {one.b} against {one.a}: {one.difference_bps:+.2f} bps "
        f"[{one.low_bps:+.2f}, {one.high_bps:+.2f}], p = {one.p_welch:.4f} (Welch), {one.p_permutation:.4f} "
        f"(permutation), {one.b_intents} and {one.a_intents} intents: {verdict(one)}"
    )


def _opt(value: float | None, shape: str) -> str:
    return NONE if value is None else shape.format(value)
