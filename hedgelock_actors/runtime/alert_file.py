"""Alerts as JSON lines in a file: the channel that is always there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hedgelock_actors.domain.messages import AlertRaised
from hedgelock_actors.ports.channel import DeliveryFailed

ALERTS_FILE = "alerts.jsonl"


class AlertFile:
    """Implements ports.channel.Channel."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Name of the channel."""
        return "file"

    async def deliver(self, alert: AlertRaised) -> None:
        """Append one line. Raises DeliveryFailed."""
        try:
            await asyncio.to_thread(self._append, alert.model_dump_json())
        except OSError as error:
            raise DeliveryFailed(f"{self._path.name}: {error.strerror}") from error

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
