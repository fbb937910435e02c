"""Prices of one run: a seeded walk with the character of its market, jumps, and a calm end."""

from __future__ import annotations

import math
from random import Random

from hedgelock_actors.simulator import api
from tests.simulation.arena.knobs import Knobs

START_MS = 1_767_225_600_000 + 7 * 60_000
START_PRICE = 60_000.0
# (drift per minute, standard deviation per minute)
CHARACTER = {
    "calm": (0.0, 0.0006),
    "crash": (-0.02, 0.004),
    "rally": (0.01, 0.004),
    "chop": (0.0, 0.008),
}


class SwarmPath:
    """Implements the exchange's PricePath. Ticks come every `knobs.tick_ms`; the last minutes are calm."""

    def __init__(self, knobs: Knobs) -> None:
        self._rng = Random(f"path {knobs.seed}")
        self._knobs = knobs
        self._price, self._ts_ms = START_PRICE, START_MS
        self._calm_ms = START_MS + knobs.minutes * 60_000
        self._end_ms = self._calm_ms + (knobs.quiet_minutes + 2) * 60_000
        self._jump = 0.0

    def jump(self, share: float) -> None:
        """The next price lies so much higher (or lower)."""
        self._jump += share

    def stop(self) -> None:
        """The market moves no more."""
        self._end_ms = 0

    def next_ms(self) -> int | None:
        return self._ts_ms if self._ts_ms <= self._end_ms else None

    def take(self) -> api.PriceTick:
        tick = api.PriceTick(ts_ms=self._ts_ms, price=self._price, volume=self._rng.expovariate(1.0) * 4.0)
        self._ts_ms += self._knobs.tick_ms
        minutes = self._knobs.tick_ms / 60_000
        drift, sigma = CHARACTER["calm" if self._ts_ms > self._calm_ms else self._knobs.market]
        move = drift * minutes + self._rng.gauss(0.0, sigma * math.sqrt(minutes)) + self._jump
        self._jump = 0.0
        self._price = min(200_000.0, max(12_000.0, self._price * math.exp(move)))
        return tick
