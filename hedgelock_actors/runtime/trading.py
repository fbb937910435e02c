"""The trading state on record: halts and resumes are journalled before they take effect, and survive everything."""

from __future__ import annotations

from collections.abc import Mapping

from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, merge, transition
from hedgelock_actors.ports.journal import Entry, Journal, Json
from hedgelock_actors.runtime.names import CONTROL_STREAM

KIND = "trading_state"


async def recorded_state(journal: Journal) -> TradingState:
    """The state in force on record."""
    state = INITIAL
    async for record in journal.read(CONTROL_STREAM, kinds=[KIND]):
        state = merge(state, _state(record.entry.payload))
    return state


async def record_mode(journal: Journal, mode: TradingMode, reason: str, key: str, ts_ms: int) -> TradingState:
    """Record a new state in the next epoch and return it; a known `key` returns what it recorded the first time.

    Raises:
        StaleEpoch, JournalUnavailable: nothing was recorded.
    """
    epoch = await journal.open(CONTROL_STREAM)
    state = transition(await recorded_state(journal), mode, reason)
    payload: dict[str, Json] = {"mode": state.mode.value, "epoch": state.epoch, "reason": state.reason}
    entry = Entry(kind=KIND, key=f"{KIND}:{key or state.epoch}", ts_ms=ts_ms, account="", payload=payload)
    records = await journal.append(CONTROL_STREAM, epoch, [entry])
    return _state(records[0].entry.payload)


def _state(payload: Mapping[str, Json]) -> TradingState:
    mode, epoch, reason = payload["mode"], payload["epoch"], payload["reason"]
    if not isinstance(epoch, int):
        raise TypeError(f"epoch on record is {epoch!r}")
    return TradingState(TradingMode(str(mode)), epoch, str(reason))
