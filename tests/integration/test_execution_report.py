"""`hedgelock execution-report` on a real journal: which runs and accounts it reads, and what it writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.cli import app
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.execution_report import Asked, execution_report
from hedgelock_actors.runtime.runfile import NotRunning
from hedgelock_actors.runtime.wiring import Wiring, save
from tests.services import running_postgres
from tests.unit.reporting.records import NOW, Stream

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        asyncio.run(written(server.app_dsn))
        yield server


async def written(url: str) -> None:
    """Two runs against simulated accounts, of which the newer had two accounts."""
    journal = PostgresJournal(url)
    for scope, account, intents in (("sim-1", "main", 1), ("sim-2", "main", 2), ("sim-2", "second", 3)):
        stream = Stream(account)
        for n in range(intents):
            link = stream.intent(f"i{n}", "1", "60000", NOW + n * 1_000, version=n + 1)
            stream.fill(link, "1", "59999", NOW + n * 1_000 + 50, fee="33", mids={1_000: "60001"})
        name = f"{scope}/order-router-{account}"
        epoch = await journal.open(name)
        await journal.append(name, epoch, [record.entry for record in stream.records])
    await journal.close()


def config(tmp_path: Path, url: str, scope: str) -> Config:
    full = Config(state_dir=tmp_path)
    wiring = Wiring(
        venue_url=None, postgres_url=url, redis_url="redis://x", accounts={}, journal_scope=scope, replay=True
    )
    save(tmp_path, full, wiring)
    return full


async def test_the_newest_run_of_a_place_is_reported(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    url = postgres.app_dsn
    found = await execution_report(config(tmp_path, url, "sim-2"), Asked(journal_url=url))
    assert found.quality.overall.intents == 5
    assert found.facts.accounts == ["main", "second"]
    assert found.quality.overall.fees_usdt == 5 * 33
    assert found.quality.overall.markouts[0].fills == 5
    older = await execution_report(config(tmp_path, url, "sim-1"), Asked(journal_url=url))
    assert older.quality.overall.intents == 1
    every = await execution_report(config(tmp_path, url, ""), Asked(journal_url=url, every_run=True))
    assert every.quality.overall.intents == 6


async def test_one_account_and_a_beginning_can_be_asked_for(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    url = postgres.app_dsn
    full = config(tmp_path, url, "sim-2")
    second = await execution_report(full, Asked(journal_url=url, account="second", since_ms=NOW + 1_000))
    assert second.quality.overall.intents == 2
    with pytest.raises(InvalidInput, match="nobody"):
        await execution_report(full, Asked(journal_url=url, account="nobody"))


async def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="there is no journal"):
        await execution_report(Config(state_dir=tmp_path), Asked())


def test_the_command_writes_what_was_asked_for(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    page, numbers = tmp_path / "out" / "report.html", tmp_path / "out" / "report.json"
    base = ["execution-report", "--journal", postgres.app_dsn, "--every-run", "--state-dir", str(tmp_path)]
    shown = CliRunner().invoke(app, [*base, "--html", str(page), "--json", str(numbers)])
    assert shown.exit_code == 0, shown.output
    assert "targets filled" in shown.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = CliRunner().invoke(app, [*base, "--json", "-"])
    assert json.loads(told.stdout) == json.loads(numbers.read_text(encoding="utf-8"))
    assert json.loads(told.stdout)["overall"]["intents"] == 6
