"""The crypto loan desk (flexible): borrow, repay, repay with collateral, adjust, interest, margin call, liquidation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.commands import Ack, AdjustLtv, Borrow, Repay, RepayCollateral
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import LoanEvent
from hedgelock_actors.simulator.ledger import DESK, FEES, INSURANCE, LENDER, debt, fund, money, pledged, transit
from hedgelock_actors.simulator.loan_value import (
    collateral_price,
    counted_collateral,
    debt_price,
    loan_ltv,
    ltv,
    reducible,
    total_debt,
    unrealised,
)
from hedgelock_actors.simulator.margin import STABLE
from hedgelock_actors.simulator.views import AdjustRecord, BorrowRecord, RepayRecord
from hedgelock_actors.simulator.words import ZERO

HOUR_MS = 3_600_000
USER, LIQUIDATION, BY_COLLATERAL = 1, 2, 7
DONE, PROCESSING, FAILED = 1, 2, 3


class LoanDesk:
    """Every loan is pooled over its currencies and collateral coins; there is one per account."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- borrowing

    def borrow(self, account: Account, command: Borrow) -> Ack:
        """Proceeds to FUND, collateral from FUND, at most to the initial LTV."""
        core, coin, amount = self._core, command.loan_currency, command.loan_amount
        extra: dict[str, Decimal] = {}
        for name, more in command.collateral:
            extra[name] = extra.get(name, ZERO) + more
        if not self._lendable(coin) or not _positive(amount) or not all(_positive(more) for more in extra.values()):
            return core.refuse(account, 148001, "This currency or amount cannot be borrowed")
        if any(not self._accepted(name) for name in extra):
            return core.refuse(account, 148001, "This collateral currency is not accepted")
        if any(core.ledger.balance(fund(account.uid), name) < more for name, more in extra.items()):
            return core.refuse(account, 148012, "Insufficient collateral balance")
        owed = total_debt(core, account) + amount * debt_price(core, coin)
        if ltv(owed, counted_collateral(core, account, extra)) > core.spec.loan.initial_ltv:
            return core.refuse(account, 148009, "The LTV exceeds the risk threshold")
        for name, more in extra.items():
            core.ledger.move(name, more, fund(account.uid), pledged(account.uid))
            self._lent(account, name, -more)
        order_id = str(core.number())
        core.ledger.move(coin, amount, LENDER, fund(account.uid))
        core.ledger.move(coin, amount, debt(account.uid), LENDER)
        self._lent(account, coin, amount)
        self._record_borrow(account, order_id, coin, amount)
        return core.ok({"orderId": order_id}, "ok")

    def _record_borrow(self, account: Account, order_id: str, coin: str, amount: Decimal) -> None:
        account.borrows.append(
            BorrowRecord(
                order_id=order_id, loan_currency=coin, initial_amount=amount, borrow_ms=self._core.now_ms, status=2
            )
        )
        if account.loan.status == "liquidated":
            account.loan.status = "healthy"

    def _lent(self, account: Account, coin: str, amount: Decimal) -> None:
        """The tally of USDT between FUND and the lender, kept apart from the ledger so that one checks the other."""
        if coin == "USDT":
            account.truth.lent_in += amount

    def _lendable(self, coin: str) -> bool:
        return coin in STABLE or f"{coin}USDT" in self._core.markets

    def _accepted(self, coin: str) -> bool:
        return coin in self._core.spec.loan.collateral_tiers

    def open_initial(self, account: Account, coin: str, amount: Decimal) -> None:
        """A loan that was taken before the start: the proceeds were spent outside."""
        self._core.ledger.move(coin, amount, debt(account.uid), LENDER)
        self._record_borrow(account, str(self._core.number()), coin, amount)

    # -- repaying

    def repay(self, account: Account, command: Repay) -> Ack:
        """From FUND; interest first. The money leaves at once, the debt falls when the request has been processed."""
        core, coin, amount = self._core, command.loan_currency, command.amount
        owed = -core.ledger.balance(debt(account.uid), coin)
        if not _positive(amount) or owed <= 0:
            return core.refuse(account, 148001, "There is nothing to repay in this currency")
        if amount > owed:
            return core.refuse(account, 148038, "The repayment exceeds the debt")
        if amount > core.ledger.balance(fund(account.uid), coin):
            return core.refuse(account, 148029, "Insufficient balance for the repayment")
        core.ledger.move(coin, amount, fund(account.uid), transit(account.uid))
        record = self._record_repay(account, coin, amount, USER, PROCESSING)
        core.do_at(core.now_ms + core.spec.loan.repay_delay_ms, lambda: self._settle_repay(account, record))
        return core.ok({"repayId": record.repay_id}, "ok")

    def _settle_repay(self, account: Account, record: RepayRecord) -> None:
        """The debt may have fallen in between (a liquidation): what is not owed goes back to FUND."""
        core, coin = self._core, record.loan_currency
        owed = -core.ledger.balance(debt(account.uid), coin)
        paid = min(record.amount, owed)
        core.ledger.move(coin, record.amount - paid, transit(account.uid), fund(account.uid))
        core.ledger.move(coin, paid, transit(account.uid), LENDER)
        self._lent(account, coin, -paid)
        self._reduce_debt(account, coin, paid)
        account.truth.was_repaid(paid * debt_price(core, coin), unrealised(core, account))
        index = next(i for i, one in enumerate(account.repays) if one.repay_id == record.repay_id)
        account.repays[index] = replace(record, status=DONE, amount=paid)
        self.observe(account)

    def _reduce_debt(self, account: Account, coin: str, paid: Decimal) -> None:
        exact = self._core.ledger.move(coin, paid, LENDER, debt(account.uid))
        interest = account.loan.interest.get(coin, ZERO)
        account.loan.interest[coin] = max(ZERO, interest - exact)
        if self._core.ledger.balance(debt(account.uid), coin) == ZERO:
            account.borrows = [replace(b, status=1) if b.loan_currency == coin else b for b in account.borrows]

    def _record_repay(self, account: Account, coin: str, amount: Decimal, kind: int, status: int) -> RepayRecord:
        record = RepayRecord(
            repay_id=str(self._core.number()),
            loan_currency=coin,
            amount=amount,
            repay_ms=self._core.now_ms,
            status=status,
            repay_type=kind,
        )
        account.repays.append(record)
        return record

    def repay_collateral(self, account: Account, command: RepayCollateral) -> Ack:
        """`amount` of debt is repaid by selling pledged collateral at min(last, index)."""
        core, coin, amount = self._core, command.loan_currency, command.amount
        owed = -core.ledger.balance(debt(account.uid), coin)
        price = collateral_price(core, command.collateral_coin)
        if not _positive(amount) or owed <= 0 or price == 0 or not self._accepted(command.collateral_coin):
            return core.refuse(account, 148001, "This currency or amount cannot be repaid with this collateral")
        if amount > owed:
            return core.refuse(account, 148038, "The repayment exceeds the debt")
        value = amount * debt_price(core, coin)
        if value > core.spec.loan.max_repay_collateral_usd:
            return core.refuse(account, 148047, "Repayment with collateral is limited to 300,000 USD")
        sold = money(value / price / (1 - core.spec.loan.repay_collateral_fee))
        if sold > core.ledger.balance(pledged(account.uid), command.collateral_coin):
            return core.refuse(account, 148012, "Insufficient collateral")
        core.ledger.move(command.collateral_coin, sold, pledged(account.uid), DESK)
        core.ledger.move(coin, amount, DESK, LENDER)
        self._reduce_debt(account, coin, amount)
        self._record_repay(account, coin, amount, BY_COLLATERAL, DONE)
        self.observe(account)
        return core.ok(message="ok")

    # -- collateral

    def adjust(self, account: Account, command: AdjustLtv) -> Ack:
        """Direction "0" adds from FUND, "1" takes back to FUND. Settled later: status 2, then 1 or 3."""
        refused = self._refuse_adjust(account, command)
        if refused is not None:
            return refused
        core, record_id = self._core, self._core.number()
        adding = command.direction == "0"
        if adding:
            core.ledger.move(command.currency, command.amount, fund(account.uid), transit(account.uid))
        record = AdjustRecord(
            adjust_id=record_id,
            currency=command.currency,
            amount=command.amount,
            adjust_ms=core.now_ms,
            pre_ltv=self._finite_ltv(account),
            after_ltv=ZERO,
            direction=0 if adding else 1,
            status=PROCESSING,
        )
        account.adjusts.append(record)
        account.loan.busy_until_ms = core.now_ms + core.spec.loan.adjust_delay_ms
        core.do_at(account.loan.busy_until_ms, lambda: self._settle_adjust(account, record))
        return core.ok({"adjustId": record_id}, "ok")

    def _refuse_adjust(self, account: Account, command: AdjustLtv) -> Ack | None:
        core = self._core
        if command.direction not in ("0", "1") or not _positive(command.amount) or not self._accepted(command.currency):
            return core.refuse(account, 148001, "This currency, amount or direction is not accepted")
        if core.now_ms < account.loan.busy_until_ms:
            return core.refuse(account, 148019, "The previous adjustment is being processed")
        if command.direction == "0":
            if (core.faults.col_res or core.spec.loan.col_res) == "2":
                return core.refuse(account, 148048, "The platform's collateral limit is reached")
            if command.amount > core.ledger.balance(fund(account.uid), command.currency):
                return core.refuse(account, 148012, "Insufficient collateral balance")
        elif command.amount > reducible(core, account, command.currency):
            return core.refuse(account, 148037, "The adjustment exceeds the maximum amount")
        return None

    def _settle_adjust(self, account: Account, record: AdjustRecord) -> None:
        core = self._core
        adding = record.direction == 0
        failed = core.faults.adjust_fails or (not adding and record.amount > reducible(core, account, record.currency))
        if adding:
            target = fund(account.uid) if failed else pledged(account.uid)
            core.ledger.move(record.currency, record.amount, transit(account.uid), target)
            self._lent(account, record.currency, ZERO if failed else -record.amount)
        elif not failed:
            core.ledger.move(record.currency, record.amount, pledged(account.uid), fund(account.uid))
            self._lent(account, record.currency, record.amount)
        index = next(i for i, one in enumerate(account.adjusts) if one.adjust_id == record.adjust_id)
        account.adjusts[index] = replace(record, status=FAILED if failed else DONE, after_ltv=self._finite_ltv(account))
        self.observe(account)

    def _finite_ltv(self, account: Account) -> Decimal:
        ratio = loan_ltv(self._core, account)
        return ratio if ratio.is_finite() else ZERO

    # -- time and price

    def accrue(self) -> None:
        """An hour has passed: interest on the whole debt."""
        core = self._core
        for account in core.accounts.values():
            for coin in core.ledger.coins(debt(account.uid)):
                owed = -core.ledger.balance(debt(account.uid), coin)
                interest = core.ledger.move(coin, owed * core.spec.loan.hourly_rate, debt(account.uid), LENDER)
                account.loan.interest[coin] = account.loan.interest.get(coin, ZERO) + interest
                account.truth.interest += interest * debt_price(core, coin)

    def watch(self) -> None:
        """A price has moved: value every loan, call or liquidate."""
        for account in self._core.accounts.values():
            if self._core.ledger.coins(debt(account.uid)):
                self.observe(account)

    def observe(self, account: Account) -> None:
        """Value one loan, note it in the truth, act on the thresholds."""
        core, terms = self._core, self._core.spec.loan
        owed, value = total_debt(core, account), counted_collateral(core, account)
        ratio = ltv(owed, value)
        net_debt = owed - account.truth.unswept(unrealised(core, account))
        account.truth.saw_loan(ratio, net_debt / value if value > 0 else ZERO, core.now_ms)
        if owed == 0:
            return
        if ratio >= terms.liquidation_ltv:
            self._liquidate(account, ratio)
        elif ratio >= terms.margin_call_ltv and account.loan.status == "healthy":
            account.loan.status = "margin_call"
            account.truth.margin_calls += 1
            core.push(account, None, LoanEvent(kind="margin_call", ltv=ratio))
        elif ratio < terms.margin_call_ltv and account.loan.status == "margin_call":
            account.loan.status = "healthy"
            core.push(account, None, LoanEvent(kind="recovered", ltv=ratio))

    def _liquidate(self, account: Account, ratio: Decimal) -> None:
        """Collateral is sold at min(last, index) until debt and fee are paid; the rest returns to FUND, and the lender
        bears what is short.
        """
        core = self._core
        account.loan.status = "liquidated"
        account.truth.loan_liquidated = True
        fee = 1 + core.spec.loan.liquidation_fee
        for coin in core.ledger.coins(debt(account.uid)):
            owed = -core.ledger.balance(debt(account.uid), coin)
            missing = owed * debt_price(core, coin) * fee
            for name in core.ledger.coins(pledged(account.uid)):
                missing -= self._sell(account, name, missing)
            short = min(owed, money(max(ZERO, missing) / fee / debt_price(core, coin)))
            core.ledger.move(coin, owed - short, DESK, LENDER)
            core.ledger.move(coin, short, INSURANCE, LENDER)
            core.ledger.move(coin, owed * core.spec.loan.liquidation_fee, DESK, FEES)
            self._reduce_debt(account, coin, owed)
            self._record_repay(account, coin, owed, LIQUIDATION, DONE)
        for name in core.ledger.coins(pledged(account.uid)):
            left = core.ledger.balance(pledged(account.uid), name)
            core.ledger.move(name, left, pledged(account.uid), fund(account.uid))
            self._lent(account, name, left)
        core.push(account, None, LoanEvent(kind="liquidated", ltv=ratio))

    def _sell(self, account: Account, coin: str, wanted_usd: Decimal) -> Decimal:
        """Sell pledged collateral for at most `wanted_usd`; returns what it brought."""
        price = collateral_price(self._core, coin)
        if wanted_usd <= 0 or price <= 0:
            return ZERO
        held = self._core.ledger.balance(pledged(account.uid), coin)
        sold = min(held, money(wanted_usd / price))
        self._core.ledger.move(coin, sold, pledged(account.uid), DESK)
        return wanted_usd if sold < held else min(wanted_usd, sold * price)


def _positive(amount: Decimal) -> bool:
    return amount.is_finite() and amount > 0
