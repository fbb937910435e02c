"""Who runs in a state directory, and where it can be reached: `run.json` beside a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from hedgelock_actors.runtime.config import ConfigError
from hedgelock_actors.runtime.wiring import write_private

RUN_FILE = "run.json"
LOCK_FILE = "up.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What `hedgelock up` tells the other commands. `started_ms` is wall time."""

    pid: int
    control_url: str
    sizing_url: str
    dashboard_url: str | None
    exchange: str | None
    started_ms: int
    speed: str
    ray_address: str | None = None
    """Where the actors can be reached when HTTP does not answer."""


class NotRunning(Exception):
    """Nothing runs in that state directory."""


class UpLock:
    """Held by a running `hedgelock up`; the kernel lets go of it however the process ends."""

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: IO[str] = (state / LOCK_FILE).open("a", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            info = read_run(state, check=False)
            who = f" (process {info.pid})" if info is not None else ""
            raise ConfigError(
                "--state-dir", f"hedgelock up{who} runs there already; `hedgelock down` ends it, or give another"
            ) from None

    def release(self) -> None:
        """Let go."""
        self._file.close()


def write_run(state: Path, info: RunInfo) -> None:
    """Tell the other commands."""
    write_private(state / RUN_FILE, json.dumps(asdict(info), indent=1))


def remove_run(state: Path) -> None:
    """Tell them that it is over."""
    (state / RUN_FILE).unlink(missing_ok=True)


def read_run(state: Path, *, check: bool = True) -> RunInfo | None:
    """What runs in `state`; None when nothing does. A file that a killed run left behind counts as nothing."""
    try:
        info = RunInfo(**json.loads((state / RUN_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return info if not check or _locked(state) else None


def require_run(state: Path) -> RunInfo:
    """What runs in `state`. Raises NotRunning with the remedy."""
    info = read_run(state)
    if info is None:
        raise NotRunning(f"nothing runs in {state}; start it with `hedgelock up`, or give its --state-dir")
    return info


def _locked(state: Path) -> bool:
    try:
        descriptor = os.open(state / LOCK_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
