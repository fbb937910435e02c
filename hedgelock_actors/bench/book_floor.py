"""The floor of the book benchmark: the same answers by looking at every loan, vectorised; and the prices for both.

Written apart from the loan book, so that the comparison is a check too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.loan_book import Product
from hedgelock_actors.simulator.price_files import read_bars

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FAR = np.iinfo(np.int64).max
TICK_MS = 15_000


class EveryLoan:
    """All loans as arrays; on a tick each is compared with each boundary, its memory kept beside it."""

    def __init__(self, product: Product, collateral: Floats, debt: Floats) -> None:
        self.product, self.collateral, self.debt = product, collateral, debt
        self.debt_per_coin = debt / collateral
        self._above = np.zeros((3, debt.size), dtype=np.bool_)
        self._since = np.full((3, debt.size), _FAR, dtype=np.int64)
        self._level = np.zeros(debt.size, dtype=np.int8)

    def tick(self, price: float, now_ms: int) -> tuple[Ints, NDArray[np.int8], NDArray[np.int8]]:
        """(places of the changed loans, level before, level after)."""
        levels, haircut = self.product.levels, self.product.haircut
        for number, name in enumerate((RiskLevel.CAUTION, RiskLevel.DANGER, RiskLevel.CRITICAL)):
            boundary = levels.boundary(name)
            above, since = self._above[number], self._since[number]
            above |= self.debt_per_coin >= boundary * haircut * price
            under = self.debt_per_coin < (boundary - levels.hysteresis) * haircut * price
            np.minimum(since, now_ms, out=since, where=under)
            since[~under] = _FAR
            above &= since > now_ms - levels.dwell_ms
        level = self._above.sum(axis=0, dtype=np.int8)
        changed = np.flatnonzero(level != self._level)
        before, self._level = self._level[changed], level
        return changed, before, level[changed]

    def levels_alone(self, price: float) -> Ints:
        """Loan-to-value and level of every loan without any memory: the least that a program over arrays does."""
        levels = self.product.levels
        ltv = self.debt / (self.product.haircut * self.collateral * price)
        return np.searchsorted([levels.caution, levels.danger, levels.critical], ltv, side="right")

    def requirement(self, price: float) -> Floats:
        """Required short of every loan, coins."""
        wanted = np.zeros(self.debt.size)
        value = self.product.haircut * self.collateral * price
        for rung in self.product.rungs:
            one = (self.debt - rung.target_ltv * (1.0 - rung.drop) * value) / (price * rung.drop)
            np.maximum(wanted, one, out=wanted)
        return np.minimum(wanted, self.debt / price, out=wanted)


def recorded_path(path: Path) -> tuple[Floats, Ints]:
    """Four prices a bar (open, low, high, close; a rising bar's low first), 15 s apart, and their times in ms.

    Raises:
        BadPriceFile: the file holds no such bars.
    """
    bars = read_bars(path)
    prices = [
        price
        for bar in bars
        for price in (bar.open, *((bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)), bar.close)
    ]
    times = np.array([bar.ts_ms for bar in bars], dtype=np.int64)
    return np.array(prices), (times[:, None] + np.arange(4) * TICK_MS).ravel()


def seeded_path(seed: int, ticks: int = 4 * 1440) -> tuple[Floats, Ints]:
    """A made-up day: 100 % volatility a year, and an hour that falls by a quarter."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, np.sqrt(TICK_MS / 31_536e6), ticks)
    crash = slice(ticks // 2, ticks // 2 + 240)
    moves[crash] += np.log(0.75) / 240 + rng.normal(0.0, 0.002, moves[crash].size)
    return 60_000.0 * np.exp(np.cumsum(moves)), np.arange(ticks, dtype=np.int64) * TICK_MS


def wildest(prices: Floats, length: int) -> int:
    """Where the stretch of this many ticks with the widest range of prices begins."""
    if prices.size <= length:
        return 0
    seen = np.lib.stride_tricks.sliding_window_view(prices, length)
    return int(np.argmax(seen.max(axis=1) / seen.min(axis=1)))
