"""Liquidation of the unified account at accountMMRate ≥ 1: orders first, then the position in steps, then takeover."""

from __future__ import annotations

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import Liquidation
from hedgelock_actors.simulator.ledger import DESK, INSURANCE, money, unified
from hedgelock_actors.simulator.margin import STABLE, account_margin, price_where_balance_is, usd_price
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.matching import opposite
from hedgelock_actors.simulator.orders import OrderDesk
from hedgelock_actors.simulator.trading import TradingDesk
from hedgelock_actors.simulator.words import ZERO

STEPS = 5


class Liquidator:
    """Looks at every account after each tick."""

    def __init__(self, core: Core, clearing: Clearing, orders: OrderDesk, trading: TradingDesk) -> None:
        self._core, self._clearing, self._orders, self._trading = core, clearing, orders, trading

    def watch(self) -> None:
        """Note every account's margin; act at accountMMRate ≥ 1."""
        for account in self._core.accounts.values():
            if not account.busy():
                continue
            state = account_margin(self._core, account)
            account.truth.saw_margin(state.balance, state.maintenance)
            if state.maintenance >= state.balance:
                self._liquidate(account)

    def _unsafe(self, account: Account) -> bool:
        state = account_margin(self._core, account)
        return state.maintenance > 0 and state.maintenance >= state.balance

    def _liquidate(self, account: Account) -> None:
        self._orders.cancel_all(account, None, "CancelByPrepareLiq")
        # The account is judged by its position, not by the orders that were in its way.
        for symbol in sorted(account.positions, key=lambda s: -abs(account.positions[s].cost)):
            market = self._core.markets[symbol]
            size = abs(account.positions[symbol].lots)
            for step in range(STEPS):
                if not self._unsafe(account) or not account.positions[symbol].lots:
                    break
                left = abs(account.positions[symbol].lots)
                self._reduce(account, market, left if step == STEPS - 1 else min(left, -(-size // STEPS)))
            if self._unsafe(account) and account.positions[symbol].lots:
                self._take_over(account, market)
        self._cover(account)

    def _bankruptcy_ticks(self, account: Account, market: Market) -> int:
        price = price_where_balance_is(self._core, account, market, maintained=False) or market.mark
        units = market.units
        return units.ticks_floor(price) if account.positions[market.symbol].lots < 0 else units.ticks_ceil(price)

    def _reduce(self, account: Account, market: Market, lots: int) -> None:
        """Close a part in the book, not worse than the bankruptcy price."""
        position = account.positions[market.symbol]
        side = position.side
        if side is None:
            return
        account.truth.short_liquidated |= side == "Sell"
        position.status = "Liq"
        limit = max(1, self._bankruptcy_ticks(account, market))
        order = self._trading.liquidation_order(account, market.symbol, opposite(side), lots, limit, "CreateByLiq")
        before = abs(position.lots)
        self._orders.arrive_liquidation(order)
        self._announce(market, opposite(side), before - abs(position.lots), limit)
        position.status = "Normal"

    def _take_over(self, account: Account, market: Market) -> None:
        """What the book could not take goes to the venue at the bankruptcy price."""
        position = account.positions[market.symbol]
        side, lots = position.side, abs(position.lots)
        if side is None:
            return
        account.truth.short_liquidated |= side == "Sell"
        ticks = max(1, self._bankruptcy_ticks(account, market))
        kind = "CreateByTakeOver_PassThrough"
        order = self._trading.liquidation_order(account, market.symbol, opposite(side), lots, ticks, kind)
        self._clearing.fill(order, ticks, lots, is_maker=False, exec_type="BustTrade")
        account.live.pop(order.order_id, None)
        self._clearing.tell(account, market.symbol, order)
        self._announce(market, opposite(side), lots, ticks)

    def _announce(self, market: Market, closing: str, lots: int, ticks: int) -> None:
        if lots > 0:
            self._core.publish(
                market.symbol,
                Liquidation(
                    symbol=market.symbol,
                    side="Buy" if closing == "Sell" else "Sell",
                    size=market.units.qty(lots),
                    price=market.units.price(ticks),
                ),
            )

    def _cover(self, account: Account) -> None:
        """A negative USDT balance is paid from other coins of the wallet at index, then by the insurance fund."""
        ledger, wallet = self._core.ledger, unified(account.uid)
        for coin in ledger.coins(wallet):
            owed, price = -ledger.balance(wallet, "USDT"), usd_price(self._core, coin)
            if account.busy() or owed <= 0:
                break
            if coin not in STABLE and price > 0:
                sold = min(ledger.balance(wallet, coin), money(owed / price))
                ledger.move(coin, sold, wallet, DESK)
                account.truth.converted += ledger.move("USDT", min(owed, sold * price), DESK, wallet)
        owed = -ledger.balance(wallet, "USDT")
        if owed > 0 and not account.busy():
            account.truth.insured += ledger.move("USDT", owed, INSURANCE, wallet)
        if owed != ZERO:
            self._clearing.tell_wallet(account)
