"""The truth: an append-only, hash-chained record of what was intended, decided and done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be written. `key` is unique in its stream: writing it again changes nothing and returns the first."""

    kind: str
    key: str
    ts_ms: int
    account: str
    payload: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was written: place in the stream, chain hash and epoch of the writer."""

    stream: str
    n: int
    epoch: int
    entry: Entry
    prev_hash: str
    hash: str


class StaleEpoch(Exception):
    """A newer writer owns this stream; this one must stop at once."""


class JournalUnavailable(Exception):
    """The journal cannot be written: no new effect may happen."""


class Journal(Protocol):
    """One stream per writing actor (its name); each stream is its own hash chain with one writer at a time."""

    async def open(self, stream: str) -> int:
        """Become the writer of `stream`: returns the new epoch; all older epochs are refused from now on."""
        ...

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        """Write durably, in order, all or nothing, and return the records (existing ones for known keys).

        Raises:
            StaleEpoch: `epoch` is not the newest of the stream.
            JournalUnavailable: nothing is known to have been written.
        """
        ...

    def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        """Records of a stream in order."""
        ...

    async def streams(self) -> Sequence[str]:
        """Names of all streams."""
        ...

    async def verify(self, stream: str) -> int:
        """Recompute the chain; returns the number of records.

        Raises:
            ChainBroken: names the first record that does not fit.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class ChainBroken(Exception):
    """A record was changed, removed, inserted or swapped; the message names the stream and `n`."""
