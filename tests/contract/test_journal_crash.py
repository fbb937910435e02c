"""The journal and its server when things die: nothing acknowledged is lost, nothing is written twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.host import EmbeddedPostgresError
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.ports.journal import ChainBroken, Entry, JournalUnavailable, StaleEpoch
from tests.services import running_postgres, scratch


def entry(key: str) -> Entry:
    return Entry(kind="intent", key=key, ts_ms=1, account="a", payload={"key": key})


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


def grown(acknowledged: dict[str, list[str]], before: list[int]) -> bool:
    return all(len(keys) > was + 10 for keys, was in zip(acknowledged.values(), before, strict=True))


async def until(true: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not happen")


def kill_server(server: EmbeddedPostgres) -> None:
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def write_on(journal: PostgresJournal, stream: str, epoch: int, acknowledged: list[str], prefix: str) -> None:
    """Append one after the other; a refused one is tried again with the same key, as an actor would."""
    for i in range(100_000):
        while True:
            try:
                await journal.append(stream, epoch, [entry(f"{prefix}{i}"), entry(f"{prefix}{i}+")])
            except JournalUnavailable:
                continue
            break
        acknowledged += [f"{prefix}{i}", f"{prefix}{i}+"]


async def test_kill_9_of_the_server_loses_nothing_acknowledged(postgres: EmbeddedPostgres) -> None:
    journal = PostgresJournal(postgres.app_dsn, patience_s=0.05)
    acknowledged: dict[str, list[str]] = {f"killed-{i}": [] for i in range(3)}
    epochs = {stream: await journal.open(stream) for stream in acknowledged}
    writers = [
        asyncio.create_task(write_on(journal, stream, epochs[stream], acknowledged[stream], "k"))
        for stream in acknowledged
    ]
    for _ in range(3):
        await asyncio.sleep(0.15)
        kill_server(postgres)
        before = [len(keys) for keys in acknowledged.values()]
        await postgres.start()
        await until(
            lambda before=before: all(
                len(keys) > was + 10 for keys, was in zip(acknowledged.values(), before, strict=True)
            )
        )
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    for stream, keys in acknowledged.items():
        kept = [record.entry.key async for record in journal.read(stream)]
        assert len(keys) > 30
        assert kept[: len(keys)] == keys
        assert len(kept) - len(keys) in (0, 2), "at most the one append that was interrupted"
        assert await journal.verify(stream) == len(kept)
    await journal.close()


async def test_a_stop_and_a_start_keep_everything_and_the_same_addresses(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.app_dsn
    journal = PostgresJournal(dsn)
    epoch = await journal.open("restarted")
    await journal.append("restarted", epoch, [entry("1")])
    await postgres.stop()
    assert postgres.pid() is None
    await postgres.stop()
    again = EmbeddedPostgres(postgres.home.parent)
    await again.start()
    assert again.app_dsn == dsn
    await journal.append("restarted", epoch, [entry("2")])
    assert await journal.verify("restarted") == 2
    await journal.close()


async def test_a_second_start_finds_the_running_server(postgres: EmbeddedPostgres) -> None:
    pid = postgres.pid()
    await asyncio.gather(*(EmbeddedPostgres(postgres.home.parent).start() for _ in range(3)))
    assert postgres.pid() == pid is not None


async def test_a_stale_lock_file_that_names_a_living_stranger_does_not_prevent_a_start() -> None:
    with scratch() as state:
        server = EmbeddedPostgres(state)
        try:
            await server.start()
            kill_server(server)
            await until(lambda: server.pid() is None)
            stale = server.data / "postmaster.pid"
            lines = stale.read_text().splitlines()
            stranger = await asyncio.create_subprocess_exec("sleep", "60", user=stale.stat().st_uid)
            stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            await asyncio.sleep(0.5)  # the children of the killed server have to leave first
            await server.start()
            assert server.pid() not in (None, stranger.pid)
            stranger.kill()
            await stranger.wait()
        finally:
            await server.stop()


async def test_an_interrupted_first_start_leaves_nothing_half_made() -> None:
    with scratch() as state:
        server = EmbeddedPostgres(state)
        half = server.home / "run" / "fresh"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        try:
            await server.start()
            assert server.pid() is not None
        finally:
            await server.stop()


async def test_a_deep_state_directory_gets_a_short_socket() -> None:
    with scratch() as state:
        server = EmbeddedPostgres(state / ("deep-" * 20) / "with space and 'quote'")
        try:
            await server.start()
            journal = PostgresJournal(server.app_dsn)
            assert await journal.open("s") == 1
            await journal.close()
            assert len(str(server.socket_dir)) < 85
        finally:
            await server.stop()
            server.socket_dir.rmdir()


async def test_lost_passwords_are_said_and_not_made_up() -> None:
    with scratch() as state:
        server = EmbeddedPostgres(state)
        try:
            await server.start()
            (server.home / "secrets.json").rename(server.home / "elsewhere")
            with pytest.raises(EmbeddedPostgresError, match=r"secrets\.json is missing"):
                await server.start()
        finally:
            await server.stop()


async def test_two_writers_race_and_only_the_newest_gets_through(postgres: EmbeddedPostgres) -> None:
    one, two = PostgresJournal(postgres.app_dsn), PostgresJournal(postgres.app_dsn)
    old = await one.open("raced")
    acknowledged: list[str] = []
    writer = asyncio.create_task(write_on(one, "raced", old, acknowledged, "old"))
    await until(lambda: len(acknowledged) > 20)
    new = await two.open("raced")
    seen = [record.entry.key async for record in two.read("raced")]
    with pytest.raises(StaleEpoch):
        await writer
    await two.append("raced", new, [entry("new")])
    records = [record async for record in one.read("raced")]
    assert [record.entry.key for record in records] == [*seen, "new"]
    assert seen[: len(acknowledged)] == acknowledged
    assert await one.verify("raced") == len(records)
    await one.close()
    await two.close()


async def test_two_journals_with_one_epoch_still_form_one_chain(postgres: EmbeddedPostgres) -> None:
    one, two = PostgresJournal(postgres.app_dsn), PostgresJournal(postgres.app_dsn)
    epoch = await one.open("shared")
    await asyncio.gather(
        *(journal.append("shared", epoch, [entry(f"{i}")]) for i in range(30) for journal in (one, two))
    )
    assert await one.verify("shared") == 30
    await one.close()
    await two.close()


def lose_answers(journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch, *, after_commit: bool, times: int) -> None:
    """The connection dies under an append: before the server saw it, or after it committed."""
    from hedgelock_actors.adapters.postgres import journal as module

    real: Callable[..., Awaitable[bool]] = module._insert
    left = [times]

    async def broken(connection: Any, *args: Any) -> bool:
        if left[0] == 0:
            return await real(connection, *args)
        left[0] -= 1
        if after_commit:
            await real(connection, *args)
        raise ConnectionResetError("the connection was lost")

    monkeypatch.setattr(module, "_insert", broken)


@pytest.mark.parametrize("after_commit", [True, False])
async def test_f60_an_unknown_commit_is_read_back_before_anything_is_decided(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, after_commit: bool
) -> None:
    stream = f"unknown-{after_commit}"
    journal = PostgresJournal(postgres.app_dsn)
    epoch = await journal.open(stream)
    await journal.append(stream, epoch, [entry("0")])
    lose_answers(journal, monkeypatch, after_commit=after_commit, times=1)
    records = await journal.append(stream, epoch, [entry("1"), entry("2")])
    assert [record.n for record in records] == [2, 3]
    await journal.append(stream, epoch, [entry("3")])
    assert [record.entry.key async for record in journal.read(stream)] == ["0", "1", "2", "3"]
    assert await journal.verify(stream) == 4
    await journal.close()


async def test_when_patience_ends_the_caller_may_repeat_the_same_keys(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = PostgresJournal(postgres.app_dsn, patience_s=0.0)
    epoch = await journal.open("patience")
    lose_answers(journal, monkeypatch, after_commit=True, times=1)
    with pytest.raises(JournalUnavailable, match="connection was lost"):
        await journal.append("patience", epoch, [entry("1")])
    [record] = await journal.append("patience", epoch, [entry("1")])
    assert record.n == 1
    assert await journal.verify("patience") == 1
    await journal.close()


async def test_a_cancelled_append_leaves_the_journal_usable(postgres: EmbeddedPostgres) -> None:
    journal = PostgresJournal(postgres.app_dsn)
    epoch = await journal.open("cancelled")
    for i in range(30):
        task = asyncio.create_task(journal.append("cancelled", epoch, [entry(f"c{i}")]))
        await asyncio.sleep(0.0001 * i)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.append("cancelled", epoch, [entry(f"d{i}")])
    assert await journal.verify("cancelled") >= 30
    await journal.close()


async def test_f61_a_server_that_lost_an_acknowledged_record_is_found_out_by_the_next_append(
    postgres: EmbeddedPostgres,
) -> None:
    """As after a failover to a replica that lagged."""
    journal = PostgresJournal(postgres.app_dsn)
    epoch = await journal.open("failover")
    await journal.append("failover", epoch, [entry("1"), entry("2"), entry("3")])
    owner = await asyncpg.connect(postgres.owner_dsn.replace("+asyncpg", ""))
    async with owner.transaction():
        await owner.execute("ALTER TABLE hedgelock.journal DISABLE TRIGGER journal_append_only")
        await owner.execute("DELETE FROM hedgelock.journal WHERE stream = 'failover' AND n = 3")
        await owner.execute("ALTER TABLE hedgelock.journal ENABLE ALWAYS TRIGGER journal_append_only")
    await owner.close()
    with pytest.raises(ChainBroken, match=r"record 3: was acknowledged and is gone; the stream now ends at 2"):
        await journal.append("failover", epoch, [entry("4")])
    await journal.close()
