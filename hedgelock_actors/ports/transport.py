"""How one actor speaks to another."""

from __future__ import annotations

from typing import Protocol

from hedgelock_actors.domain.messages import AnyMessage


class QueueFull(Exception):
    """Too much waits for a receiver that does not take it: the message was not queued."""


class Transport(Protocol):
    """Ordered, at-least-once delivery with visible errors; receivers drop what they have seen.

    In real time `send` queues and returns: one awaited batch is outstanding per receiver. In lock-step (Clock.paced) it
    returns when the receiver has taken the message in, with everything that it caused.
    """

    async def send(self, to: str, message: AnyMessage, *, conflate: str | None = None, cause: str = "") -> None:
        """Send to the actor named `to`. A queued message with the same `conflate` key is replaced (latest wins).

        Raises:
            QueueFull: the bounded queue of unconflated messages to this receiver is full.
        """
        ...
