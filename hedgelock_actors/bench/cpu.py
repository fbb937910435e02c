"""Processor time of the processes that a benchmark is about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil


class CpuMeter:
    """From its making on. Postgres and Redis are found by the state directory in their command lines."""

    def __init__(self, exchange: int, actors: Mapping[str, int], state: Path) -> None:
        self._state = str(state)
        self._fixed = {"exchange": exchange, **actors}
        self._before = self._now()

    def used_ms(self) -> Mapping[str, float]:
        """Milliseconds since, by process."""
        return {name: (used - self._before.get(name, 0.0)) * 1_000 for name, used in self._now().items()}

    def _now(self) -> dict[str, float]:
        """Seconds used so far; a process that has gone counts nothing."""
        found: dict[str, float] = {}
        for name, pid in self._fixed.items():
            with suppress(psutil.Error):
                found[name] = _seconds(psutil.Process(pid))
        servers = {"postgres": 0.0, "redis": 0.0}
        for process in psutil.process_iter(["cmdline", "name"]):
            kind = str(process.info["name"])
            line = " ".join(process.info["cmdline"] or [])
            with suppress(psutil.Error):
                if kind.startswith("postgres"):
                    servers["postgres"] += self._of_ours(process) * _seconds(process)
                elif kind.startswith("redis") and self._state in line:
                    servers["redis"] += _seconds(process)
        return found | servers

    def _of_ours(self, process: psutil.Process) -> bool:
        """The server itself names its directory; its children have the same parent."""
        parent = process.parent()
        lines = [*process.cmdline(), *(parent.cmdline() if parent is not None else [])]
        return any(self._state in part for part in lines)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
