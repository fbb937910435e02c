"""What persons commanded: the control stream of the journal, folded, and how a command gets into it exactly once.

One command is one record, and the record comes before the effect. The shells of the actors read the stream too
(`control_feed`), so a command that is on record is carried out even when whoever recorded it died the moment after.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from hedgelock_actors.codec import Payload, integer, text
from hedgelock_actors.domain.messages import HedgeTrade, SpreadRequested, TargetOverridden
from hedgelock_actors.domain.trading_state import INITIAL, TradingState, merge
from hedgelock_actors.keeping.override import holds, overrides_in
from hedgelock_actors.ports.journal import ChainBroken, Entry, Journal, JournalUnavailable, Json, Record, StaleEpoch
from hedgelock_actors.runtime.names import CONTROL_STREAM
from hedgelock_actors.runtime.trading import state_of

OVERRIDE, ACKNOWLEDGED, TRADE, APPROVAL = "override", "acknowledged", "trade", "approval_requested"
SPREAD, SPREAD_STOPPED = "spread", "spread_stopped"
LIMITS, LIMITS_APPROVED = "limits", "limits_approved"
REQUESTS_MAX = 10_000
KEPT_MAX = 200
TRIES = 3
"""How often a command is decided anew because another writer came in between."""

V = TypeVar("V")
ApprovalState = Literal["waiting", "approved", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of one person. The same `who` and `key` is the same request, however often it comes."""

    who: str
    key: str
    action: str
    body: Mapping[str, Json]
    origin: str = ""
    """Where it came from: an address, or the local command line."""

    @property
    def fingerprint(self) -> str:
        """Of what is asked for: the same key must not ask for anything else."""
        said = json.dumps([self.action, self.body], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    def payload(self) -> dict[str, Json]:
        """As it goes on record."""
        return {
            "who": self.who,
            "key": self.key,
            "action": self.action,
            "origin": self.origin,
            "fingerprint": self.fingerprint,
        }


class KeyUsedBefore(Exception):
    """The idempotency key stands for another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A command that waits for a second person."""

    approval_id: str
    action: str
    body: Mapping[str, Json]
    fingerprint: str
    requested_by: str
    ts_ms: int
    expires_ms: int
    approved_by: str = ""

    def state(self, now_ms: int) -> ApprovalState:
        """As of venue time."""
        if self.approved_by:
            return "approved"
        return "waiting" if now_ms < self.expires_ms else "expired"


@dataclass(slots=True)
class ControlBook:
    """The fold of the control stream."""

    n: int = 0
    state: TradingState = INITIAL
    overrides: dict[str, TargetOverridden] = field(default_factory=dict)
    """The newest of each account; it may have expired or been lifted."""
    approvals: OrderedDict[str, Approval] = field(default_factory=OrderedDict)
    trades: OrderedDict[str, HedgeTrade] = field(default_factory=OrderedDict)
    spreads: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """Spread → account of the keeper that sees to it."""
    requests: OrderedDict[str, tuple[str, Record]] = field(default_factory=OrderedDict)
    """person:key → fingerprint, and what it put on record."""
    limits: Mapping[str, Json] = field(default_factory=dict)
    """As of the last start; empty before the first."""
    limits_hash: str = ""
    approved_limits: set[str] = field(default_factory=set)
    """Hashes of limits that may be started with."""
    newest: deque[Record] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))

    def take(self, record: Record) -> None:
        """Fold one record; one that was folded before changes nothing."""
        if record.n <= self.n:
            return
        self.n = record.n
        self.newest.append(record)
        payload = record.entry.payload
        match record.entry.kind:
            case "trading_state":
                self.state = merge(self.state, state_of(payload))
            case "override":
                for one in overrides_in(payload):
                    self.overrides[one.account] = one
            case "trade":
                trade = HedgeTrade.model_validate(payload["trade"])
                _keep(self.trades, trade.trade_id, trade, KEPT_MAX)
            case "spread":
                spread = SpreadRequested.model_validate(payload["spread"])
                _keep(self.spreads, spread.spread_id, spread.account, KEPT_MAX)
            case "limits":
                self.limits, self.limits_hash = _inner(payload, "limits"), text(payload, "hash")
            case "limits_approved":
                self.approved_limits.add(text(payload, "hash"))
            case "approval_requested":
                approval = _approval(record)
                _keep(self.approvals, approval.approval_id, approval, REQUESTS_MAX)
            case _:
                pass
        self._remember(record, _inner(payload, "request"))
        self._approved(record, _inner(payload, "approval"))

    def known(self, asked: Asked) -> Record | None:
        """What this very request put on record before. Raises KeyUsedBefore when its key stood for something else."""
        found = self.requests.get(f"{asked.who}:{asked.key}")
        if found is None:
            return None
        if found[0] != asked.fingerprint:
            raise KeyUsedBefore(asked.key)
        return found[1]

    def in_force(self, account: str, now_ms: int) -> TargetOverridden | None:
        """The override that holds an account's target now."""
        found = self.overrides.get(account)
        return found if found is not None and holds(found, now_ms) else None

    def effect_of(self, approval_id: str) -> Record | None:
        """What an approved command put on record."""
        found = self.requests.get(f"approval:{approval_id}")
        return found[1] if found is not None else None

    def _remember(self, record: Record, request: Payload) -> None:
        if request:
            name = f"{text(request, 'who')}:{text(request, 'key')}"
            # A command that waited for approval keeps the record of its request under the requester's key.
            if name not in self.requests:
                _keep(self.requests, name, (text(request, "fingerprint"), record), REQUESTS_MAX)

    def _approved(self, record: Record, approval: Payload) -> None:
        known = self.approvals.get(text(approval, "approval_id"))
        if known is None:
            return
        self.approvals[known.approval_id] = replace(known, approved_by=text(approval, "who"))
        _keep(self.requests, f"approval:{known.approval_id}", (known.fingerprint, record), REQUESTS_MAX)
        self._remember(record, approval)


Decide = Callable[[ControlBook], Entry | Record]
"""What is to be written, or what was written before."""


class ControlLog:
    """Reads and writes the control stream."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = asyncio.Lock()
        self.book = ControlBook()
        """As of the last reading."""

    async def read(self) -> ControlBook:
        """The fold of everything on record. Raises JournalUnavailable."""
        async with self._lock:
            await self._follow()
            return self.book

    async def write(self, decide: Decide) -> Record:
        """Decide on everything that is on record, and put it on record: nobody writes between the two.

        Raises:
            StaleEpoch, JournalUnavailable: nothing is known to have been written; and whatever `decide` raises.
        """
        async with self._lock:
            for left in reversed(range(TRIES)):
                try:
                    return await self._write(decide)
                except StaleEpoch:
                    if not left:
                        raise
            raise StaleEpoch(CONTROL_STREAM)

    async def _write(self, decide: Decide) -> Record:
        epoch = await self._journal.open(CONTROL_STREAM)
        await self._follow()
        decided = decide(self.book)
        if isinstance(decided, Record):
            return decided
        try:
            [record] = await self._journal.append(CONTROL_STREAM, epoch, [decided])
        except ChainBroken as error:
            raise JournalUnavailable(str(error)) from error
        self.book.take(record)
        return record

    async def _follow(self) -> None:
        async for record in self._journal.read(CONTROL_STREAM, after_n=self.book.n):
            self.book.take(record)


def entry_of(kind: str, asked: Asked, payload: Mapping[str, Json], ts_ms: int, account: str = "") -> Entry:
    """A record of a request: its key makes it the only one of this request."""
    key = f"{asked.who}:{asked.key}"
    return Entry(kind=kind, key=key, ts_ms=ts_ms, account=account, payload={**payload, "request": asked.payload()})


def approval_entry(asked: Asked, now_ms: int, wait_ms: int) -> Entry:
    """The record that a command waits for a second person."""
    approval_id = hashlib.sha256(f"{asked.who}\x1f{asked.key}\x1f{asked.fingerprint}".encode()).hexdigest()[:12]
    payload: dict[str, Json] = {
        "approval_id": approval_id,
        "action": asked.action,
        "body": asked.body,
        "expires_ms": now_ms + wait_ms,
    }
    return entry_of(APPROVAL, asked, payload, now_ms)


def approved(entry: Entry, approval: Approval, by: Asked) -> Entry:
    """The record of a command that a second person approved: one record, so it has either both or nothing."""
    said: dict[str, Json] = {**by.payload(), "approval_id": approval.approval_id}
    return replace(entry, key=f"approval:{approval.approval_id}", payload={**entry.payload, "approval": said})


def _approval(record: Record) -> Approval:
    payload = record.entry.payload
    body = payload["body"]
    request = _inner(payload, "request")
    return Approval(
        approval_id=text(payload, "approval_id"),
        action=text(payload, "action"),
        body=body if isinstance(body, Mapping) else {},
        fingerprint=text(request, "fingerprint"),
        requested_by=text(request, "who"),
        ts_ms=record.entry.ts_ms,
        expires_ms=integer(payload, "expires_ms"),
    )


def _inner(payload: Payload, key: str) -> Payload:
    found = payload.get(key)
    return found if isinstance(found, Mapping) else {}


def _keep(kept: OrderedDict[str, V], key: str, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
