"""The journal as one process reaches it: slow, stalled, away, or silent about whether it committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Record

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld

JOURNAL = "journal"


class SimJournal:
    """Implements Journal over the shared store of the world."""

    def __init__(self, world: SwarmWorld, name: str) -> None:
        self._world, self._name, self._store = world, name, world.store

    async def open(self, stream: str) -> int:
        await self._reach()
        return await self._store.open(stream)

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        world = self._world
        await self._reach()
        if world.strikes("journal_unavailable", self._name):
            raise JournalUnavailable("the write did not reach the database")
        records = await self._store.append(stream, epoch, entries)
        for record in records:
            world.journalled(record)
        if world.strikes("commit_unknown", self._name):
            raise JournalUnavailable("the connection was lost on COMMIT")
        await asyncio.sleep(0.001)
        return records

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        await self._reach()
        async for record in self._store.read(stream, kinds=kinds, account=account, after_n=after_n):
            yield record

    async def streams(self) -> Sequence[str]:
        return await self._store.streams()

    async def verify(self, stream: str) -> int:
        return await self._store.verify(stream)

    async def close(self) -> None:
        """Nothing to release."""

    async def _reach(self) -> None:
        world = self._world
        delay_ms = 1
        if world.strikes("journal_slow", self._name):
            delay_ms = world.rng.choice((20, 200, 1_500))
        await asyncio.sleep(max(delay_ms, world.journal_stalled_ms - world.loop.now_ms) / 1000)
        if world.journal_down or world.parted(self._name, JOURNAL):
            raise JournalUnavailable("no connection to the database")
