"""Shared fast state (Redis). Losing it never changes a decision's correctness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol


class Cache(Protocol):
    """Small JSON values by key, and channels. Errors are raised as CacheUnavailable and must not stop trading."""

    async def get(self, key: str) -> Mapping[str, object] | None: ...

    async def set(self, key: str, value: Mapping[str, object], ttl_s: float | None = None) -> None: ...

    async def publish(self, channel: str, value: Mapping[str, object]) -> None: ...

    def subscribe(self, *channels: str) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
        """Messages of channels, reconnecting by itself; values that are not JSON objects are skipped and counted."""
        ...

    async def close(self) -> None: ...


class CacheUnavailable(Exception):
    """Redis did not answer."""
