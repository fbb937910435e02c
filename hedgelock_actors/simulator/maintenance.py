"""Windows of maintenance: announced, ongoing and over by the venue's time, or as a rehearsal says."""

from dataclasses import dataclass

SCHEDULED, ONGOING, COMPLETED, CANCELED = (
    "scheduled",
    "ongoing",
    "completed",
    "canceled",
)
_STATES = frozenset({SCHEDULED, ONGOING, COMPLETED, CANCELED})


@dataclass(slots=True)
class Window:
    """`end_ms` None: unknown. `state` None: by time."""

    id: str
    title: str
    begin_ms: int
    end_ms: int | None
    state: str | None = None

    def state_at(self, now_ms: int) -> str:
        """The venue's word for it."""
        if self.state is not None:
            return self.state
        if now_ms < self.begin_ms:
            return SCHEDULED
        return ONGOING if self.end_ms is None or now_ms < self.end_ms else COMPLETED

    def row(self, now_ms: int) -> dict[str, object]:
        """As system status lists it."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state_at(now_ms),
            "begin": str(self.begin_ms),
            "end": "" if self.end_ms is None else str(self.end_ms),
            "href": "",
            "serviceTypes": [2, 4, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }


class MaintenancePlan:
    """All windows, newest first."""

    def __init__(self) -> None:
        self._windows: list[Window] = []

    def announce(self, window: Window) -> None:
        """Add a window. Raises ValueError for a state that the venue does not know."""
        if window.state is not None and window.state not in _STATES:
            raise ValueError(f"state must be one of {', '.join(sorted(_STATES))}")
        self._windows.insert(0, window)

    def end(self, now_ms: int) -> list[Window]:
        """What is not over ends now (what has not begun is cancelled); returns it."""
        ended = [one for one in self._windows if one.state_at(now_ms) in (SCHEDULED, ONGOING)]
        for window in ended:
            window.state = CANCELED if window.state_at(now_ms) == SCHEDULED else COMPLETED
            window.end_ms = now_ms if window.state == COMPLETED else window.end_ms
        return ended

    def rows(self, now_ms: int) -> list[dict[str, object]]:
        """The list of system status."""
        return [window.row(now_ms) for window in self._windows]

    def ongoing(self, now_ms: int) -> bool:
        """True while the venue does not trade."""
        return any(window.state_at(now_ms) == ONGOING for window in self._windows)
