"""Sweeps: due, bounded, one at a time, and whole wherever the treasury dies or an answer is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AccountState,
    LoanTouched,
    RealiseProfit,
    TradingStateChanged,
    TreasuryActed,
)
from hedgelock_actors.domain.order import SubmitOutcome
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.ports.journal import JournalUnavailable, Record
from hedgelock_actors.ports.venue import LoanView
from hedgelock_actors.treasury import Treasury
from tests.crash.router_rig import Died, Fuse, FusedJournal
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, FakeLoans
from tests.unit.actors.test_risk_calculator import loan

TREASURY = "treasury"


class FusedLoans(FakeLoans):
    """The calls of one process to the shared lender, behind a fuse."""

    def __init__(self, inner: FakeLoans, fuse: Fuse) -> None:
        super().__init__(inner.clock)
        self._inner, self._fuse = inner, fuse

    async def loans(self) -> Sequence[LoanView]:
        return await self._fuse.around("loans", self._inner.loans())

    async def funding_wallet_usdt(self) -> Decimal:
        return await self._fuse.around("funding", self._inner.funding_wallet_usdt())

    async def transferable_usdt(self) -> Decimal:
        return await self._fuse.around("transferable", self._inner.transferable_usdt())

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        return await self._fuse.around("transfer", self._inner.transfer_to_funding(transfer_id, amount))

    async def find_transfer(self, transfer_id: str) -> str | None:
        return await self._fuse.around("find_transfer", self._inner.find_transfer(transfer_id))

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        return await self._fuse.around("repay", self._inner.repay(amount))


class Desk:
    """A treasury, and the account states that its keeper would send."""

    def __init__(self) -> None:
        self.clock, self.transport, self.journal = ManualClock(), MemoryTransport(), MemoryJournal()
        self.loans = FakeLoans(self.clock)
        self.version, self.debt_told = 1, self.loans.debt
        self.short, self.price = Decimal(2), 53_000
        self.fuse = Fuse()
        self.treasury = self.build()

    def build(self, at: int = -1) -> Treasury:
        self.fuse = Fuse(at)
        return Treasury(
            TREASURY,
            {ACCOUNT: (FusedLoans(self.loans, self.fuse), "keeper")},
            journal=FusedJournal(self.journal, self.fuse),
            clock=self.clock,
            transport=self.transport,
            policy=Policy(),
            notifier="notifier",
        )

    def state(self) -> AccountState:
        if self.loans.debt != self.debt_told:
            self.version, self.debt_told = self.version + 1, self.loans.debt
        equity = self.loans.unified + self.short * (60_000 - self.price)
        return AccountState(
            account=ACCOUNT,
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms(),
            wallet_usdt=self.loans.unified,
            equity_usdt=equity,
            available_usdt=equity,
            maintenance_margin_usdt=Decimal(0),
            funding_wallet_usdt=self.loans.funding,
            short_qty=self.short,
            entry_price=Decimal(60_000),
            mark=Decimal(self.price),
            target_short_qty=self.short,
            loan=loan(self.version, int(self.debt_told)).model_copy(update={"debt": self.debt_told}),
            level=RiskLevel.DANGER,
            lender_price=Decimal(self.price),
        )

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            await self.clock.advance(1_000)
            await self.treasury.receive(self.state())

    def acted(self) -> list[str]:
        return [one.action for one in self.transport.messages(TreasuryActed, "notifier")]

    @property
    def ltv(self) -> float:
        return float(self.loans.debt) / (10 * self.price)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.treasury.start()
    yield desk
    await desk.clock.stop()


async def test_below_the_trigger_nothing_is_even_asked(desk: Desk) -> None:
    desk.price = 54_000
    desk.loans.failing = 10
    await desk.seconds(5)
    assert desk.loans.failing == 10
    assert desk.journal.rows(TREASURY) == []


async def test_a_sweep_brings_the_lenders_ltv_to_its_target_once(desk: Desk) -> None:
    await desk.seconds(20)
    assert len(desk.loans.transfers) == len(desk.loans.repaid) == 1
    assert desk.ltv == pytest.approx(0.42, abs=1e-6)
    assert desk.loans.funding == 0
    assert [row.kind for row in desk.journal.rows(TREASURY)] == [
        "sweep_planned", "transfer_sent", "transfer_done", "repay_sent", "repay_done",
    ]  # fmt: skip
    [touched] = desk.transport.messages(LoanTouched, "keeper")
    assert touched.swept_usdt == desk.loans.repaid[0]
    assert desk.acted() == ["sweep"]


async def test_the_funding_wallet_repays_first(desk: Desk) -> None:
    desk.loans.funding = Decimal(5_000)
    await desk.seconds(5)
    [moved] = desk.loans.transfers.values()
    assert moved == desk.loans.repaid[0] - 5_000


async def test_margin_for_a_rally_stays_and_the_missing_sum_is_told(desk: Desk) -> None:
    desk.short, desk.loans.unified = Decimal(4), Decimal(40_000)
    desk.price = 50_000
    await desk.seconds(10)
    kept = 4 * 50_000 * 0.307
    equity = float(desk.loans.unified) + 4 * 10_000
    assert equity == pytest.approx(kept, rel=0.01)
    assert "sweep_short_of_cash" in desk.acted()


async def test_profit_that_is_not_cash_is_realised_once_and_swept_when_it_came(desk: Desk) -> None:
    desk.loans.unified, desk.short, desk.price = Decimal(5_000), Decimal(3), 40_000
    await desk.seconds(20)
    assert len(desk.transport.messages(RealiseProfit, "keeper")) == 1
    before = desk.ltv
    desk.loans.unified += 30_000
    await desk.seconds(70)
    assert desk.ltv < before
    ids = [one.request_id for one in desk.transport.messages(RealiseProfit, "keeper")]
    assert len(set(ids)) == len(ids)


async def test_halted_moves_no_money(desk: Desk) -> None:
    await desk.treasury.receive(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=0, reason="test"))
    await desk.seconds(10)
    assert desk.journal.rows(TREASURY) == []
    await desk.treasury.receive(TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=0, reason="over"))
    await desk.seconds(5)
    assert len(desk.loans.repaid) == 1


@pytest.mark.parametrize(
    "answers", [["lost"], ["unanswered"], ["", "lost"], ["", "unanswered"], ["lost", "lost", "lost"]]
)
async def test_f46_lost_answers_move_money_once(desk: Desk, answers: list[str]) -> None:
    desk.loans.answers = answers
    await desk.seconds(40)
    assert len(desk.loans.transfers) == len(desk.loans.repaid) == 1
    assert desk.ltv == pytest.approx(0.42, abs=1e-6)
    assert desk.loans.funding == 0


async def test_a_refused_transfer_is_told_and_tried_again_later(desk: Desk) -> None:
    desk.loans.answers = ["131212"]
    await desk.seconds(10)
    assert desk.acted() == ["sweep_failed"]
    await desk.seconds(30)
    assert desk.acted() == ["sweep_failed", "sweep"]
    assert len(desk.loans.repaid) == 1


async def test_other_peoples_money_in_the_funding_wallet_is_not_repaid_with_after_a_lost_answer(desk: Desk) -> None:
    desk.loans.answers = ["", "unanswered"]
    await desk.seconds(1)
    desk.loans.funding += 3
    await desk.seconds(20)
    assert len(desk.loans.repaid) == 1
    assert desk.loans.funding == 3


async def test_without_the_journal_no_money_moves(desk: Desk) -> None:
    desk.journal.available = False
    await desk.seconds(5)
    assert desk.loans.transfers == {}
    desk.journal.available = True
    await desk.seconds(10)
    assert len(desk.loans.repaid) == 1


async def test_queries_that_fail_are_asked_again(desk: Desk) -> None:
    desk.loans.failing = 7
    await desk.seconds(20)
    assert len(desk.loans.repaid) == 1
    assert desk.treasury.health().status == "ready"


class BreakingJournal(MemoryJournal):
    """Loses its connection behind the last record of a stream, the first time it is read."""

    breaks = 0

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        async for record in super().read(stream, kinds=kinds, account=account, after_n=after_n):
            yield record
        if self.breaks:
            self.breaks -= 1
            raise JournalUnavailable("the connection was lost")


async def test_a_replay_that_breaks_off_and_is_repeated_counts_every_sweep_once() -> None:
    desk = Desk()
    desk.journal = journal = BreakingJournal()
    desk.treasury = desk.build()
    await desk.treasury.start()
    await desk.seconds(20)
    [before] = desk.treasury.snapshot().values()
    assert isinstance(before, dict)
    assert before["sweeps"] == 1
    await desk.treasury.stop()
    journal.breaks = 1
    desk.treasury = desk.build()
    await desk.treasury.start()
    assert desk.treasury.health().status == "degraded"
    await desk.clock.advance(3_000)
    assert desk.treasury.snapshot()[ACCOUNT] == before
    await desk.clock.stop()


async def _live(desk: Desk, fuses: list[int]) -> list[str]:
    """Forty seconds in which the treasury dies at the fuses and is started again."""
    deaths: list[str] = []
    await desk.clock.stop()
    desk.treasury = desk.build(fuses.pop(0) if fuses else -1)
    started = False
    for _ in range(40):
        try:
            if not started:
                await desk.treasury.start()
                started = True
            await desk.seconds(1)
        except Died as death:
            deaths.append(str(death))
            await desk.clock.stop()
            desk.treasury = desk.build(fuses.pop(0) if fuses else -1)
            started = False
    return deaths


async def test_f46_dying_anywhere_moves_the_money_once() -> None:
    trial = Desk()
    assert await _live(trial, []) == []
    points = trial.fuse.points
    places: set[str] = set()
    for first in range(points):
        desk = Desk()
        deaths = await _live(desk, [first])
        places |= set(deaths)
        assert len(deaths) == 1
        assert len(desk.loans.repaid) == len(desk.loans.transfers) == 1, deaths
        assert desk.ltv == pytest.approx(0.42, abs=1e-6), deaths
        assert desk.loans.funding == 0, deaths
        done = [json.loads(row.payload) for row in desk.journal.rows(TREASURY) if row.kind == "repay_done"]
        assert [Decimal(one["amount"]) for one in done] == desk.loans.repaid, deaths
        assert {one.action_id for one in desk.transport.messages(LoanTouched, "keeper")} == {done[0]["action_id"]}
    assert {"before transfer", "after transfer", "before repay", "after repay", "after append repay_done"} <= places


async def test_dying_twice_anywhere_moves_the_money_once() -> None:
    for first in range(4, 30, 2):
        for second in range(4, 24, 3):
            desk = Desk()
            deaths = await _live(desk, [first, second])
            assert len(desk.loans.repaid) == len(desk.loans.transfers) == 1, deaths
            assert desk.loans.funding == 0, deaths
