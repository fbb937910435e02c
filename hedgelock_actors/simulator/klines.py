"""Minute bars of a market, summed up to the interval that was asked for."""

from __future__ import annotations

from hedgelock_actors.simulator.market import MINUTE_MS, Market, MinuteBar
from hedgelock_actors.simulator.market_views import KlineView
from hedgelock_actors.simulator.words import ZERO

INTERVALS = {
    "1": 1,
    "3": 3,
    "5": 5,
    "15": 15,
    "30": 30,
    "60": 60,
    "120": 120,
    "240": 240,
    "360": 360,
    "720": 720,
    "D": 1440,
}


def bars_view(
    market: Market, interval: str, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int
) -> list[KlineView]:
    """Bars that open within [start, end], newest first, at most `limit`. Unknown interval: ValueError."""
    if interval not in INTERVALS:
        raise ValueError(f"interval must be one of {', '.join(INTERVALS)}, not {interval}")
    length = INTERVALS[interval] * MINUTE_MS
    found: list[KlineView] = []
    group: list[MinuteBar] = []
    for bar in reversed(market.bars):
        if group and bar.start_ms // length != group[0].start_ms // length:
            found.append(_sum(market, interval, length, group, now_ms))
            group = []
            if len(found) >= limit and start_ms is None and end_ms is None:
                break
        group.append(bar)
    if group:
        found.append(_sum(market, interval, length, group, now_ms))
    low, high = start_ms or 0, end_ms if end_ms is not None else now_ms
    return [bar for bar in found if low <= bar.start_ms <= high][:limit]


def _sum(market: Market, interval: str, length: int, group: list[MinuteBar], now_ms: int) -> KlineView:
    """One bar of `group`, which is newest first."""
    start = group[0].start_ms // length * length
    price = market.units.price
    return KlineView(
        symbol=market.symbol,
        interval=interval,
        start_ms=start,
        end_ms=start + length - 1,
        open=price(group[-1].open),
        high=price(max(bar.high for bar in group)),
        low=price(min(bar.low for bar in group)),
        close=price(group[0].close),
        volume=market.units.qty(sum(bar.lots for bar in group)),
        turnover=sum((bar.turnover for bar in group), ZERO),
        confirmed=start + length <= now_ms,
    )
