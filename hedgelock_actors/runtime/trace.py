"""Stamps of a price's way through the actors, for benchmarks. Off unless HEDGELOCK_TRACE names a directory.

Each line is `stage key ns`: CLOCK_MONOTONIC, which all processes of a host share. The key is the venue time of the
price that it follows from, or the id of the order. Nothing of it reaches a decision.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.venue import BybitVenue
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.messages import AnyMessage, HedgeDemand, SetTarget, Tick
from hedgelock_actors.domain.order import OrderRequest, SubmitOutcome
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.venue import PrivateEvent, PrivateHandler

TRACE_VARIABLE = "HEDGELOCK_TRACE"
Receive = Callable[[AnyMessage], Awaitable[None]]


class Trace:
    """One process's stamps. A line is one write to a file opened for appending: a killed process loses none."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(directory / f"{name}-{os.getpid()}.trace", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, stage: str, key: object) -> None:
        """Stamp."""
        now_ns = time.monotonic_ns()
        os.write(self._file, f"{stage} {key} {now_ns}\n".encode())


def trace_of(name: str) -> Trace | None:
    """The trace of an actor's process, None when nobody asked for it."""
    directory = os.environ.get(TRACE_VARIABLE)
    return Trace(Path(directory), name) if directory else None


def market_data() -> type[BybitMarketData]:
    """The class that reads the market."""
    return TracedMarketData if os.environ.get(TRACE_VARIABLE) else BybitMarketData


def venue() -> type[BybitVenue]:
    """The class that trades."""
    return TracedVenue if os.environ.get(TRACE_VARIABLE) else BybitVenue


def watched(name: str, receive: Receive) -> Receive:
    """`receive`, with a stamp at the arrival of each message on the way from price to order."""
    trace = trace_of(name)
    return receive if trace is None else _stamping(trace, name.partition("-")[0], receive)


def _stamping(trace: Trace, who: str, receive: Receive) -> Receive:
    async def stamped(message: AnyMessage) -> None:
        match message:
            case Tick():
                trace.note(f"tick:{who}", message.ts_ms)
            case HedgeDemand():
                trace.note(f"demand:{message.account}", message.ts_ms)
            case SetTarget():
                trace.note(f"target:{message.account}", message.causation_id.rpartition(":")[2])
            case _:
                pass
        await receive(message)

    return stamped


class TracedMarketData(BybitMarketData):
    """Stamps each frame when the event loop takes it, before anything is made of it."""

    trace = cached_property(lambda self: trace_of("market-data"))

    def on_message(self, message: Mapping[str, object]) -> None:
        """See the base."""
        if self.trace is not None:
            self.trace.note("frame", message.get("ts"))
        super().on_message(message)


class TracedVenue(BybitVenue):
    """Stamps each order when it is handed over, and each fill when it is heard of."""

    trace = cached_property(lambda self: trace_of("venue"))

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        """See the base."""
        if self.trace is not None:
            self.trace.note("place", order.request.order_link_id)
        return await super().place(order)

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        """See the base."""
        trace = self.trace

        async def stamped(event: PrivateEvent) -> None:
            if trace is not None and isinstance(event, Execution):
                trace.note("fill", event.order_link_id)
            await handler(event)

        await super().start(topics, stamped)
