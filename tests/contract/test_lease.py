"""What every lease store must do, in memory and in PostgreSQL alike, and what a trading lease makes of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hedgelock_actors.adapters.memory.lease import AlwaysHeld, MemoryLeases
from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.ports.lease import LeaseLost, LeaseStore, LeaseUnavailable
from hedgelock_actors.trading_lease import TradingLease
from tests.services import running_postgres

_names = itertools.count()
Pass = Callable[[int], Awaitable[None]]


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True)
class Case:
    """A store, and how time passes for it."""

    store: LeaseStore
    passes: Pass


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["memory", "postgres"])
async def case(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> AsyncIterator[Case]:
    if request.param == "memory":
        clock = [1_700_000_000_000]

        async def passes(ms: int) -> None:
            clock[0] += ms

        yield Case(MemoryLeases(lambda: clock[0]), passes)
        return

    async def really(ms: int) -> None:
        await asyncio.sleep(ms / 1_000)

    leases = PostgresLeases(postgres.app_dsn)
    yield Case(leases, really)
    await leases.close()


@pytest.fixture
def account() -> str:
    return f"main-{next(_names)}"


# ---------------------------------------------------------------- the store


async def test_the_first_holder_need_not_wait_and_epochs_grow(case: Case, account: str) -> None:
    grants = [await case.store.take(account, holder, 60_000) for holder in ("one", "two", "one")]
    assert [grant.epoch for grant in grants] == [1, 2, 3]
    assert grants[0].wait_ms == 0


async def test_accounts_are_apart(case: Case, account: str) -> None:
    await case.store.take(account, "one", 60_000)
    other = await case.store.take(f"{account}-other", "two", 60_000)
    assert (other.epoch, other.wait_ms) == (1, 0)
    await case.store.renew(account, 1, 60_000)


async def test_a_predecessor_can_renew_no_more(case: Case, account: str) -> None:
    old = await case.store.take(account, "one", 60_000)
    await case.store.renew(account, old.epoch, 60_000)
    new = await case.store.take(account, "two", 60_000)
    for _ in range(2):
        with pytest.raises(LeaseLost, match=r"two.*2"):
            await case.store.renew(account, old.epoch, 60_000)
    await case.store.renew(account, new.epoch, 60_000)


async def test_nobody_renews_what_was_never_granted(case: Case, account: str) -> None:
    with pytest.raises(LeaseLost):
        await case.store.renew(account, 1, 60_000)
    await case.store.take(account, "one", 60_000)
    with pytest.raises(LeaseLost):
        await case.store.renew(account, 2, 60_000)


async def test_a_successor_waits_until_its_predecessor_s_right_has_ended(case: Case, account: str) -> None:
    old = await case.store.take(account, "one", 100)
    await case.store.renew(account, old.epoch, 60_000)
    new = await case.store.take(account, "two", 60_000)
    assert 58_000 <= new.wait_ms <= 60_000


async def test_a_lease_expires_by_the_store_s_clock(case: Case, account: str) -> None:
    await case.store.take(account, "one", 80)
    await case.passes(100)
    assert (await case.store.take(account, "two", 60_000)).wait_ms == 0


async def test_one_that_ran_out_may_be_renewed_as_long_as_nobody_took_it(case: Case, account: str) -> None:
    grant = await case.store.take(account, "one", 50)
    await case.passes(80)
    await case.store.renew(account, grant.epoch, 60_000)
    assert (await case.store.take(account, "two", 60_000)).wait_ms > 50_000


async def test_one_that_is_given_back_need_not_be_waited_for(case: Case, account: str) -> None:
    grant = await case.store.take(account, "one", 60_000)
    await case.store.release(account, grant.epoch)
    assert (await case.store.take(account, "two", 60_000)).wait_ms == 0


async def test_an_old_holder_gives_back_nothing(case: Case, account: str) -> None:
    old = await case.store.take(account, "one", 60_000)
    await case.store.take(account, "two", 60_000)
    await case.store.release(account, old.epoch)
    await case.store.release(account, 99)
    await case.store.release(f"{account}-nobody", 1)
    assert (await case.store.take(account, "three", 60_000)).wait_ms > 50_000


async def test_a_holder_that_never_began_gives_back_only_its_own_time(case: Case, account: str) -> None:
    """Two took over from one while its right still ran, and gave up at once: three still has to wait for one."""
    await case.store.take(account, "one", 60_000)
    two = await case.store.take(account, "two", 100)
    assert two.wait_ms > 50_000
    await case.store.release(account, two.epoch)
    three = await case.store.take(account, "three", 100)
    assert three.wait_ms > 50_000
    await case.passes(150)
    assert (await case.store.take(account, "four", 100)).wait_ms > 50_000


async def test_of_many_who_take_it_at_once_each_has_an_epoch_and_only_the_last_renews(case: Case, account: str) -> None:
    grants = await asyncio.gather(*(case.store.take(account, f"holder-{n}", 60_000) for n in range(8)))
    assert sorted(grant.epoch for grant in grants) == list(range(1, 9))
    assert [grant.epoch for grant in grants if grant.wait_ms == 0] == [1], "all but the first wait for the one before"
    for grant in grants:
        if grant.epoch == 8:
            await case.store.renew(account, grant.epoch, 60_000)
        else:
            with pytest.raises(LeaseLost):
                await case.store.renew(account, grant.epoch, 60_000)


# ---------------------------------------------------------------- without its store


async def test_a_store_that_cannot_be_reached_says_so_quickly() -> None:
    leases = PostgresLeases("postgresql://u:secret@/hedgelock?host=/nonexistent")
    for call in (leases.take("a", "h", 1_000), leases.renew("a", 1, 1_000), leases.release("a", 1)):
        with pytest.raises(LeaseUnavailable) as caught:
            async with asyncio.timeout(3):
                await call
        assert "secret" not in str(caught.value)
    await leases.close()
    memory = MemoryLeases(lambda: 0)
    memory.available = False
    for call in (memory.take("a", "h", 1_000), memory.renew("a", 1, 1_000), memory.release("a", 1)):
        with pytest.raises(LeaseUnavailable):
            await call


# ---------------------------------------------------------------- the trading lease, on real clocks


def lease(store: LeaseStore, account: str, holder: str, *, ttl_ms: int = 300, patience_ms: int = 0) -> TradingLease:
    return TradingLease(
        store, account, holder, monotonic_ms=monotonic_ms, sleep=asyncio.sleep, ttl_ms=ttl_ms, renew_ms=ttl_ms // 6,
        patience_ms=patience_ms,
    )  # fmt: skip


async def until(true: Callable[[], bool], within_s: float = 10.0) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, "it did not happen"
        await asyncio.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
async def leases(postgres: EmbeddedPostgres) -> AsyncIterator[PostgresLeases]:
    made = PostgresLeases(postgres.app_dsn)
    yield made
    await made.close()


async def test_it_is_kept_for_as_long_as_it_is_renewed(leases: PostgresLeases, account: str) -> None:
    one = lease(leases, account, "one", ttl_ms=600, patience_ms=5_000)
    assert not one.held()
    await one.start()
    assert one.held()
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert one.held()
        await asyncio.sleep(0.01)
    assert one.renewals >= 3
    await one.stop()
    assert not one.held()
    assert (await leases.take(account, "two", 100)).wait_ms == 0, "it was given back"


async def test_two_routers_race_and_never_both_hold_it(postgres: EmbeddedPostgres, account: str) -> None:
    """Each has its own connection; one after the other takes the account over, and the one before is out for good."""
    stores = [PostgresLeases(postgres.app_dsn) for _ in range(2)]
    both: list[tuple[bool, ...]] = []
    racers: list[TradingLease] = []
    watching = True

    async def watch() -> None:
        while watching:
            both.append(tuple(racer.held() for racer in racers))
            await asyncio.sleep(0.001)

    watcher = asyncio.create_task(watch())
    try:
        for n in range(5):
            racers.append(lease(stores[n % 2], account, f"racer-{n}"))
            await racers[-1].start()
            if n < 3:  # the last two come at once, before either was granted its turn
                await until(racers[-1].held)
        await until(lambda: any(racer.held() and racer.epoch == 5 for racer in racers))
        await until(lambda: sum(bool(racer.lost) for racer in racers) == 4)
        assert [racer.held() for racer in racers] == [racer.epoch == 5 for racer in racers]
    finally:
        watching = False
        await watcher
        for racer in racers:
            await racer.stop()
        for store in stores:
            await store.close()
    assert max(map(sum, both)) == 1
    assert len(both) > 100


async def test_taking_over_from_one_that_was_killed_takes_no_longer_than_its_time(
    leases: PostgresLeases, account: str
) -> None:
    await leases.take(account, "killed -9", 500)
    two = lease(leases, account, "two", ttl_ms=500, patience_ms=5_000)
    began = time.monotonic()
    await two.start()
    assert two.held()
    assert 0.3 < time.monotonic() - began < 1.5
    await two.stop()


async def test_kill_9_of_the_store_ends_the_right_in_time_and_the_store_s_return_restores_it(
    postgres: EmbeddedPostgres, leases: PostgresLeases, account: str
) -> None:
    one = lease(leases, account, "one", ttl_ms=600, patience_ms=5_000)
    await one.start()
    assert one.held()
    pid = postgres.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert await until(lambda: not one.held(), 3.0) < 1.5
    with pytest.raises(LeaseUnavailable):
        await leases.renew(account, one.epoch, 600)
    assert not one.lost
    await postgres.start()
    await until(one.held, 20.0)
    assert one.epoch == 1, "nobody had taken it, so it goes on"
    assert (await leases.take(account, "two", 600)).epoch == 2, "epochs survive the death of the store"
    await until(lambda: bool(one.lost))
    assert not one.held()
    await one.stop()


PROCESS = """
import asyncio, sys, time
from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.trading_lease import TradingLease

async def main(dsn, account):
    lease = TradingLease(
        PostgresLeases(dsn), account, "stopped", monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        sleep=asyncio.sleep, ttl_ms=2_000, renew_ms=100, patience_ms=10_000,
    )
    await lease.start()
    print(lease.held(), flush=True)
    for _ in sys.stdin:  # from here on its loop never runs again: only the look itself can say no
        print(lease.held(), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_f48_a_process_that_was_stopped_is_told_no_at_its_first_look(
    postgres: EmbeddedPostgres, leases: PostgresLeases, account: str
) -> None:
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, postgres.app_dsn, account, **pipes, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def look() -> bytes:
        process.stdin.write(b"\n")  # type: ignore[union-attr]
        return (await process.stdout.readline()).strip()  # type: ignore[union-attr]

    try:
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).strip() == b"True"
            assert await look() == b"True"
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(2.1)
            two = lease(leases, account, "two", ttl_ms=600, patience_ms=5_000)
            await two.start()
            assert two.held()
            os.kill(process.pid, signal.SIGCONT)
            assert await look() == b"False"
            await two.stop()
    finally:
        process.kill()
        await process.communicate()


async def test_the_application_may_not_turn_an_epoch_back(postgres: EmbeddedPostgres, account: str) -> None:
    leases = PostgresLeases(postgres.app_dsn)
    await leases.take(account, "one", 1_000)
    await leases.take(account, "two", 1_000)
    await leases.close()
    for dsn in (postgres.app_dsn, postgres.owner_dsn):
        connection = await asyncpg.connect(dsn.replace("+asyncpg", ""))
        try:
            for statement in (
                "UPDATE hedgelock.leases SET epoch = 1",
                "UPDATE hedgelock.leases SET holder = 'three'",
                "UPDATE hedgelock.leases SET free_at = '-infinity'",
                "UPDATE hedgelock.leases SET account = 'other'",
                "DELETE FROM hedgelock.leases",
                "TRUNCATE hedgelock.leases",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.close()


async def test_a_process_that_is_alone_always_holds_it() -> None:
    alone = AlwaysHeld()
    await alone.start()
    assert alone.held()
    await alone.stop()
    assert alone.held()


def test_a_lease_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(InvalidInput):
        TradingLease(
            MemoryLeases(lambda: 0), "a", "h", monotonic_ms=lambda: 0, sleep=asyncio.sleep, ttl_ms=500, renew_ms=500
        )
