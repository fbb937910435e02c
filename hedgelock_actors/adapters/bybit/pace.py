"""How many requests we may send, so that the venue never has to refuse one because it was too often.

The venue counts a request when it *arrives*, over a rolling window. We see only when we send and when the answer comes,
and the arrival lies between the two. So a unit is held to be in the window from the moment it is sent until a whole
window after its answer: whatever the jitter, what we count is never less than what the venue counts.

Nothing here reads a clock: times are venue ms given by the caller.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

SECOND_MS = 1_000
# What two clocks may drift apart, and a rounded millisecond, within one window.
_MARGIN_MS = 5
# A reset further ahead than this is not one of a rolling second: it is honoured this far, and then tried.
_MAX_BLOCK_MS = 60_000
# What the venue's clock may be ahead of ours in an answer before we stop believing it.
_MAX_AHEAD_MS = 250


class Kind(StrEnum):
    """What the venue counts apart."""

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The venue's own count in an answer: X-Bapi-Limit, -Status (what is left) and -Reset-Timestamp."""

    limit: int
    remaining: int
    reset_ms: int


class Ticket:
    """Units on their way: taken, and not yet answered."""

    __slots__ = ("done", "units")

    def __init__(self, units: int) -> None:
        self.units = units
        self.done = False


class Lane:
    """One limit: `limit` units in any `window_ms`."""

    def __init__(self, limit: int, window_ms: int = SECOND_MS, *, learns: bool = True) -> None:
        self.limit = limit
        self.foreign = 0
        """Units that the venue counted and we did not send: somebody else uses the account."""
        self._window_ms = window_ms
        self._learns = learns
        self._used = 0
        self._answered: deque[tuple[int, int]] = deque()
        """(when they leave the window, units), in the order of the answers."""
        self._blocked_ms = 0

    def take(self, units: int, now_ms: int, spare: int = 0) -> Ticket | None:
        """Take `units` now, leaving `spare` for others; None when there is no room."""
        self._drop(now_ms)
        if now_ms < self._blocked_ms or self._used + units > self.limit - spare:
            return None
        return self.force(units)

    def room(self, now_ms: int) -> int:
        """Units that may be taken now."""
        self._drop(now_ms)
        return 0 if now_ms < self._blocked_ms else max(0, self.limit - self._used)

    def force(self, units: int) -> Ticket:
        """Take `units` whether there is room or not: they go out anyway, and count."""
        self._used += units
        return Ticket(units)

    def ready_ms(self, units: int, now_ms: int, spare: int = 0) -> int:
        """The earliest time at which `take` may succeed (for what is still on its way, a guess that is too early)."""
        self._drop(now_ms)
        free = self.limit - spare - self._used
        ready = max(now_ms, self._blocked_ms)
        for ends_ms, freed in self._answered:
            if free >= units:
                return ready
            free += freed
            ready = max(ready, ends_ms)
        return ready if free >= units else max(ready, now_ms + self._window_ms)

    def forget(self, ticket: Ticket) -> None:
        """Nothing was sent after all."""
        if self._ends(ticket):
            self._used -= ticket.units

    def settle(self, ticket: Ticket, now_ms: int, venue_ms: int = 0, said: Allowance | None = None) -> None:
        """The answer is there, or will never come. `venue_ms`: the venue's time in it, when it tells one."""
        if not self._ends(ticket):
            return
        self._leave(max(now_ms, min(venue_ms, now_ms + _MAX_AHEAD_MS)), ticket.units)
        if said is not None and self._learns:
            self._learn(said, now_ms)

    def block(self, until_ms: int) -> None:
        """Nothing before this time."""
        self._blocked_ms = max(self._blocked_ms, until_ms)

    def refused(self, reset_ms: int, now_ms: int) -> None:
        """The venue said that it was too often: until its reset, or for a whole window if that time has passed."""
        if self._learns:
            reset = reset_ms if reset_ms > now_ms else now_ms + self._window_ms
            self.block(min(reset, now_ms + _MAX_BLOCK_MS) + _MARGIN_MS)

    def _learn(self, said: Allowance, now_ms: int) -> None:
        if said.limit <= 0 or not 0 <= said.remaining <= said.limit:
            return
        self.limit = said.limit
        self._drop(now_ms)
        unseen = (said.limit - said.remaining) - self._used
        if unseen > 0:
            self.foreign += unseen
            self._used += unseen
            self._leave(now_ms, unseen)

    def _ends(self, ticket: Ticket) -> bool:
        """Take a ticket off the road; False when it was off already."""
        if ticket.done:
            return False
        ticket.done = True
        return True

    def _leave(self, settled_ms: int, units: int) -> None:
        ends_ms = settled_ms + self._window_ms + _MARGIN_MS
        if self._answered:
            ends_ms = max(ends_ms, self._answered[-1][0])
        self._answered.append((ends_ms, units))

    def _drop(self, now_ms: int) -> None:
        while self._answered and self._answered[0][0] <= now_ms:
            self._used -= self._answered.popleft()[1]


class Pace:
    """The lanes of one account. Cancels have one to themselves: nothing else can use it up.

    Args:
        per_second: the limit to hold; None holds the venue's published one and what its answers teach.
    """

    PUBLISHED = 10

    def __init__(self, per_second: int | None = None) -> None:
        limit = self.PUBLISHED if per_second is None else per_second
        self.lanes = {kind: Lane(limit, learns=per_second is None) for kind in Kind}

    def block(self, until_ms: int) -> None:
        """Nothing of any kind before this time."""
        for lane in self.lanes.values():
            lane.block(until_ms)

    @property
    def foreign(self) -> int:
        """Units that somebody else spent, so far."""
        return sum(lane.foreign for lane in self.lanes.values())
