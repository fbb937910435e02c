"""The hash chain of the journal: one definition of its bytes, used by every adapter that keeps or checks records.

hash(n) = SHA-256 of the canonical JSON array [stream, n, epoch, kind, key, ts_ms, account, payload text, hash(n-1)],
where the payload text is itself canonical JSON: keys sorted, no spaces, ASCII, floats in their shortest exact form,
no NaN and no infinity. A stream starts at n = 1 with GENESIS before it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from hedgelock_actors.ports.journal import ChainBroken, Entry, Json, Record

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record as it is stored. Everything here but the hash itself goes into the hash."""

    stream: str
    n: int
    epoch: int
    kind: str
    key: str
    ts_ms: int
    account: str
    payload: str
    """Canonical JSON text, kept byte for byte."""
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record of a stream: keep it in another place, and a cut-off tail or a rewritten stream is noticed."""

    n: int
    hash: str


def canonical(value: Json) -> str:
    """The one JSON text of a value.

    Raises:
        ValueError: NaN or infinity. TypeError: a value that JSON has not (a Decimal must come as a string).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def row_hash(row: Row) -> str:
    """The hash that `row` should carry, hex."""
    fields: Json = [
        row.stream,
        row.n,
        row.epoch,
        row.kind,
        row.key,
        row.ts_ms,
        row.account,
        row.payload,
        row.prev_hash,
    ]
    return hashlib.sha256(canonical(fields).encode("ascii")).hexdigest()


def seal(stream: str, epoch: int, entry: Entry, payload: str, after: Head) -> Row:
    """The row that follows `after`."""
    unsealed = Row(
        stream=stream,
        n=after.n + 1,
        epoch=epoch,
        kind=entry.kind,
        key=entry.key,
        ts_ms=entry.ts_ms,
        account=entry.account,
        payload=payload,
        prev_hash=after.hash,
        hash="",
    )
    return replace(unsealed, hash=row_hash(unsealed))


def check_entry(entry: Entry) -> str:
    """The canonical payload of an entry that may be written.

    Raises:
        ValueError: a name is empty or holds NUL, or the payload holds NaN. TypeError: the payload is not JSON.
    """
    for name, text in (("kind", entry.kind), ("key", entry.key)):
        if not text:
            raise ValueError(f"journal entry: {name} is empty")
    if "\0" in entry.kind + entry.key + entry.account:
        raise ValueError("journal entry: kind, key and account may not hold NUL")
    (entry.kind + entry.key + entry.account).encode("utf-8")  # lone surrogates raise a ValueError
    if not -(2**63) <= entry.ts_ms < 2**63:
        raise ValueError("journal entry: ts_ms does not fit into 64 bits")
    return canonical(dict(entry.payload))


def to_record(row: Row) -> Record:
    """The row as the port speaks of it; the payload is what reading it back gives, always."""
    entry = Entry(kind=row.kind, key=row.key, ts_ms=row.ts_ms, account=row.account, payload=json.loads(row.payload))
    return Record(stream=row.stream, n=row.n, epoch=row.epoch, entry=entry, prev_hash=row.prev_hash, hash=row.hash)


class ChainCheck:
    """Takes the rows of one stream in the order in which they are stored and refuses the first that does not fit."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.head = Head(n=0, hash=GENESIS)
        self._epoch = 0
        self._keys: set[str] = set()

    def take(self, row: Row) -> None:
        """Raises ChainBroken, which names the stream and the first `n` that does not fit."""
        expected = self.head.n + 1
        if row.stream != self.stream:
            raise self._broken(expected, f"belongs to stream {row.stream!r}")
        if row.n != expected:
            raise self._broken(expected, f"the next record found is {row.n}")
        if row.prev_hash != self.head.hash:
            raise self._broken(expected, "does not follow the record before it")
        if row.hash != row_hash(row):
            raise self._broken(expected, "its content does not match its hash")
        if row.epoch < self._epoch:
            raise self._broken(expected, f"epoch {row.epoch} after epoch {self._epoch}")
        if row.key in self._keys:
            raise self._broken(expected, f"key {row.key!r} is in the stream already")
        self.head, self._epoch = Head(n=row.n, hash=row.hash), row.epoch
        self._keys.add(row.key)

    def expect(self, seen: Head) -> None:
        """Call when the head is at `seen.n`, or at the end. Raises ChainBroken if the stream is not what `seen` saw."""
        if self.head.n < seen.n:
            raise self._broken(self.head.n + 1, f"the stream ends at {self.head.n}, a checkpoint saw {seen.n}")
        if self.head.n == seen.n and self.head.hash != seen.hash:
            raise self._broken(seen.n, "a checkpoint saw another record here")

    def _broken(self, n: int, why: str) -> ChainBroken:
        return ChainBroken(f"stream {self.stream!r}, record {n}: {why}")
