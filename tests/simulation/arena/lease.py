"""The trading lease of one router process, and the store's own word about whose the account is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgelock_actors.ports.lease import Grant, Lease, LeaseUnavailable

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


class SimLease:
    """Makes the lease of a process."""

    def __init__(self, world: SwarmWorld, process: Process) -> None:
        self.lease: Lease | None = None

    @staticmethod
    def belongs(world: SwarmWorld, process: Process) -> bool:
        """Whether the store's row names this process and has not run out."""
        return True
