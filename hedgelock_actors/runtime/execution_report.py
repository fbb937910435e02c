"""`hedgelock execution-report`: reads the order routers' journals and says how well orders were carried out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.ports.journal import Journal, Record
from hedgelock_actors.reporting.execution_page import PageFacts, render_page
from hedgelock_actors.reporting.execution_quality import ExecutionQuality, judge
from hedgelock_actors.reporting.experiments import Comparison, compare
from hedgelock_actors.reporting.intents import IntentRecord, read_intents
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.names import router_name
from hedgelock_actors.runtime.runfile import NotRunning, read_run
from hedgelock_actors.runtime.wiring import WIRING_FILE, read_wiring

KINDS = ("intent", "resend", "execution", "markout", "strategy_done")
ROUTERS = router_name("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to read. `journal_url` None: the embedded database of the state directory (started if need be)."""

    journal_url: str | None = None
    account: str | None = None
    since_ms: int | None = None
    every_run: bool = False
    """Also the streams of earlier runs against other simulated accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The report, ready to be shown."""

    quality: ExecutionQuality
    comparisons: Sequence[Comparison]
    facts: PageFacts

    def page(self) -> str:
        """As HTML."""
        return render_page(self.quality, self.comparisons, self.facts)


async def execution_report(config: Config, asked: Asked) -> Found:
    """Read and judge. Raises NotRunning (there is no journal), InvalidInput (nobody has that account)."""
    url = asked.journal_url or config.services.postgres_url
    if url is not None:
        return await _read(url, asked, config.state, "journal database")
    state = config.state.absolute()
    if not (state / "postgres").exists():
        raise NotRunning(f"there is no journal in {state}; `hedgelock up` makes one, or give its --state-dir")
    server = EmbeddedPostgres(state)
    borrowed = read_run(state) is None
    await server.start()
    try:
        return await _read(server.app_dsn, asked, state, str(state))
    finally:
        if borrowed:
            await server.stop()


async def _read(url: str, asked: Asked, state: Path, source: str) -> Found:
    journal = PostgresJournal(url)
    try:
        names = _routers(await journal.streams(), asked, _scope(state))
        streams = [await _records(journal, name) for name in names]
    finally:
        await journal.close()
    return report_of(streams, asked, source)


def report_of(streams: Sequence[Sequence[Record]], asked: Asked, source: str) -> Found:
    """The report of these streams' records."""
    intents = [one for one in read_intents(streams) if _wanted(one, asked)]
    accounts = sorted({one.account for one in intents})
    quality = judge(intents)
    made_ms = time.time_ns() // 1_000_000
    facts = PageFacts(source=source, accounts=accounts, made_ms=made_ms)
    return Found(quality=quality, comparisons=compare(quality.judged), facts=facts)


def _wanted(one: IntentRecord, asked: Asked) -> bool:
    return asked.since_ms is None or one.decided_ms >= asked.since_ms


def _routers(names: Sequence[str], asked: Asked, scope: str) -> list[str]:
    found = []
    for name in names:
        before, _, actor = name.rpartition("/")
        ours = asked.every_run or before == scope
        if ours and actor.startswith(ROUTERS) and asked.account in (None, actor.removeprefix(ROUTERS)):
            found.append(name)
    if not found and asked.account is not None:
        raise InvalidInput("--account", f"no order router of {asked.account} has written to this journal")
    return found


def _scope(state: Path) -> str:
    """The scope of the newest run; "" where the account is the venue's own."""
    return read_wiring(state).journal_scope if (state / WIRING_FILE).exists() else ""


async def _records(journal: Journal, stream: str) -> list[Record]:
    return [record async for record in journal.read(stream, kinds=KINDS)]
