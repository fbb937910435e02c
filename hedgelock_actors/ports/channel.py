"""A way to reach a person."""

from __future__ import annotations

from typing import Protocol

from hedgelock_actors.domain.messages import AlertRaised


class DeliveryFailed(Exception):
    """The channel did not take the alert; try again or use the next one."""


class Channel(Protocol):
    """Delivers alerts."""

    @property
    def name(self) -> str: ...

    async def deliver(self, alert: AlertRaised) -> None:
        """Raises DeliveryFailed."""
        ...
