"""Bring a database to the present schema. Run as the owner, never as the application."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hedgelock_actors.adapters.postgres.schema import SCHEMA

# Any number that no other user of the database takes: two processes migrating at once wait for each other on it.
_LOCK = 4_853_279_186


def async_url(dsn: str) -> URL:
    """The URL with the asyncpg driver, whether or not the configuration names a driver."""
    url = make_url(dsn)
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError(f"a PostgreSQL URL is needed (postgresql://user@host/database), got {url.drivername}://…")
    return url.set(drivername="postgresql+asyncpg")


async def migrate(owner_dsn: str) -> None:
    """Create or upgrade the schema, in one transaction. A second run changes nothing."""
    engine = create_async_engine(async_url(owner_dsn), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
