"""A bounded mailbox with conflation, emptied by one worker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

E = TypeVar("E")


class InboxFull(Exception):
    """More unconflated events wait than the bound allows."""


@dataclass(slots=True)
class Slot(Generic[E]):
    """One waiting event, and who waits for it to be taken in."""

    event: E
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def done(self) -> None:
        """Wake whoever waits."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Inbox(Generic[E]):
    """First in, first out; an event with the key of one that still waits replaces it in its place (latest wins)."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._slots: OrderedDict[str, Slot[E]] = OrderedDict()
        self._count = 0
        self._filled = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, event: E, key: str | None = None) -> asyncio.Future[None]:
        """Enqueue; the future is done when the event (or one that replaced it) has been processed.

        Raises:
            InboxFull: the bound is reached and the event replaces nothing.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            waiter.set_result(None)
            return waiter
        if key is not None and key in self._slots:
            slot = self._slots[key]
            slot.event = event
            slot.waiters.append(waiter)
            return waiter
        if len(self._slots) >= self._limit:
            raise InboxFull(f"{self._limit} events wait")
        self._count += 1
        self._slots[key if key is not None else f"#{self._count}"] = Slot(event, [waiter])
        self._filled.set()
        return waiter

    async def get(self) -> Slot[E]:
        """The oldest event; its sender is released by `Slot.done`."""
        while not self._slots:
            self._filled.clear()
            await self._filled.wait()
        _, slot = self._slots.popitem(last=False)
        return slot

    def close(self) -> None:
        """Release everybody who waits, and take nothing any more."""
        self._closed = True
        for slot in self._slots.values():
            slot.done()
        self._slots.clear()
