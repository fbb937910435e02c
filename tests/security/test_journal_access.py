"""Who may do what to the journal, and who finds out what somebody did to it anyway."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from hedgelock_actors.adapters.chain import Head
from hedgelock_actors.adapters.postgres.audit import CheckpointInvalid, audit, read_checkpoint, write_checkpoint
from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.adapters.postgres.migrate import migrate
from hedgelock_actors.ports.journal import Entry
from tests.services import running_postgres

KEY = b"kept elsewhere"


def entry(key: str) -> Entry:
    return Entry(kind="intent", key=key, ts_ms=7, account="a", payload={"qty": "0.5"})


def admin_dsn(server: EmbeddedPostgres) -> str:
    password = json.loads((server.home / "secrets.json").read_text())["postgres"]
    return f"postgresql://postgres:{password}@/hedgelock?host={server.socket_dir}"


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def app(postgres: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.app_dsn.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.owner_dsn.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
async def journal(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> AsyncIterator[PostgresJournal]:
    """Three records, in streams that carry the test's name."""
    made = PostgresJournal(postgres.app_dsn)
    epoch = await made.open("kept")
    await made.append("kept", epoch, [entry("1"), entry("2"), entry("3")])
    yield made
    await made.close()


CHANGES = (
    "UPDATE hedgelock.journal SET account = 'x'",
    "UPDATE hedgelock.journal SET written_at = now() WHERE n = 1",
    "UPDATE hedgelock.journal SET n = 5 WHERE stream = 'no such stream'",
    "DELETE FROM hedgelock.journal",
    "DELETE FROM hedgelock.journal WHERE stream = 'no such stream'",
    "TRUNCATE hedgelock.journal",
    "TRUNCATE hedgelock.journal, hedgelock.writers CASCADE",
    "DELETE FROM hedgelock.writers",
    "TRUNCATE hedgelock.writers",
    "UPDATE hedgelock.writers SET epoch = epoch - 1",
    "UPDATE hedgelock.writers SET epoch = epoch",
    "UPDATE hedgelock.writers SET stream = 'other'",
    "INSERT INTO hedgelock.journal SELECT * FROM hedgelock.journal ON CONFLICT (stream, n) DO UPDATE SET account = 'x'",
    "MERGE INTO hedgelock.journal j USING hedgelock.journal k ON j.n = k.n WHEN MATCHED THEN DELETE",
)
DEFINITIONS = (
    "ALTER TABLE hedgelock.journal DISABLE TRIGGER ALL",
    "DROP TRIGGER journal_append_only ON hedgelock.journal",
    "DROP TABLE hedgelock.journal",
    "ALTER TABLE hedgelock.journal ADD COLUMN x int",
    "CREATE TABLE hedgelock.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "CREATE OR REPLACE FUNCTION hedgelock.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
    "SET session_replication_role = replica",
    "SET ROLE hedgelock_owner",
    "CREATE ROLE other",
    "COPY hedgelock.journal TO PROGRAM 'true'",
    "SELECT pg_read_file('postgresql.conf')",
)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("statement", [*CHANGES, *DEFINITIONS])
async def test_the_application_can_only_read_and_append(app: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("statement", CHANGES)
async def test_even_the_owner_cannot_change_a_record(owner: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"append-only|can only grow"):
        await owner.execute(statement)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("statement", CHANGES)
async def test_even_a_superuser_who_silences_triggers_cannot(postgres: EmbeddedPostgres, statement: str) -> None:
    admin = await asyncpg.connect(admin_dsn(postgres))
    try:
        await admin.execute("SET session_replication_role = replica")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"append-only|can only grow"):
            await admin.execute(statement)
    finally:
        await admin.close()


async def test_another_role_sees_nothing(postgres: EmbeddedPostgres, journal: PostgresJournal) -> None:
    admin = await asyncpg.connect(admin_dsn(postgres))
    await admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'p'")
    stranger = await asyncpg.connect(host=str(postgres.socket_dir), user="stranger", password="p", database="hedgelock")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("SELECT * FROM hedgelock.journal")
    finally:
        await stranger.close()
        await admin.execute("DROP ROLE stranger")
        await admin.close()
    assert await journal.verify("kept") >= 3


@pytest.mark.parametrize("role", ["postgres", "hedgelock_owner", "hedgelock_app"])
async def test_nobody_gets_in_without_the_password(postgres: EmbeddedPostgres, role: str) -> None:
    for password in ("", "wrong", None):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError)):
            await asyncpg.connect(host=str(postgres.socket_dir), user=role, password=password, database="hedgelock")


async def test_the_server_listens_on_no_network(postgres: EmbeddedPostgres, app: asyncpg.Connection) -> None:
    assert await app.fetchval("SHOW listen_addresses") == ""
    pid = postgres.pid()
    assert pid is not None
    assert [one for one in psutil.Process(pid).net_connections("inet") if one.status == psutil.CONN_LISTEN] == []


async def test_the_server_commits_durably(app: asyncpg.Connection) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert await app.fetchval(f"SHOW {setting}") == "on"


async def test_secrets_are_ours_alone_and_in_no_log(postgres: EmbeddedPostgres) -> None:
    file = postgres.home / "secrets.json"
    passwords = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(postgres.data.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(postgres.socket_dir.stat().st_mode) & 0o077 == 0
    assert len(set(passwords.values())) == 3
    log = postgres.log_file.read_text()
    assert not [role for role, password in passwords.items() if password in log]
    assert not (postgres.home / "run" / "password").exists()


async def test_the_server_does_not_run_as_root(postgres: EmbeddedPostgres) -> None:
    pid = postgres.pid()
    assert pid is not None
    assert psutil.Process(pid).uids().effective != 0
    assert os.geteuid() == 0 or psutil.Process(pid).uids().effective == os.geteuid()


async def test_a_second_migration_changes_nothing(postgres: EmbeddedPostgres, journal: PostgresJournal) -> None:
    before = await journal.heads()
    await asyncio.gather(*(migrate(postgres.owner_dsn) for _ in range(3)))
    assert await journal.heads() == before
    assert (await audit(journal)).ok


@pytest.mark.parametrize("text", ["x'; DROP TABLE hedgelock.journal; --", 'a"b', "%s", ":stream", "$1", "\\"])
async def test_names_are_never_read_as_sql(journal: PostgresJournal, text: str) -> None:
    epoch = await journal.open(text)
    await journal.append(text, epoch, [Entry(kind=text, key=text, ts_ms=1, account=text, payload={text: text})])
    [record] = [one async for one in journal.read(text, kinds=[text], account=text)]
    assert record.entry.payload == {text: text}
    assert text in await journal.streams()
    assert await journal.verify(text) == 1


async def tamper(owner: asyncpg.Connection, *statements: str) -> None:
    """What the owner can do if he takes the trigger away first."""
    async with owner.transaction():
        await owner.execute("ALTER TABLE hedgelock.journal DISABLE TRIGGER journal_append_only")
        for statement in statements:
            await owner.execute(statement)
        await owner.execute("ALTER TABLE hedgelock.journal ENABLE ALWAYS TRIGGER journal_append_only")


@pytest.mark.parametrize(
    ("statement", "n"),
    [
        ("""UPDATE hedgelock.journal SET payload = '{"qty":"0.6"}' WHERE stream = 'touched' AND n = 2""", 2),
        ("""UPDATE hedgelock.journal SET payload = '{"qty": "0.5"}' WHERE stream = 'touched' AND n = 2""", 2),
        ("UPDATE hedgelock.journal SET account = 'b' WHERE stream = 'touched' AND n = 1", 1),
        ("UPDATE hedgelock.journal SET ts_ms = 8 WHERE stream = 'touched' AND n = 3", 3),
        ("DELETE FROM hedgelock.journal WHERE stream = 'touched' AND n = 2", 2),
        ("DELETE FROM hedgelock.journal WHERE stream = 'touched' AND n = 1", 1),
        ("UPDATE hedgelock.journal SET n = 9 WHERE stream = 'touched' AND n = 3", 3),
    ],
)
async def test_the_audit_names_the_record_that_was_touched(
    journal: PostgresJournal, owner: asyncpg.Connection, statement: str, n: int
) -> None:
    stream = "touched"
    epoch = await journal.open(stream)
    await journal.append(stream, epoch, [entry("1"), entry("2"), entry("3"), entry("4")])
    await tamper(owner, statement)
    found = {one.stream: one for one in (await audit(journal)).streams}
    assert f"stream '{stream}', record {n}:" in str(found[stream].fault)
    assert found["kept"].fault is None
    assert found["kept"].records >= 3
    await tamper(owner, "DELETE FROM hedgelock.journal WHERE stream = 'touched'")


async def test_f61_a_checkpoint_finds_a_cut_tail_a_vanished_stream_and_a_stream_written_anew(
    journal: PostgresJournal, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    for stream in ("cut", "vanished", "anew", "grown"):
        await journal.append(stream, await journal.open(stream), [entry("1"), entry("2")])
    file = tmp_path / "checkpoint.json"
    write_checkpoint(file, await journal.heads(), 7, KEY)
    await tamper(
        owner,
        "DELETE FROM hedgelock.journal WHERE stream IN ('vanished', 'anew')",
        "DELETE FROM hedgelock.journal WHERE stream = 'cut' AND n = 2",
    )
    await journal.append("anew", await journal.open("anew"), [entry("1"), entry("forged")])
    await journal.append("grown", await journal.open("grown"), [entry("3")])
    assert (await audit(journal)).ok, "the chains alone see nothing"
    found = await audit(journal, read_checkpoint(file, KEY))
    assert not found.ok
    assert found.checkpoint
    assert [fault.split(":")[0] for fault in found.faults] == [
        "stream 'anew', record 2",
        "stream 'cut', record 2",
        "stream 'vanished', record 1",
    ]
    assert {one.stream: one.records for one in found.streams}["grown"] == 3
    await tamper(owner, "DELETE FROM hedgelock.journal WHERE stream IN ('cut', 'anew', 'grown')")


def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    heads = {"a": Head(n=3, hash="ab" * 32), "λ": Head(n=1, hash="cd" * 32)}
    write_checkpoint(file, heads, 7, KEY)
    assert read_checkpoint(file, KEY) == heads
    with pytest.raises(CheckpointInvalid, match="signature"):
        read_checkpoint(file, b"another key")
    good = file.read_text()
    file.write_text(good.replace("[3,", "[2,"))
    with pytest.raises(CheckpointInvalid, match="signature"):
        read_checkpoint(file, KEY)
    for text in ("", "[]", "{}", "null", good[:-30], '{"body": 1, "hmac": "λ"}'):
        file.write_text(text)
        with pytest.raises(CheckpointInvalid):
            read_checkpoint(file, KEY)
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(tmp_path / "absent", KEY)


async def test_an_audit_counts(journal: PostgresJournal) -> None:
    found = await audit(journal)
    heads = await journal.heads()
    assert found.ok
    assert found.records == sum(head.n for head in heads.values())
    assert {one.stream: one.hash for one in found.streams} == {name: head.hash for name, head in heads.items()}
