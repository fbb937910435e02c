"""The journal in PostgreSQL: one durable statement per append, fenced by epoch, chained by hash.

An append is a single statement, so it is one round trip and one commit: it locks the stream's row in `writers` if its
epoch is still the newest, checks that the record before is the one we know, and inserts. If the connection is lost
while the outcome is on its way, the records are read back by their keys before anything else is decided.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, select, text
from sqlalchemy import Row as Found
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hedgelock_actors.adapters.chain import (
    GENESIS,
    ChainCheck,
    Head,
    Row,
    check_entry,
    seal,
    to_record,
)
from hedgelock_actors.adapters.postgres.migrate import async_url
from hedgelock_actors.adapters.postgres.schema import JOURNAL, SCHEMA, WRITERS
from hedgelock_actors.adapters.postgres.trouble import TROUBLE, summary
from hedgelock_actors.ports.journal import ChainBroken, Entry, JournalUnavailable, Record, StaleEpoch

T = TypeVar("T")

_PAGE = 2_000
_PAUSE_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
_ARRAYS = ("n", "kind", "key", "ts_ms", "account", "payload", "prev_hash", "hash")
_COLUMNS = tuple(JOURNAL.c[name] for name in Row.__dataclass_fields__)

_APPEND = text(f"""
    WITH writer AS (
        SELECT epoch FROM {SCHEMA}.writers WHERE stream = :stream AND epoch = :epoch FOR UPDATE
    )
    INSERT INTO {SCHEMA}.journal (stream, n, epoch, kind, key, ts_ms, account, payload, prev_hash, hash)
    SELECT :stream, r.n, writer.epoch, r.kind, r.key, r.ts_ms, r.account, r.payload, r.prev_hash, r.hash
    FROM writer, unnest(
        CAST(:n AS bigint[]), CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:ts_ms AS bigint[]),
        CAST(:account AS text[]), CAST(:payload AS text[]), CAST(:prev_hash AS text[]), CAST(:hash AS text[])
    ) AS r (n, kind, key, ts_ms, account, payload, prev_hash, hash)
    WHERE :after_n = 0 OR EXISTS (
        SELECT FROM {SCHEMA}.journal WHERE stream = :stream AND n = :after_n AND hash = :after_hash
    )
""")  # noqa: S608 - the only thing put in is a constant of ours

_STREAMS = text(f"""
    WITH RECURSIVE found AS (
        (SELECT stream FROM {SCHEMA}.journal ORDER BY stream LIMIT 1)
        UNION ALL
        SELECT (SELECT stream FROM {SCHEMA}.journal WHERE stream > found.stream ORDER BY stream LIMIT 1)
        FROM found WHERE found.stream IS NOT NULL
    )
    SELECT stream FROM found WHERE stream IS NOT NULL
""")  # noqa: S608 - the only thing put in is a constant of ours


class PostgresJournal:
    """Implements ports.journal.Journal on a migrated database.

    Args:
        dsn: URL of the application role, `postgresql://user:password@host/database`.
        patience_s: wall seconds that one call may spend on reconnecting before it raises JournalUnavailable.
        statement_s: wall seconds after which one statement counts as lost.
    """

    def __init__(self, dsn: str, *, patience_s: float = 2.0, statement_s: float = 5.0) -> None:
        self._engine: AsyncEngine = create_async_engine(
            async_url(dsn),
            isolation_level="AUTOCOMMIT",
            pool_size=4,
            max_overflow=4,
            pool_timeout=statement_s,
            connect_args={
                "timeout": statement_s,
                "command_timeout": statement_s,
                "server_settings": {"synchronous_commit": "on", "application_name": "hedgelock"},
            },
        )
        self._patience_s = patience_s
        self._heads: dict[str, Head] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def open(self, stream: str) -> int:
        """Raises JournalUnavailable. An epoch granted twice because an answer was lost is only skipped."""
        statement = insert(WRITERS).values(stream=stream, epoch=1)
        statement = statement.on_conflict_do_update(
            index_elements=[WRITERS.c.stream], set_={"epoch": WRITERS.c.epoch + 1}
        )

        async def grant(connection: AsyncConnection) -> int:
            epoch = int((await connection.execute(statement.returning(WRITERS.c.epoch))).scalar_one())
            self._heads[stream] = await _read_head(connection, stream)
            return epoch

        async with self._lock(stream):
            return await self._insist(f"opening stream {stream!r}", grant)

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        """See the port. Also raises ChainBroken when a record that was acknowledged to us is no longer there."""
        if not entries:
            return []
        new = {entry.key: (entry, check_entry(entry)) for entry in reversed(entries)}
        wanted = {key: new[key] for key in dict.fromkeys(entry.key for entry in entries)}

        async def attempt(connection: AsyncConnection) -> dict[str, Row]:
            # Until the statement has answered nobody knows the head, so whatever interrupts it leaves none behind.
            head, known = self._heads.pop(stream, None), dict[str, Row]()
            if head is None:
                known = await _read_back(connection, stream, epoch, list(wanted))
                head = await _read_head(connection, stream)
            rows = _sealed(stream, epoch, [pair for key, pair in wanted.items() if key not in known], head)
            if rows and not await _insert(connection, rows, head):
                await _explain_refusal(connection, stream, epoch, head)
            self._heads[stream] = Head(n=rows[-1].n, hash=rows[-1].hash) if rows else head
            return known | {row.key: row for row in rows}

        async with self._lock(stream):
            written = await self._insist(f"appending to stream {stream!r}", attempt)
        return [to_record(written[entry.key]) for entry in entries]

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        async for row in self.read_rows(stream, kinds=kinds, account=account, after_n=after_n):
            yield to_record(row)

    async def read_rows(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Row]:
        """The stored rows in order, page by page. Raises JournalUnavailable."""
        base = select(*_COLUMNS).where(JOURNAL.c.stream == stream).order_by(JOURNAL.c.n).limit(_PAGE)
        if kinds is not None:
            base = base.where(JOURNAL.c.kind.in_(list(kinds)))
        if account is not None:
            base = base.where(JOURNAL.c.account == account)
        while True:
            page = await self._query(f"reading stream {stream!r}", base.where(JOURNAL.c.n > after_n))
            for found in page:
                yield _row(found)
            if len(page) < _PAGE:
                return
            after_n = int(page[-1].n)

    async def streams(self) -> Sequence[str]:
        return [str(found.stream) for found in await self._query("listing streams", _STREAMS)]

    async def verify(self, stream: str) -> int:
        return (await self.verify_against(stream, None)).n

    async def verify_against(self, stream: str, seen: Head | None) -> Head:
        """Recompute the chain, see that it holds what a checkpoint saw, and return the head.

        Raises:
            ChainBroken: names the first record that does not fit.
        """
        check = ChainCheck(stream)
        async for row in self.read_rows(stream):
            check.take(row)
            if seen is not None and row.n == seen.n:
                check.expect(seen)
        if seen is not None and check.head.n < seen.n:
            check.expect(seen)
        return check.head

    async def heads(self) -> Mapping[str, Head]:
        """The last record of every stream, e.g. to keep as a checkpoint in another place."""

        async def look(connection: AsyncConnection) -> dict[str, Head]:
            names = [found.stream for found in await connection.execute(_STREAMS)]
            return {name: await _read_head(connection, name) for name in names}

        return await self._insist("reading heads", look)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _query(self, doing: str, statement: Executable) -> Sequence[Found[Any]]:
        async def ask(connection: AsyncConnection) -> Sequence[Found[Any]]:
            return (await connection.execute(statement)).all()

        return await self._insist(doing, ask)

    async def _insist(self, doing: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do `work`, on a new connection when one was lost, until patience ends."""
        give_up = time.monotonic() + self._patience_s
        tries = 0
        while True:
            try:
                async with self._engine.connect() as connection:
                    return await work(connection)
            except TROUBLE as trouble:
                # A key that is there already, or a race for the next place, is settled by reading back at once.
                if time.monotonic() >= give_up:
                    raise JournalUnavailable(f"{doing}: {summary(trouble)}") from trouble
            await asyncio.sleep(_PAUSE_S[min(tries, len(_PAUSE_S) - 1)])
            tries += 1

    def _lock(self, stream: str) -> asyncio.Lock:
        return self._locks.setdefault(stream, asyncio.Lock())


async def _insert(connection: AsyncConnection, rows: Sequence[Row], after: Head) -> bool:
    first = rows[0]
    columns = {name: [getattr(row, name) for row in rows] for name in _ARRAYS}
    place = {"stream": first.stream, "epoch": first.epoch, "after_n": after.n, "after_hash": after.hash}
    done = await connection.execute(_APPEND, place | columns)
    return done.rowcount == len(rows)


async def _read_back(connection: AsyncConnection, stream: str, epoch: int, keys: Sequence[str]) -> dict[str, Row]:
    """What is there of these keys. Taking the row lock waits for an append that is still on its way to its commit."""
    held = select(WRITERS.c.epoch).where(WRITERS.c.stream == stream).with_for_update()
    newest = (await connection.execute(held)).scalar_one_or_none()
    if newest != epoch:
        raise _stale(stream, epoch, newest)
    found = select(*_COLUMNS).where(JOURNAL.c.stream == stream, JOURNAL.c.key.in_(list(keys)))
    return {row.key: row for row in map(_row, await connection.execute(found))}


async def _explain_refusal(connection: AsyncConnection, stream: str, epoch: int, head: Head) -> None:
    newest = (await connection.execute(select(WRITERS.c.epoch).where(WRITERS.c.stream == stream))).scalar_one_or_none()
    if newest != epoch:
        raise _stale(stream, epoch, newest)
    found = await _read_head(connection, stream)
    raise ChainBroken(
        f"stream {stream!r}, record {head.n}: was acknowledged and is gone; the stream now ends at {found.n}"
    )


async def _read_head(connection: AsyncConnection, stream: str) -> Head:
    last = select(JOURNAL.c.n, JOURNAL.c.hash).where(JOURNAL.c.stream == stream).order_by(JOURNAL.c.n.desc()).limit(1)
    found = (await connection.execute(last)).one_or_none()
    return Head(n=found.n, hash=found.hash) if found else Head(n=0, hash=GENESIS)


def _sealed(stream: str, epoch: int, entries: Sequence[tuple[Entry, str]], head: Head) -> list[Row]:
    rows: list[Row] = []
    for entry, payload in entries:
        row = seal(stream, epoch, entry, payload, head)
        head = Head(n=row.n, hash=row.hash)
        rows.append(row)
    return rows


def _row(found: Found[Any]) -> Row:
    return Row(**found._mapping)


def _stale(stream: str, epoch: int, newest: int | None) -> StaleEpoch:
    return StaleEpoch(f"stream {stream!r}: epoch {epoch} is not the newest ({newest})")
