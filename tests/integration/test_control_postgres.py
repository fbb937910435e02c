"""The control stream on a real PostgreSQL: two writers at once, a database that dies in a halt, and a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, StaleEpoch
from hedgelock_actors.runtime.control_log import Asked, ControlBook, ControlLog, entry_of
from hedgelock_actors.runtime.trading import next_state, recorded_state, state_payload
from tests.services import running_postgres
from tests.unit.serve.control_rig import Rig, auth

pytestmark = pytest.mark.integration


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


async def write_many(dsn: str, who: str, count: int) -> None:
    """As one process would: its own connections, its own log. Nobody is promised to win every race at once."""
    journal = PostgresJournal(dsn)
    log = ControlLog(journal)
    try:
        for number in range(count):
            asked = Asked(who=who, key=str(number), action="halt", body={})

            def decide(book: ControlBook, asked: Asked = asked) -> Entry:
                state = next_state(book.state, TradingMode.HALTED, asked.key)
                return entry_of("trading_state", asked, state_payload(state, book.state), 1)

            for _ in range(100):
                try:
                    await log.write(decide)
                except StaleEpoch:
                    continue
                break
    finally:
        await journal.close()


async def test_two_processes_that_command_at_once_never_get_the_same_epoch(postgres: EmbeddedPostgres) -> None:
    await asyncio.gather(*(write_many(postgres.app_dsn, who, 20) for who in ("serve", "local")))
    journal = PostgresJournal(postgres.app_dsn)
    records = [record async for record in journal.read("control")]
    epochs = [int(str(record.entry.payload["epoch"])) for record in records]
    assert epochs == list(range(1, 41))
    assert {record.entry.key for record in records} == {f"{who}:{n}" for who in ("serve", "local") for n in range(20)}
    assert await journal.verify("control") == 40
    await journal.close()


async def test_a_halt_while_the_database_is_dead_is_answered_in_time_and_recorded_once_it_lives(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_apps.control_halt.AGAIN_S", 0.1)
    journal = PostgresJournal(postgres.app_dsn, patience_s=0.5)
    rig = Rig(journal)
    async with rig.http() as http:
        await http.post("/resume", headers=auth(), json={"reason": "begin"})
        pid = postgres.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        answer = await http.post("/halt", headers=auth(key="k"), json={"reason": "drill"})
        assert time.monotonic() - began < 1.0
        assert (answer.json()["recorded"], answer.json()["confirmed"]) == (False, True)
        await postgres.start()
        for _ in range(100):
            await asyncio.sleep(0.1)
            try:
                if (await recorded_state(journal)).mode is TradingMode.HALTED:
                    break
            except JournalUnavailable:
                continue  # the server is still on its way up
        state = await recorded_state(journal)
        assert (state.mode, state.epoch) == (TradingMode.HALTED, answer.json()["epoch"])
        again = await http.post("/halt", headers=auth(key="k"), json={"reason": "drill"})
        assert (again.json()["epoch"], again.json()["recorded"]) == (answer.json()["epoch"], True)
    await journal.close()


async def test_commands_survive_the_service_and_the_database(postgres: EmbeddedPostgres) -> None:
    journal = PostgresJournal(postgres.app_dsn)
    rig = Rig(journal, two_person=["resume"])
    await rig.post("/override", {"account": "a", "short": "1", "for_s": 600, "reason": "x"})
    waits = await rig.post("/resume", {"reason": "x"})
    await journal.close()
    await postgres.stop()
    await postgres.start()
    rig.journal = journal = PostgresJournal(postgres.app_dsn)
    rig.again()
    assert len((await rig.get("/overrides"))["overrides"]) == 1  # type: ignore[arg-type]
    done = await rig.post(f"/approvals/{waits.json()['approval_id']}/approve", who="bob")
    assert (done.status_code, done.json()["mode"]) == (200, "ACTIVE")
    await journal.close()
