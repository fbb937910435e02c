"""The right to trade one account, for a short time only: whoever cannot renew it opens nothing.

The store keeps one row per account: who holds it and until when by the store's own clock. The holder reckons its
deadline on its own monotonic clock from *before* it asked, so that its right always ends before the store gives the
account away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class LeaseLost(Exception):
    """Another process took the account over: this one must not trade it any more."""


class LeaseUnavailable(Exception):
    """The store did not answer; nothing is known."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The account is ours from `wait_ms` on (a predecessor may act until then), under this epoch."""

    epoch: int
    wait_ms: int


class LeaseStore(Protocol):
    """Where leases are kept."""

    async def take(self, account: str, holder: str, ttl_ms: int) -> Grant:
        """Take the account over in the next epoch: the predecessor can renew no more. Raises LeaseUnavailable."""
        ...

    async def renew(self, account: str, epoch: int, ttl_ms: int) -> None:
        """Extend by `ttl_ms` from now. Raises LeaseLost, LeaseUnavailable."""
        ...

    async def release(self, account: str, epoch: int) -> None:
        """Give it back early, so that a successor need not wait; of an old epoch it changes nothing."""
        ...


class Lease(Protocol):
    """What the last line before a write asks."""

    def held(self) -> bool:
        """True while this process may trade the account. Reads a clock and a number; never waits."""
        ...

    async def start(self) -> None:
        """Take it and keep renewing it. Returns at once; until it is granted `held` is False."""
        ...

    async def stop(self) -> None:
        """Stop renewing and give it back."""
        ...
