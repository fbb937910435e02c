"""A journal in memory with the same rules as the real one: keys, epochs, hash chain. Nothing survives the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from hedgelock_actors.adapters.chain import GENESIS, ChainCheck, Head, Row, check_entry, seal, to_record
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Record, StaleEpoch


@dataclass(slots=True)
class _Stream:
    epoch: int = 0
    rows: list[Row] = field(default_factory=list)
    by_key: dict[str, Row] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        return Head(n=self.rows[-1].n, hash=self.rows[-1].hash) if self.rows else Head(n=0, hash=GENESIS)


class MemoryJournal:
    """Implements ports.journal.Journal. Set `available` to False to see what an actor does without its journal."""

    def __init__(self) -> None:
        self.available = True
        self._streams: dict[str, _Stream] = {}

    async def open(self, stream: str) -> int:
        self._require_available()
        kept = self._streams.setdefault(stream, _Stream())
        kept.epoch += 1
        return kept.epoch

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        if not entries:
            return []
        payloads = [check_entry(entry) for entry in entries]
        self._require_available()
        kept = self._streams.get(stream)
        if kept is None or kept.epoch != epoch:
            raise StaleEpoch(f"stream {stream!r}: epoch {epoch} is not the newest")
        return [
            to_record(self._keep(kept, stream, epoch, entry, payload))
            for entry, payload in zip(entries, payloads, strict=True)
        ]

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        self._require_available()
        for row in list(self.rows(stream)):
            wanted = (kinds is None or row.kind in kinds) and (account is None or row.account == account)
            if row.n > after_n and wanted:
                yield to_record(row)

    async def streams(self) -> Sequence[str]:
        self._require_available()
        return sorted(name for name, kept in self._streams.items() if kept.rows)

    async def verify(self, stream: str) -> int:
        self._require_available()
        check = ChainCheck(stream)
        for row in self.rows(stream):
            check.take(row)
        return check.head.n

    async def heads(self) -> Mapping[str, Head]:
        """The last record of every stream."""
        self._require_available()
        return {name: kept.head for name, kept in sorted(self._streams.items()) if kept.rows}

    async def close(self) -> None:
        """Nothing to release."""

    def rows(self, stream: str) -> list[Row]:
        """The stored rows themselves, to look at or to tamper with in a test."""
        kept = self._streams.get(stream)
        return kept.rows if kept else []

    def _keep(self, kept: _Stream, stream: str, epoch: int, entry: Entry, payload: str) -> Row:
        known = kept.by_key.get(entry.key)
        if known is not None:
            return known
        row = seal(stream, epoch, entry, payload, kept.head)
        kept.rows.append(row)
        kept.by_key[row.key] = row
        return row

    def _require_available(self) -> None:
        if not self.available:
            raise JournalUnavailable("the memory journal was switched off")
