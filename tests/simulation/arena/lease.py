"""The trading lease of one router process, and the store's own word about whose the account is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hedgelock_actors.ports.lease import Grant, LeaseUnavailable
from hedgelock_actors.trading_lease import TradingLease

if TYPE_CHECKING:
    from tests.simulation.arena.process import Process
    from tests.simulation.arena.world import SwarmWorld

LEASES = "leases"


class SimLeaseStore:
    """Implements LeaseStore over the shared store, for one process."""

    def __init__(self, world: SwarmWorld, name: str) -> None:
        self._world, self._name = world, name

    async def take(self, account: str, holder: str, ttl_ms: int) -> Grant:
        self._reach()
        return await self._world.leases.take(account, holder, ttl_ms)

    async def renew(self, account: str, epoch: int, ttl_ms: int) -> None:
        self._reach()
        await self._world.leases.renew(account, epoch, ttl_ms)

    async def release(self, account: str, epoch: int) -> None:
        self._reach()
        await self._world.leases.release(account, epoch)

    def _reach(self) -> None:
        world = self._world
        if world.journal_down or world.parted(self._name, LEASES) or world.strikes("lease_unavailable"):
            raise LeaseUnavailable("no connection to the database")


def lease_of(world: SwarmWorld, process: Process, account: str) -> TradingLease:
    """The lease of a router's process, on the machine's monotonic clock."""
    return TradingLease(
        SimLeaseStore(world, process.name),
        account,
        holder_of(process),
        monotonic_ms=lambda: world.loop.now_ms,
        sleep=asyncio.sleep,
    )


def holder_of(process: Process) -> str:
    """Who it is, for the store."""
    return f"{process.name}:{process.pid}"


def belongs(world: SwarmWorld, process: Process, account: str) -> bool:
    """Whether the store's row names this process and has not run out."""
    row = world.leases._rows.get(account)
    return row is not None and row.holder == holder_of(process) and world.loop.now_ms < row.expires_ms
