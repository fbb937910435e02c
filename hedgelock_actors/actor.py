"""What all six actors have in common: a name, a state of health, a journal stream of their own, and counters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import ChainBroken, Entry, Journal, JournalUnavailable, Record, StaleEpoch
from hedgelock_actors.ports.transport import Transport

Status = Literal["starting", "ready", "degraded", "stopped"]
_log = logging.getLogger(__name__)


def router_name(account: str) -> str:
    """The actor name of an account's order router."""
    return f"order-router-{account}"


def backoff_ms(tries: int) -> int:
    """How long to wait after so many failed starts in a row: 1 s at first, 5 s at most."""
    doublings: int = 2 ** min(tries, 4)
    return min(5_000, 500 * doublings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an actor is, as it says itself. `ready_ms` is the venue time at which it became ready, 0 if it never was."""

    name: str
    status: Status
    ready_ms: int
    detail: str
    counters: Mapping[str, float] = field(default_factory=dict)


class Actor:
    """Keeps the health of an actor. Everything it does with the outside may fail; nothing of that leaves it."""

    def __init__(self, name: str, clock: Clock, transport: Transport | None = None) -> None:
        self.name = name
        self.clock = clock
        self._transport = transport
        self.counters: Counter[str] = Counter()
        self._status: Status = "starting"
        self._ready_ms = 0
        self._detail = ""

    def health(self) -> Health:
        """Cheap, and free of side effects."""
        return Health(
            name=self.name,
            status=self._status,
            ready_ms=self._ready_ms,
            detail=self._detail,
            counters={key: float(value) for key, value in self.counters.items()},
        )

    @property
    def stopped(self) -> bool:
        """True once stopped by command or because a newer instance took the journal stream over."""
        return self._status == "stopped"

    def mark_ready(self) -> None:
        """Reconciled and able to act."""
        if self.stopped:
            return
        if self._status != "ready":
            self._ready_ms = self.clock.now_ms()
        self._status, self._detail = "ready", ""

    def mark_degraded(self, detail: str) -> None:
        """Alive, but not able to do all of its work; says why."""
        if not self.stopped:
            self._status, self._detail = "degraded", detail

    def mark_stopped(self, detail: str = "") -> None:
        """For good."""
        self._status, self._detail = "stopped", detail

    def fault(self, error: Exception) -> None:
        """Something happened that no rule foresees: counted, logged with its trace, shown as degraded."""
        self.counters["errors"] += 1
        _log.error("%s: %s", self.name, error, exc_info=error)
        self.mark_degraded(f"{type(error).__name__}: {error}")

    async def tell(self, to: str, message: AnyMessage, *, conflate: str | None = None, cause: str = "") -> bool:
        """Send to another actor; False (and counted) when it could not be handed over. All our messages are either
        repeated states or kept in the journal, so that a lost one is made good later.
        """
        if self._transport is None:
            return False
        try:
            await self._transport.send(to, message, conflate=conflate, cause=cause)
        except Exception as error:
            # The edge of the actor: a receiver that is gone, or a full queue, must not stop this one.
            self.counters["undelivered"] += 1
            _log.warning("%s could not tell %s of %s: %s", self.name, to, message.kind, error)
            return False
        return True


class JournalStream:
    """The journal stream that an actor writes. A newer writer fences this one: it then stays closed for good."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._epoch: int | None = None
        self.fenced = False
        self.healthy = True
        """False from a write that failed to the next that succeeds."""

    @property
    def is_open(self) -> bool:
        """True when this instance is the writer as far as it knows."""
        return self._epoch is not None and not self.fenced

    @property
    def epoch(self) -> int:
        """Epoch granted by the journal, 0 before it was opened."""
        return self._epoch or 0

    async def open(self) -> None:
        """Become the writer. Raises JournalUnavailable."""
        self._epoch = await self._journal.open(self._name)

    async def append(self, *entries: Entry) -> Sequence[Record]:
        """Raises JournalUnavailable, also when not open, and StaleEpoch once a newer writer exists."""
        if self.fenced:
            raise StaleEpoch(self._name)
        if self._epoch is None:
            raise JournalUnavailable(f"{self._name} is not open")
        try:
            records = await self._journal.append(self._name, self._epoch, entries)
        except StaleEpoch:
            self.fenced = True
            raise
        except JournalUnavailable:
            self.healthy = False
            raise
        except ChainBroken as error:
            # A journal that contradicts itself is none: nothing new is begun on it.
            self.healthy = False
            raise JournalUnavailable(str(error)) from error
        self.healthy = True
        return records

    def read(self, *kinds: str, stream: str | None = None) -> AsyncIterator[Record]:
        """Records of this stream (or of another one) in order; of all kinds when none is named."""
        return self._journal.read(stream or self._name, kinds=kinds or None)
