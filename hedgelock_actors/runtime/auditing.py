"""`hedgelock audit`: is the journal what it was?"""

from __future__ import annotations

from collections.abc import Mapping

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.report import count_journal
from hedgelock_actors.runtime.runfile import NotRunning, read_run


async def audit_journal(config: Config) -> Mapping[str, object]:
    """Verify every chain. The embedded database is started for it when it does not run, and stopped again."""
    if config.services.postgres_url is not None:
        return await _audit(config.services.postgres_url)
    state = config.state.absolute()
    if not (state / "postgres").exists():
        raise NotRunning(f"there is no journal in {state}; `hedgelock up` makes one, or give its --state-dir")
    server = EmbeddedPostgres(state)
    borrowed = read_run(state) is None
    await server.start()
    try:
        return await _audit(server.app_dsn)
    finally:
        if borrowed:
            await server.stop()


async def _audit(url: str) -> Mapping[str, object]:
    journal = PostgresJournal(url)
    try:
        counts = await count_journal(journal)
        streams = await journal.streams()
    finally:
        await journal.close()
    return {"ok": not counts.broken, "records": counts.records, "streams": len(streams), "broken": counts.broken}
