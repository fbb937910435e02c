"""What a fill means for money: position, fees, PnL, records, pushes. PnL is settled against the venue's clearing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import Execution, OrderUpdate, PositionUpdate, WalletUpdate
from hedgelock_actors.simulator.ledger import CLEARING, FEES, money, unified
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.position import Closing
from hedgelock_actors.simulator.shown import position_view, wallet_view
from hedgelock_actors.simulator.views import ClosedPnlRecord, ExecutionView, TransactionRecord
from hedgelock_actors.simulator.words import ZERO


class Clearing:
    """Books fills and tells the client."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def fill(self, order: Order, ticks: int, lots: int, is_maker: bool, exec_type: str = "Trade") -> None:
        """Book `lots` of `order` at a price in ticks."""
        core = self._core
        account, market = core.accounts[order.uid], core.markets[order.symbol]
        position = account.positions[order.symbol]
        value = market.units.value(ticks, lots)
        rate = core.spec.maker_fee if is_maker else core.spec.taker_fee
        closing = position.apply(order.side, lots, value, value * rate, core.now_ms)
        core.clearing_lots[order.symbol] = core.clearing_lots.get(order.symbol, 0) - (
            lots if order.side == "Buy" else -lots
        )
        fee = self._settle(account, closing.pnl, money(value * rate))
        position.realise(-fee)
        order.filled += lots
        order.value += value
        order.fee += fee
        order.closed_pnl += closing.pnl
        order.updated_ms = core.now_ms
        order.status = "Filled" if order.filled == order.lots else "PartiallyFilled"
        self._count(account, value, fee, closing.pnl)
        view = self._execution(account, market, order, ticks, lots, is_maker, exec_type, fee, rate, closing)
        account.executions.append(view)
        account.transactions.append(self._transaction(account, view, closing.pnl))
        if closing.lots:
            self._record_closing(account, market, order, view, closing)
        core.push(account, order.symbol, Execution(execution=view))

    def _settle(self, account: Account, pnl: Decimal, fee: Decimal) -> Decimal:
        ledger, wallet = self._core.ledger, unified(account.uid)
        ledger.move("USDT", pnl, CLEARING, wallet)
        return ledger.move("USDT", fee, wallet, FEES)

    def _count(self, account: Account, value: Decimal, fee: Decimal, pnl: Decimal) -> None:
        truth = account.truth
        truth.fills += 1
        truth.fees += fee
        truth.realised += pnl
        truth.traded += value

    def _execution(
        self,
        account: Account,
        market: Market,
        order: Order,
        ticks: int,
        lots: int,
        is_maker: bool,
        exec_type: str,
        fee: Decimal,
        rate: Decimal,
        closing: Closing,
    ) -> ExecutionView:
        units = market.units
        return ExecutionView(
            uid=account.uid,
            symbol=order.symbol,
            exec_id=self._core.new_id(),
            exec_type=exec_type,
            order_id=order.order_id,
            order_link_id=order.link_id,
            side=order.side,
            order_type=order.command.order_type,
            order_price=units.price(order.price_ticks),
            order_qty=units.qty(order.lots),
            leaves_qty=units.qty(order.lots - order.filled),
            exec_price=units.price(ticks),
            exec_qty=units.qty(lots),
            exec_value=units.value(ticks, lots),
            exec_fee=fee,
            fee_rate=rate,
            fee_currency="USDT",
            is_maker=is_maker,
            exec_pnl=closing.pnl,
            closed_size=units.qty(closing.lots),
            mark_price=market.mark,
            index_price=market.index,
            create_type=order.create_type,
            exec_ms=self._core.now_ms,
            seq=market.seq,
        )

    def _transaction(self, account: Account, view: ExecutionView, pnl: Decimal) -> TransactionRecord:
        market = self._core.markets[view.symbol]
        held = account.positions[view.symbol].lots
        liquidation = view.create_type != "CreateByUser"
        return TransactionRecord(
            id=f"{account.uid}_{view.symbol}_{self._core.number()}",
            type="LIQUIDATION" if liquidation else "TRADE",
            ts_ms=view.exec_ms,
            symbol=view.symbol,
            side=view.side,
            currency="USDT",
            qty=view.exec_qty,
            size=market.units.qty(held),
            trade_price=view.exec_price,
            funding=ZERO,
            fee=view.exec_fee,
            fee_rate=view.fee_rate,
            cash_flow=pnl,
            change=pnl - view.exec_fee,
            cash_balance=self._core.ledger.balance(unified(account.uid), "USDT"),
            trade_id=view.exec_id,
            order_id=view.order_id,
            order_link_id=view.order_link_id,
        )

    def _record_closing(
        self, account: Account, market: Market, order: Order, view: ExecutionView, closing: Closing
    ) -> None:
        size = market.units.qty(closing.lots)
        exit_value = size * view.exec_price
        share = Decimal(closing.lots) / market.units.lots_of(view.exec_qty)
        close_fee, open_fee = money(view.exec_fee * share), closing.open_fee
        last = account.closed[-1] if account.closed else None
        if last is not None and last.order_id == order.order_id:
            account.closed[-1] = _joined(last, size, closing, exit_value, open_fee, close_fee, view)
            return
        account.closed.append(
            ClosedPnlRecord(
                symbol=order.symbol,
                order_id=order.order_id,
                side=order.side,
                qty=market.units.qty(order.lots),
                order_price=view.order_price,
                order_type=view.order_type,
                exec_type=view.exec_type,
                closed_size=size,
                cum_entry_value=closing.entry_value,
                avg_entry_price=closing.entry_value / size,
                cum_exit_value=exit_value,
                avg_exit_price=exit_value / size,
                closed_pnl=closing.pnl - open_fee - close_fee,
                fill_count=1,
                leverage=account.leverage[order.symbol],
                open_fee=open_fee,
                close_fee=close_fee,
                created_ms=order.created_ms,
                updated_ms=view.exec_ms,
            )
        )

    def tell(self, account: Account, symbol: str, order: Order | None = None) -> None:
        """Push the order, the position and the wallet as they are now."""
        core = self._core
        if order is not None:
            core.push(account, symbol, OrderUpdate(order=order.view(core.markets[symbol].units)))
        core.push(account, symbol, PositionUpdate(position=position_view(core, account, symbol)))

    def tell_wallet(self, account: Account, coin: str = "USDT") -> None:
        """Push the unified wallet as it is now."""
        self._core.push(account, None, WalletUpdate(wallet=wallet_view(self._core, account), coin=coin))


def _joined(
    last: ClosedPnlRecord,
    size: Decimal,
    closing: Closing,
    exit_value: Decimal,
    open_fee: Decimal,
    close_fee: Decimal,
    view: ExecutionView,
) -> ClosedPnlRecord:
    """The record of an order that has closed some more."""
    total, entry = last.closed_size + size, last.cum_entry_value + closing.entry_value
    out = last.cum_exit_value + exit_value
    return replace(
        last,
        closed_size=total,
        cum_entry_value=entry,
        avg_entry_price=entry / total,
        cum_exit_value=out,
        avg_exit_price=out / total,
        closed_pnl=last.closed_pnl + closing.pnl - open_fee - close_fee,
        fill_count=last.fill_count + 1,
        open_fee=last.open_fee + open_fee,
        close_fee=last.close_fee + close_fee,
        updated_ms=view.exec_ms,
    )
