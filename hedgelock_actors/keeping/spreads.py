"""Spreads that a keeper has been asked to put on: on record, told to the routers of the legs, followed to their end.

What to do is decided by `execution.multi_leg`; this keeps the record (the plan, the trigger, the end) and passes
messages. Reports of the routers are not kept: after a restart the trades are told again, and the routers, who carry a
trade out once, answer with how far it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hedgelock_actors.actor import JournalStream, router_name
from hedgelock_actors.codec import Payload, amount, flag, integer, text
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.messages import (
    AnyMessage,
    SpreadReported,
    SpreadRequested,
    SpreadStopped,
    TradeReported,
)
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.multi_leg import Leg, LegResult, Phase, Plan, SpreadResult, step
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Json, Record
from hedgelock_actors.ports.venue import Venue

DONE_KEPT = 100
_LEG = ("account", "symbol", "side", "qty", "limit_price", "qty_step", "min_qty", "multiplier")


class Tell(Protocol):
    """Send a message to an actor (`Actor.tell`)."""

    def __call__(self, to: str, message: AnyMessage) -> Awaitable[bool]: ...


@dataclass(slots=True)
class Spread:
    """One that is not over."""

    plan: Plan
    trigger: str = ""
    phase: Phase = Phase.RESTING
    stop: bool = False
    reports: dict[str, TradeReported] = field(default_factory=dict)


class SpreadDesk:
    """Of one keeper; `tell` is how the keeper sends."""

    def __init__(
        self, keeper: str, notifier: str, *, venue: Venue, stream: JournalStream, clock: Clock, tell: Tell
    ) -> None:
        self._keeper, self._notifier = keeper, notifier
        self._venue, self._stream, self._clock, self._tell = venue, stream, clock, tell
        self._asked: dict[str, SpreadRequested] = {}
        """Not on record yet."""
        self._open: dict[str, Spread] = {}
        self._ended: dict[str, Payload] = {}

    # ------------------------------------------------------------ what is asked and reported

    async def requested(self, message: SpreadRequested) -> None:
        """Put it on record and begin. A known one is not begun again, nor one whose window has passed since it was
        asked for: it may be an old one, read from the record by a new process.

        Raises:
            VenueError, JournalUnavailable, StaleEpoch: nothing was begun; it is tried again with every `beat`.
        """
        if message.spread_id in self._open or message.spread_id in self._ended or self._late(message):
            return
        self._asked[message.spread_id] = message
        await self._begin(message)

    async def _begin(self, message: SpreadRequested) -> None:
        if self._late(message):
            del self._asked[message.spread_id]
            await self._refuse(message, "it could not be begun within its window")
            return
        try:
            plan = await self._plan(message)
        except InvalidInput as error:
            del self._asked[message.spread_id]
            await self._refuse(message, str(error))
            return
        await self._note("spread", message.spread_id, _plan_payload(plan))
        self._asked.pop(message.spread_id, None)
        self._open[message.spread_id] = Spread(plan)
        await self._advance(self._open[message.spread_id])

    def _late(self, message: SpreadRequested) -> bool:
        return self._clock.now_ms() >= message.ts_ms + message.window_ms

    async def _refuse(self, message: SpreadRequested, error: str) -> None:
        await self._close(
            message.spread_id,
            message.account,
            SpreadResult(success=False, trigger="", legs=(), rolled_back=False, error=error),
        )

    async def reported(self, report: TradeReported) -> None:
        """A router tells how far a trade is; one that is not of a spread is not for us."""
        spread = self._open.get(report.trade_id.partition(":")[0])
        if spread is None:
            return
        known = spread.reports.get(report.trade_id)
        if known is None or (not known.final and report.filled_qty >= known.filled_qty):
            spread.reports[report.trade_id] = report
        await self._advance(spread)

    async def stopped(self, message: SpreadStopped) -> None:
        """Let it rest no longer."""
        if message.spread_id in self._open:
            await self._note("spread_stop", message.spread_id, {"spread_id": message.spread_id})
            self._open[message.spread_id].stop = True
            await self._advance(self._open[message.spread_id])

    async def beat(self) -> None:
        """Time passes: windows end, and what was not heard is told again. Raises as `requested`."""
        for message in list(self._asked.values()):
            await self._begin(message)
        for spread in list(self._open.values()):
            await self._advance(spread)

    def replay(self, record: Record) -> bool:
        """Fold one journal record; False when it is not of a spread."""
        payload = record.entry.payload
        match record.entry.kind:
            case "spread":
                plan = _plan_from(payload)
                self._open[plan.spread_id] = Spread(plan)
            case "spread_trigger":
                self._open[text(payload, "spread_id")].trigger = text(payload, "trigger")
            case "spread_stop":
                self._open[text(payload, "spread_id")].stop = True
            case "spread_done":
                self._end(text(payload, "spread_id"), payload)
            case _:
                return False
        return True

    def snapshot(self) -> Sequence[Mapping[str, object]]:
        """Those at work, then those that ended, newest first."""
        working = [
            {
                "spread_id": name,
                "phase": str(one.phase),
                "trigger": one.trigger,
                "detail": "; ".join(
                    f"{key}: {report.filled_qty} of {report.qty}" for key, report in one.reports.items()
                ),
            }
            for name, one in self._open.items()
        ]
        return [*reversed(working), *({"phase": str(Phase.DONE), **one} for one in reversed(self._ended.values()))]

    # ------------------------------------------------------------ how it goes on

    async def _advance(self, spread: Spread) -> None:
        now_ms, plan = self._clock.now_ms(), spread.plan
        now = step(plan, spread.trigger, spread.reports, now_ms, self._keeper, stop=spread.stop)
        if now.trigger != spread.trigger:
            await self._note("spread_trigger", plan.spread_id, {"spread_id": plan.spread_id, "trigger": now.trigger})
            spread.trigger = now.trigger
        spread.phase = now.phase
        if now.result is not None:
            await self._close(plan.spread_id, plan.legs[0].account, now.result)
            return
        for message in now.tell:
            await self._tell(router_name(message.account), message)

    async def _close(self, spread_id: str, account: str, result: SpreadResult) -> None:
        detail = "; ".join(_leg_told(leg) for leg in result.legs)
        payload: dict[str, Json] = {
            "spread_id": spread_id,
            "success": result.success,
            "trigger": result.trigger,
            "rolled_back": result.rolled_back,
            "detail": detail,
            "error": result.error,
        }
        await self._note("spread_done", spread_id, payload)
        self._end(spread_id, payload)
        report = SpreadReported(
            account=account,
            spread_id=spread_id,
            ts_ms=self._clock.now_ms(),
            success=result.success,
            trigger=result.trigger,
            rolled_back=result.rolled_back,
            detail=detail,
            error=result.error,
        )
        await self._tell(self._notifier, report)

    def _end(self, spread_id: str, payload: Payload) -> None:
        self._open.pop(spread_id, None)
        self._ended[spread_id] = payload
        while len(self._ended) > DONE_KEPT:
            del self._ended[next(iter(self._ended))]

    async def _plan(self, message: SpreadRequested) -> Plan:
        legs = []
        for leg in message.legs:
            instrument = await self._venue.instrument(leg.symbol)
            legs.append(Leg(**leg.model_dump(), qty_step=instrument.qty_step, min_qty=instrument.min_qty))
        return Plan(
            spread_id=message.spread_id,
            legs=tuple(legs),
            begun_ms=self._clock.now_ms(),
            window_ms=message.window_ms,
            rollback_on_partial=message.rollback_on_partial,
            reason=message.reason,
        )

    async def _note(self, kind: str, spread_id: str, payload: Mapping[str, Json]) -> None:
        entry = Entry(kind=kind, key=f"{kind}:{spread_id}", ts_ms=self._clock.now_ms(), account="", payload=payload)
        await self._stream.append(entry)


def _leg_told(leg: LegResult) -> str:
    at = "" if leg.average_price is None else f" at {leg.average_price:.2f}"
    missing = f", {leg.missing_qty} missing" if leg.missing_qty > ZERO else ""
    return f"{leg.leg}: {leg.filled_qty} of {leg.target_qty}{at}{missing}"


def _plan_payload(plan: Plan) -> dict[str, Json]:
    return {
        "spread_id": plan.spread_id,
        "begun_ms": plan.begun_ms,
        "window_ms": plan.window_ms,
        "rollback_on_partial": plan.rollback_on_partial,
        "reason": plan.reason,
        "legs": [{name: str(getattr(leg, name)) for name in _LEG} for leg in plan.legs],
    }


def _plan_from(payload: Payload) -> Plan:
    legs = payload["legs"]
    if not isinstance(legs, Sequence):
        raise TypeError(f"the legs on record are {legs!r}")
    return Plan(
        spread_id=text(payload, "spread_id"),
        legs=tuple(_leg_from(leg) for leg in legs if isinstance(leg, Mapping)),
        begun_ms=integer(payload, "begun_ms"),
        window_ms=integer(payload, "window_ms"),
        rollback_on_partial=flag(payload, "rollback_on_partial"),
        reason=text(payload, "reason"),
    )


def _leg_from(leg: Payload) -> Leg:
    return Leg(
        account=text(leg, "account"),
        symbol=text(leg, "symbol"),
        side=Side(text(leg, "side")),
        qty=amount(leg, "qty"),
        limit_price=amount(leg, "limit_price"),
        qty_step=amount(leg, "qty_step"),
        min_qty=amount(leg, "min_qty"),
        multiplier=amount(leg, "multiplier"),
    )
