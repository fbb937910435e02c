"""A trading lease taken, kept and lost: the one answer to "may this process still trade the account?".

`held` compares a monotonic clock with a deadline that was reckoned from *before* the store was asked. So a process that
was stopped, starved or cut off for longer than the lease finds at its first look that it may not trade, with no help
from its own loop, from Ray, or from the network. Whoever took the account over waits until that deadline has passed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.ports.lease import LeaseLost, LeaseStore, LeaseUnavailable

_log = logging.getLogger(__name__)

# Two clocks may run at rates that differ a little (by far less than this) in the course of one lease.
_DRIFT = 100
_LOOK_S = 0.01


class TradingLease:
    """Implements ports.lease.Lease.

    Args:
        account: what the store knows the account by.
        holder: who we are, for people.
        monotonic_ms: a clock that nobody sets and that goes on while the machine sleeps.
        sleep: seconds of the same clock.
        ttl_ms: how long the right lasts without renewal; also the longest that a successor waits.
        renew_ms: how often it is renewed, and how soon it is tried again.
        patience_ms: `start` waits so long for the lease before it returns; 0 does not wait.
    """

    def __init__(
        self,
        store: LeaseStore,
        account: str,
        holder: str,
        *,
        monotonic_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        ttl_ms: int = 2_000,
        renew_ms: int = 500,
        patience_ms: int = 0,
    ) -> None:
        if not 0 < renew_ms < ttl_ms:
            raise InvalidInput("lease", f"renewal every {renew_ms} ms does not keep a lease of {ttl_ms} ms")
        self._store, self._account, self._holder = store, account, holder
        self._monotonic_ms, self._sleep = monotonic_ms, sleep
        self._ttl_ms, self._renew_ms, self._patience_ms = ttl_ms, renew_ms, patience_ms
        self._from_ms = self._until_ms = 0
        self._task: asyncio.Task[None] | None = None
        self._reachable = True
        self.epoch = 0
        """Of the grant; 0 before the first."""
        self.lost = ""
        """Why it is gone for good: another process took the account over. Empty otherwise."""
        self.renewals = 0
        self.failures = 0
        """Calls that the store did not answer."""

    def held(self) -> bool:
        """True while this process may trade the account."""
        return self._from_ms <= self._monotonic_ms() < self._until_ms

    async def start(self) -> None:
        """Take it and keep renewing it, until it is lost or `stop`. A second start changes nothing."""
        if self._task is not None:
            return
        self._task = asyncio.create_task(self._keep(), name=f"lease-{self._account}")
        give_up_ms = self._monotonic_ms() + self._patience_ms
        while not self.held() and not self.lost and self._monotonic_ms() < give_up_ms:
            await self._sleep(_LOOK_S)

    async def stop(self) -> None:
        """Trade no more, then give it back so that a successor need not wait."""
        self._until_ms = 0
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._until_ms = 0
        if self.lost or not self.epoch:
            return
        try:
            await self._store.release(self._account, self.epoch)
        except LeaseUnavailable as error:
            _log.warning("lease of %s: not given back, it runs out by itself: %s", self._account, error)

    async def _keep(self) -> None:
        try:
            while not await self._asked(self._take):
                await self._sleep(self._renew_ms / 1_000)
            while True:
                await self._sleep(self._renew_ms / 1_000)
                await self._asked(self._renew)
        except LeaseLost as error:
            self._until_ms = 0
            self.lost = str(error)
            _log.error("lease of %s: lost, this process trades it no more: %s", self._account, error)

    async def _asked(self, ask: Callable[[], Awaitable[None]]) -> bool:
        try:
            await ask()
        except LeaseUnavailable as error:
            self.failures += 1
            if self._reachable:
                _log.warning("lease of %s: %s", self._account, error)
            self._reachable = False
            return False
        self._reachable = True
        return True

    async def _take(self) -> None:
        asked_ms = self._monotonic_ms()
        grant = await self._store.take(self._account, self._holder, self._ttl_ms)
        self.epoch = grant.epoch
        # One more, because both clocks are read in whole milliseconds.
        self._from_ms = self._monotonic_ms() + grant.wait_ms + 1 if grant.wait_ms else asked_ms
        self._until_ms = asked_ms + self._ttl_ms - self._ttl_ms // _DRIFT

    async def _renew(self) -> None:
        asked_ms = self._monotonic_ms()
        await self._store.renew(self._account, self.epoch, self._ttl_ms)
        self.renewals += 1
        self._until_ms = asked_ms + self._ttl_ms - self._ttl_ms // _DRIFT
