"""NothingLost and NothingTwice (G2): the venue's executions and the journalled ones are the same, each once.

Both the router's stream (`execution`) and the keeper's (`booked`) must have them. That a fill is *counted* once is
seen in the position that each actor reports at the end: it must be the venue's.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.checkers.base import Checker

STREAMS = {"order-router-main": "execution", "position-keeper-main": "booked"}


class _Executions(Checker):
    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in STREAMS}

    def recorded(self, record: Record) -> None:
        if STREAMS.get(record.stream) == record.entry.kind:
            self.counts[record.stream][str(record.entry.payload["exec_id"])] += 1


class NothingLost(_Executions):
    """Every execution of the venue is in both journals."""

    def end(self) -> None:
        expected = {one.exec_id for one in self.world.truth.executions}
        for stream, counts in self.counts.items():
            missing = sorted(expected - set(counts))
            if missing:
                self.broken(f"{stream} lacks {len(missing)} of {len(expected)} executions: {missing[:3]}")


class NothingTwice(_Executions):
    """None is there twice, none is there that the venue does not know, and none is counted twice."""

    def recorded(self, record: Record) -> None:
        # Written again after an unknown commit, a record is the same one: its number tells.
        if STREAMS.get(record.stream) == record.entry.kind:
            key = f"{record.entry.payload['exec_id']}"
            self.counts[record.stream][key] += 0 if self._known(record, key) else 1

    def _known(self, record: Record, key: str) -> bool:
        numbers = self.__dict__.setdefault("_numbers", {})
        same: bool = numbers.setdefault((record.stream, record.n), key) == key and (
            self.counts[record.stream][key] > 0 and numbers.get((record.stream, key)) == record.n
        )
        numbers.setdefault((record.stream, key), record.n)
        return same

    def end(self) -> None:
        expected = {one.exec_id for one in self.world.truth.executions}
        for stream, counts in self.counts.items():
            twice = sorted(key for key, count in counts.items() if count > 1)
            unknown = sorted(set(counts) - expected)
            if twice:
                self.broken(f"{stream} has {len(twice)} executions twice: {twice[:3]}")
            if unknown:
                self.broken(f"{stream} has {len(unknown)} executions that the venue does not know: {unknown[:3]}")
            self._counted(stream)

    def _counted(self, stream: str) -> None:
        process = self.world.processes.get(stream)
        snapshot = getattr(process.actor if process else None, "snapshot", dict)()
        said, true = Decimal(str(snapshot.get("position_qty", "NaN"))), self.world.truth.signed_qty
        if said != true:
            self.broken(f"{stream} counts a position of {said}, the venue has {true}")
