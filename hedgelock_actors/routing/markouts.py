"""Where the mid went after each of the router's fills, into its journal: what reports of execution quality rest on."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.markouts import Markout, MarkoutMeter
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.journal import Json
from hedgelock_actors.routing.notes import RouterNotes


class Markouts:
    """Owned by one worker. What is complete is written with the next beat, so that no order ever waits for it."""

    def __init__(self, notes: RouterNotes) -> None:
        self._notes = notes
        self._meter = MarkoutMeter()
        self._done: list[Markout] = []

    def fill(self, execution: Execution) -> None:
        """A fill of an order of ours."""
        self._meter.fill(execution.exec_id, execution.ts_ms)

    def mid(self, now_ms: int, mid: Decimal) -> None:
        """A price."""
        self._done += self._meter.mid(now_ms, mid)

    def beat(self) -> None:
        """Owe the journal what is complete."""
        for one in self._done:
            self._notes.owe("markout", f"markout:{one.exec_id}", payload_of(one))
        self._done.clear()


def payload_of(one: Markout) -> dict[str, Json]:
    """`mids` by ms after the fill, as decimal strings."""
    return {"exec_id": one.exec_id, "mids": {str(horizon): str(mid) for horizon, mid in one.mids.items()}}
