"""A channel that keeps what it was given."""

from __future__ import annotations

from hedgelock_actors.domain.messages import AlertRaised
from hedgelock_actors.ports.channel import DeliveryFailed


class MemoryChannel:
    """Implements ports.channel.Channel. The next `fail_next` deliveries fail."""

    def __init__(self, name: str = "memory", *, fail_next: int = 0) -> None:
        self.delivered: list[AlertRaised] = []
        self.fail_next = fail_next
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def deliver(self, alert: AlertRaised) -> None:
        if self.fail_next > 0:
            self.fail_next -= 1
            raise DeliveryFailed(f"channel {self._name!r} was told to fail")
        self.delivered.append(alert)
