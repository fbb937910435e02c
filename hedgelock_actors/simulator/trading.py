"""Trading requests: checked, acknowledged, and sent on their way to the order desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.commands import (
    Ack,
    AckItem,
    AmendBatch,
    AmendOrder,
    CancelAll,
    CancelBatch,
    CancelOrder,
    PlaceBatch,
    PlaceOrder,
    SetLeverage,
    SwitchMode,
)
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import PositionUpdate
from hedgelock_actors.simulator.margin import account_margin
from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.order_checks import Accepted, Refusal, check_amend, check_place, find_live
from hedgelock_actors.simulator.orders import OrderDesk
from hedgelock_actors.simulator.shown import position_view
from hedgelock_actors.simulator.words import Side

BATCH_MAX = 20
C = TypeVar("C", PlaceOrder, AmendOrder, CancelOrder)


class TradingDesk:
    """Answers at once; the effect follows after the latency."""

    def __init__(self, core: Core, orders: OrderDesk) -> None:
        self._core, self._orders = core, orders

    def place(self, account: Account, command: PlaceOrder) -> Ack:
        """`order/create`."""
        try:
            order = self._accept(account, command)
        except Refusal as refusal:
            return self._core.refuse(account, refusal.code, refusal.text)
        return self._core.ok({"orderId": order.order_id, "orderLinkId": order.link_id})

    def _accept(self, account: Account, command: PlaceOrder) -> Order:
        core = self._core
        accepted = check_place(core, account, command)
        parts = _parts(accepted.lots, self._most(command)) if command.reduce_only else [accepted.lots]
        orders = [self._open(account, command, accepted, lots) for lots in parts]
        for order in orders[1:]:
            order.is_part = True
        if orders[0].link_id:
            account.by_link[orders[0].link_id] = orders[0].order_id
        return orders[0]

    def _most(self, command: PlaceOrder) -> int:
        """The highest quantity of one order, in lots."""
        market = self._core.markets[command.symbol]
        limits, given = market.instrument, self._core.faults.split_qty
        most = limits.max_market_qty if command.order_type == "Market" else limits.max_order_qty
        return max(1, market.units.lots_of(most if given is None else min(given, most)))

    def _open(self, account: Account, command: PlaceOrder, accepted: Accepted, lots: int) -> Order:
        core = self._core
        when = core.effect_ms(account)
        order = Order(
            uid=account.uid,
            order_id=core.new_id(),
            command=command,
            side=command.side,
            lots=lots,
            price_ticks=accepted.price_ticks,
            trigger_ticks=accepted.trigger_ticks,
            create_type="CreateByUser",
            created_ms=core.now_ms,
            updated_ms=core.now_ms,
            visible_ms=when + max(core.spec.latency.query_lag_ms, core.faults.query_lag_ms),
            last_on_created=core.markets[command.symbol].last,
            reduce_only=command.reduce_only,
        )
        account.orders[order.order_id] = account.live[order.order_id] = order
        if core.faults.half_acks > 0:
            core.faults.half_acks -= 1
            core.do_at(when, lambda: self._orders.reject(order))
        else:
            core.do_at(when, lambda: self._orders.arrive(order))
        return order

    def cancel(self, account: Account, command: CancelOrder) -> Ack:
        """`order/cancel`."""
        try:
            order = self._accept_cancel(account, command)
        except Refusal as refusal:
            return self._core.refuse(account, refusal.code, refusal.text)
        return self._core.ok({"orderId": order.order_id, "orderLinkId": order.link_id})

    def _accept_cancel(self, account: Account, command: CancelOrder) -> Order:
        order = find_live(account, command.symbol, command.order_id, command.order_link_id)
        self._core.do_at(self._core.effect_ms(account), lambda: self._orders.cancel(order))
        return order

    def amend(self, account: Account, command: AmendOrder) -> Ack:
        """`order/amend`."""
        try:
            order = self._accept_amend(account, command)
        except Refusal as refusal:
            return self._core.refuse(account, refusal.code, refusal.text)
        return self._core.ok({"orderId": order.order_id, "orderLinkId": order.link_id})

    def _accept_amend(self, account: Account, command: AmendOrder) -> Order:
        order = check_amend(self._core, account, command)
        self._core.do_at(self._core.effect_ms(account), lambda: self._orders.amend(order, command))
        return order

    def cancel_all(self, account: Account, command: CancelAll) -> Ack:
        """`order/cancel-all`."""
        found = [o for o in account.live.values() if command.symbol in (None, o.symbol)]
        when = self._core.effect_ms(account)
        self._core.do_at(when, lambda: self._orders.cancel_all(account, command.symbol, command.cancel_type))
        items = tuple(_item(order) for order in found)
        ack = self._core.ok({"success": "1"})
        return Ack(ret_code=0, ret_msg="OK", reply_ms=ack.reply_ms, result=ack.result, items=items)

    def place_batch(self, account: Account, command: PlaceBatch) -> Ack:
        """`order/create-batch`."""
        return self._batch(account, command.orders, lambda one: self._accept(account, one), created=True)

    def amend_batch(self, account: Account, command: AmendBatch) -> Ack:
        """`order/amend-batch`."""
        return self._batch(account, command.orders, lambda one: self._accept_amend(account, one))

    def cancel_batch(self, account: Account, command: CancelBatch) -> Ack:
        """`order/cancel-batch`."""
        return self._batch(account, command.orders, lambda one: self._accept_cancel(account, one))

    def _batch(
        self, account: Account, commands: tuple[C, ...], accept: Callable[[C], Order], created: bool = False
    ) -> Ack:
        if not 1 <= len(commands) <= BATCH_MAX:
            return self._core.refuse(account, 10001, f"params error: a batch holds 1 to {BATCH_MAX} orders")
        items: list[AckItem] = []
        for one in commands:
            try:
                order = accept(one)
            except Refusal as refusal:
                account.truth.refused(refusal.code)
                order_id = str(getattr(one, "order_id", ""))
                items.append(
                    AckItem(
                        ret_code=refusal.code,
                        ret_msg=refusal.text,
                        symbol=one.symbol,
                        order_id=order_id,
                        order_link_id=one.order_link_id,
                    )
                )
            else:
                items.append(_item(order, self._core.now_ms if created else 0))
        ack = self._core.ok()
        return Ack(ret_code=0, ret_msg="OK", reply_ms=ack.reply_ms, items=tuple(items))

    def set_leverage(self, account: Account, command: SetLeverage) -> Ack:
        """`position/set-leverage`: takes effect at once."""
        core = self._core
        market = core.markets.get(command.symbol)
        if market is None:
            return core.refuse(account, 10001, "params error: symbol invalid " + command.symbol)
        wanted, limits = command.buy_leverage, market.instrument
        if wanted != command.sell_leverage or not wanted.is_finite():
            return core.refuse(account, 10001, "params error: buy and sell leverage must be equal")
        if not limits.min_leverage <= wanted <= limits.max_leverage or wanted % limits.leverage_step != 0:
            return core.refuse(account, 10001, "params error: leverage invalid")
        before = account.leverage[market.symbol]
        if wanted == before:
            return core.refuse(account, 110043, "leverage not modified")
        account.leverage[market.symbol] = wanted
        state = account_margin(core, account)
        if wanted < before and state.initial > state.balance:
            account.leverage[market.symbol] = before
            return core.refuse(account, 110044, "available margin is insufficient")
        core.push(account, market.symbol, PositionUpdate(position=position_view(core, account, market.symbol)))
        return core.ok()

    def switch_mode(self, account: Account, command: SwitchMode) -> Ack:
        """`position/switch-mode`: there is only the one-way mode."""
        if command.mode == 0:
            return self._core.refuse(account, 110025, "Position mode is not modified")
        return self._core.refuse(account, 10001, "params error: only the one-way mode is offered here")

    def liquidation_order(self, account: Account, symbol: str, side: Side, lots: int, ticks: int, kind: str) -> Order:
        """An order of the venue itself against an account: no request, no latency."""
        core, market = self._core, self._core.markets[symbol]
        command = PlaceOrder(
            symbol=symbol,
            side=side,
            order_type="Limit",
            qty=market.units.qty(lots),
            price=market.units.price(ticks),
            time_in_force="IOC",
            reduce_only=True,
        )
        order = Order(
            uid=account.uid,
            order_id=core.new_id(),
            command=command,
            side=side,
            lots=lots,
            price_ticks=ticks,
            trigger_ticks=None,
            create_type=kind,
            created_ms=core.now_ms,
            updated_ms=core.now_ms,
            visible_ms=core.now_ms,
            last_on_created=market.last,
            reduce_only=True,
        )
        account.orders[order.order_id] = account.live[order.order_id] = order
        return order


def _parts(lots: int, most: int) -> list[int]:
    """`lots` in parts of at most `most`."""
    whole, rest = divmod(lots, most)
    return [*[most] * whole, *([rest] if rest else [])]


def _item(order: Order, created_ms: int = 0) -> AckItem:
    return AckItem(
        ret_code=0,
        ret_msg="OK",
        symbol=order.symbol,
        order_id=order.order_id,
        order_link_id=order.link_id,
        created_ms=created_ms,
    )
