"""How the router's parts write to its journal: before an effect, or as soon as possible after a fact."""

from __future__ import annotations

from collections.abc import Mapping

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Json

OWED_MAX = 10_000


class RouterNotes:
    """The journal of one account's router; all its methods raise JournalUnavailable and StaleEpoch."""

    def __init__(self, stream: JournalStream, account: str, clock: Clock) -> None:
        self._stream, self._account, self._clock = stream, account, clock
        self._owed: list[Entry] = []

    async def note(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Written when this returns, and all that was owed before it."""
        await self.settle()
        await self._stream.append(self._entry(kind, key, payload))

    async def note_later(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Something that has happened already: if it cannot be written now, then before anything else happens."""
        self.owe(kind, key, payload)
        await self.settle()

    def owe(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """As `note_later`, without trying now."""
        if len(self._owed) < OWED_MAX:
            self._owed.append(self._entry(kind, key, payload))

    async def settle(self) -> None:
        """Write what is owed."""
        if self._owed:
            await self._stream.append(*self._owed)
            self._owed.clear()

    async def try_again(self) -> None:
        """After a write that failed: find out whether the journal is back, and leave a trace that it was away."""
        await self.settle()
        if not self._stream.healthy:
            await self.note("journal_back", f"journal_back:{self._clock.now_ms()}", {})

    def _entry(self, kind: str, key: str, payload: Mapping[str, Json]) -> Entry:
        return Entry(kind=kind, key=key, ts_ms=self._clock.now_ms(), account=self._account, payload=payload)
