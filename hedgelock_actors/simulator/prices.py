"""Bars become ticks, or a seeded walk makes them: the streams of prices that the exchange replays."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from hedgelock_actors.simulator.spec import PriceTick

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle: open time in ms, prices in USDT, volume in base coin over the whole bar."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0


def bar_length_ms(bars: Sequence[Bar]) -> int:
    """The shortest distance between neighbours (gaps make longer ones); a minute for a single bar."""
    gaps = [b.ts_ms - a.ts_ms for a, b in pairwise(bars)]
    return min(gaps) if gaps else MINUTE_MS


def _corners(bar: Bar, rng: Random) -> list[float]:
    """Open, both extremes, close. The extreme nearer to the open comes first, more often than not."""
    low_first = bar.open - bar.low < bar.high - bar.open
    if rng.random() < 0.15:
        low_first = not low_first
    extremes = [bar.low, bar.high] if low_first else [bar.high, bar.low]
    return [bar.open, *extremes, bar.close]


def _corner_slots(steps: int, rng: Random) -> list[int]:
    """Where in 0..steps-1 the four corners fall: the ends are fixed, the extremes are drawn."""
    inner = sorted(rng.sample(range(1, steps - 1), 2))
    return [0, *inner, steps - 1]


def bar_prices(bar: Bar, steps: int, rng: Random) -> list[float]:
    """`steps` prices (at least 4) from open to close that touch both extremes and stay between them."""
    corners, slots = _corners(bar, rng), _corner_slots(steps, rng)
    wobble = 0.15 * (bar.high - bar.low)
    prices: list[float] = []
    for i in range(3):
        start, end, width = corners[i], corners[i + 1], slots[i + 1] - slots[i]
        prices.append(start)
        for k in range(1, width):
            raw = start + (end - start) * k / width + rng.uniform(-wobble, wobble)
            prices.append(min(bar.high, max(bar.low, raw)))
    prices.append(corners[3])
    return prices


class BarPath:
    """Ticks from bars. `ticks_per_minute` ≥ 4 ticks a minute of bar (a 5-minute bar gets five times as many)."""

    def __init__(
        self,
        bars: Sequence[Bar],
        seed: int,
        ticks_per_minute: int = 12,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> None:
        if ticks_per_minute < 4:
            raise ValueError("ticks_per_minute must be at least 4: open, high, low and close")
        times = [bar.ts_ms for bar in bars]
        first = 0 if from_ms is None else bisect_left(times, from_ms)
        last = len(bars) if to_ms is None else bisect_left(times, to_ms)
        self._bars = bars[first:last]
        if not self._bars:
            raise ValueError("no bars in the window")
        self._length_ms = bar_length_ms(bars)
        self._steps = ticks_per_minute * max(1, self._length_ms // MINUTE_MS)
        self._rng = Random(seed)
        self._ticks = self._stream()
        self._next: PriceTick | None = next(self._ticks)

    def _stream(self) -> Iterator[PriceTick]:
        for bar in self._bars:
            prices = bar_prices(bar, self._steps, self._rng)
            weights = [self._rng.expovariate(1.0) for _ in prices]
            total = sum(weights)
            for k, price in enumerate(prices):
                yield PriceTick(
                    ts_ms=bar.ts_ms + k * self._length_ms // self._steps,
                    price=price,
                    volume=bar.volume * weights[k] / total,
                )

    def next_ms(self) -> int | None:
        """Time of the next tick; None at the end of the bars."""
        return None if self._next is None else self._next.ts_ms

    def take(self) -> PriceTick:
        """The next tick; it is consumed."""
        if self._next is None:
            raise ValueError("the path has ended")
        tick, self._next = self._next, next(self._ticks, None)
        return tick


class RandomWalk:
    """An endless geometric walk: `volatility` per square root of a year, mean volume per tick in base coin."""

    def __init__(
        self,
        start_price: float,
        start_ms: int,
        seed: int,
        volatility: float = 0.6,
        tick_ms: int = 1000,
        volume: float = 0.5,
    ) -> None:
        self._price, self._ts_ms, self._tick_ms = start_price, start_ms, tick_ms
        self._sigma = volatility * math.sqrt(tick_ms / (365 * 86_400_000))
        self._volume = volume
        self._rng = Random(seed)

    def next_ms(self) -> int | None:
        """Time of the next tick: there is always one."""
        return self._ts_ms

    def take(self) -> PriceTick:
        """The next tick; it is consumed."""
        tick = PriceTick(ts_ms=self._ts_ms, price=self._price, volume=self._rng.expovariate(1.0) * self._volume)
        self._ts_ms += self._tick_ms
        self._price *= math.exp(self._rng.gauss(-0.5 * self._sigma * self._sigma, self._sigma))
        return tick
