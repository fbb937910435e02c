"""The halt that needs no HTTP: on record by our own hand, and told to the routers through Ray.

The record alone is enough: every actor reads the control stream twice a second. Asking the routers themselves is how
the answer knows that they have latched it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, StaleEpoch
from hedgelock_actors.runtime import cluster
from hedgelock_actors.runtime.client import ControlFailed
from hedgelock_actors.runtime.control_log import Asked, ControlBook, ControlLog, entry_of
from hedgelock_actors.runtime.operator import Operator, Snapshot, orders_in_flight
from hedgelock_actors.runtime.runfile import read_run
from hedgelock_actors.runtime.scoped_journal import ScopedJournal
from hedgelock_actors.runtime.trading import KIND, next_state, state_of, state_payload
from hedgelock_actors.runtime.wiring import Wiring, read_config, read_wiring

APPLY_S = 3.0


async def halt_locally(state: Path, reason: str) -> Mapping[str, object]:
    """Halt the run in `state`. Returns what the control API would have answered.

    Raises:
        ControlFailed: it could neither be recorded nor told to anybody.
    """
    try:
        wiring = read_wiring(state)
    except (OSError, ValueError) as error:
        raise ControlFailed(f"{state} does not say where its journal is: {error}") from None
    recorded = await _record(wiring, reason)
    halted = recorded or TradingState(TradingMode.HALTED, 1, reason)
    held, routers = await _tell(state, halted)
    if recorded is None and not held:
        raise ControlFailed("neither the journal nor Ray answers: end the run (`hedgelock down`) if it must not trade")
    confirmed = [name for name, one in held.items() if one is not None and one.mode is TradingMode.HALTED]
    return {
        "mode": halted.mode.value,
        "epoch": max((one.epoch for one in held.values() if one is not None), default=halted.epoch),
        "reason": reason,
        "recorded": recorded is not None,
        "confirmed": bool(held) and len(confirmed) == len(held),
        "routers_confirmed": confirmed,
        "routers_not_confirmed": [name for name in held if name not in confirmed],
        "orders_in_flight": orders_in_flight(routers),
        "in_flight_unknown": [name for name, seen in routers.items() if "in_flight" not in seen],
        "ts_ms": time.time_ns() // 1_000_000,
        "by": "the local command line",
    }


async def _record(wiring: Wiring, reason: str) -> TradingState | None:
    journal = ScopedJournal(PostgresJournal(wiring.postgres_url), wiring.journal_scope)
    now_ms = time.time_ns() // 1_000_000
    asked = Asked(
        who=f"local-user-{os.getuid()}",
        key=f"local:{now_ms}:{os.getpid()}",
        action="halt",
        body={"reason": reason},
        origin="local command line",
    )

    def decide(book: ControlBook) -> Entry:
        state = next_state(book.state, TradingMode.HALTED, reason)
        return entry_of(KIND, asked, state_payload(state, book.state), now_ms)

    try:
        return state_of((await ControlLog(journal).write(decide)).entry.payload)
    except (JournalUnavailable, StaleEpoch):
        return None
    finally:
        await journal.close()


async def _tell(state: Path, halted: TradingState) -> tuple[Mapping[str, TradingState | None], Mapping[str, Snapshot]]:
    """What each router holds now, and what it knows; nothing when there is no way to any."""
    info = read_run(state, check=False)
    if info is None or info.ray_address is None:
        return {}, {}
    try:
        await asyncio.to_thread(cluster.join_ray, state, info.ray_address)
    except (OSError, RuntimeError, ValueError):
        return {}, {}
    try:
        operator = Operator(read_config(state))
        held = await operator.apply(halted, wait_s=APPLY_S)
        ahead = [one.epoch for one in held.values() if one is not None and one.mode is not TradingMode.HALTED]
        if ahead:  # they have heard of newer commands than the record, or there was no record to ask
            held = await operator.apply(TradingState(TradingMode.HALTED, max(ahead) + 1, halted.reason), wait_s=APPLY_S)
        return held, await operator.snapshots("order-router", wait_s=1.0)
    finally:
        await asyncio.to_thread(cluster.stop_ray)
