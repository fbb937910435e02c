"""A treasury that dies while it moves money, and a lender that shows what was moved late."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import AccountState, LoanChanged, LoanTouched
from hedgelock_actors.domain.order import Accepted, Rejected, SubmitOutcome, Unknown
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.ports.venue import LoanView
from hedgelock_actors.treasury import Treasury
from tests.crash.fuse import Fuse, Tape, fused
from tests.crash.lives import Lives
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL

TREASURY = "treasury"
KEEPER = "keeper"
ZERO = Decimal(0)
COLLATERAL = Decimal(10)
LIMIT_S = 240


@dataclass(frozen=True, slots=True)
class Moved:
    """One transfer as the venue has it."""

    amount: Decimal
    due_ms: int


class MatrixLoans:
    """Implements Loans: transfers are acknowledged at once, and arrive and show `lag_ms` later."""

    def __init__(self, tape: Tape, now_ms: Callable[[], int], lag_ms: int) -> None:
        self.tape, self.now_ms, self.lag_ms = tape, now_ms, lag_ms
        self.debt = Decimal(240_000)
        self.unified = Decimal(84_000)
        self.others = Decimal(0)
        """Came into the Funding wallet from elsewhere, and is not ours to repay with."""
        self.transfers: dict[str, Moved] = {}
        self.repaid: list[Decimal] = []
        self.deposit = Decimal(0)
        """Comes in from elsewhere at the very moment of a repayment."""
        self.answers: list[str] = []
        """To what moves money: "lost" (not done, no answer) or "unanswered" (done, and the answer is lost)."""

    @property
    def funding(self) -> Decimal:
        """What lies in the Funding wallet now."""
        arrived = sum((one.amount for one in self.transfers.values() if one.due_ms <= self.now_ms()), ZERO)
        return self.others + arrived - sum(self.repaid, ZERO)

    async def loans(self) -> Sequence[LoanView]:
        return [
            LoanView(
                loan_id="loan-1",
                ts_ms=self.now_ms(),
                collateral_coin="BTC",
                collateral=COLLATERAL,
                collateral_value_usd=COLLATERAL * 60_000,
                debt=self.debt,
                lender_ltv=0.4,
                haircut=1.0,
            )
        ]

    async def funding_wallet_usdt(self) -> Decimal:
        return self.funding

    async def transferable_usdt(self) -> Decimal:
        return self.unified

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        self.tape.note("transfer arrives", transfer_id)
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost on the way there")
        if transfer_id not in self.transfers:
            self.transfers[transfer_id] = Moved(amount, self.now_ms() + self.lag_ms)
            self.unified -= amount
        return Unknown("lost on the way back") if answer else Accepted(transfer_id)

    async def find_transfer(self, transfer_id: str) -> str | None:
        moved = self.transfers.get(transfer_id)
        return None if moved is None or moved.due_ms > self.now_ms() else "SUCCESS"

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        self.tape.note("repayment arrives")
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost on the way there")
        if amount > self.funding or amount > self.debt:
            return Rejected("148029", "insufficient repay balance")
        self.debt -= amount
        self.repaid.append(amount)
        self.others += self.deposit
        return Unknown("lost on the way back") if answer else Accepted("repay")


class TreasuryPlay(Lives[Treasury]):
    """Prices fall past the trigger; the keeper tells the account's state every second. Then all is judged."""

    answers: tuple[str, ...] = ()
    deposit = Decimal(0)

    def __init__(self, lag_ms: int = 0, fuses: Sequence[int] = ()) -> None:
        super().__init__(fuses)
        self.loans = MatrixLoans(self.tape, self.clock.now_ms, lag_ms)
        self.loans.answers, self.loans.deposit = list(self.answers), self.deposit
        self.version, self.debt_told = 1, self.loans.debt
        self.short, self.price = Decimal(2), 53_000

    def build(self, fuse: Fuse) -> Treasury:
        return Treasury(
            TREASURY,
            {ACCOUNT: (fused(self.loans, fuse, "loans"), KEEPER)},
            journal=fused(self.journal, fuse, "journal"),
            transport=fused(self.transport, fuse, "transport"),
            clock=self.clock,
            policy=Policy(),
            notifier="notifier",
        )

    async def play(self) -> None:
        """One sweep, and time enough for a second that nobody asked for."""
        await self.boot()
        for _ in range(LIMIT_S):
            if self.loans.repaid and self._records("repay_done"):
                break
            await self._second()
        else:
            self.wrong.append(f"no sweep within {LIMIT_S} s")
        self.loans.others += 7
        for _ in range(70):
            await self._second()

    async def judged(self) -> list[str]:
        """Money moved once, by what the lender has; the journal says the same, and said so before."""
        found = list(self.wrong)
        if len(self.loans.transfers) != 1 or len(self.loans.repaid) != 1:
            found.append(f"moved {self.loans.transfers}, repaid {self.loans.repaid}: not once each")
        found += [f"transfer id {one} is not a UUID" for one in self.loans.transfers if str(UUID(one)) != one]
        if self.loans.funding != self.loans.others:
            found.append(f"{self.loans.funding} lie in the Funding wallet, {self.loans.others} are not ours")
        done = self._records("repay_done")
        if [Decimal(one["amount"]) for one in done] != self.loans.repaid:
            found.append(f"journalled {done}, repaid {self.loans.repaid}")
        told = {(one.action_id, one.swept_usdt) for one in self.transport.messages(LoanTouched, KEEPER)}
        if told != {(one["action_id"], Decimal(one["amount"])) for one in done}:
            found.append(f"the keeper heard {told}")
        return [*found, *self._journal_before_effect()]

    def _journal_before_effect(self) -> list[str]:
        effects = {"transfer arrives": "keeps transfer_sent", "repayment arrives": "keeps repay_sent"}
        kept: set[str] = set()
        found = []
        for one in self.tape.happened:
            kept.add(one.what)
            if one.what in effects and effects[one.what] not in kept:
                found.append(f"{one.what} before the journal {effects[one.what]}")
        return found

    def _records(self, kind: str) -> list[dict[str, str]]:
        return [json.loads(row.payload) for row in self.journal.rows(TREASURY) if row.kind == kind]

    async def _second(self) -> None:
        await self.live(lambda: self.clock.advance(1_000))
        await self.tell(self._state())

    def _state(self) -> AccountState:
        if self.loans.debt != self.debt_told:
            self.version, self.debt_told = self.version + 1, self.loans.debt
        equity = self.loans.unified + self.short * (60_000 - self.price)
        loan = LoanChanged(
            account=ACCOUNT,
            loan_id="loan-1",
            version=self.version,
            ts_ms=self.clock.now_ms(),
            collateral_coin="BTC",
            symbol=SYMBOL,
            collateral=COLLATERAL,
            debt=self.debt_told,
            haircut=1.0,
            lender_ltv=0.4,
        )
        return AccountState(
            account=ACCOUNT,
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms(),
            wallet_usdt=self.loans.unified,
            equity_usdt=equity,
            available_usdt=equity,
            maintenance_margin_usdt=ZERO,
            funding_wallet_usdt=self.loans.funding,
            short_qty=self.short,
            entry_price=Decimal(60_000),
            mark=Decimal(self.price),
            target_short_qty=self.short,
            loan=loan,
            level=RiskLevel.DANGER,
            lender_price=Decimal(self.price),
        )


class SilentTreasuryPlay(TreasuryPlay):
    """As before, with a lender whose answers get lost, one before its effect, the others after it; and with money of
    other people that comes in just when ours has gone.
    """

    answers = ("lost", "unanswered", "unanswered")
    deposit = Decimal(50_000)
