"""What an operator may ask of the running actors; one that is silent is named, never waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import cast

from hedgelock_actors.domain.messages import ENVELOPE, AnyMessage, Envelope
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.names import SUPERVISOR, Kind, declare
from hedgelock_actors.runtime.transport import Undelivered

APPLY_S = 0.4
"""How long a router has to confirm a trading state."""
SENDER = "control"
Snapshot = Mapping[str, object]


class Operator:
    """Questions and commands to the cluster."""

    def __init__(self, config: Config, cluster: Cluster | None = None) -> None:
        self._declared = declare(config)
        self._cluster = cluster or Cluster()
        self._epoch = time.time_ns() // 1_000_000
        self._seq = 0
        self._telling: set[asyncio.Future[object]] = set()

    async def actors(self, wait_s: float = 3.0) -> Snapshot:
        """The supervisor's view: {"actors": {name: health}, "recoveries": […]}; {} while it is away."""
        try:
            return cast("Snapshot", await self._cluster.call(SUPERVISOR, "status", wait_s=wait_s))
        except Unreachable:
            return {}

    async def snapshots(self, kind: Kind, wait_s: float = 3.0) -> dict[str, Snapshot]:
        """What each actor of a kind knows, by its name; {"error": …} of those that do not answer."""
        names = [one.name for one in self._declared if one.kind == kind]
        found = await asyncio.gather(*(self._snapshot(name, wait_s) for name in names))
        return dict(zip(names, found, strict=True))

    async def apply(self, state: TradingState, wait_s: float = APPLY_S) -> dict[str, TradingState | None]:
        """Latch a state in every router's process, all at once. Returns what each holds now, None of who is silent.

        The supervisor is told beside it: it tells all other actors, and the silent ones when they are back.
        """
        telling = asyncio.ensure_future(self._tell(SUPERVISOR, state, wait_s=5.0))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        names = [one.name for one in self._declared if one.kind == "order-router"]
        answers = await asyncio.gather(*(self._tell(name, state, wait_s=wait_s) for name in names))
        return {name: _held(answer) for name, answer in zip(names, answers, strict=True)}

    async def deliver(self, to: str, message: AnyMessage, wait_s: float) -> str:
        """Hand a message to an actor: "" once it has taken it in, else why not (it may have come through)."""
        try:
            errors = await self._cluster.deliver(to, [self._wrap(message)], wait_s)
        except Undelivered as error:
            return str(error)
        return "; ".join(error for error in errors if error)

    def _wrap(self, message: AnyMessage) -> bytes:
        self._seq += 1
        event_id = f"{SENDER}:{self._epoch}:{self._seq}"
        envelope = Envelope(
            event_id=event_id,
            sender=SENDER,
            epoch=self._epoch,
            seq=self._seq,
            trace_id=event_id,
            causation_id="",
            ts_event=message.ts_ms,
            ts_received=message.ts_ms,
            body=message,
        )
        return ENVELOPE.dump_json(envelope)

    async def _tell(self, name: str, state: TradingState, wait_s: float) -> object:
        args = (state.mode.value, state.epoch, state.reason)
        try:
            return await self._cluster.call(name, "set_trading_state", *args, wait_s=wait_s)
        except Unreachable:
            return None

    async def _snapshot(self, name: str, wait_s: float) -> Snapshot:
        try:
            return await self._cluster.snapshot(name, wait_s)
        except Unreachable as error:
            return {"error": str(error)}


def orders_in_flight(routers: Mapping[str, Snapshot]) -> list[Snapshot]:
    """Orders that may still fill, as the routers that answered know them."""
    return [
        {"account": seen.get("account"), **order}
        for seen in routers.values()
        for kind in ("in_flight", "resting")
        for order in rows_in(seen.get(kind))
    ]


def rows_in(value: object) -> Sequence[Snapshot]:
    """The rows of a part of a snapshot; none when it is not a list of them."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list | tuple) else []


def _held(answer: object) -> TradingState | None:
    if not isinstance(answer, tuple | list):
        return None
    mode, epoch = cast("tuple[str, int]", answer)
    return TradingState(TradingMode(mode), epoch)
