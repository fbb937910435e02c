"""Transfers between the unified and the funding wallet of one uid."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.commands import Ack, Transfer
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.ledger import Book, fund, money, transit, unified
from hedgelock_actors.simulator.margin import transferable
from hedgelock_actors.simulator.views import TransactionRecord, TransferRecord
from hedgelock_actors.simulator.words import ZERO

WALLETS = {"UNIFIED": unified, "FUND": fund}


class TransferDesk:
    """A `transferId` is used once. UNIFIED gives only what the margin does not need."""

    def __init__(self, core: Core, clearing: Clearing) -> None:
        self._core, self._clearing = core, clearing

    def transfer(self, account: Account, command: Transfer) -> Ack:
        """`inter-transfer`: at once, or PENDING for a while when that fault is switched on."""
        refused = self._refuse(account, command)
        if refused is not None:
            return refused
        core = self._core
        source = self._wallet(account, command.from_account)
        core.ledger.move(command.coin, command.amount, source, transit(account.uid))
        pending_ms = core.faults.transfer_pending_ms
        record = TransferRecord(
            transfer_id=command.transfer_id,
            coin=command.coin,
            amount=command.amount,
            from_account=command.from_account,
            to_account=command.to_account,
            ts_ms=core.now_ms,
            status="PENDING" if pending_ms else "SUCCESS",
        )
        account.transfers[command.transfer_id] = record
        if command.from_account == "UNIFIED":
            self._log(account, command.coin, -command.amount)
        if pending_ms:
            core.do_at(core.now_ms + pending_ms, lambda: self._arrive(account, record))
        else:
            self._arrive(account, record)
        return core.ok({"transferId": command.transfer_id, "status": record.status}, "success")

    def _refuse(self, account: Account, command: Transfer) -> Ack | None:
        core, amount = self._core, command.amount
        if not command.transfer_id or not amount.is_finite() or amount <= 0 or money(amount) != amount:
            return core.refuse(account, 10001, "params error: transferId or amount invalid")
        if {command.from_account, command.to_account} != set(WALLETS):
            return core.refuse(account, 131200, "params error: account types must be UNIFIED and FUND")
        if command.transfer_id in account.transfers:
            return core.refuse(account, 131214, "TransferId exists")
        if core.ledger.balance(self._wallet(account, command.from_account), command.coin) < amount:
            return core.refuse(account, 131212, "Insufficient balance")
        if command.from_account == "UNIFIED" and transferable(core, account, command.coin) < amount:
            return core.refuse(account, 131228, "Your balance is not enough. Please check transfer safe amount")
        return None

    def _wallet(self, account: Account, name: str) -> Book:
        return WALLETS[name](account.uid)

    def _arrive(self, account: Account, record: TransferRecord) -> None:
        core = self._core
        core.ledger.move(record.coin, record.amount, transit(account.uid), self._wallet(account, record.to_account))
        account.transfers[record.transfer_id] = replace(record, status="SUCCESS")
        if record.to_account == "UNIFIED":
            self._log(account, record.coin, record.amount)
        self._clearing.tell_wallet(account, record.coin)

    def _log(self, account: Account, coin: str, change: Decimal) -> None:
        core = self._core
        if coin == "USDT":
            account.truth.transfers_in += change
        account.transactions.append(
            TransactionRecord(
                id=f"{account.uid}_{coin}_{core.number()}",
                type="TRANSFER_IN" if change > 0 else "TRANSFER_OUT",
                ts_ms=core.now_ms,
                symbol="",
                side="None",
                currency=coin,
                qty=change,
                size=ZERO,
                trade_price=ZERO,
                funding=ZERO,
                fee=ZERO,
                fee_rate=ZERO,
                cash_flow=change,
                change=change,
                cash_balance=core.ledger.balance(unified(account.uid), coin),
                trade_id="",
                order_id="",
                order_link_id="",
            )
        )
