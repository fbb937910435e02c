"""A circuit breaker: after several failures in a row a dependency is left alone, longer each time, and then tried once.

Closed: all calls go out. Open: none, until its time is up. Half-open: one probe at a time goes out; its success closes
the breaker, its failure opens it for twice as long. A success that belongs to a call from before the opening changes
nothing: only a probe closes.
"""

from __future__ import annotations

from typing import Literal

from hedgelock_actors.domain.errors import InvalidInput

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """One per dependency. Times are ms of any clock that does not run backwards.

    Args:
        failures: so many in a row open it.
        open_ms: how long it stays open the first time; doubles with each probe that fails.
        max_open_ms: and never longer than this.
    """

    __slots__ = ("_failed", "_failures", "_first_ms", "_most_ms", "_open_ms", "_opened_ms", "_state")

    def __init__(self, failures: int, open_ms: int, max_open_ms: int) -> None:
        if failures < 1 or not 0 < open_ms <= max_open_ms:
            raise InvalidInput("breaker", "at least one failure, and 0 < open_ms <= max_open_ms")
        self._failures, self._first_ms, self._most_ms = failures, open_ms, max_open_ms
        self._state: BreakerState = "closed"
        self._failed = 0
        self._open_ms = open_ms
        self._opened_ms = 0
        """When it opened; while half-open, when the probe went out."""

    @property
    def state(self) -> BreakerState:
        """As of the last call: it becomes half-open when a probe is let through."""
        return self._state

    def allows(self, now_ms: int) -> bool:
        """Whether a call may go out now. True while not closed means: this call is the probe, tell how it ended.

        A probe whose end nobody tells (its caller died) is given up after the open time, and another one may go.
        """
        if self._state == "closed":
            return True
        if now_ms - self._opened_ms < self._open_ms:
            return False
        self._state, self._opened_ms = "half_open", now_ms
        return True

    def succeeded(self, now_ms: int) -> None:
        """A call came back well."""
        if self._state == "open":
            return
        self._state, self._failed, self._open_ms = "closed", 0, self._first_ms
        self._opened_ms = now_ms

    def failed(self, now_ms: int) -> None:
        """A call failed in a way that says something about the dependency (not: it said no)."""
        if self._state == "open":
            return
        if self._state == "half_open":
            self._open_ms = min(2 * self._open_ms, self._most_ms)
        else:
            self._failed += 1
            if self._failed < self._failures:
                return
        self._state, self._failed, self._opened_ms = "open", 0, now_ms
