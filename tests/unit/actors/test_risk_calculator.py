"""Levels and demands: by the formulas, versioned, taken up again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import FeedStale, HedgeChanged, HedgeDemand, LoanChanged, RiskStateChanged
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Record
from hedgelock_actors.risk_calculator import RiskCalculator
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, tick

RISK, KEEPER = "risk-calculator-0", "keeper"


def loan(version: int = 1, debt: int = 240_000, loan_id: str = "loan-1", collateral: int = 10) -> LoanChanged:
    return LoanChanged(
        account=ACCOUNT,
        loan_id=loan_id,
        version=version,
        ts_ms=0,
        collateral_coin="BTC",
        symbol=SYMBOL,
        collateral=Decimal(collateral),
        debt=Decimal(debt),
        haircut=1.0,
        lender_ltv=0.4,
    )


def hedge(version: int = 1, short: str = "0", entry: int = 60_000, unswept: int = 0) -> HedgeChanged:
    return HedgeChanged(
        account=ACCOUNT,
        symbol=SYMBOL,
        version=version,
        ts_ms=0,
        short_qty=Decimal(short),
        entry_price=Decimal(entry),
        unswept_profit=Decimal(unswept),
    )


class Desk:
    """A shard of one account."""

    def __init__(self) -> None:
        self.clock, self.transport, self.journal = ManualClock(), MemoryTransport(), MemoryJournal()
        self.risk = self.build()

    def build(self) -> RiskCalculator:
        return RiskCalculator(
            RISK,
            journal=self.journal,
            clock=self.clock,
            transport=self.transport,
            policy=Policy(),
            keepers={ACCOUNT: KEEPER},
            notifier="notifier",
        )

    async def at(self, price: int, after_ms: int = 1_000) -> HedgeDemand:
        await self.clock.advance(after_ms)
        await self.risk.receive(tick(self.clock.now_ms(), price))
        return self.transport.messages(HedgeDemand, KEEPER)[-1]

    def changes(self) -> list[tuple[RiskLevel, RiskLevel]]:
        return [(one.previous, one.level) for one in self.transport.messages(RiskStateChanged, "notifier")]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.risk.start()
    await desk.risk.receive(loan())
    await desk.risk.receive(hedge())
    yield desk
    await desk.clock.stop()


async def test_the_demand_is_the_stress_ladders(desk: Desk) -> None:
    demand = await desk.at(60_000)
    assert float(demand.floor_qty) == pytest.approx(10 * (0.5 - 0.1 / 0.3))
    assert float(demand.neutral_qty) == pytest.approx(4.0)
    assert demand.lender_ltv == demand.net_ltv == pytest.approx(0.4)


async def test_profit_of_the_hedge_lowers_the_net_and_not_the_lenders_ltv(desk: Desk) -> None:
    await desk.risk.receive(hedge(2, "2", 60_000, unswept=5_000))
    demand = await desk.at(50_000)
    assert demand.lender_ltv == pytest.approx(0.48)
    assert demand.net_ltv == pytest.approx((240_000 - 20_000 - 5_000) / 500_000)


async def test_the_credit_is_shared_by_debt(desk: Desk) -> None:
    await desk.risk.receive(loan(1, 60_000, "loan-2", 2))
    await desk.risk.receive(hedge(2, "0", unswept=30_000))
    demand = await desk.at(60_000)
    assert float(demand.neutral_qty) == pytest.approx((300_000 - 30_000) / 60_000)
    assert demand.net_ltv == pytest.approx((60_000 - 6_000) / 120_000)


async def test_f44_older_versions_and_older_prices_change_nothing(desk: Desk) -> None:
    await desk.risk.receive(loan(3, 200_000))
    await desk.risk.receive(loan(2, 100_000))
    first = await desk.at(60_000)
    assert first.debt == 200_000
    sent = len(desk.transport.sent)
    await desk.risk.receive(tick(desk.clock.now_ms() - 500, 10_000))
    assert len(desk.transport.sent) == sent


async def test_f45_with_less_collateral_more_is_to_be_hedged_and_without_a_loan_nothing(desk: Desk) -> None:
    before = await desk.at(60_000)
    await desk.risk.receive(loan(2, collateral=9))
    less = await desk.at(60_000)
    assert (less.collateral_qty, less.level) == (9, RiskLevel.CAUTION)
    assert less.floor_qty > before.floor_qty
    await desk.risk.receive(loan(3, debt=0, collateral=0))
    none = await desk.at(60_000)
    assert (none.floor_qty, none.neutral_qty, none.lender_ltv) == (0, 0, 0)


async def test_levels_go_up_at_once_and_down_after_the_dwell(desk: Desk) -> None:
    await desk.at(60_100)
    await desk.at(53_000)
    assert desk.changes() == [(RiskLevel.SAFE, RiskLevel.DANGER)]
    await desk.at(58_000)
    await desk.at(58_000, 59_000)
    assert len(desk.changes()) == 1
    await desk.at(58_000, 2_000)
    assert desk.changes()[-1] == (RiskLevel.DANGER, RiskLevel.CAUTION)
    assert [row.kind for row in desk.journal.rows(RISK)] == ["risk_state", "risk_state"]


async def test_a_restart_knows_level_loan_and_hedge(desk: Desk) -> None:
    await desk.at(53_000)
    epoch = await desk.journal.open(KEEPER)
    kept = (("loan", loan(4, 250_000)), ("hedge", hedge(5, "1")))
    for kind, message in kept:
        entry = Entry(kind=kind, key=kind, ts_ms=0, account=ACCOUNT, payload=message.model_dump(mode="json"))
        await desk.journal.append(KEEPER, epoch, [entry])
    desk.transport.forget()
    desk.risk = desk.build()
    await desk.risk.start()
    demand = await desk.at(53_000)
    assert demand.debt == 250_000
    assert demand.level is RiskLevel.DANGER
    assert desk.changes() == []


async def test_nothing_is_decided_on_a_stale_feed(desk: Desk) -> None:
    await desk.at(60_000)
    await desk.risk.receive(FeedStale(symbol=SYMBOL, ts_ms=desk.clock.now_ms(), reason="test"))
    sent = len(desk.transport.sent)
    await desk.risk.receive(loan(9, 300_000))
    assert len(desk.transport.sent) == sent


async def test_without_the_journal_protection_goes_on_and_the_record_follows(desk: Desk) -> None:
    desk.journal.available = False
    demand = await desk.at(50_000)
    assert demand.level is RiskLevel.CRITICAL
    assert desk.risk.health().status == "degraded"
    desk.journal.available = True
    await desk.clock.advance(1_500)
    assert len(desk.journal.rows(RISK)) == 1
    assert desk.risk.health().status == "ready"


async def test_a_loan_without_collateral_is_as_risky_as_can_be_and_stops_nothing(desk: Desk) -> None:
    await desk.risk.receive(loan(2, 100, "loan-2", 0))
    demand = await desk.at(60_000)
    assert demand.level is RiskLevel.CRITICAL
    assert demand.lender_ltv == 1_000_000.0


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class SlowJournal(MemoryJournal):
    """Lets appends wait for `go`; those of which `fails` says so are written, and their answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.fails: list[bool] = []

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        lost = self.fails.pop(0) if self.fails else False
        await self.go.wait()
        records = await super().append(stream, epoch, entries)
        if lost:
            raise JournalUnavailable("the connection was lost on COMMIT")
        return records


async def test_a_record_and_the_beat_that_write_at_once_lose_nothing_and_find_back(desk: Desk) -> None:
    journal = SlowJournal()
    desk.journal, desk.risk = (
        journal,
        RiskCalculator(
            RISK,
            journal=journal,
            clock=desk.clock,
            transport=desk.transport,
            policy=Policy(),
            keepers={ACCOUNT: KEEPER},
            notifier="notifier",
        ),
    )
    await desk.risk.start()
    await desk.risk.receive(loan())
    await desk.risk.receive(hedge())
    journal.fails = [False, True]
    record = asyncio.create_task(desk.risk.receive(tick(desk.clock.now_ms() + 1, 55_000)))
    await turns()
    beat = asyncio.create_task(desk.risk._beat())
    await turns()
    journal.go.set()
    await asyncio.gather(record, beat)
    await desk.clock.advance(3_000)
    assert len(desk.journal.rows(RISK)) == len(desk.changes()) == 1
    assert desk.risk.health().status == "ready"
