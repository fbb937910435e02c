"""Trading leases in PostgreSQL: one row per account, and the database's clock says when a lease has run out.

Every call is one statement in a transaction of its own, so that an answer that is lost leaves a whole one behind: a
lease taken unheard is taken again in the next epoch (its time is then waited for), a renewal unheard only lasts longer
than its holder believes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hedgelock_actors.adapters.postgres.migrate import async_url
from hedgelock_actors.adapters.postgres.schema import SCHEMA
from hedgelock_actors.adapters.postgres.trouble import TROUBLE, summary
from hedgelock_actors.ports.lease import Grant, LeaseLost, LeaseUnavailable

# clock_timestamp, not now: a statement that waited for a row's lock must not reckon from before it waited.
_TTL = "clock_timestamp() + CAST(:ttl_ms AS bigint) * interval '1 millisecond'"
_TAKE = text(f"""
    INSERT INTO {SCHEMA}.leases AS l (account, epoch, holder, expires_at, free_at)
    VALUES (:account, 1, :holder, {_TTL}, clock_timestamp())
    ON CONFLICT (account) DO UPDATE SET
        epoch = l.epoch + 1, holder = excluded.holder, expires_at = {_TTL}, free_at = greatest(l.expires_at, l.free_at)
    RETURNING epoch, ceil(extract(epoch FROM free_at - clock_timestamp()) * 1000)::bigint AS wait_ms
""")  # noqa: S608 - the only things put in are constants of ours
_RENEW = text(f"""
    UPDATE {SCHEMA}.leases SET expires_at = {_TTL} WHERE account = :account AND epoch = :epoch RETURNING epoch
""")  # noqa: S608 - the only things put in are constants of ours
_RELEASE = text(f"""
    UPDATE {SCHEMA}.leases SET expires_at = least(expires_at, clock_timestamp())
    WHERE account = :account AND epoch = :epoch RETURNING epoch
""")  # noqa: S608 - the only thing put in is a constant of ours
_NEWEST = text(f"SELECT epoch, holder FROM {SCHEMA}.leases WHERE account = :account")  # noqa: S608 - as above


class PostgresLeases:
    """Implements ports.lease.LeaseStore on a migrated database.

    Args:
        dsn: URL of the application role.
        statement_s: wall seconds after which connecting or one statement counts as unanswered.
    """

    def __init__(self, dsn: str, *, statement_s: float = 1.0) -> None:
        self._engine: AsyncEngine = create_async_engine(
            async_url(dsn),
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=1,
            pool_timeout=statement_s,
            connect_args={
                "timeout": statement_s,
                "command_timeout": statement_s,
                "server_settings": {"synchronous_commit": "on", "application_name": "hedgelock-lease"},
            },
        )

    async def take(self, account: str, holder: str, ttl_ms: int) -> Grant:
        """See the port."""
        [row] = await self._ask("take", _TAKE, {"account": account, "holder": holder, "ttl_ms": ttl_ms})
        return Grant(epoch=int(row.epoch), wait_ms=max(0, int(row.wait_ms)))

    async def renew(self, account: str, epoch: int, ttl_ms: int) -> None:
        """See the port."""
        if await self._ask("renew", _RENEW, {"account": account, "epoch": epoch, "ttl_ms": ttl_ms}):
            return
        found = await self._ask("look up", _NEWEST, {"account": account})
        newest = f"{found[0].holder} in epoch {found[0].epoch}" if found else "nobody"
        raise LeaseLost(f"account {account!r}: epoch {epoch} is not the newest ({newest})")

    async def release(self, account: str, epoch: int) -> None:
        """See the port."""
        await self._ask("release", _RELEASE, {"account": account, "epoch": epoch})

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()

    async def _ask(self, doing: str, statement: TextClause, values: Mapping[str, object]) -> Sequence[Row[Any]]:
        try:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement, values)).all()
        except TROUBLE as trouble:
            raise LeaseUnavailable(f"cannot {doing} the lease: {summary(trouble)}") from trouble
