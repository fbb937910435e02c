"""The cache in Redis. It may vanish at any time; callers are told by CacheUnavailable and go on without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError

from hedgelock_actors.adapters.json_object import parse_object
from hedgelock_actors.ports.cache import CacheUnavailable

TROUBLE = (RedisError, OSError, TimeoutError)

_TIMEOUT_S = 1.0
_POLL_S = 1.0
_RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class RedisCache:
    """Implements ports.cache.Cache.

    Args:
        url: `redis://`, `rediss://` or `unix://`, password included.

    Attributes:
        skipped: values and messages that were not JSON objects.
        reconnects: how often a subscription was lost and made again; messages in between are gone.
    """

    def __init__(self, url: str) -> None:
        self.skipped = 0
        self.reconnects = 0
        self._closed = False
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            health_check_interval=15,
            # One more try: after a restart of Redis every pooled connection fails once.
            retry=Retry(ConstantBackoff(0.01), 1),
            retry_on_error=[*TROUBLE],
        )

    async def get(self, key: str) -> Mapping[str, object] | None:
        try:
            text = await self._redis.get(key)
        except TROUBLE as trouble:
            raise CacheUnavailable(f"reading {key}: {trouble}") from trouble
        if text is None:
            return None
        value = parse_object(text)
        self.skipped += value is None
        return value

    async def set(self, key: str, value: Mapping[str, object], ttl_s: float | None = None) -> None:
        text = json.dumps(dict(value), allow_nan=False)
        try:
            await self._redis.set(key, text, px=None if ttl_s is None else max(1, round(ttl_s * 1000)))
        except TROUBLE as trouble:
            raise CacheUnavailable(f"writing {key}: {trouble}") from trouble

    async def publish(self, channel: str, value: Mapping[str, object]) -> None:
        text = json.dumps(dict(value), allow_nan=False)
        try:
            await self._redis.publish(channel, text)
        except TROUBLE as trouble:
            raise CacheUnavailable(f"publishing to {channel}: {trouble}") from trouble

    async def subscribe(self, *channels: str) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
        failures = 0
        while not self._closed:
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(*channels)
                async for channel, text in self._texts(pubsub):
                    failures = 0
                    value = parse_object(text)
                    if value is not None:
                        yield channel, value
                    else:
                        self.skipped += 1
            except TROUBLE:
                self.reconnects += 1
                await asyncio.sleep(_RECONNECT_S[min(failures, len(_RECONNECT_S) - 1)])
                failures += 1
            finally:
                await _drop(pubsub)

    async def close(self) -> None:
        """Release connections and end subscriptions (within a second)."""
        self._closed = True
        await self._redis.aclose()

    async def _texts(self, pubsub: PubSub) -> AsyncIterator[tuple[str, bytes]]:
        while not self._closed:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
            if message is not None and message["type"] == "message":
                yield message["channel"].decode("utf-8", "replace"), message["data"]


async def _drop(pubsub: PubSub) -> None:
    try:
        await pubsub.aclose()  # type: ignore[no-untyped-call]
    except TROUBLE:
        pass  # it is gone either way
