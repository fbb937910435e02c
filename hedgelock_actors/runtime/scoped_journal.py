"""A journal within a journal: the streams of one simulated account, apart from those of every other run.

A simulated exchange begins with a fresh account each time; what another run intended or executed is not its history.
The real venue has no scope: its account goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from hedgelock_actors.ports.journal import Entry, Journal, Record


class ScopedJournal:
    """Implements ports.journal.Journal: every stream name gets a prefix on the way in and loses it on the way out."""

    def __init__(self, journal: Journal, scope: str) -> None:
        self._journal = journal
        self._prefix = f"{scope}/" if scope else ""

    async def open(self, stream: str) -> int:
        """See the port."""
        return await self._journal.open(self._prefix + stream)

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        """See the port."""
        records = await self._journal.append(self._prefix + stream, epoch, entries)
        return [self._out(record) for record in records]

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        """See the port."""
        found = self._journal.read(self._prefix + stream, kinds=kinds, account=account, after_n=after_n)
        async for record in found:
            yield self._out(record)

    async def streams(self) -> Sequence[str]:
        """Streams of this scope."""
        names = await self._journal.streams()
        return [name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)]

    async def verify(self, stream: str) -> int:
        """See the port."""
        return await self._journal.verify(self._prefix + stream)

    async def close(self) -> None:
        """See the port."""
        await self._journal.close()

    def _out(self, record: Record) -> Record:
        return replace(record, stream=record.stream.removeprefix(self._prefix))
