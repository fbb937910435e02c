"""The trading state on record: halts and resumes are journalled before they take effect, and survive everything."""

from __future__ import annotations

from collections.abc import Mapping

from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, merge, transition
from hedgelock_actors.ports.journal import Journal, Json
from hedgelock_actors.runtime.names import CONTROL_STREAM

KIND = "trading_state"


async def recorded_state(journal: Journal) -> TradingState:
    """The state in force on record."""
    state = INITIAL
    async for record in journal.read(CONTROL_STREAM, kinds=[KIND]):
        state = merge(state, state_of(record.entry.payload))
    return state


def next_state(known: TradingState, mode: TradingMode, reason: str, heard_epoch: int = 0) -> TradingState:
    """The state that a command makes: in an epoch above all on record and above all that the actors have heard.

    A halt without a database leaves actors in an epoch that is not on record; a resume has to be above it.
    """
    at_least = TradingState(known.mode, max(known.epoch, heard_epoch), known.reason)
    return transition(at_least, mode, reason)


def state_payload(state: TradingState, before: TradingState) -> dict[str, Json]:
    """As it goes on record."""
    return {"mode": state.mode.value, "epoch": state.epoch, "reason": state.reason, "before": before.mode.value}


def state_of(payload: Mapping[str, Json]) -> TradingState:
    """The state that `state_payload` wrote."""
    mode, epoch, reason = payload["mode"], payload["epoch"], payload["reason"]
    if not isinstance(epoch, int):
        raise TypeError(f"epoch on record is {epoch!r}")
    return TradingState(TradingMode(str(mode)), epoch, str(reason))
