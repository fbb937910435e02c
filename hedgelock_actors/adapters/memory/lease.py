"""Leases in memory with the rules of the real ones, and a lease that is always held. Nothing survives the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hedgelock_actors.ports.lease import Grant, LeaseLost, LeaseUnavailable


@dataclass(slots=True)
class _Row:
    epoch: int
    holder: str
    expires_ms: int
    free_ms: int
    """When the last predecessor's right ends."""


class MemoryLeases:
    """Implements ports.lease.LeaseStore. Set `available` to False to see what a holder does without its store."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.available = True
        self._now_ms = now_ms
        self._rows: dict[str, _Row] = {}

    async def take(self, account: str, holder: str, ttl_ms: int) -> Grant:
        self._require_available()
        now_ms, row = self._now_ms(), self._rows.get(account)
        free_ms = now_ms if row is None else max(row.expires_ms, row.free_ms)
        epoch = 1 if row is None else row.epoch + 1
        self._rows[account] = _Row(epoch, holder, now_ms + ttl_ms, free_ms)
        return Grant(epoch=epoch, wait_ms=max(0, free_ms - now_ms))

    async def renew(self, account: str, epoch: int, ttl_ms: int) -> None:
        self._require_available()
        row = self._rows.get(account)
        if row is None or row.epoch != epoch:
            raise LeaseLost(_lost(account, epoch, row))
        row.expires_ms = self._now_ms() + ttl_ms

    async def release(self, account: str, epoch: int) -> None:
        self._require_available()
        row = self._rows.get(account)
        if row is not None and row.epoch == epoch:
            row.expires_ms = min(row.expires_ms, self._now_ms())

    def _require_available(self) -> None:
        if not self.available:
            raise LeaseUnavailable("the lease store is switched off")


class AlwaysHeld:
    """Implements ports.lease.Lease for a process that is alone by construction (backtests, one-process runs)."""

    def held(self) -> bool:
        return True

    async def start(self) -> None:
        """Nothing to take."""

    async def stop(self) -> None:
        """Nothing to give back."""


def _lost(account: str, epoch: int, row: _Row | None) -> str:
    newest = "nobody" if row is None else f"{row.holder} in epoch {row.epoch}"
    return f"account {account!r}: epoch {epoch} is not the newest ({newest})"
