"""One incarnation of an actor: its context on the loop, its clock and latch, and the door for messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from hedgelock_actors.actor import Health
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.ports.latch import Latch
from tests.simulation.arena.clock import SimClock
from tests.simulation.arena.loop import PROCESS, Fate, SimLoop, begin

if TYPE_CHECKING:
    from tests.simulation.arena.network import Parcel


class AnyActor(Protocol):
    """What the six have in common."""

    async def start(self) -> None: ...

    async def receive(self, message: AnyMessage) -> None: ...

    def health(self) -> Health: ...


class Process:
    """Born by `launch`. Everything it does runs in its context, so that it can be frozen and killed."""

    def __init__(self, loop: SimLoop, name: str, pid: int, skew_ms: int, drift_ppm: int) -> None:
        self.name, self.pid = name, pid
        self.fate = Fate(name, pid)
        self.context = copy_context()
        self.context.run(PROCESS.set, self.fate)
        self.clock = SimClock(loop, self.context, skew_ms, drift_ppm)
        self.latch = Latch()
        self.actor: AnyActor | None = None
        self.unacked: list[Parcel] = []
        self.faults: list[str] = []
        self._loop = loop
        self._opened: asyncio.Future[None] = loop.create_future()

    def launch(self, build: Callable[[], AnyActor]) -> None:
        """Build and start the actor, in its own context, with the next turn of the loop."""
        self._loop.call_soon(self.begin, self._start(build), context=self.context)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work of this process; call it inside its context."""
        begin(self._loop, work, self.context)

    async def _start(self, build: Callable[[], AnyActor]) -> None:
        self.actor = build()
        await self.actor.start()
        self._opened.set_result(None)

    def take(self, batch: Sequence[AnyMessage], done: Callable[[], None]) -> None:
        """Messages of one sender; before the start has ended they wait."""
        self.begin(self._take(batch, done))

    async def _take(self, batch: Sequence[AnyMessage], done: Callable[[], None]) -> None:
        if not self._opened.done():
            await asyncio.shield(self._opened)
        for message in batch:
            if self.actor is not None:
                try:
                    await self.actor.receive(message)
                except Exception as error:  # the edge, as in the real receiver; a checker reports it
                    self.faults.append(f"{self.name} receive {message.kind}: {type(error).__name__}: {error}")
        done()
