"""Where messages go that cannot be delivered: into a file that people can read, with an alert that says so.

Everything that actors tell one another is a state that is repeated, or is in the journal: what is set aside here is
never the only copy of a decision.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from hedgelock_actors.domain.alert_rules import message_set_aside
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.runtime.names import NOTIFIER

LOG = logging.getLogger(__name__)
QUARANTINE_FILE = "quarantine.jsonl"
BYTES_MAX = 16 * 1024 * 1024
"""A file that has grown beyond takes nothing more: a disk that is full would stop the journal, too."""


class Quarantine:
    """Of one sender. `tell` is its transport's `send`, set once there is one."""

    def __init__(self, state: Path, sender: str, clock: Clock) -> None:
        self._path, self._sender, self._clock = state / QUARANTINE_FILE, sender, clock
        self.tell: Callable[[str, AnyMessage], Awaitable[None]] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def put(self, to: str, raw: bytes, why: str) -> None:
        """A `runtime.transport.GivenUp`. Never raises."""
        now_ms = self._clock.now_ms()
        said = {"ts_ms": now_ms, "sender": self._sender, "to": to, "why": why, "message": raw.decode(errors="replace")}
        try:
            self._append(json.dumps(said))
        except OSError as error:
            LOG.error("quarantine.not_written to=%s %s", to, error)
        if to != NOTIFIER and self.tell is not None:
            alert = message_set_aside(self._sender, to, why, now_ms)
            task = asyncio.ensure_future(self._told(self.tell(NOTIFIER, alert)))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _told(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except Exception:  # the edge: it is in the file and in the log, and nothing more can be done here
            LOG.exception("quarantine.not_told sender=%s", self._sender)

    def _append(self, line: str) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            if file.tell() < BYTES_MAX:
                file.write(line + "\n")
