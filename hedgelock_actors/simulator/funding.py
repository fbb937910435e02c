"""Funding of the perpetuals: a positive rate makes longs pay shorts, on the position value at mark."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import Execution
from hedgelock_actors.simulator.ledger import FUNDING, unified
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.market_views import FundingRecord
from hedgelock_actors.simulator.position import Position
from hedgelock_actors.simulator.views import ExecutionView, TransactionRecord
from hedgelock_actors.simulator.words import ZERO, Side


class FundingDesk:
    """Settles one market at a time."""

    def __init__(self, core: Core, clearing: Clearing) -> None:
        self._core, self._clearing = core, clearing

    def settle(self, market: Market, ts_ms: int) -> None:
        """Every position held now pays or receives value × rate."""
        cap = market.instrument.funding_cap
        rate = max(-cap, min(cap, market.funding.rate_at(ts_ms)))
        market.settled.append(FundingRecord(symbol=market.symbol, rate=rate, ts_ms=ts_ms))
        for account in self._core.accounts.values():
            position = account.positions[market.symbol]
            if position.lots:
                self._settle(account, market, position, rate)

    def _settle(self, account: Account, market: Market, position: Position, rate: Decimal) -> None:
        core = self._core
        value = market.units.qty(position.lots) * market.mark
        paid = core.ledger.move("USDT", value * rate, unified(account.uid), FUNDING)
        position.realise(-paid)
        account.truth.funding -= paid
        view = self._execution(account, market, position, paid, rate)
        account.executions.append(view)
        account.transactions.append(self._transaction(account, market, position, view))
        core.push(account, market.symbol, Execution(execution=view))
        self._clearing.tell(account, market.symbol)
        self._clearing.tell_wallet(account)

    def _execution(
        self, account: Account, market: Market, position: Position, paid: Decimal, rate: Decimal
    ) -> ExecutionView:
        size = market.units.qty(abs(position.lots))
        side: Side = "Buy" if position.lots > 0 else "Sell"
        return ExecutionView(
            uid=account.uid,
            symbol=market.symbol,
            exec_id=self._core.new_id(),
            exec_type="Funding",
            order_id=f"{self._core.now_ms // 1000}-{account.uid}-{market.symbol}",
            order_link_id="",
            side=side,
            order_type="UNKNOWN",
            order_price=ZERO,
            order_qty=ZERO,
            leaves_qty=ZERO,
            exec_price=market.mark,
            exec_qty=size,
            exec_value=size * market.mark,
            exec_fee=paid,
            fee_rate=rate,
            fee_currency="USDT",
            is_maker=False,
            exec_pnl=ZERO,
            closed_size=ZERO,
            mark_price=market.mark,
            index_price=market.index,
            create_type="",
            exec_ms=self._core.now_ms,
            seq=market.seq,
        )

    def _transaction(
        self, account: Account, market: Market, position: Position, view: ExecutionView
    ) -> TransactionRecord:
        return TransactionRecord(
            id=f"{account.uid}_{market.symbol}_{self._core.number()}",
            type="SETTLEMENT",
            ts_ms=self._core.now_ms,
            symbol=market.symbol,
            side=view.side,
            currency="USDT",
            qty=view.exec_qty,
            size=market.units.qty(position.lots),
            trade_price=view.exec_price,
            funding=-view.exec_fee,
            fee=ZERO,
            fee_rate=view.fee_rate,
            cash_flow=ZERO,
            change=-view.exec_fee,
            cash_balance=self._core.ledger.balance(unified(account.uid), "USDT"),
            trade_id=view.exec_id,
            order_id=view.order_id,
            order_link_id="",
        )
