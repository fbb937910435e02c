"""What persons commanded, as the record has it: the way that works when nobody is left to tell an actor.

Every shell reads the control stream now and then. A halt written by the local command line, an override whose
recorder died the moment after, a trade sent while the router was away: all of them arrive, and what arrives twice
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from hedgelock_actors.domain.messages import (
    AnyMessage,
    ForeignActivityAcknowledged,
    HedgeTrade,
    SpreadRequested,
    SpreadStopped,
    TargetOverridden,
)
from hedgelock_actors.domain.trading_state import INITIAL, TradingState, merge
from hedgelock_actors.keeping.override import overrides_in
from hedgelock_actors.ports.journal import Journal, Record
from hedgelock_actors.runtime.names import CONTROL_STREAM, Declared
from hedgelock_actors.runtime.trading import KIND as TRADING_STATE
from hedgelock_actors.runtime.trading import state_of


def messages_in(record: Record) -> Sequence[AnyMessage]:
    """What a record tells to the actors of the accounts it is about."""
    payload = record.entry.payload
    match record.entry.kind:
        case "override":
            return overrides_in(payload)
        case "acknowledged":
            return _acknowledged(record)
        case "trade":
            return (HedgeTrade.model_validate(payload["trade"]),)
        case "spread":
            return (SpreadRequested.model_validate(payload["spread"]),)
        case "spread_stopped":
            return (SpreadStopped.model_validate(payload["stop"]),)
        case _:
            return ()


def _acknowledged(record: Record) -> Sequence[ForeignActivityAcknowledged]:
    payload = record.entry.payload
    accounts = payload["accounts"]
    names = accounts if isinstance(accounts, Sequence) and not isinstance(accounts, str) else ()
    return [
        ForeignActivityAcknowledged(
            account=str(name),
            ts_ms=record.entry.ts_ms,
            who=str(payload["who"]),
            reason=str(payload["reason"]),
            order_link_id=str(payload.get("order_link_id", "")),
        )
        for name in names
    ]


class ControlFeed:
    """The control stream from where it was last read, for one actor."""

    def __init__(self, journal: Journal, declared: Declared) -> None:
        self._journal, self._declared = journal, declared
        self._n = 0
        self._read = False
        self.state: TradingState = INITIAL
        """The trading state on record, as last read."""

    async def news(self, now_ms: int) -> Sequence[AnyMessage]:
        """What this actor is to be told; `state` is read, too. `now_ms` is venue time. Raises JournalUnavailable."""
        # All of it or nothing: a reading that broke off is made again.
        read = [record async for record in self._journal.read(CONTROL_STREAM, after_n=self._n)]
        first, self._read = not self._read, True
        found: list[AnyMessage] = []
        for record in read:
            self._n = record.n
            if record.entry.kind == TRADING_STATE:
                self.state = merge(self.state, state_of(record.entry.payload))
            if first and record.entry.kind == "acknowledged":
                continue  # of a former life: it could be taken for one of what happened since
            found += [message for message in messages_in(record) if self._is_for_us(message, now_ms)]
        return found

    def _is_for_us(self, message: AnyMessage, now_ms: int) -> bool:
        match message:
            case TargetOverridden() | SpreadRequested() | SpreadStopped():
                return self._declared.kind == "position-keeper" and message.account == self._declared.account
            case HedgeTrade():
                due = message.expires_ms is not None and now_ms < message.expires_ms
                return due and self._declared.kind == "order-router" and message.account == self._declared.account
            case ForeignActivityAcknowledged():
                return self._declared.kind == "order-router" and message.account == self._declared.account
            case _:
                return False
