"""What an operator may ask of the running actors; one that is silent is named, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from hedgelock_actors.domain.trading_state import TradingState
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.names import SUPERVISOR, Kind, declare

Snapshot = Mapping[str, object]


class Operator:
    """Questions and commands to the cluster."""

    def __init__(self, config: Config, cluster: Cluster | None = None) -> None:
        self._declared = declare(config)
        self._cluster = cluster or Cluster()

    async def actors(self) -> Snapshot:
        """The supervisor's view: {"actors": {name: health}, "recoveries": […]}; {} while it is away."""
        try:
            return cast("Snapshot", await self._cluster.call(SUPERVISOR, "status", wait_s=3.0))
        except Unreachable:
            return {}

    async def snapshots(self, kind: Kind) -> dict[str, Snapshot]:
        """What each actor of a kind knows, by its name; {"error": …} of those that do not answer."""
        names = [one.name for one in self._declared if one.kind == kind]
        found = await asyncio.gather(*(self._snapshot(name) for name in names))
        return dict(zip(names, found, strict=True))

    async def apply(self, state: TradingState) -> tuple[Sequence[str], Sequence[str]]:
        """Set every router's latch; returns the routers that confirmed and those that did not."""
        try:
            told = await self._cluster.call(
                SUPERVISOR, "set_trading_state", state.mode.value, state.epoch, state.reason, wait_s=5.0
            )
        except Unreachable:
            return await self._apply_directly(state)
        answer = cast("Mapping[str, list[str]]", told)
        return answer["confirmed"], answer["not_confirmed"]

    async def _apply_directly(self, state: TradingState) -> tuple[Sequence[str], Sequence[str]]:
        confirmed, missing = [], []
        for name in (one.name for one in self._declared if one.kind == "order-router"):
            try:
                args = (state.mode.value, state.epoch, state.reason)
                await self._cluster.call(name, "set_trading_state", *args, wait_s=2.0)
                confirmed.append(name)
            except Unreachable:
                missing.append(name)
        return confirmed, missing

    async def _snapshot(self, name: str) -> Snapshot:
        try:
            return await self._cluster.snapshot(name)
        except Unreachable as error:
            return {"error": str(error)}
