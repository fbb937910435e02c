"""All checkers of a run, each told only what it listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.checkers.base import Checker, Violation
from tests.simulation.arena.checkers.books import AuditChainIntact, BoundsHold, LedgerBalances, NoSurprises
from tests.simulation.arena.checkers.convergence import ConvergesAfterFaults
from tests.simulation.arena.checkers.executions import NothingLost, NothingTwice
from tests.simulation.arena.checkers.intents import OneEffectPerIntent
from tests.simulation.arena.checkers.limits import WorstCaseWithinLimits
from tests.simulation.arena.checkers.permission import (
    NoCreateAfterHalt,
    NoCreateBeforeReconciled,
    NoCreateWithoutLease,
    NoStaleInput,
)
from tests.simulation.arena.witness import Arrived, Handed

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld


class Checks:
    """See the module."""

    def __init__(self, world: SwarmWorld) -> None:
        self.convergence = ConvergesAfterFaults(world)
        self.bounds = BoundsHold(world)
        self.limits = WorstCaseWithinLimits(world)
        self.all: tuple[Checker, ...] = (
            OneEffectPerIntent(world),
            NothingLost(world),
            NothingTwice(world),
            self.limits,
            NoCreateAfterHalt(world),
            NoCreateWithoutLease(world),
            NoCreateBeforeReconciled(world),
            NoStaleInput(world),
            LedgerBalances(world),
            AuditChainIntact(world),
            self.bounds,
            NoSurprises(world),
            self.convergence,
        )
        self._hears = {name: [one for one in self.all if _overrides(one, name)] for name in _EVENTS}

    @property
    def violations(self) -> list[Violation]:
        """Oldest first."""
        return sorted((one for checker in self.all for one in checker.found), key=lambda one: one.ts_ms)

    def recorded(self, record: Record) -> None:
        for one in self._hears["recorded"]:
            one.recorded(record)

    def handed(self, handed: Handed) -> None:
        for one in self._hears["handed"]:
            one.handed(handed)

    def arrived(self, arrived: Arrived) -> None:
        for one in self._hears["arrived"]:
            one.arrived(arrived)

    def step(self) -> None:
        for one in self._hears["step"]:
            one.step()

    def end(self) -> None:
        for one in self._hears["end"]:
            one.end()


_EVENTS = ("recorded", "handed", "arrived", "step", "end")


def _overrides(checker: Checker, name: str) -> bool:
    return getattr(type(checker), name) is not getattr(Checker, name)
