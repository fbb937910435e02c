"""A bad line to the journal: no effect without its record, no record twice. A bad line to the cache: nothing at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from urllib.parse import quote

import pytest

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.adapters.redis.cache import RedisCache
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis
from hedgelock_actors.trading_lease import TradingLease
from tests.chaos.proxy import Proxy, Way
from tests.chaos.rig import ROUTER, Rig, rig_on
from tests.integration.exchange_process import Running, exchange
from tests.services import running_postgres, running_redis, scratch

pytestmark = pytest.mark.integration
SOCKET = ".s.PGSQL.5432"
_numbers = count()


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--accounts", "12", "--speed", "5") as process:
        yield process


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[EmbeddedRedis]:
    with running_redis() as server:
        yield server


@asynccontextmanager
async def postgres_line(server: EmbeddedPostgres) -> AsyncIterator[tuple[Proxy, str]]:
    """A bad line to the database, and the URL of its near end."""
    async with AsyncExitStack() as stack:
        near = stack.enter_context(scratch())
        proxy = await stack.enter_async_context(Proxy(str(server.socket_dir / SOCKET), str(near / SOCKET)))
        far = str(server.socket_dir)
        url = server.app_dsn.replace(quote(far, safe=""), quote(str(near), safe="")).replace(far, str(near))
        yield proxy, url


@pytest.fixture
async def kept(running: Running, postgres: EmbeddedPostgres) -> AsyncIterator[tuple[Rig, Proxy]]:
    """A router whose journal lies at the end of a bad line, one database for each account."""
    number = next(_numbers)
    async with postgres_line(postgres) as (line, url), rig_on(running, number) as rig:
        journal = PostgresJournal(url, patience_s=0.3, statement_s=0.5)
        rig.name = f"{ROUTER}-{number}"
        rig.journal = journal
        await rig.start()
        yield rig, line
        await rig.stop()
        assert await journal.verify(rig.name) > 0
        await journal.close()


async def test_f59_without_the_journal_no_order_leaves(kept: tuple[Rig, Proxy]) -> None:
    rig, line = kept
    line.partition()
    await rig.target("0.5")
    await asyncio.sleep(2.0)
    assert await rig.arrivals() == []
    assert rig.router.health().status == "degraded"
    line.heal()
    await rig.held("0.5")
    await rig.judged()


async def test_f59_a_journal_that_refuses_connections(kept: tuple[Rig, Proxy]) -> None:
    rig, line = kept
    await rig.target("0.2")
    await rig.held("0.2")
    line.refusing = True
    line.reset()
    await rig.target("0.5")
    await asyncio.sleep(1.5)
    assert len(await rig.arrivals()) == 1
    line.heal()
    await rig.held("0.5")
    await rig.judged()


@pytest.mark.parametrize("bytes_heard", [0, 1, 20])
async def test_f60_a_commit_whose_answer_is_lost_is_read_back_and_not_written_again(
    kept: tuple[Rig, Proxy], bytes_heard: int
) -> None:
    """The decision to send is written, and the line breaks on the way back."""
    rig, line = kept
    line.down = Way(cut_after=bytes_heard)
    await rig.target("0.5")
    await rig.until("the answer is lost", lambda: line.cut > 0)
    line.heal()
    await rig.held("0.5")
    await rig.judged()
    keys = [record.entry.key async for record in rig.journal.read(rig.name)]
    assert len(keys) == len(set(keys))


async def test_f60_an_answer_that_never_comes(kept: tuple[Rig, Proxy]) -> None:
    rig, line = kept
    line.down = Way(deaf=True)
    await rig.target("0.5")
    await asyncio.sleep(1.2)
    line.heal()
    await rig.held("0.5")
    await rig.judged()


async def test_f64_a_router_cut_off_from_its_lease_opens_nothing_once_it_has_run_out(
    running: Running, postgres: EmbeddedPostgres
) -> None:
    """G5: the journal, the exchange and the prices are all there; the lease alone cannot be renewed."""
    number = next(_numbers)
    async with postgres_line(postgres) as (line, url), rig_on(running, number) as rig:
        store = PostgresLeases(url, statement_s=0.3)
        rig.lease = lease = TradingLease(
            store, f"lines-{number}", "rig", monotonic_ms=monotonic_ms, sleep=asyncio.sleep, ttl_ms=1_000, renew_ms=250
        )
        await rig.start()
        await rig.target("0.2")
        await rig.held("0.2")
        line.partition()
        await rig.until("the lease has run out", lambda: not lease.held(), 1.5)
        await rig.target("0.5")
        await asyncio.sleep(1.5)
        assert len(await rig.arrivals()) == 1
        line.heal()
        await rig.held("0.5")
        await rig.judged()
        await rig.stop()
        await store.close()


async def test_f58_without_the_cache_trading_goes_on(running: Running, redis: EmbeddedRedis) -> None:
    async with AsyncExitStack() as stack:
        near = str(stack.enter_context(scratch()) / "redis.sock")
        line = await stack.enter_async_context(Proxy(str(redis.socket), near))
        rig = await stack.enter_async_context(rig_on(running, next(_numbers)))
        cache = RedisCache(redis.url.replace(quote(str(redis.socket)), quote(near)))
        stack.push_async_callback(cache.close)
        rig.cache = cache
        await rig.start()
        await rig.until("the feed writes depth", lambda: line.carried["up"] > 0)
        line.partition()
        await rig.target("0.5")
        await rig.held("0.5")
        line.heal()
        line.reset()
        carried = line.carried["up"]
        await rig.until("the feed writes again", lambda: line.carried["up"] > carried)
        await rig.target("0.2")
        await rig.held("0.2")
        await rig.judged()
