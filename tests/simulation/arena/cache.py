"""The shared cache as one process reaches it: sometimes it does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from hedgelock_actors.ports.cache import CacheUnavailable

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld


class SimCache:
    """Implements Cache over the shared one."""

    def __init__(self, world: SwarmWorld) -> None:
        self._world, self._cache = world, world.cache

    async def get(self, key: str) -> Mapping[str, object] | None:
        self._reach()
        return await self._cache.get(key)

    async def set(self, key: str, value: Mapping[str, object], ttl_s: float | None = None) -> None:
        self._reach()
        await self._cache.set(key, value, ttl_s)

    async def publish(self, channel: str, value: Mapping[str, object]) -> None:
        self._reach()

    def subscribe(self, *channels: str) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
        return self._cache.subscribe(*channels)

    async def close(self) -> None:
        """Nothing to release."""

    def _reach(self) -> None:
        if self._world.strikes("cache_unavailable"):
            raise CacheUnavailable("no answer")
