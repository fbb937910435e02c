"""What the supervisor makes of one actor's answers and silences: pure, with the wall clock as an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from hedgelock_actors.runtime.names import Declared

RESTARTS_MAX = 5
RESTARTS_S = 600.0
"""More restarts of one actor within this time are told to people: whatever ends it does so again and again."""


@dataclass(frozen=True, slots=True)
class Silence:
    """An actor answers again, ready to act. `restarted`: another process answers than before."""

    wall_s: float
    restarted: bool


@dataclass(slots=True)
class Watched:
    """One actor as last heard. Times are seconds of a monotonic wall clock."""

    declared: Declared
    born_ms: int = 0
    last_good: float = 0.0
    was_ready: bool = False
    down_since: float | None = None
    missed: int = 0
    restarted: bool = False
    health: Mapping[str, object] = field(default_factory=dict)
    restarts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS_MAX + 1))

    def heard(self, health: Mapping[str, object], now: float) -> Silence | None:
        """It answered. Returns the silence that this ends, if any.

        A busy machine alone only delays answers: what tells a restart is that another process answers.
        """
        born_ms = cast("int", health.get("born_ms", 0))
        ready = health.get("status") in ("ready", "degraded") and bool(health.get("ready_after_ms"))
        self.missed, self.health = 0, health
        if self.born_ms and born_ms and born_ms != self.born_ms:
            self.restarted = True
            if self.down_since is None:
                self.down_since = self.last_good  # it died and came back between two looks
        self.born_ms = born_ms or self.born_ms
        ended = None
        if ready and self.down_since is not None and self.was_ready:
            ended = Silence(now - self.down_since, self.restarted)
        if ready:
            self.was_ready, self.down_since, self.restarted = True, None, False
        if ready or not self.was_ready:
            self.last_good = now
        return ended

    def silent(self) -> bool:
        """It did not answer. Returns whether this begins a silence."""
        self.missed += 1
        if self.down_since is not None or not self.was_ready:
            return False
        self.down_since = self.last_good
        return True

    def too_often(self, now: float) -> bool:
        """It was started again just now; True when that happens too often."""
        self.restarts.append(now)
        return len(self.restarts) > RESTARTS_MAX and now - self.restarts[0] <= RESTARTS_S
