"""One alarm on venue time, at the earliest of the times that were asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hedgelock_actors.ports.clock import Clock


class Alarm:
    """Calls `ring` once at a venue time. In lock-step the ring has been heard before the venue moves on."""

    def __init__(self, clock: Clock, ring: Callable[[], Awaitable[None]]) -> None:
        self._clock, self._ring = clock, ring
        self._at_ms: int | None = None
        self._cancel: Callable[[], None] = _nothing

    def set(self, at_ms: int | None) -> None:
        """Ring at this time instead of whatever was set before; None: not at all."""
        if at_ms == self._at_ms:
            return
        self._cancel()
        self._at_ms, self._cancel = at_ms, _nothing
        if at_ms is not None:
            wait_ms = max(1, at_ms - self._clock.now_ms())
            self._cancel = self._clock.every(wait_ms / 1_000, self._due)

    async def _due(self) -> None:
        self.set(None)
        await self._ring()


def _nothing() -> None:
    return None
