"""What every checker is told. All of it comes from the venue, the wire or the journal, never from an actor's view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.witness import Arrived, Handed

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, when, and how."""

    checker: str
    ts_ms: int
    text: str


class Checker:
    """One promise. Override what it needs to hear."""

    def __init__(self, world: SwarmWorld) -> None:
        self.world = world
        self.found: list[Violation] = []

    @property
    def name(self) -> str:
        return type(self).__name__

    def broken(self, text: str) -> None:
        """The promise is broken; the first few times are kept."""
        if len(self.found) < 5:
            self.found.append(Violation(self.name, self.world.loop.now_ms, text))

    def recorded(self, record: Record) -> None:
        """A record was written to the journal."""

    def handed(self, one: Handed) -> None:
        """An order was handed to a transport."""

    def arrived(self, one: Arrived) -> None:
        """An order reached the venue; when it was taken it is among the venue's live orders already."""

    def step(self) -> None:
        """The market has moved."""

    def end(self) -> None:
        """The run is over, faults have been off for minutes."""
