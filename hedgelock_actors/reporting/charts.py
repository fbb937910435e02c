"""The four plots of an execution report: shortfall's distribution, markouts, cumulative fees, fill rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hedgelock_actors.reporting.execution_quality import ExecutionQuality, Judged, Quality, grouped, percentile
from hedgelock_actors.reporting.svg import Plot, nice_ticks, number

BINS = 36
HOURS_MS = 3_600_000
TRIM = 0.01
"""The outermost values fall into the first and the last bin."""


def series_of(found: ExecutionQuality) -> dict[str, int]:
    """The colour of each strategy, the same in all plots."""
    return {one.strategy: n for n, one in enumerate(found.strategies)}


def rows_of(found: ExecutionQuality) -> list[Quality]:
    """Strategies, each followed by its variants, then everything."""
    ordered = sorted([*found.strategies, *found.variants], key=lambda one: (one.strategy, one.variant))
    return [*ordered, found.overall]


def shortfall_plot(found: ExecutionQuality) -> str:
    """How many intents cost how much, in bps of the decided value, stacked by strategy."""
    values = sorted(float(one.shortfall.bps) for one in found.judged)
    low, high = percentile(values, TRIM) or 0.0, percentile(values, 1 - TRIM) or 0.0
    ticks = nice_ticks(min(low, 0.0), max(high, low + 1.0), 7)
    width = (ticks[-1] - ticks[0]) / BINS
    counts = {name: [0] * BINS for name in series_of(found)}
    for one in found.judged:
        place = int((float(one.shortfall.bps) - ticks[0]) / width)
        counts[one.intent.strategy][min(BINS - 1, max(0, place))] += 1
    tallest = max((sum(column) for column in zip(*counts.values(), strict=True)), default=1)
    plot, y_ticks = Plot.over((ticks[0], ticks[-1]), [0.0, float(tallest)], "distribution of implementation shortfall")
    plot.y_axis(y_ticks, "intents")
    plot.x_axis([(tick, number(tick)) for tick in ticks], "implementation shortfall, bps (right is worse)")
    for n in range(BINS):
        base, left = 0, ticks[0] + n * width
        for name, series in series_of(found).items():
            count = counts[name][n]
            if count:
                tip = f"{name}: {count} intents at {left:.2f} … {left + width:.2f} bps"
                plot.bar((left, left + width * 0.92), (base, base + count), series, tip)
                base += count
    plot.mark(found.overall.shortfall_bps, f"mean {found.overall.shortfall_bps:.2f}", 5)
    return plot.svg()


def markout_plot(found: ExecutionQuality) -> str:
    """Mean markout per strategy after 1, 10 and 60 s with its 95 % band; below 0 the market moved against the fill."""
    curves = [one for one in found.strategies if one.markouts]
    if not curves:
        return ""
    horizons = sorted({point.horizon_ms for one in curves for point in one.markouts})
    place = {horizon: float(n) for n, horizon in enumerate(horizons)}
    edges = [0.0]
    for point in (point for one in curves for point in one.markouts):
        half = point.half_width_bps or 0.0
        edges += [point.mean_bps - half, point.mean_bps + half]
    plot, ticks = Plot.over((-0.15, len(horizons) - 0.85), edges, "markouts by time after the fill")
    plot.y_axis(ticks, "bps in our favour")
    plot.x_axis([(at, f"{horizon / 1000:g} s") for horizon, at in place.items()], "time after the fill")
    for one in curves:
        series = series_of(found)[one.strategy]
        if all(point.half_width_bps is not None for point in one.markouts):
            low = [(place[p.horizon_ms], p.mean_bps - (p.half_width_bps or 0.0)) for p in one.markouts]
            high = [(place[p.horizon_ms], p.mean_bps + (p.half_width_bps or 0.0)) for p in one.markouts]
            plot.band(low, high, series)
        plot.line([(place[p.horizon_ms], p.mean_bps) for p in one.markouts], series, dots=True)
    return plot.svg()


def fees_plot(found: ExecutionQuality) -> str:
    """Fees paid so far over time, one line a strategy."""
    curves = {name: _cumulative(members) for (name, _), members in _by_strategy(found).items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return ""
    times = [at for points in curves.values() for at, _ in points]
    start, end = min(times), max(times)
    values = [0.0, *(fees for points in curves.values() for _, fees in points)]
    plot, ticks = Plot.over((start, end), values, "cumulative fees")
    plot.y_axis(ticks, "USDT")
    shape = "%m-%d %H:%M" if end - start > 24 * HOURS_MS else "%H:%M:%S" if end - start < HOURS_MS else "%H:%M"
    marks = [start + (end - start) * n / 4 for n in range(5)] if end > start else [start]
    day = f"{datetime.fromtimestamp(start / 1000, UTC):%Y-%m-%d}"
    plot.x_axis([(at, datetime.fromtimestamp(at / 1000, UTC).strftime(shape)) for at in marks], f"UTC, from {day}")
    for name, points in curves.items():
        plot.steps([(start, 0.0), *points, (end, points[-1][1])], series_of(found)[name])
    return plot.svg()


def fill_plot(found: ExecutionQuality) -> str:
    """Share of the decided quantity that filled, per strategy and variant."""
    rows = [row for row in rows_of(found) if row is not found.overall]
    if not rows:
        return ""
    plot, ticks = Plot.over((0.0, float(len(rows))), [0.0, 1.0], "fill rates")
    plot.y_axis(ticks, "filled ÷ decided")
    plot.x_axis([(n + 0.5, _name(one)) for n, one in enumerate(rows)], "strategy and variant")
    for n, one in enumerate(rows):
        tip = f"{_name(one)}: {one.fill_rate:.4f} of {one.intents} intents"
        height, kind = min(1.0, one.fill_rate), "variant" if one.variant else ""
        plot.bar((n + 0.18, n + 0.82), (0.0, height), series_of(found)[one.strategy], tip, kind)
        plot.note(n + 0.5, max(0.12, height), f"{one.fill_rate:.2%}")
    return plot.svg()


def _by_strategy(found: ExecutionQuality) -> Mapping[tuple[str, str], Sequence[Judged]]:
    return grouped(found.judged, lambda one: (one.intent.strategy, ""))


def _cumulative(members: Sequence[Judged]) -> list[tuple[float, float]]:
    fills = sorted((fill.ts_ms, float(fill.fee)) for one in members for fill in one.intent.fills)
    points, total = [], 0.0
    for at, fee in fills:
        total += fee
        points.append((float(at), total))
    return points


def _name(one: Quality) -> str:
    return f"{one.strategy}/{one.variant}" if one.variant else one.strategy
