"""Messages between actors: one batch outstanding per sender and receiver, repeated until somebody takes it.

That is what the real transport promises. Faults take more than it does: they lose, repeat and reorder single messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.ports.transport import QueueFull

if TYPE_CHECKING:
    from tests.simulation.arena.process import Process
    from tests.simulation.arena.world import SwarmWorld

QUEUE_MAX = 10_000
RETRY_MS = 250


@dataclass(slots=True)
class Outbox:
    """What waits for one receiver."""

    waiting: dict[str, AnyMessage] = field(default_factory=dict)
    busy: bool = False


@dataclass(slots=True, eq=False)
class Parcel:
    """A batch on its way."""

    sender: Process
    to: str
    batch: list[AnyMessage]
    box: Outbox | None


class SimTransport:
    """Implements Transport for one process."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network, self._process = network, process
        self._boxes: dict[str, Outbox] = {}
        self._count = 0
        self.most = 0

    async def send(self, to: str, message: AnyMessage, *, conflate: str | None = None, cause: str = "") -> None:
        box = self._boxes.setdefault(to, Outbox())
        self._count += 1
        if conflate is None and len(box.waiting) >= QUEUE_MAX:
            raise QueueFull(f"{QUEUE_MAX} messages wait for {to}")
        key = conflate or f"#{self._count}"
        box.waiting.pop(key, None)
        box.waiting[key] = message
        self.most = max(self.most, len(box.waiting))
        if not box.busy:
            box.busy = True
            self._network.ship(Parcel(self._process, to, [], box))


class Network:
    """Carries parcels. Everything here runs outside the processes."""

    def __init__(self, world: SwarmWorld) -> None:
        self._world, self._loop = world, world.loop
        self._rng = Random(f"network {world.knobs.seed}")

    def ship(self, parcel: Parcel) -> None:
        """Send what waits in the parcel's box."""
        box = parcel.box
        if box is not None:
            parcel.batch = list(box.waiting.values())
            box.waiting.clear()
        delay_ms = self._rng.randint(1, 4)
        if self._world.strikes("delay_message"):
            delay_ms += self._rng.choice((100, 1_000, 5_000))
        self._loop.at(self._loop.now_ms + delay_ms, self.arrive, parcel, context=self._world.context)

    def arrive(self, parcel: Parcel) -> None:
        """Hand over to whoever has the name now; nobody, or a partition: again a little later."""
        world, sender = self._world, parcel.sender
        receiver = world.processes.get(parcel.to)
        if not sender.fate.alive and parcel.box is not None:
            return
        if receiver is None or not receiver.fate.alive or world.parted(sender.name, parcel.to):
            self.later(parcel, RETRY_MS)
            return
        batch = self._disturbed(parcel)
        receiver.unacked.append(parcel)
        self._loop.call_soon(receiver.take, batch, lambda: self._taken(receiver, parcel), context=receiver.context)

    def later(self, parcel: Parcel, ms: int) -> None:
        """Try again."""
        self._loop.at(self._loop.now_ms + ms, self.arrive, parcel, context=self._world.context)

    def _disturbed(self, parcel: Parcel) -> list[AnyMessage]:
        world, kept = self._world, []
        if parcel.box is None or not world.faulty:
            return parcel.batch
        for message in parcel.batch:
            if world.strikes("drop_message", message.kind, parcel.to):
                continue
            if world.strikes("reorder_message", message.kind, parcel.to):
                self.later(Parcel(parcel.sender, parcel.to, [message], None), self._rng.choice((20, 400, 3_000)))
                continue
            if world.strikes("repeat_message", message.kind, parcel.to):
                self.later(Parcel(parcel.sender, parcel.to, [message], None), self._rng.choice((0, 50, 2_000)))
            kept.append(message)
        return kept

    def _taken(self, receiver: Process, parcel: Parcel) -> None:
        if parcel in receiver.unacked:
            receiver.unacked.remove(parcel)
        if parcel.box is not None:
            sender = parcel.sender
            self._loop.at(self._loop.now_ms + 1, self._acknowledged, parcel, context=sender.context)

    def _acknowledged(self, parcel: Parcel) -> None:
        box = parcel.box
        if box is None:
            return
        if box.waiting:
            self.ship(Parcel(parcel.sender, parcel.to, [], box))
        else:
            box.busy = False
