"""How the simulated exchange's time follows the host's monotonic clock, which all processes of the host share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ReplayState(StrEnum):
    """Held before the start, running, ended after the last price."""

    HELD = "held"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class TimeMapping:
    """Venue time is `venue_ms` at `monotonic_ns` and moves `speed` ms per ms from there on; in lock-step, by ticks."""

    venue_ms: int
    speed: float
    paced: bool
    monotonic_ns: int
    state: ReplayState

    def at(self, monotonic_ns: int) -> int:
        """Venue time in ms at a reading of the monotonic clock."""
        if self.speed <= 0:
            return self.venue_ms
        return self.venue_ms + int((monotonic_ns - self.monotonic_ns) * self.speed / 1e6)

    @property
    def flows(self) -> bool:
        """Time passes by itself."""
        return self.state is ReplayState.RUNNING and self.speed > 0


def parse(fields: Mapping[str, object]) -> TimeMapping:
    """The mapping in an answer of `/sim/clock`.

    Raises:
        ValueError: a field is missing or is not what it should be.
    """
    venue_ms, speed, monotonic = fields.get("venue_ms"), fields.get("speed"), fields.get("monotonic_ns")
    if not isinstance(venue_ms, int) or not isinstance(monotonic, int) or not isinstance(speed, (int, float)):
        raise ValueError(f"not a clock of a simulated exchange: {str(fields)[:200]}")
    return TimeMapping(
        venue_ms=venue_ms,
        speed=float(speed),
        paced=fields.get("paced") is True,
        monotonic_ns=monotonic,
        state=ReplayState(str(fields.get("state"))),
    )
