"""What every journal must do, in memory and in PostgreSQL alike."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hedgelock_actors.adapters.chain import GENESIS
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.ports.journal import Entry, Journal, JournalUnavailable, Record, StaleEpoch
from tests.services import running_postgres

_names = itertools.count()


def entry(key: str, *, kind: str = "intent", account: str = "a", **payload: object) -> Entry:
    return Entry(kind=kind, key=key, ts_ms=1_700_000_000_000, account=account, payload=payload)  # type: ignore[arg-type]


async def read(journal: Journal, stream: str, **filters: object) -> list[Record]:
    return [record async for record in journal.read(stream, **filters)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["memory", "postgres"])
async def journal(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    made = PostgresJournal(postgres.app_dsn)
    yield made
    await made.close()


@pytest.fixture
def stream() -> str:
    return f"order-router-{next(_names)}"


async def test_what_is_appended_is_read_back_in_order_and_chained(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    first = await journal.append(stream, epoch, [entry("1", qty="0.5")])
    rest = await journal.append(
        stream, epoch, [entry("2"), entry("3", kind="execution", deep={"b": [1, None], "a": 2.5})]
    )
    records = [*first, *rest]
    assert await read(journal, stream) == records
    assert [record.n for record in records] == [1, 2, 3]
    assert [record.prev_hash for record in records] == [GENESIS, records[0].hash, records[1].hash]
    assert records[2].entry.payload == {"deep": {"a": 2.5, "b": [1, None]}}
    assert await journal.verify(stream) == 3


async def test_a_known_key_writes_nothing_and_gives_the_first_record(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    [first] = await journal.append(stream, epoch, [entry("once", qty=1)])
    again = await journal.append(stream, epoch, [entry("once", qty=2), entry("new"), entry("new", qty=3)])
    assert again[0] == first
    assert again[1] == again[2]
    assert again[1].entry.payload == {}
    assert [record.entry.key for record in await read(journal, stream)] == ["once", "new"]
    later = await journal.open(stream)
    assert await journal.append(stream, later, [entry("once")]) == [first]
    assert await journal.verify(stream) == 2


async def test_a_key_is_unique_in_its_own_stream_only(journal: Journal, stream: str) -> None:
    other = f"{stream}-other"
    for name in (stream, other):
        epoch = await journal.open(name)
        [record] = await journal.append(name, epoch, [entry("same")])
        assert (record.stream, record.n) == (name, 1)
    assert {stream, other} <= set(await journal.streams())


async def test_an_older_writer_is_refused_from_the_moment_a_newer_one_opens(journal: Journal, stream: str) -> None:
    old = await journal.open(stream)
    await journal.append(stream, old, [entry("1")])
    new = await journal.open(stream)
    assert new > old
    with pytest.raises(StaleEpoch, match=stream):
        await journal.append(stream, old, [entry("2")])
    with pytest.raises(StaleEpoch):
        await journal.append(stream, old, [entry("3")])
    with pytest.raises(StaleEpoch):
        await journal.append(stream, new + 1, [entry("4")])
    [record] = await journal.append(stream, new, [entry("2")])
    assert (record.n, record.epoch) == (2, new)
    assert [record.entry.key for record in await read(journal, stream)] == ["1", "2"]


async def test_a_stream_that_nobody_opened_takes_nothing(journal: Journal, stream: str) -> None:
    with pytest.raises(StaleEpoch):
        await journal.append(stream, 1, [entry("1")])
    assert await read(journal, stream) == []
    assert await journal.verify(stream) == 0
    assert stream not in await journal.streams()


async def test_reading_filters_by_kind_account_and_place(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    kinds = ("intent", "execution", "outcome")
    await journal.append(stream, epoch, [entry(str(i), kind=kinds[i % 3], account="ab"[i % 2]) for i in range(12)])

    async def keys(**filters: object) -> list[int]:
        return [int(record.entry.key) for record in await read(journal, stream, **filters)]

    assert await keys(kinds=["execution"]) == [1, 4, 7, 10]
    assert await keys(kinds=["execution", "intent"], account="b") == [1, 3, 7, 9]
    assert await keys(after_n=10) == [10, 11]
    assert await keys(kinds=[]) == []
    assert await keys(account="nobody") == []


async def test_an_empty_append_is_nothing(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    assert list(await journal.append(stream, epoch, [])) == []


async def test_appends_at_the_same_time_form_one_chain(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    batches = [[entry(f"{batch}-{i}") for i in range(3)] for batch in range(20)]
    written = await asyncio.gather(*(journal.append(stream, epoch, batch) for batch in batches))
    assert sorted(record.n for records in written for record in records) == list(range(1, 61))
    for records in written:
        assert [record.n - records[0].n for record in records] == [0, 1, 2]
    assert await journal.verify(stream) == 60


@pytest.mark.parametrize(
    "bad",
    [
        entry("nan", value=float("nan")),
        entry("inf", value=[float("-inf")]),
        entry("", value=1),
        entry("nul\0", value=1),
        entry("lone \ud800 surrogate"),
        Entry(kind="k", key="time", ts_ms=2**63, account="", payload={}),
    ],
    ids=lambda bad: repr(bad.key),
)
async def test_what_cannot_be_kept_exactly_is_refused_whole(journal: Journal, stream: str, bad: Entry) -> None:
    epoch = await journal.open(stream)
    with pytest.raises(ValueError):
        await journal.append(stream, epoch, [entry("good"), bad])
    assert await read(journal, stream) == []
    [record] = await journal.append(stream, epoch, [entry("good")])
    assert record.n == 1


async def test_a_decimal_must_come_as_text(journal: Journal, stream: str) -> None:
    epoch = await journal.open(stream)
    with pytest.raises(TypeError):
        await journal.append(stream, epoch, [entry("1", path=Path("x"))])


async def test_text_and_numbers_come_back_exactly(journal: Journal, stream: str) -> None:
    payload = {
        "text": "λ ÷ \u0000 \U0001f600 ' \" \\ %s :x",
        "small": 5e-324,
        "sum": 0.1 + 0.2,
        "minus_zero": -0.0,
        "huge": 2**80,
        "ts": -1,
        "empty": [{}, [], ""],
    }
    epoch = await journal.open(stream)
    await journal.append(stream, epoch, [entry("κ=0.5'; DROP TABLE journal; --", account="λ", **payload)])
    [record] = await read(journal, stream)
    assert record.entry == entry("κ=0.5'; DROP TABLE journal; --", account="λ", **payload)
    assert str(record.entry.payload["minus_zero"]) == "-0.0"


async def test_the_hash_is_over_these_very_bytes(journal: Journal) -> None:
    """If this changes, journals written before no longer verify, here or with sha256sum."""
    epoch = await journal.open("golden")
    one, two = await journal.append(
        "golden", epoch, [entry("1", qty="0.5", ltv=0.45), entry("2", kind="execution", fee=None, level="κ")]
    )
    first = f'["golden",1,{epoch},"intent","1",1700000000000,"a","{{\\"ltv\\":0.45,\\"qty\\":\\"0.5\\"}}","{"0" * 64}"]'
    assert one.hash == hashlib.sha256(first.encode("ascii")).hexdigest()
    second = (
        f'["golden",2,{epoch},"execution","2",1700000000000,"a",'
        f'"{{\\"fee\\":null,\\"level\\":\\"\\\\u03ba\\"}}","{one.hash}"]'
    )
    assert two.hash == hashlib.sha256(second.encode("ascii")).hexdigest()


async def test_without_its_server_nothing_is_written_and_that_is_said() -> None:
    nowhere = PostgresJournal("postgresql://nobody:secret@/none?host=/nonexistent", patience_s=0.1)
    for call in (nowhere.open("s"), nowhere.append("s", 1, [entry("1")]), nowhere.verify("s"), nowhere.streams()):
        with pytest.raises(JournalUnavailable) as caught:
            await call
        assert "secret" not in str(caught.value)
    memory = MemoryJournal()
    epoch = await memory.open("s")
    memory.available = False
    with pytest.raises(JournalUnavailable):
        await memory.append("s", epoch, [entry("1")])
    memory.available = True
    assert await read(memory, "s") == []
    await nowhere.close()
