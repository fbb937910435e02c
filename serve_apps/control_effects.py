"""Carries recorded commands out, and says which actors have taken them in. Every effect may be repeated: it is told
from the record, and an actor that has it already changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hedgelock_actors.domain.messages import AnyMessage, ForeignActivityAcknowledged, HedgeTrade
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Record
from hedgelock_actors.runtime.control_feed import messages_in
from hedgelock_actors.runtime.control_log import (
    ACKNOWLEDGED,
    APPROVAL,
    LIMITS_APPROVED,
    OVERRIDE,
    SPREAD,
    SPREAD_STOPPED,
    TRADE,
    ControlBook,
)
from hedgelock_actors.runtime.names import Kind, keeper_name, router_name
from hedgelock_actors.runtime.operator import orders_in_flight, rows_in
from hedgelock_actors.runtime.trading import KIND as TRADING_STATE
from hedgelock_actors.runtime.trading import state_of
from serve_apps.control_schemas import ModeResponse, TakenResponse, WaitingResponse
from serve_apps.schemas import HttpError, Reply, reply

Snapshot = Mapping[str, object]
Row = Mapping[str, object]
TELL_S = 1.0
TRADE_WAIT_S = 3.0
TRADE_POLL_S = 0.05


class Actors(Protocol):
    """What the control API needs of the cluster (runtime.operator.Operator)."""

    async def actors(self, wait_s: float = 3.0) -> Snapshot: ...

    async def snapshots(self, kind: Kind, wait_s: float = 3.0) -> dict[str, Snapshot]: ...

    async def apply(self, state: TradingState) -> Mapping[str, TradingState | None]: ...

    async def deliver(self, to: str, message: AnyMessage, wait_s: float) -> str: ...


class Effects:
    """`now_ms` is venue time."""

    def __init__(self, actors: Actors, now_ms: Callable[[], int]) -> None:
        self._actors, self._now_ms = actors, now_ms

    async def perform(self, record: Record, book: ControlBook) -> Reply:
        """Do what is on record, and answer."""
        match record.entry.kind:
            case kind if kind == TRADING_STATE:
                return await self.set_mode(state_of(record.entry.payload), recorded=True)
            case kind if kind in (OVERRIDE, ACKNOWLEDGED, LIMITS_APPROVED, SPREAD, SPREAD_STOPPED):
                return await self._tell(record, book)
            case kind if kind == TRADE:
                return await self._trade(record)
            case kind if kind == APPROVAL:
                return self._waiting(record, book)
            case kind:
                raise HttpError(500, "internal", f"a record of kind {kind} is no command")

    # ------------------------------------------------------------ the trading state

    async def set_mode(self, state: TradingState, *, recorded: bool, began: float | None = None) -> Reply:
        """Latch a state in every router's process; confirmed means that it is latched there."""
        began = time.monotonic() if began is None else began
        held = await self._actors.apply(state)
        return await self.mode_reply(state, held, recorded=recorded, began=began)

    async def mode_reply(
        self, state: TradingState, held: Mapping[str, TradingState | None], *, recorded: bool, began: float
    ) -> Reply:
        """What holds where, with the orders that are in flight."""
        took_ms = round((time.monotonic() - began) * 1_000)
        confirmed = [name for name, one in held.items() if holds(one, state)]
        in_flight, unknown = await self._in_flight()
        answer = ModeResponse(
            mode=state.mode.value,
            epoch=state.epoch,
            reason=state.reason,
            recorded=recorded,
            confirmed=bool(held) and len(confirmed) == len(held),
            routers_confirmed=confirmed,
            routers_not_confirmed=[name for name in held if name not in confirmed],
            orders_in_flight=in_flight,
            in_flight_unknown=unknown,
            took_ms=took_ms,
            ts_ms=self._now_ms(),
        )
        return reply(answer, 200 if answer.confirmed else 202)

    async def _in_flight(self) -> tuple[Sequence[Row], Sequence[str]]:
        found = await self._actors.snapshots("order-router", wait_s=0.2)
        unknown = [name for name, snapshot in found.items() if "in_flight" not in snapshot]
        return orders_in_flight(found), unknown

    # ------------------------------------------------------------ what actors are told

    async def _tell(self, record: Record, book: ControlBook) -> Reply:
        messages = messages_in(record)
        errors = await asyncio.gather(*(self._deliver(message) for message in messages))
        told = {receiver(one): error for one, error in zip(messages, errors, strict=True)}
        halted = record.entry.kind in (OVERRIDE, SPREAD) and book.state.mode is TradingMode.HALTED
        note = f"trading is halted ({book.state.reason}): no order is sent until it is resumed" if halted else ""
        return self._taken(record, told, {}, note=note)

    async def _trade(self, record: Record) -> Reply:
        [trade] = messages_in(record)
        if not isinstance(trade, HedgeTrade):
            raise HttpError(500, "internal", "the record of a trade holds none")
        to = receiver(trade)
        error = await self._deliver(trade)
        report = await self._report(to, trade.trade_id) if not error else {}
        if not report:
            report = {"trade_id": trade.trade_id, "account": trade.account, "final": False}
        return self._taken(record, {to: error}, report, done=bool(report.get("final")))

    async def _report(self, router: str, trade_id: str) -> Row:
        """The last word on a trade, or its latest when it takes longer than anybody waits."""
        loop = asyncio.get_running_loop()
        deadline, found = loop.time() + TRADE_WAIT_S, dict[str, object]()
        while loop.time() < deadline and not found.get("final"):
            snapshot = (await self._actors.snapshots("order-router", wait_s=1.0)).get(router, {})
            found = next(
                (dict(row) for row in rows_in(snapshot.get("trades")) if row.get("trade_id") == trade_id), found
            )
            await asyncio.sleep(TRADE_POLL_S)
        return found

    async def _deliver(self, message: AnyMessage) -> str:
        return await self._actors.deliver(receiver(message), message, TELL_S)

    # ------------------------------------------------------------ answers

    def _taken(
        self,
        record: Record,
        errors: Mapping[str, str],
        detail: Mapping[str, object],
        *,
        done: bool = True,
        note: str = "",
    ) -> Reply:
        payload = record.entry.payload
        request = payload["request"] if isinstance(payload["request"], Mapping) else {}
        shown = detail or {key: value for key, value in payload.items() if key not in ("request", "approval")}
        answer = TakenResponse(
            action=str(request.get("action")),
            who=str(request.get("who")),
            reason=_reason(payload),
            recorded=True,
            taken=not any(errors.values()),
            taken_by=[name for name, error in errors.items() if not error],
            not_taken_by=[f"{name}: {error}" for name, error in errors.items() if error],
            note=note,
            detail=shown,
            ts_ms=self._now_ms(),
        )
        return reply(answer, 200 if answer.taken and done else 202)

    def _waiting(self, record: Record, book: ControlBook) -> Reply:
        approval = book.approvals[str(record.entry.payload["approval_id"])]
        answer = WaitingResponse(
            approval_id=approval.approval_id,
            action=approval.action,
            state=approval.state(self._now_ms()),
            requested_by=approval.requested_by,
            approved_by=approval.approved_by,
            body=approval.body,
            expires_ms=approval.expires_ms,
            detail="a second person approves it: `hedgelock approve ID`, or the same request with this approval_id",
            ts_ms=self._now_ms(),
        )
        return reply(answer, 202)


def receiver(message: AnyMessage) -> str:
    """Which actor a command is for."""
    account = str(getattr(message, "account", ""))
    to_router = isinstance(message, HedgeTrade | ForeignActivityAcknowledged)
    return router_name(account) if to_router else keeper_name(account)


def holds(held: TradingState | None, state: TradingState) -> bool:
    """Whether a router that answered `held` has this state, or the same mode by a newer command."""
    return held is not None and held.mode is state.mode and held.epoch >= state.epoch


def _reason(payload: Mapping[str, object]) -> str:
    for key in ("overrides", "trade", "spread"):
        found = payload.get(key)
        first = found[0] if isinstance(found, Sequence) and found else found
        if isinstance(first, Mapping):
            return str(first.get("reason", ""))
    return str(payload.get("reason", ""))
