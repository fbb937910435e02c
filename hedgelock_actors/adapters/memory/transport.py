"""Messages between actors of one process: delivered by a nested await, and remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hedgelock_actors.domain.messages import AnyMessage

Receiver = Callable[[AnyMessage], Awaitable[None]]
M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call of `send`."""

    to: str
    message: AnyMessage
    conflate: str | None
    cause: str


class UnknownReceiver(LookupError):
    """No actor of that name is registered."""


class MemoryTransport:
    """Implements ports.transport.Transport as it is in lock-step: `send` returns when the receiver has taken it in.

    A message to nobody is only remembered, so that one actor can be tested alone; with `strict` it raises
    UnknownReceiver. With `deliver_twice` every message comes twice, as at-least-once delivery allows.
    """

    def __init__(self, *, strict: bool = False, deliver_twice: bool = False) -> None:
        self.sent: list[Sent] = []
        self.strict = strict
        self.deliver_twice = deliver_twice
        self._receivers: dict[str, Receiver] = {}
        self._cut: set[str] = set()

    def register(self, name: str, receiver: Receiver) -> None:
        """Deliver what is sent to `name` from now on, e.g. `register(actor.name, actor.receive)`."""
        self._receivers[name] = receiver

    def unregister(self, name: str) -> None:
        """The actor is gone."""
        self._receivers.pop(name, None)

    def cut(self, name: str) -> None:
        """Lose everything sent to `name` (it is still remembered as sent) until `mend`."""
        self._cut.add(name)

    def mend(self, name: str) -> None:
        """Deliver to `name` again. What was lost stays lost."""
        self._cut.discard(name)

    async def send(self, to: str, message: AnyMessage, *, conflate: str | None = None, cause: str = "") -> None:
        """Deliver and remember. What the receiver raises comes out here."""
        self.sent.append(Sent(to=to, message=message, conflate=conflate, cause=cause))
        if to in self._cut:
            return
        receiver = self._receivers.get(to)
        if receiver is None:
            if self.strict:
                raise UnknownReceiver(f"no actor named {to!r}")
            return
        for _ in range(2 if self.deliver_twice else 1):
            await receiver(message)

    def messages(self, kind: type[M], to: str | None = None) -> list[M]:
        """What was sent so far of one message class, oldest first; only to `to` when given."""
        return [one.message for one in self.sent if isinstance(one.message, kind) and (to is None or one.to == to)]

    def forget(self) -> None:
        """Empty the record of what was sent."""
        self.sent.clear()
