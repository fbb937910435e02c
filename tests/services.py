"""Real services for tests: our own PostgreSQL and Redis in a short-lived directory, always stopped."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis


@contextmanager
def scratch() -> Iterator[Path]:
    """A short path, because a Unix socket may not have a long one."""
    path = Path(tempfile.mkdtemp(prefix="hl-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[EmbeddedPostgres]:
    """Started and migrated; stopped and removed at the end."""
    with scratch() as state:
        server = EmbeddedPostgres(state)
        try:
            asyncio.run(server.start())
            yield server
        finally:
            asyncio.run(server.stop())


@contextmanager
def running_redis() -> Iterator[EmbeddedRedis]:
    """Started; stopped and removed at the end."""
    with scratch() as state:
        server = EmbeddedRedis(state)
        try:
            asyncio.run(server.start())
            yield server
        finally:
            asyncio.run(server.stop())
