"""Is the journal what it was? Checks every chain, and the heads against a checkpoint kept in another place.

The chain shows any edit, removal, insertion or swap inside a stream. It cannot show that the tail was cut off or that a
whole stream was written anew: a signed checkpoint (heads of all streams at some time) can, if it lives elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hedgelock_actors.adapters.chain import Head, canonical
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.ports.journal import ChainBroken, Json


class CheckpointInvalid(Exception):
    """The checkpoint file is not one, or was not signed with this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAudit:
    """One stream: how many records fit before the end or before the fault."""

    stream: str
    records: int
    hash: str
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """The whole journal."""

    streams: tuple[StreamAudit, ...]
    checkpoint: bool
    """True when heads were compared with a checkpoint."""
    wall_s: float = field(compare=False)

    @property
    def ok(self) -> bool:
        """Every stream fits."""
        return not self.faults

    @property
    def records(self) -> int:
        """Records that fit, over all streams."""
        return sum(one.records for one in self.streams)

    @property
    def faults(self) -> tuple[str, ...]:
        """What does not fit: one line per broken stream, naming stream and record."""
        return tuple(one.fault for one in self.streams if one.fault is not None)


async def audit(journal: PostgresJournal, checkpoint: Mapping[str, Head] | None = None) -> AuditResult:
    """Verify all streams, also those that only the checkpoint knows.

    Raises:
        JournalUnavailable: the database does not answer, so nothing is known.
    """
    began = time.monotonic()
    seen = checkpoint or {}
    names = sorted({*await journal.streams(), *seen})
    found = [await _audit_stream(journal, name, seen.get(name)) for name in names]
    return AuditResult(streams=tuple(found), checkpoint=checkpoint is not None, wall_s=time.monotonic() - began)


async def _audit_stream(journal: PostgresJournal, stream: str, seen: Head | None) -> StreamAudit:
    try:
        head = await journal.verify_against(stream, seen)
    except ChainBroken as broken:
        return StreamAudit(stream=stream, records=0, hash="", fault=str(broken))
    return StreamAudit(stream=stream, records=head.n, hash=head.hash)


def write_checkpoint(file: Path, heads: Mapping[str, Head], ts_ms: int, key: bytes) -> None:
    """Write the heads signed with HMAC-SHA256. Keep file and key away from the database's host."""
    body: Json = {"ts_ms": ts_ms, "heads": {name: [head.n, head.hash] for name, head in heads.items()}}
    text = canonical(body)
    beside = file.with_name(file.name + ".new")
    beside.write_text(json.dumps({"body": text, "hmac": _sign(text, key)}, indent=1) + "\n", encoding="utf-8")
    beside.rename(file)


def read_checkpoint(file: Path, key: bytes) -> Mapping[str, Head]:
    """The heads that a checkpoint saw.

    Raises:
        CheckpointInvalid: it was changed, is something else, or was signed with another key.
    """
    try:
        outer = json.loads(file.read_text(encoding="utf-8"))
        text, signature = str(outer["body"]), str(outer["hmac"])
        if not hmac.compare_digest(signature.encode(), _sign(text, key).encode()):
            raise CheckpointInvalid(f"{file}: the signature does not fit")
        return {str(name): Head(n=int(n), hash=str(digest)) for name, (n, digest) in json.loads(text)["heads"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise CheckpointInvalid(f"{file}: not a checkpoint ({type(trouble).__name__})") from trouble


def _sign(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()
