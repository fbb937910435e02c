"""A scenario: waypoints of price over venue minutes. The path between the waypoints is synthetic and seeded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from hedgelock_actors.simulator.prices import MINUTE_MS, Bar, BarPath


@dataclass(frozen=True, slots=True)
class Scenario:
    """`waypoints` are (minute, price) in rising minutes, beginning at minute 0; `noise` is the standard deviation of
    one minute's return around the line, as a fraction; `volume` is base coin a minute in calm.
    """

    name: str
    description: str
    start_ms: int
    waypoints: tuple[tuple[int, float], ...]
    noise: float
    volume: float

    def path(self, seed: int, ticks_per_minute: int = 12) -> BarPath:
        """The ticks of the scenario."""
        return BarPath(self.bars(seed), seed, ticks_per_minute)

    def bars(self, seed: int) -> list[Bar]:
        """One-minute bars: geometric lines between the waypoints with a Brownian bridge on top: waypoints are met."""
        rng = Random(seed)
        closes = [self.waypoints[0][1]]
        for (minute, price), (end_minute, end_price) in pairwise(self.waypoints):
            closes += _bridge(price, end_price, end_minute - minute, self.noise, rng)
        return [self._bar(i, closes[i], closes[i + 1], rng) for i in range(len(closes) - 1)]

    def _bar(self, minute: int, open_: float, close: float, rng: Random) -> Bar:
        reach = self.noise * 0.5
        high = max(open_, close) * (1 + abs(rng.gauss(0, reach)))
        low = min(open_, close) * (1 - min(0.5, abs(rng.gauss(0, reach))))
        speed = 1 + abs(math.log(close / open_)) * 500
        volume = self.volume * rng.uniform(0.5, 1.5) * speed
        return Bar(self.start_ms + minute * MINUTE_MS, open_, high, low, close, volume)


def _bridge(start: float, end: float, minutes: int, noise: float, rng: Random) -> list[float]:
    walk = [0.0]
    for _ in range(minutes):
        walk.append(walk[-1] + rng.gauss(0, noise))
    prices = []
    for k in range(1, minutes + 1):
        share = k / minutes
        off = walk[k] - share * walk[-1]
        prices.append(math.exp(math.log(start) * (1 - share) + math.log(end) * share + off))
    return prices


def parse_scenario(data: Mapping[str, object]) -> Scenario:
    """Read the keys name, description, start_ms, start_price, noise, volume and waypoints [{minute, price}].

    Raises ValueError that names the key.
    """
    points = data.get("waypoints")
    if not isinstance(points, list) or not points:
        raise ValueError("waypoints: a list of {minute, price} is needed")
    waypoints = [(0, _number(data, "start_price"))]
    for point in points:
        if not isinstance(point, Mapping):
            raise ValueError(f"waypoints: {point!r} is not {{minute, price}}")
        waypoints.append((int(_number(point, "minute")), _number(point, "price")))
    for (minute, _), (next_minute, price) in pairwise(waypoints):
        if next_minute <= minute or price <= 0:
            raise ValueError(f"waypoints: minute {next_minute} must come after {minute}, at a price above 0")
    return Scenario(
        name=str(data.get("name", "")),
        description=str(data.get("description", "")),
        start_ms=int(_number(data, "start_ms")),
        waypoints=tuple(waypoints),
        noise=_number(data, "noise"),
        volume=_number(data, "volume"),
    )


def _number(data: Mapping[str, object], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key}: a number is needed, not {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{key}: must be finite and not negative, not {value!r}")
    return float(value)
