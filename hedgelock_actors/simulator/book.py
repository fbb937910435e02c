"""Made-up liquidity around a replayed price, in integer ticks and lots.

Levels sit on a fixed price grid and their sizes come from a table that is drawn once from the seed, so a small move of
the price changes few levels. The touch itself is exact. Spread and thinness follow the smoothed absolute tick return.
"""

from __future__ import annotations

from random import Random

from hedgelock_actors.simulator.spec import BookShape
from hedgelock_actors.simulator.units import Units

Level = list[int]
"""[price in ticks, size in lots]; mutable, for matching eats it."""

TABLE = 1024
SMOOTHING = 0.25
THINNING_STEPS = 4
EPOCH_TICKS = 64


class SyntheticBook:
    """`bids` and `asks`, best first. `refresh` rebuilds both around a price; matching eats sizes in between."""

    def __init__(self, units: Units, shape: BookShape, rng: Random) -> None:
        self._units, self._shape, self._rng = units, shape, rng
        self._jitter = [rng.uniform(0.4, 1.6) for _ in range(TABLE)]
        self._last_price: float | None = None
        self._refreshes = 0
        self.volatility_bps = 0.0
        self.bids: list[Level] = []
        self.asks: list[Level] = []

    def refresh(self, price: float) -> None:
        """New liquidity around `price` (the middle of the spread)."""
        self._observe(price)
        self._refreshes += 1
        half = price * (self._shape.spread_bps + self._shape.volatility_spread * self.volatility_bps) / 20_000
        tick = self._units.tick_float
        best_bid = max(1, int((price - half) / tick))
        best_ask = max(best_bid + 1, -int(-(price + half) // tick))
        grid = max(1, int(price * self._grid_bps() / 10_000 / tick))
        lots = self._lots_per_level(price)
        self.bids = self._side(best_bid, grid, lots, -1)
        self.asks = self._side(best_ask, grid, lots, 1)

    def _observe(self, price: float) -> None:
        if self._last_price is not None:
            move_bps = abs(price / self._last_price - 1) * 10_000
            self.volatility_bps += SMOOTHING * (move_bps - self.volatility_bps)
        self._last_price = price

    def _grid_bps(self) -> float:
        return self._shape.depth_bps / 10

    def _lots_per_level(self, price: float) -> float:
        """Mean lots of a level. The thinning moves in steps, so that sizes stand still while volatility drifts."""
        thinning = 1 + self._shape.volatility_thinning * self.volatility_bps
        thinning = round(thinning * THINNING_STEPS) / THINNING_STEPS
        return self._shape.depth_usdt / 10 / price / self._units.lot_float / thinning

    def _side(self, best: int, grid: int, lots: float, step: int) -> list[Level]:
        # The touch holds a random part of a level; behind it come the grid's own prices.
        levels = [[best, max(1, int(lots * self._rng.uniform(0.1, 0.6)))]]
        index = best // grid + 1 if step > 0 else (best - 1) // grid
        jitter, epoch = self._jitter, self._refreshes // EPOCH_TICKS
        for k in range(self._shape.levels - 1):
            row = index + step * k
            if row <= 0:
                break
            levels.append([row * grid, max(1, int(lots * jitter[(row * 31 + epoch) % TABLE]))])
        return levels
