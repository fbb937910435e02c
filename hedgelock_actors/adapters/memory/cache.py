"""Shared fast state in memory, with the rules of the real cache: JSON by key, time to live, channels."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping

from hedgelock_actors.adapters.json_object import parse_object
from hedgelock_actors.ports.cache import CacheUnavailable

_QUEUE_MAX = 10_000


class MemoryCache:
    """Implements ports.cache.Cache. Set `available` to False to see what an actor does without its cache.

    Args:
        now_s: seconds that times to live are measured in; the real cache uses its own wall clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.available = True
        self.skipped = 0
        self.published: list[tuple[str, Mapping[str, object]]] = []
        self._now_s = now_s
        self._values: dict[str, tuple[str, float | None]] = {}
        self._subscribers: dict[asyncio.Queue[tuple[str, str]], frozenset[str]] = {}

    async def get(self, key: str) -> Mapping[str, object] | None:
        self._require_available()
        if key not in self._values:
            return None
        text, until_s = self._values[key]
        if until_s is not None and self._now_s() >= until_s:
            del self._values[key]
            return None
        value = parse_object(text)
        self.skipped += value is None
        return value

    async def set(self, key: str, value: Mapping[str, object], ttl_s: float | None = None) -> None:
        self._require_available()
        self._values[key] = (json.dumps(dict(value), allow_nan=False), None if ttl_s is None else self._now_s() + ttl_s)

    async def set_text(self, key: str, text: str) -> None:
        """What another program may leave under a key: any text."""
        self._values[key] = (text, None)

    async def publish(self, channel: str, value: Mapping[str, object]) -> None:
        self._require_available()
        text = json.dumps(dict(value), allow_nan=False)
        self.published.append((channel, dict(value)))
        await self.publish_text(channel, text)

    async def publish_text(self, channel: str, text: str) -> None:
        """What another program may put on a channel: any text."""
        for queue, channels in self._subscribers.items():
            if channel in channels:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait((channel, text))

    async def subscribe(self, *channels: str) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_QUEUE_MAX)
        self._subscribers[queue] = frozenset(channels)
        try:
            while True:
                channel, text = await queue.get()
                value = parse_object(text)
                if value is not None:
                    yield channel, value
                else:
                    self.skipped += 1
        finally:
            del self._subscribers[queue]

    async def close(self) -> None:
        """Nothing to release."""

    def _require_available(self) -> None:
        if not self.available:
            raise CacheUnavailable("the memory cache was switched off")
