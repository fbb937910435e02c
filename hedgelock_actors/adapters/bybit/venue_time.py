"""The time that requests are signed with: the clock's, corrected by what the venue told, and refused when that is much.

The correction serves signing alone. All ages and rates stay on the clock itself, so a replayed time is not disturbed.
"""

from __future__ import annotations

from hedgelock_actors.ports.clock import Clock

# The venue takes timestamps up to a second ahead and a whole receive window behind: less than this is no offset.
_TOLERANCE_MS = 250
DEFAULT_BOUND_MS = 5_000


class VenueTime:
    """`offset_ms` is what the venue's clock is ahead of ours. Beyond `bound_ms` one of the two is broken: `trusted` is
    False, and nothing is signed until a measurement says otherwise.
    """

    def __init__(self, clock: Clock, bound_ms: int = DEFAULT_BOUND_MS) -> None:
        self.clock = clock
        self.offset_ms = 0
        self.measurements = 0
        self.trusted = True
        self._bound_ms = bound_ms

    def now_ms(self) -> int:
        """The time to sign with, ms."""
        return self.clock.now_ms() + self.offset_ms

    def measured(self, before_ms: int, venue_ms: int, after_ms: int) -> None:
        """Take in the venue's time, told between two readings of our clock.

        The offset lies between `venue − after` and `venue − before`. When it may be none, it is held to be none.
        """
        low, high = venue_ms - after_ms, venue_ms - before_ms
        self.measurements += 1
        nearest = 0 if low <= 0 <= high else min(low, high, key=abs)
        self.offset_ms = 0 if abs(nearest) <= _TOLERANCE_MS else (low + high) // 2
        self.trusted = abs(nearest) <= self._bound_ms
