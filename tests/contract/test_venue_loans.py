"""The contract of ports.venue.Loans, held by the Bybit adapter on the simulated exchange."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.keys import key_expires_ms
from hedgelock_actors.adapters.bybit.rest import RestClient
from hedgelock_actors.domain.order import Accepted, Rejected, Unknown
from tests.contract.venue_kit import World, keys, world_on
from tests.integration.exchange_process import Running, exchange

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--collateral", "10", "--ltv", "0.40", "--reserve", "0.35") as process:
        yield process


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    async with world_on(running, ("wallet",)) as opened:
        yield opened


async def test_the_loan_is_read_whole(world: World) -> None:
    (loan,) = await world.loans.loans()
    assert (loan.collateral_coin, loan.collateral) == ("BTC", Decimal(10))
    assert loan.debt > 0
    assert loan.lender_ltv == pytest.approx(0.40, abs=0.02)
    assert loan.lender_ltv == pytest.approx(float(loan.debt / loan.collateral_value_usd), abs=1e-4)
    assert loan.haircut == pytest.approx(1.0, abs=0.02)
    assert abs(loan.ts_ms - world.clock.now_ms()) < 5_000


async def test_money_goes_to_the_lender_once(world: World) -> None:
    (before,) = await world.loans.loans()
    funding = await world.loans.funding_wallet_usdt()
    free = await world.loans.transferable_usdt()
    assert free > 1_000
    transfer_id = str(uuid.uuid4())
    assert await world.loans.find_transfer(transfer_id) is None
    first = await world.loans.transfer_to_funding(transfer_id, Decimal("1000.5"))
    again = await world.loans.transfer_to_funding(transfer_id, Decimal("1000.5"))
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert await world.loans.find_transfer(transfer_id) == "SUCCESS"
    assert await world.loans.funding_wallet_usdt() == funding + Decimal("1000.5")
    assert await world.loans.transferable_usdt() == free - Decimal("1000.5")

    assert isinstance(await world.loans.repay(Decimal("1000.5")), Accepted)
    await asyncio.sleep(0.5)  # the venue takes a moment, and answers only five such questions per second
    (after,) = await world.loans.loans()
    assert abs(before.debt - after.debt - Decimal("1000.5")) < Decimal("0.5")  # interest may have been added
    assert await world.loans.funding_wallet_usdt() == funding


async def test_too_much_is_refused(world: World) -> None:
    refused = await world.loans.transfer_to_funding(str(uuid.uuid4()), Decimal(99999999))
    assert isinstance(refused, Rejected)
    assert not refused.retry
    assert isinstance(await world.loans.repay(Decimal(99999999)), Rejected)


@pytest.mark.parametrize("fault", ["10016", "timeout", "reset"])
async def test_f46_an_unknown_transfer_is_settled_by_its_id(world: World, fault: str) -> None:
    funding = await world.loans.funding_wallet_usdt()
    transfer_id = str(uuid.uuid4())
    world.running.fault(kind="rest", fault=fault, path="/v5/asset/transfer/inter-transfer", count=1)
    assert isinstance(await world.loans.transfer_to_funding(transfer_id, Decimal(100)), Unknown)
    assert isinstance(await world.loans.transfer_to_funding(transfer_id, Decimal(100)), Accepted)
    assert await world.loans.find_transfer(transfer_id) == "SUCCESS"
    assert await world.loans.funding_wallet_usdt() == funding + 100


async def test_a_pending_transfer_is_told_apart_from_an_ended_one(world: World) -> None:
    world.running.fault(kind="transfer_pending", ms=700)
    transfer_id = str(uuid.uuid4())
    try:
        assert isinstance(await world.loans.transfer_to_funding(transfer_id, Decimal(10)), Accepted)
        assert await world.loans.find_transfer(transfer_id) == "PENDING"
    finally:
        world.running.fault(kind="transfer_pending", ms=0)
    await asyncio.sleep(1.0)
    assert await world.loans.find_transfer(transfer_id) == "SUCCESS"


async def test_f71_the_venue_says_when_a_key_ends(world: World) -> None:
    rest = RestClient(Endpoints.local(world.running.rest), keys(world.running), world.clock, workers=1)
    try:
        assert await key_expires_ms(rest) == 4_102_444_800_000
    finally:
        rest.close()
