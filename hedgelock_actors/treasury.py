"""Sweeps: hedge profit becomes cash, cash moves to the Funding wallet, and repays the loan before the lender acts.

One action per account at a time. Every step is journalled before it is taken and can be taken again: a transfer has an
id made from the action, and a repayment is made of what the action's money in the Funding wallet still is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from hedgelock_actors.actor import Actor, JournalStream
from hedgelock_actors.codec import Payload, amount, integer, text
from hedgelock_actors.domain.errors import HedgeLockError
from hedgelock_actors.domain.loan import ltv
from hedgelock_actors.domain.messages import (
    AccountState,
    AnyMessage,
    LoanChanged,
    LoanTouched,
    RealiseProfit,
    TradingStateChanged,
    TreasuryActed,
)
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Accepted, Rejected, SubmitOutcome
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.sweep import sweep_ltv
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, merge
from hedgelock_actors.domain.treasury import CENT, AccountValues, SweepPlan, plan_sweep, transfer_id
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Journal, JournalUnavailable, Json, Record, StaleEpoch
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import Loans, VenueError

STATE_MAX_AGE_MS = 30_000
PAUSE_MS = 5_000
"""Between looking at an account that is past the trigger and finding nothing to move."""
FAILED_PAUSE_MS = 30_000
REALISE_WAIT_MS = 60_000
RECHECK_MS = 2_000
"""A repayment whose answer is unknown is given this long to show in the Funding wallet."""
SAME_LOAN_MS = 60_000
DAY_MS = 86_400_000
LTV_MAX = 1_000_000.0
"""Stands for infinity, which a journal cannot carry."""

Step = Literal["planned", "transfer_sent", "transfer_done", "repay_sent"]


@dataclass(slots=True)
class Sweep:
    """One action under way."""

    action_id: str
    cash: Decimal
    from_wallet: Decimal
    fund_before: Decimal
    """What lay in the Funding wallet when it was planned."""
    ltv_before: float
    step: Step = "planned"
    step_ms: int = 0
    repaying: Decimal = ZERO
    owed: Decimal = ZERO  # just before that

    @property
    def total(self) -> Decimal:
        """To be repaid in all."""
        return self.cash + self.from_wallet

    @property
    def not_ours(self) -> Decimal:
        """What stays in the Funding wallet."""
        return self.fund_before - self.from_wallet


@dataclass(slots=True)
class Purse:
    """One account."""

    account: str
    loans: Loans
    keeper: str
    state: AccountState | None = None
    sweep: Sweep | None = None
    count: int = 0
    busy: bool = False
    not_before_ms: int = 0
    realise_ms: int | None = None
    swept_version: int = 0
    """Version of the loan that the last sweep was planned on."""
    swept_ms: int = 0
    swept: list[tuple[int, Decimal]] = field(default_factory=list)
    last: LoanTouched | None = None

    def swept_on_day_of(self, now_ms: int) -> Decimal:
        """Repaid by sweeps on the UTC day of a time."""
        return sum((usdt for ts_ms, usdt in self.swept if ts_ms // DAY_MS == now_ms // DAY_MS), ZERO)


class Treasury(Actor):
    """See the module. `accounts` maps each account to its lender and to the actor that keeps its position."""

    def __init__(
        self,
        name: str,
        accounts: Mapping[str, tuple[Loans, str]],
        *,
        journal: Journal,
        clock: Clock,
        transport: Transport,
        policy: Policy,
        notifier: str,
        qty_step: Decimal = Decimal("0.001"),
    ) -> None:
        super().__init__(name, clock, transport)
        self._policy, self._notifier, self._qty_step = policy, notifier, qty_step
        self._stream = JournalStream(journal, name)
        self._purses = {account: Purse(account, loans, keeper) for account, (loans, keeper) in accounts.items()}
        self._trading: TradingState = INITIAL
        self._recovered = False
        self._cancel: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Take up what was under way."""
        await self._recover()
        # Not before: a beat that finds us not recovered would replay the journal beside us and count sweeps twice.
        self._cancel = self.clock.every(1.0, self._beat)

    async def stop(self) -> None:
        """Begin nothing any more; what is under way is taken up at the next start."""
        self.mark_stopped()
        self._cancel()

    async def receive(self, message: AnyMessage) -> None:
        """Account states and trading states."""
        match message:
            case TradingStateChanged():
                self._trading = merge(self._trading, TradingState(message.mode, message.epoch, message.reason))
            case AccountState():
                purse = self._purses.get(message.account)
                if purse is not None:
                    if purse.state is None or message.ts_ms >= purse.state.ts_ms:
                        purse.state = message
                    await self._drive(purse)
            case _:
                pass

    def snapshot(self) -> Mapping[str, object]:
        """What is under way, and what was swept."""
        return {
            purse.account: {
                "under_way": None if purse.sweep is None else {"id": purse.sweep.action_id, "step": purse.sweep.step},
                "sweeps": len(purse.swept),
                "swept_usdt": str(sum((usdt for _, usdt in purse.swept), ZERO)),
            }
            for purse in self._purses.values()
        }

    async def _beat(self) -> None:
        if not self._recovered and not self.stopped:
            await self._recover()
        for purse in self._purses.values():
            if purse.sweep is not None:
                await self._drive(purse)

    async def _drive(self, purse: Purse) -> None:
        """One step after the other until something has to be waited for. Never twice at once for an account."""
        if purse.busy or self.stopped or not self._recovered or self._trading.mode is TradingMode.HALTED:
            return
        purse.busy = True
        try:
            if purse.sweep is None:
                await self._plan(purse)
            while purse.sweep is not None and await self._advance(purse, purse.sweep):
                pass
            self.mark_ready()
        except VenueError as error:
            self.counters["query_failed"] += 1
            self.mark_degraded(str(error))
        except JournalUnavailable as error:
            self.counters["journal_unavailable"] += 1
            self.mark_degraded(f"journal: {error}")
        except StaleEpoch:
            self.mark_stopped("a newer instance writes this journal stream")
        except HedgeLockError as error:
            self.fault(error)
        finally:
            purse.busy = False

    # ------------------------------------------------------------ planning

    async def _plan(self, purse: Purse) -> None:
        state, now_ms = purse.state, self.clock.now_ms()
        if state is None or state.loan is None or not self._due(purse, state, state.loan, now_ms):
            return
        values = await self._values(purse, state, state.loan, now_ms)
        plan = plan_sweep(values, self._policy.sweep)
        if plan is None:
            purse.not_before_ms = now_ms + PAUSE_MS
            return
        if plan.realise_qty > ZERO:
            await self._realise(purse, state, plan.realise_qty, now_ms)
        if plan.shortfall > ZERO:
            await self._tell_shortfall(purse, plan, values, now_ms)
        if plan.repay <= ZERO:
            purse.not_before_ms = now_ms + PAUSE_MS
            return
        await self._begin(purse, plan, values, state.loan)

    def _due(self, purse: Purse, state: AccountState, loan: LoanChanged, now_ms: int) -> bool:
        if now_ms - state.ts_ms > STATE_MAX_AGE_MS or now_ms < purse.not_before_ms:
            return False
        same_loan = loan.version <= purse.swept_version and now_ms - purse.swept_ms < SAME_LOAN_MS
        if same_loan:
            # The keeper has not read the loan since our last sweep: the debt it tells is the old one.
            return False
        rules = self._policy
        trigger = sweep_ltv(rules.sweep.trigger_ltv, rules.loan.liquidation_ltv, rules.sweep.worst_move)
        return _ltv(loan.debt, loan, state.lender_price) >= trigger

    async def _values(self, purse: Purse, state: AccountState, loan: LoanChanged, now_ms: int) -> AccountValues:
        """The decision is made on the lender's and the wallets' own words of this moment."""
        debt = next((one.debt for one in await purse.loans.loans() if one.loan_id == loan.loan_id), loan.debt)
        funding_wallet = await purse.loans.funding_wallet_usdt()
        transferable = await purse.loans.transferable_usdt()
        return AccountValues(
            debt=debt,
            collateral=loan.collateral,
            haircut=loan.haircut,
            price=state.lender_price,
            lender_ltv=_ltv(debt, loan, state.lender_price),
            liquidation_ltv=self._policy.loan.liquidation_ltv,
            equity=state.equity_usdt,
            transferable=transferable,
            funding_wallet=funding_wallet,
            short_qty=state.short_qty,
            entry_price=state.entry_price,
            mark=state.mark,
            qty_step=self._qty_step,
            swept_today=purse.swept_on_day_of(now_ms),
        )

    async def _realise(self, purse: Purse, state: AccountState, qty: Decimal, now_ms: int) -> None:
        if purse.realise_ms is not None and now_ms - purse.realise_ms < REALISE_WAIT_MS:
            return
        request_id = f"{purse.account}-{purse.count}-{now_ms}"
        payload: dict[str, Json] = {"request_id": request_id, "qty": str(qty)}
        await self._note(purse, "realise_requested", f"realise:{request_id}", payload)
        purse.realise_ms = now_ms
        self.counters["realises"] += 1
        message = RealiseProfit(
            account=purse.account, symbol=state.symbol, request_id=request_id, ts_ms=now_ms, qty=qty
        )
        await self.tell(purse.keeper, message)

    async def _begin(self, purse: Purse, plan: SweepPlan, values: AccountValues, loan: LoanChanged) -> None:
        action_id = f"sweep-{purse.account}-{purse.count + 1}"
        payload: dict[str, Json] = {
            "action_id": action_id,
            "cash": str(plan.cash),
            "from_wallet": str(plan.from_wallet),
            "fund_before": str(values.funding_wallet),
            "realise_qty": str(plan.realise_qty),
            "shortfall": str(plan.shortfall),
            "ltv_before": values.lender_ltv,
            "debt": str(values.debt),
            "price": str(values.price),
            "equity": str(values.equity),
            "loan_version": loan.version,
            "reason": plan.reason,
        }
        await self._note(purse, "sweep_planned", f"{action_id}:planned", payload)
        self._planned(purse, payload)

    # ------------------------------------------------------------ carrying out

    async def _advance(self, purse: Purse, sweep: Sweep) -> bool:
        """One step; True when the next may follow at once."""
        match sweep.step:
            case "planned":
                if sweep.cash <= ZERO:
                    sweep.step = "transfer_done"
                    return True
                return await self._transfer(purse, sweep)
            case "transfer_sent":
                return await self._await_transfer(purse, sweep)
            case "transfer_done":
                return await self._repay(purse, sweep)
            case "repay_sent":
                return await self._await_repayment(purse, sweep)

    async def _transfer(self, purse: Purse, sweep: Sweep) -> bool:
        payload = self._step_payload(sweep, transfer_id=transfer_id(sweep.action_id), amount=str(sweep.cash))
        await self._note(purse, "transfer_sent", f"{sweep.action_id}:transfer_sent", payload)
        self._stepped(sweep, "transfer_sent")
        return await self._send_transfer(purse, sweep)

    async def _send_transfer(self, purse: Purse, sweep: Sweep) -> bool:
        outcome = await purse.loans.transfer_to_funding(transfer_id(sweep.action_id), sweep.cash)
        if isinstance(outcome, Rejected) and not outcome.retry:
            return await self._fail(purse, sweep, f"transfer: {outcome.code} {outcome.text}")
        sweep.step_ms = self.clock.now_ms()
        return isinstance(outcome, Accepted)

    async def _await_transfer(self, purse: Purse, sweep: Sweep) -> bool:
        status = await purse.loans.find_transfer(transfer_id(sweep.action_id))
        if status == "SUCCESS":
            payload = self._step_payload(sweep, transfer_id=transfer_id(sweep.action_id), amount=str(sweep.cash))
            await self._note(purse, "transfer_done", f"{sweep.action_id}:transfer_done", payload)
            self._stepped(sweep, "transfer_done")
            return True
        if status == "FAILED":
            return await self._fail(purse, sweep, "the venue failed the transfer")
        if status is None and self.clock.now_ms() - sweep.step_ms >= PAUSE_MS:
            # Not shown is not evidence; the same id moves the money once, whatever became of the first.
            return await self._send_transfer(purse, sweep)
        return False

    async def _repay(self, purse: Purse, sweep: Sweep) -> bool:
        left = min(sweep.total, await purse.loans.funding_wallet_usdt() - sweep.not_ours)
        if left < CENT:
            return await self._fail(purse, sweep, "the money is no longer in the Funding wallet")
        owed = sum((one.debt for one in await purse.loans.loans()), ZERO)
        payload = self._step_payload(sweep, amount=str(left), owed=str(owed))
        await self._note(purse, "repay_sent", f"{sweep.action_id}:repay_sent:{self.clock.now_ms()}", payload)
        sweep.repaying, sweep.owed = left, owed
        self._stepped(sweep, "repay_sent")
        return await self._repaid(purse, sweep, await purse.loans.repay(left))

    async def _repaid(self, purse: Purse, sweep: Sweep, outcome: SubmitOutcome) -> bool:
        match outcome:
            case Accepted():
                return await self._finish(purse, sweep)
            case Rejected() if outcome.retry:
                sweep.step, sweep.step_ms = "transfer_done", self.clock.now_ms()
                return False
            case Rejected():
                return await self._fail(purse, sweep, f"repay: {outcome.code} {outcome.text}")
            case _:
                sweep.step_ms = self.clock.now_ms()
                return False

    async def _await_repayment(self, purse: Purse, sweep: Sweep) -> bool:
        """Nobody knows whether it was repaid: a debt that fell, or money gone from the Funding wallet, says so."""
        if self.clock.now_ms() - sweep.step_ms < RECHECK_MS:
            return False
        left = await purse.loans.funding_wallet_usdt() - sweep.not_ours
        owed = sum((one.debt for one in await purse.loans.loans()), ZERO)
        if left < max(CENT, sweep.repaying / 2) or owed < sweep.owed - sweep.repaying / 2:
            return await self._finish(purse, sweep)
        self._stepped(sweep, "transfer_done")
        return True

    async def _finish(self, purse: Purse, sweep: Sweep) -> bool:
        payload = self._step_payload(sweep, amount=str(sweep.repaying), ltv_before=sweep.ltv_before)
        await self._note(purse, "repay_done", f"{sweep.action_id}:repay_done", payload)
        self._done(purse, sweep.action_id, sweep.repaying, self.clock.now_ms())
        self.counters["sweeps"] += 1
        await self._touch(purse)
        state = purse.state
        after = sweep.ltv_before
        if state is not None and state.loan is not None:
            after = _ltv(max(ZERO, state.loan.debt - sweep.repaying), state.loan, state.lender_price)
            if state.loan.version > purse.swept_version:
                after = _ltv(state.loan.debt, state.loan, state.lender_price)
        await self._tell(purse, sweep, "sweep", sweep.repaying, ZERO, after, "")
        return False

    async def _fail(self, purse: Purse, sweep: Sweep, why: str) -> bool:
        await self._note(purse, "sweep_failed", f"{sweep.action_id}:failed", self._step_payload(sweep, why=why))
        purse.sweep, purse.not_before_ms = None, self.clock.now_ms() + FAILED_PAUSE_MS
        purse.swept_version = 0
        self.counters["sweeps_failed"] += 1
        await self._tell(purse, sweep, "sweep_failed", ZERO, sweep.total, sweep.ltv_before, why)
        return False

    async def _touch(self, purse: Purse) -> None:
        if purse.last is not None:
            await self.tell(purse.keeper, purse.last)

    # ------------------------------------------------------------ telling

    async def _tell_shortfall(self, purse: Purse, plan: SweepPlan, values: AccountValues, now_ms: int) -> None:
        message = TreasuryActed(
            account=purse.account,
            ts_ms=now_ms,
            action_id=f"sweep-{purse.account}-{purse.count + 1}",
            action="sweep_short_of_cash",
            amount_usdt=plan.repay,
            shortfall_usdt=plan.shortfall,
            lender_ltv_before=values.lender_ltv,
            lender_ltv_after=values.lender_ltv,
            detail=plan.reason,
        )
        await self.tell(self._notifier, message)

    async def _tell(
        self,
        purse: Purse,
        sweep: Sweep,
        action: Literal["sweep", "sweep_failed"],
        moved: Decimal,
        missing: Decimal,
        ltv_after: float,
        detail: str,
    ) -> None:
        message = TreasuryActed(
            account=purse.account,
            ts_ms=self.clock.now_ms(),
            action_id=sweep.action_id,
            action=action,
            amount_usdt=moved,
            shortfall_usdt=missing,
            lender_ltv_before=sweep.ltv_before,
            lender_ltv_after=ltv_after,
            detail=detail,
        )
        await self.tell(self._notifier, message)

    # ------------------------------------------------------------ the journal

    async def _recover(self) -> None:
        try:
            await self._stream.open()
            # From nothing: an earlier try may have ended half-way through the journal.
            self._purses = {name: Purse(name, old.loans, old.keeper) for name, old in self._purses.items()}
            async for record in self._stream.read():
                self._replay(record)
            async for record in self._stream.read("trading_state", stream="control"):
                payload = record.entry.payload
                mode = TradingMode(text(payload, "mode"))
                heard = TradingState(mode, integer(payload, "epoch"), text(payload, "reason"))
                self._trading = merge(self._trading, heard)
        except JournalUnavailable as error:
            self.mark_degraded(f"journal: {error}")
            return
        self._recovered = True
        self.mark_ready()
        for purse in self._purses.values():
            # The keeper books each sweep once, so telling it again closes the gap of a crash before it was told.
            await self._touch(purse)

    def _replay(self, record: Record) -> None:
        purse = self._purses.get(record.entry.account)
        if purse is None:
            return
        payload, ts_ms = record.entry.payload, record.entry.ts_ms
        sweep = purse.sweep
        match record.entry.kind:
            case "sweep_planned":
                self._planned(purse, payload)
                purse.swept_ms = ts_ms
            case "realise_requested":
                purse.realise_ms = ts_ms
            case "transfer_sent" | "transfer_done" | "repay_sent" as step if sweep is not None:
                sweep.step, sweep.step_ms = step, ts_ms
                if step == "repay_sent":
                    sweep.repaying, sweep.owed = amount(payload, "amount"), amount(payload, "owed")
            case "repay_done":
                self._done(purse, text(payload, "action_id"), amount(payload, "amount"), ts_ms)
            case "sweep_failed":
                purse.sweep, purse.swept_version = None, 0
            case _:
                pass

    def _planned(self, purse: Purse, payload: Payload) -> None:
        before = payload.get("ltv_before")
        purse.count += 1
        purse.swept_version = integer(payload, "loan_version")
        purse.swept_ms = self.clock.now_ms()
        purse.sweep = Sweep(
            action_id=text(payload, "action_id"),
            cash=amount(payload, "cash"),
            from_wallet=amount(payload, "from_wallet"),
            fund_before=amount(payload, "fund_before"),
            ltv_before=float(before) if isinstance(before, int | float) else 0.0,
        )

    def _done(self, purse: Purse, action_id: str, usdt: Decimal, ts_ms: int) -> None:
        purse.sweep = None
        purse.swept.append((ts_ms, usdt))
        purse.swept_ms = ts_ms
        purse.last = LoanTouched(account=purse.account, ts_ms=ts_ms, action_id=action_id, swept_usdt=usdt)

    def _stepped(self, sweep: Sweep, step: Step) -> None:
        sweep.step, sweep.step_ms = step, self.clock.now_ms()

    def _step_payload(self, sweep: Sweep, **more: Json) -> dict[str, Json]:
        return {"action_id": sweep.action_id, **more}

    async def _note(self, purse: Purse, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        entry = Entry(kind=kind, key=key, ts_ms=self.clock.now_ms(), account=purse.account, payload=payload)
        await self._stream.append(entry)


def _ltv(debt: Decimal, loan: LoanChanged, price: Decimal) -> float:
    return min(LTV_MAX, ltv(float(debt), float(loan.collateral), float(price), loan.haircut))
