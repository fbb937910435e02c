"""The keeper: targets with rising versions, the account as it is, sweeps booked once, sentiment that only adds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.curve import SizingCurve
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AccountState,
    FeedStale,
    HedgeChanged,
    HedgeDemand,
    LoanChanged,
    LoanTouched,
    OrderEvent,
    RealiseProfit,
    SetTarget,
    TreasuryActed,
)
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.position_keeper import PositionKeeper
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, FakeLoans, FakeVenue, tick

KEEPER = f"position-keeper-{ACCOUNT}"
CURVE = SizingCurve.from_knots([(0.0, 0.05), (0.3, 0.25), (0.7, 0.75), (1.0, 1.0)])


class Desk:
    """A keeper with everything around it in memory."""

    def __init__(self, curve: SizingCurve | None = None) -> None:
        self.clock, self.transport, self.journal = ManualClock(), MemoryTransport(), MemoryJournal()
        self.cache = MemoryCache()
        self.venue, self.loans = FakeVenue(self.clock), FakeLoans(self.clock)
        self.curve = curve
        self.keeper = self.build()

    def build(self) -> PositionKeeper:
        return PositionKeeper(
            KEEPER,
            ACCOUNT,
            SYMBOL,
            venue=self.venue,
            loans=self.loans,
            journal=self.journal,
            clock=self.clock,
            transport=self.transport,
            cache=self.cache,
            policy=Policy(),
            risk="risk",
            router="router",
            treasury="treasury",
            notifier="notifier",
            curve=self.curve,
        )

    async def seconds(self, count: int, price: int = 60_000) -> None:
        for _ in range(count):
            await self.clock.advance(1_000)
            await self.keeper.receive(tick(self.clock.now_ms(), price))

    async def demand(
        self, floor: str, neutral: str = "4", level: RiskLevel = RiskLevel.CAUTION, price: int = 60_000
    ) -> SetTarget | None:
        await self.keeper.receive(
            HedgeDemand(
                account=ACCOUNT,
                symbol=SYMBOL,
                ts_ms=self.clock.now_ms(),
                price=Decimal(price),
                floor_qty=Decimal(floor),
                neutral_qty=Decimal(neutral),
                collateral_qty=Decimal(10),
                debt=Decimal(240_000),
                level=level,
                lender_ltv=0.4,
                net_ltv=0.4,
            )
        )
        targets = self.transport.messages(SetTarget, "router")
        return targets[-1] if targets else None

    def kinds(self) -> list[str]:
        return [row.kind for row in self.journal.rows(KEEPER)]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.keeper.start()
    await desk.seconds(1)
    yield desk
    await desk.keeper.stop()
    await desk.clock.stop()


async def test_at_the_start_it_tells_what_the_account_holds(desk: Desk) -> None:
    assert desk.transport.messages(LoanChanged, "risk")[-1].debt == 240_000
    assert desk.transport.messages(HedgeChanged, "risk")[-1].short_qty == 0
    state = desk.transport.messages(AccountState, "treasury")[-1]
    assert (state.equity_usdt, state.lender_price) == (84_000, 60_000)
    assert state.loan is not None
    assert state.loan.lender_ltv == pytest.approx(0.4)


async def test_a_demand_becomes_a_target_that_is_journalled_before_it_is_stated(desk: Desk) -> None:
    said = await desk.demand("1.66575")
    assert said is not None
    assert (said.version, said.target_short_qty) == (1, Decimal("1.666"))
    assert desk.kinds().count("target") == 1
    assert await desk.demand("1.70") == said, "within the dead band"
    more = await desk.demand("2.5")
    assert more is not None
    assert (more.version, more.target_short_qty) == (2, Decimal("2.500"))


async def test_f29_of_two_that_decide_at_once_the_newer_is_heard_and_goes_on_from_what_stands(desk: Desk) -> None:
    await desk.demand("1.5")
    old, desk.keeper = desk.keeper, desk.build()
    await desk.keeper.start()
    await desk.keeper.receive(tick(desk.clock.now_ms()))
    desk.transport.forget()
    decided = await desk.demand("2.5")
    assert decided is not None
    assert (decided.version, decided.target_short_qty) == (2, Decimal("2.500"))
    desk.transport.forget()
    desk.keeper, newer = old, desk.keeper
    assert await desk.demand("3.5") is None, "what it decided is not on record, so nobody hears of it"
    assert old.stopped
    desk.keeper = newer
    assert [row.kind for row in desk.journal.rows(KEEPER)].count("target") == 2


async def test_f45_collateral_that_is_taken_away_is_told_at_the_next_reading(desk: Desk) -> None:
    before = desk.transport.messages(LoanChanged, "risk")[-1]
    desk.loans.collateral = Decimal(6)
    await desk.seconds(Policy().loan.poll_ms // 1_000 + 1)
    told = desk.transport.messages(LoanChanged, "risk")[-1]
    assert (told.version, told.collateral, told.debt) == (before.version + 1, 6, 240_000)


async def test_f45_a_loan_that_ended_is_believed_at_the_third_reading_and_may_begin_anew(desk: Desk) -> None:
    before = desk.transport.messages(LoanChanged, "risk")[-1]
    poll_s = Policy().loan.poll_ms // 1_000
    desk.loans.collateral = desk.loans.debt = Decimal(0)
    await desk.seconds(2 * poll_s)
    assert desk.transport.messages(LoanChanged, "risk")[-1] == before, "a list may be empty by mistake"
    await desk.seconds(poll_s + 1)
    told = desk.transport.messages(LoanChanged, "risk")[-1]
    assert (told.version, told.collateral, told.debt, told.lender_ltv) == (before.version + 1, 0, 0, 0)
    await desk.seconds(5 * poll_s)
    assert desk.kinds().count("loan") == 2, "told once"
    desk.loans.collateral, desk.loans.debt = Decimal(1), Decimal(1_000)
    await desk.seconds(poll_s + 1)
    assert desk.transport.messages(LoanChanged, "risk")[-1].version == before.version + 2


async def test_f45_without_a_loan_the_hedge_comes_off_at_once(desk: Desk) -> None:
    await desk.demand("2.5")
    said = await desk.demand("0", neutral="0", level=RiskLevel.SAFE)
    assert said is not None
    assert said.target_short_qty == 0


async def test_less_waits_out_its_dwell(desk: Desk) -> None:
    await desk.demand("2.5")
    await desk.seconds(1)
    for _ in range(Policy().target.down_dwell_ms // 10_000 - 1):
        await desk.clock.advance(10_000)
        await desk.keeper.receive(tick(desk.clock.now_ms()))
        said = await desk.demand("1.0")
        assert said is not None
        assert said.target_short_qty == Decimal("2.5")
    await desk.clock.advance(30_000)
    await desk.keeper.receive(tick(desk.clock.now_ms()))
    said = await desk.demand("1.0")
    assert said is not None
    assert said.target_short_qty == 1


async def test_the_cap_wins_over_the_floor_and_the_shortfall_is_told(desk: Desk) -> None:
    desk.transport.forget()
    said = await desk.demand("6", neutral="7")
    assert said is not None
    assert said.target_short_qty < 5
    [told] = desk.transport.messages(TreasuryActed, "notifier")
    assert told.action == "sweep_short_of_cash"
    assert told.shortfall_usdt > 10_000
    await desk.seconds(30)
    await desk.demand("6", neutral="7")
    assert len(desk.transport.messages(TreasuryActed, "notifier")) == 1


async def test_a_risen_level_is_told_with_the_same_target(desk: Desk) -> None:
    await desk.demand("2")
    said = await desk.demand("2", level=RiskLevel.DANGER)
    assert said is not None
    assert (said.version, said.level) == (1, RiskLevel.DANGER)


async def test_no_target_on_a_stale_feed_or_an_old_demand(desk: Desk) -> None:
    await desk.keeper.receive(FeedStale(symbol=SYMBOL, ts_ms=desk.clock.now_ms(), reason="test"))
    assert await desk.demand("2") is None


async def test_a_restart_goes_on_with_version_and_target(desk: Desk) -> None:
    await desk.demand("2")
    await desk.demand("3")
    await desk.keeper.stop()
    desk.transport.forget()
    desk.keeper = desk.build()
    await desk.keeper.start()
    again = desk.transport.messages(SetTarget, "router")[-1]
    assert (again.version, again.target_short_qty) == (2, Decimal("3.000"))
    await desk.seconds(1)
    more = await desk.demand("3.9")
    assert more is not None
    assert more.version == 3
    assert desk.transport.messages(LoanChanged, "risk")[-1].version == 1


async def test_fills_move_the_hedge_and_equity_follows_the_price(desk: Desk) -> None:
    await desk.venue.give(desk.venue.happen(Side.SELL, "2"))
    hedge = desk.transport.messages(HedgeChanged, "risk")[-1]
    assert (hedge.short_qty, hedge.entry_price, hedge.version) == (2, 60_000, 2)
    await desk.seconds(2, 50_000)
    assert desk.transport.messages(AccountState, "treasury")[-1].equity_usdt == 84_000 + 20_000
    assert desk.kinds().count("booked") == 1


async def test_one_account_state_per_price(desk: Desk) -> None:
    before = len(desk.transport.messages(AccountState, "treasury"))
    same = tick(desk.clock.now_ms() + 10)
    for _ in range(3):
        await desk.keeper.receive(same)
    assert len(desk.transport.messages(AccountState, "treasury")) == before + 1


async def test_a_sweep_is_booked_once_when_it_shows_in_the_debt(desk: Desk) -> None:
    await desk.venue.give(desk.venue.happen(Side.SELL, "2"))
    await desk.seconds(1, 50_000)
    touched = LoanTouched(account=ACCOUNT, ts_ms=desk.clock.now_ms(), action_id="s1", swept_usdt=Decimal(30_000))
    await desk.keeper.receive(touched)
    assert desk.transport.messages(HedgeChanged, "risk")[-1].unswept_profit == 0, "the debt does not show it yet"
    desk.loans.debt -= 30_000
    for _ in range(2):
        await desk.seconds(2, 50_000)
        await desk.keeper.receive(touched)
    assert desk.kinds().count("sweep_booked") == 1
    assert desk.transport.messages(LoanChanged, "risk")[-1].debt == 210_000
    assert desk.transport.messages(HedgeChanged, "risk")[-1].unswept_profit == -20_000, (
        "20,000 were profit, the rest buffer"
    )


async def test_a_sweep_told_before_a_crash_is_booked_after_it(desk: Desk) -> None:
    await desk.keeper.receive(
        LoanTouched(account=ACCOUNT, ts_ms=desk.clock.now_ms(), action_id="s1", swept_usdt=Decimal(30_000))
    )
    await desk.keeper.stop()
    desk.loans.debt -= 30_000
    desk.keeper = desk.build()
    await desk.keeper.start()
    assert desk.kinds().count("sweep_booked") == 1


async def test_requests_to_realise_go_to_the_router(desk: Desk) -> None:
    request = RealiseProfit(account=ACCOUNT, symbol=SYMBOL, request_id="r1", ts_ms=desk.clock.now_ms(), qty=Decimal(1))
    await desk.keeper.receive(request)
    assert len(desk.transport.messages(RealiseProfit, "router")) == 1


async def test_f38_a_position_that_does_not_add_up_is_told_and_the_venue_wins(desk: Desk) -> None:
    desk.venue.happen(Side.SELL, "0.3")
    executions, desk.venue.executed = desk.venue.executed, []
    position = desk.venue.position

    async def with_the_hidden(symbol: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        desk.venue.executed = executions
        try:
            return await position(symbol)
        finally:
            desk.venue.executed = []

    desk.venue.position = with_the_hidden  # type: ignore[method-assign]
    await desk.seconds(40)
    assert [one.event for one in desk.transport.messages(OrderEvent, "notifier")] == ["unresolved"]
    assert desk.transport.messages(HedgeChanged, "risk")[-1].short_qty == Decimal("0.3")


async def test_full_states_are_repeated_for_whoever_was_restarted(desk: Desk) -> None:
    await desk.demand("2")
    desk.transport.forget()
    await desk.seconds(31)
    assert desk.transport.messages(SetTarget, "router")[-1].version == 1
    assert desk.transport.messages(LoanChanged, "risk")
    assert desk.transport.messages(HedgeChanged, "risk")


async def test_without_the_journal_no_target_is_stated_and_then_it_is(desk: Desk) -> None:
    desk.journal.available = False
    assert await desk.demand("2") is None
    assert desk.keeper.health().status == "degraded"
    desk.journal.available = True
    await desk.seconds(31)
    assert desk.transport.messages(SetTarget, "router")[-1].target_short_qty == 2


async def test_a_venue_that_does_not_answer_is_asked_again(desk: Desk) -> None:
    other = Desk()
    other.venue.failing = other.loans.failing = 2
    await other.keeper.start()
    assert other.keeper.health().status == "degraded"
    await other.seconds(20)
    assert other.keeper.health().status == "ready"
    await other.keeper.stop()
    await other.clock.stop()


@pytest.mark.parametrize(
    ("score", "age_ms", "more"),
    [(1.0, 0, True), (0.0, 0, True), (1.0, 60_000, False), (2.0, 0, False), ("high", 0, False)],
)
async def test_sentiment_only_adds_and_only_when_fresh_and_valid(score: object, age_ms: int, more: bool) -> None:
    desk = Desk(CURVE)
    await desk.keeper.start()
    await desk.clock.advance(1_000)
    value = {"score": score, "confidence": 1.0, "ts_ms": desk.clock.now_ms() + 1_000 - age_ms}
    await desk.cache.set("sentiment:BTC", value)
    await desk.seconds(1)
    said = await desk.demand("1.666")
    assert said is not None
    assert (said.target_short_qty > Decimal("1.666")) is more
    assert said.target_short_qty <= 4
    await desk.keeper.stop()
    await desk.clock.stop()
