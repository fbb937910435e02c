"""A router in a process of its own, to be stopped and continued: `python -m tests.chaos.router_process CONFIG`.

Targets come as lines "VERSION QTY" on stdin; how it is goes out as a JSON line every 50 ms. It ends with its stdin.
With `stop_in_act` it stops itself at the worst moment: a decision to send is on record, and the order is not sent yet.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret
from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.domain.messages import OrderEvent
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.trading_lease import TradingLease
from tests.chaos.rig import Machinery, machinery, target


class StoppingJournal(PostgresJournal):
    """Stops this very process after the first decision to send is on record."""

    armed = False

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        records = await super().append(stream, epoch, entries)
        if self.armed and any(entry.kind == "intent" for entry in entries):
            self.armed = False
            os.kill(os.getpid(), signal.SIGSTOP)
        return records


async def lines() -> AsyncIterator[str]:
    """What comes in on stdin."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()


async def tell(made: Machinery, lease: TradingLease, transport: MemoryTransport) -> None:
    """How it is, again and again."""
    while True:
        health = made.router.health()
        said: dict[str, Any] = {
            "held": lease.held(),
            "lost": lease.lost,
            "status": health.status,
            "orders": health.counters.get("orders", 0),
            "refused": [one.detail for one in transport.messages(OrderEvent) if one.event == "refused"],
            "position": str(made.router.snapshot()["position_qty"]),
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.05)


async def main(config: dict[str, Any]) -> None:
    """Until stdin ends."""
    endpoints = Endpoints.local(config["rest"], config["ws"])
    clock: Clock = ReplayClock(config["rest"], config["holder"])
    await clock.start()
    journal, store = StoppingJournal(config["dsn"]), PostgresLeases(config["dsn"])
    lease = TradingLease(
        store,
        config["account"],
        config["holder"],
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        sleep=asyncio.sleep,
        ttl_ms=config["ttl_ms"],
        renew_ms=config["ttl_ms"] // 4,
    )
    transport = MemoryTransport()
    credentials = Credentials(config["key"], Secret(config["secret"]))
    made = machinery(
        config["account"],
        endpoints,
        endpoints,
        credentials,
        clock=clock,
        journal=journal,
        cache=MemoryCache(),
        lease=lease,
        transport=transport,
    )
    await made.router.start()
    await made.feed.start()
    telling = asyncio.create_task(tell(made, lease, transport))
    async for line in lines():
        version, qty = line.split()
        journal.armed = config["stop_in_act"] and version == "2"
        await made.router.receive(target(int(version), qty, clock.now_ms()))
    telling.cancel()
    await made.feed.stop()
    await made.router.stop()
    await clock.stop()
    await journal.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
