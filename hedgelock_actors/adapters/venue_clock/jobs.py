"""What both clocks share about repeated work."""

from __future__ import annotations

import logging

from hedgelock_actors.ports.clock import Job

_log = logging.getLogger(__name__)


async def run_guarded(job: Job) -> bool:
    """Run `job` once; what it raises is logged, so that the next period comes all the same. False when it raised."""
    try:
        await job()
    except Exception:  # the edge: a periodic job has no caller that could hear of it
        _log.exception("a periodic job failed")
        return False
    return True


def next_due(due_ms: int, period_ms: int, now_ms: int) -> int:
    """The first time after `now_ms` on the grid of the period: periods that were missed are left out."""
    return due_ms + period_ms * (max(0, now_ms - due_ms) // period_ms + 1)


def period_of(seconds: float) -> int:
    """A period in ms. Raises ValueError when it is not positive."""
    if seconds <= 0:
        raise ValueError(f"a period must be positive, not {seconds} s")
    return max(1, round(seconds * 1000))
