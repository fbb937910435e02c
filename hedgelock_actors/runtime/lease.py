"""The trading lease of an account as a process takes it: where it is kept, on which clock, for how long."""

from __future__ import annotations

import asyncio
import os
import socket
import time

from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.trading_lease import TradingLease

TTL_MS = 2_000
"""Also the longest that a successor waits after a kill."""
PACED_TTL_MS = 5_000
"""In lock-step the venue waits for whoever is starting, so a longer lease costs no venue time; and there a lease that a
busy machine loses for a moment of wall time costs minutes of venue time."""
RENEW_MS = 500


def trading_lease(store: PostgresLeases, account: str, actor: str, *, scope: str, paced: bool) -> TradingLease:
    """The lease of `account`; simulated accounts of different runs (`scope`) are different accounts."""
    ttl_ms = PACED_TTL_MS if paced else TTL_MS
    return TradingLease(
        store,
        f"{scope}/{account}" if scope else account,
        f"{actor} pid {os.getpid()} on {socket.gethostname()}",
        monotonic_ms=monotonic_ms,
        sleep=asyncio.sleep,
        ttl_ms=ttl_ms,
        renew_ms=RENEW_MS,
        patience_ms=2 * ttl_ms if paced else 0,
    )


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody sets and that goes on while the machine is suspended, where there is one."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    ns = time.monotonic_ns() if boot_clock is None else time.clock_gettime_ns(boot_clock)
    return ns // 1_000_000
