"""Events handed to one handler, one after the other and in order, however fast they come."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

E = TypeVar("E")
_log = logging.getLogger(__name__)

# What a handler that was cancelled may take to end.
_STOP_TIMEOUT_S = 5.0


class Delivery(Generic[E]):
    """A bounded queue with one consumer. Events with the same key conflate: the latest wins, in the first one's place.

    A handler that raises is logged and counted; the next event is delivered all the same, since what it reads is the
    truth about an account or a market.
    """

    def __init__(
        self, name: str, handler: Callable[[E], Awaitable[None]], on_idle: Callable[[], None], bound: int
    ) -> None:
        self.failures = 0
        self.conflated = 0
        self._name = name
        self._handler = handler
        self._on_idle = on_idle
        self._bound = bound
        self._queue: OrderedDict[Hashable, E] = OrderedDict()
        self._serial = 0
        self._busy = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def idle(self) -> bool:
        """Everything put so far has been taken in."""
        return not self._busy and not self._queue

    def put(self, event: E, key: Hashable = None) -> bool:
        """Queue an event; False when the queue is full and the event was not taken."""
        if key is None:
            self._serial += 1
            key = self._serial
        if key in self._queue:
            self.conflated += 1
        elif len(self._queue) >= self._bound:
            return False
        self._queue[key] = event
        self._wake.set()
        return True

    def drop(self, key: Hashable) -> None:
        """Forget a queued event."""
        self._queue.pop(key, None)

    def clear(self) -> None:
        """Forget all queued events."""
        self._queue.clear()

    def start(self) -> None:
        """Begin to deliver, on the running loop."""
        if self._task is None:
            self._stopped = False
            self._task = asyncio.create_task(self._run(), name=f"deliver-{self._name}")

    async def stop(self) -> None:
        """Stop delivering; a handler that runs is cancelled, unless it is the caller, and waited for a few seconds."""
        task, self._task = self._task, None
        self._stopped = True  # also for a handler that swallows its cancellation
        if task is None or task is asyncio.current_task():
            return
        task.cancel()
        _, late = await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)
        if late:
            _log.error("%s: the handler did not end within %.0f s", self._name, _STOP_TIMEOUT_S)

    async def _run(self) -> None:
        while not self._stopped:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and not self._stopped:
                _, event = self._queue.popitem(last=False)
                self._busy = True
                await self._deliver(event)
                self._busy = False
            self._on_idle()

    async def _deliver(self, event: E) -> None:
        try:
            await self._handler(event)
        except Exception:  # the edge: whatever the handler did, the stream goes on
            self.failures += 1
            _log.exception("%s: the handler failed on %s", self._name, type(event).__name__)
