"""Fills are followed for a minute and then put on record, with the beat and not before."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.reporting.intents import read_intents
from hedgelock_actors.routing.markouts import Markouts
from hedgelock_actors.routing.notes import RouterNotes
from tests.simulation.step_clock import StepClock
from tests.unit.domain.make import NOW, execution

D = Decimal


async def test_a_fill_is_followed_and_written_with_the_beat() -> None:
    journal = MemoryJournal()
    stream = JournalStream(journal, "order-router-main")
    await stream.open()
    notes = RouterNotes(stream, "main", StepClock(NOW))
    markouts = Markouts(notes)
    markouts.fill(execution("exec-1", ts_ms=NOW))
    for after_ms, mid in ((500, "60000"), (1_500, "60010"), (9_000, "60020"), (59_000, "60030"), (60_001, "60040")):
        markouts.mid(NOW + after_ms, D(mid))
    await notes.settle()
    assert [record async for record in journal.read("order-router-main")] == []
    for _ in range(2):
        markouts.beat()
        await notes.settle()
    (written,) = [record async for record in journal.read("order-router-main")]
    assert written.entry.key == "markout:exec-1"
    assert written.entry.payload == {
        "exec_id": "exec-1",
        "mids": {"1000": "60000", "10000": "60020", "60000": "60030"},
    }
    assert read_intents([[written]]) == []  # an execution that no intent of the stream explains
