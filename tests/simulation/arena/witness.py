"""What the venue and the wire saw, apart from what any actor believes; and a fingerprint of the whole run."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

TAIL = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """An order that a process handed to its transport, and what was true outside at that moment."""

    ts_ms: int
    pid: int
    link: str
    side: str
    qty: Decimal
    reduce_only: bool
    epoch: int
    halted: bool
    """A halt had been confirmed and not been lifted."""
    leased: bool
    """The store's own row gave the account to this process."""
    compared: bool
    """This process had read executions and position since it started, and since its stream was lost."""
    feed_age_ms: int
    """Since the newest price that reached the feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An order that reached the venue, and what the venue said at once."""

    ts_ms: int
    link: str
    side: str
    qty: Decimal
    code: str


class Witness:
    """Append-only."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.handed: list[Handed] = []
        self.arrived: list[Arrived] = []
        self.happened: Counter[str] = Counter()
        """Faults that were really injected, and rare things that were seen."""
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._hash = hashlib.blake2b(digest_size=16)
        self._effects = hashlib.blake2b(digest_size=16)

    def note(self, what: str, *facts: object) -> None:
        """Something that belongs to the fingerprint and to the story of a failure."""
        line = f"{self._now_ms()} {what} {' '.join(map(str, facts))}"
        self.tail.append(line)
        self._hash.update(line.encode())

    def fault(self, kind: str, *facts: object) -> None:
        """A fault was injected."""
        self.happened[kind] += 1
        self.note(f"FAULT {kind}", *facts)

    def effect(self, what: str, *facts: object) -> None:
        """Something was sent to the venue that moves orders or money."""
        line = f"{self._now_ms()} {what} {' '.join(map(str, facts))}"
        self._effects.update(line.encode())

    def effects(self) -> str:
        """Fingerprint of all effects, in order."""
        return self._effects.hexdigest()

    def digest(self) -> str:
        """Equal runs have equal digests."""
        return self._hash.hexdigest()
