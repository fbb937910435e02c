"""The journal in PostgreSQL does what the journal in memory does, whatever the order of calls."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.ports.journal import Entry, Journal, Record, StaleEpoch
from tests.services import running_postgres

_runs = itertools.count()

scalars = st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
entries = st.builds(
    Entry,
    kind=st.sampled_from(["intent", "execution"]),
    key=st.sampled_from("abcdefgh"),
    ts_ms=st.integers(-5, 5),
    account=st.sampled_from(["", "x"]),
    payload=st.dictionaries(
        st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
    ),
)
opens = st.tuples(st.just("open"), st.sampled_from("st"))
# The epoch is told by its distance from the newest one.
appends = st.tuples(
    st.just("append"), st.sampled_from("st"), st.sampled_from([0, 0, 0, 1, 2]), st.lists(entries, max_size=4)
)
reads = st.tuples(
    st.just("read"), st.sampled_from("st"), st.none() | st.just(["intent"]), st.none() | st.just("x"), st.integers(0, 4)
)
calls = st.lists(opens | appends | reads, max_size=12)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[asyncio.Runner, PostgresJournal]]:
    with running_postgres() as server, asyncio.Runner() as runner:
        journal = PostgresJournal(server.app_dsn)
        yield runner, journal
        runner.run(journal.close())


async def answers(journal: Journal, run: int, plan: Sequence[tuple[object, ...]]) -> list[object]:
    """What each call gave, with stream names that do not tell the run."""
    newest: dict[str, int] = {}
    told: list[object] = []
    for call in plan:
        stream = f"{call[1]}-{run}"
        if call[0] == "open":
            newest[stream] = await journal.open(stream)
            told.append(newest[stream])
        elif call[0] == "append":
            try:
                epoch = newest.get(stream, 1) - int(call[2])  # type: ignore[call-overload]
                told.append(bare(await journal.append(stream, epoch, call[3])))  # type: ignore[arg-type]
            except StaleEpoch:
                told.append("stale")
        else:
            found = journal.read(stream, kinds=call[2], account=call[3], after_n=call[4])  # type: ignore[arg-type]
            told.append(bare([record async for record in found]))
    told.append([await journal.verify(f"{name}-{run}") for name in "st"])
    return told


def bare(records: Sequence[Record]) -> list[Record]:
    """Hashes cover the stream's name, which differs between runs; places, epochs and contents are compared."""
    return [replace(record, stream="", hash="", prev_hash="") for record in records]


@given(plan=calls)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_journals_give_the_same_answers(
    world: tuple[asyncio.Runner, PostgresJournal], plan: list[tuple[object, ...]]
) -> None:
    runner, journal = world
    run = next(_runs)
    assert runner.run(answers(journal, run, plan)) == runner.run(answers(MemoryJournal(), run, plan))
