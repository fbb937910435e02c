"""The hot snapshot of the sizing service: last score and depth of each asset, pushed by Redis, read without waiting."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hedgelock_actors.ports.cache import Cache, CacheUnavailable
from serve_apps.schemas import HttpError

LOG = logging.getLogger(__name__)
ASSETS = ("BTC", "ETH", "LTC", "XRP")
CHANNELS = ("sentiment", "depth")
AHEAD_MAX_MS = 5_000
"""A value from the future by more than this was stamped by another clock, and its age is unknown."""
RESEED_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A value, how much its source trusts it, and when it was true (venue ms)."""

    value: float
    confidence: float
    ts_ms: int


class HotSnapshot:
    """Fed by `follow`; anything that is not a finite number in range is skipped and counted."""

    def __init__(self) -> None:
        self.scores: dict[str, Stamped] = {}
        self.depths: dict[str, Stamped] = {}
        self.skipped = 0
        self.connected = False

    def score(self, asset: str, now_ms: int, max_age_s: float) -> Stamped:
        """Raises HttpError 503 when missing or stale."""
        return _fresh(self.scores.get(asset), "score", asset, now_ms, max_age_s)

    def depth(self, asset: str, now_ms: int, max_age_s: float) -> Stamped:
        """USD within 1 % of the mid. Raises HttpError 503 when missing or stale."""
        return _fresh(self.depths.get(asset), "depth", asset, now_ms, max_age_s)

    def take(self, channel: str, value: Mapping[str, object]) -> None:
        """Take one message of a channel in; an older one than known changes nothing."""
        field = {"sentiment": "score", "depth": "depth_usd"}.get(channel)
        asset, ts_ms = value.get("asset"), value.get("ts_ms")
        number = _number(value.get(field)) if field else None
        confidence = _number(value.get("confidence", 1.0))
        if asset not in ASSETS or not isinstance(ts_ms, int) or isinstance(ts_ms, bool) or number is None:
            self.skipped += 1
            return
        upper = 1.0 if channel == "sentiment" else math.inf
        if not 0.0 <= number <= upper or confidence is None or not 0.0 <= confidence <= 1.0:
            self.skipped += 1
            return
        store = self.scores if channel == "sentiment" else self.depths
        known = store.get(str(asset))
        if known is None or ts_ms >= known.ts_ms:
            store[str(asset)] = Stamped(value=number, confidence=confidence, ts_ms=ts_ms)

    async def seed(self, cache: Cache) -> None:
        """Read the keys `sentiment:ASSET` and `depth:ASSET`: what was said before we listened or never published."""
        try:
            for asset in ASSETS:
                for channel in CHANNELS:
                    value = await cache.get(f"{channel}:{asset}")
                    if value is not None:
                        self.take(channel, {"asset": asset, **value})
            self.connected = True
        except CacheUnavailable as error:
            self.connected = False
            LOG.warning("snapshot.cache_unavailable %s", error)

    async def follow(self, cache: Cache) -> None:
        """Listen for ever; the keys are read again now and then, so that a lost message is not missed for long."""
        await asyncio.gather(self._listen(cache), self._reseed(cache))

    async def _listen(self, cache: Cache) -> None:
        async for channel, value in cache.subscribe(*CHANNELS):
            self.take(channel, value)

    async def _reseed(self, cache: Cache) -> None:
        while True:
            await self.seed(cache)
            await asyncio.sleep(RESEED_S)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _fresh(found: Stamped | None, what: str, asset: str, now_ms: int, max_age_s: float) -> Stamped:
    if found is None:
        raise HttpError(503, f"{what}_missing", f"no {what} of {asset} is known; nothing is guessed", what)
    age_ms = now_ms - found.ts_ms
    if age_ms > max_age_s * 1_000:
        raise HttpError(
            503, f"{what}_stale", f"the {what} of {asset} is {age_ms} ms old; {max_age_s:g} s at most", what
        )
    if age_ms < -AHEAD_MAX_MS:
        raise HttpError(
            503, f"{what}_stale", f"the {what} of {asset} is stamped {-age_ms} ms ahead of venue time", what
        )
    return found
