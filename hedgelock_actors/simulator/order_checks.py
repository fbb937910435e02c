"""What the exchange checks before it acknowledges an order: everything that answers with a code at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.commands import AmendOrder, PlaceOrder
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.margin import account_margin, order_margin
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.orders import band_ticks
from hedgelock_actors.simulator.words import Side

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
NOT_FOUND = "order not exists or too late to cancel"
NOT_FOUND_AMEND = "order not exists or too late to replace"
NO_ROOM = "ab not enough for new order"


class Refusal(Exception):
    """A code and the venue's text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The order in integers."""

    lots: int
    price_ticks: int
    trigger_ticks: int | None


def check_place(core: Core, account: Account, command: PlaceOrder) -> Accepted:
    """Raise `Refusal`, or give the order in ticks and lots."""
    market = core.markets.get(command.symbol)
    if market is None:
        raise Refusal(10001, "params error: symbol invalid " + command.symbol)
    _check_words(account, command)
    _check_trading(account, market, command.reduce_only)
    lots = _check_qty(market, command)
    price = _check_price(core, market, command)
    trigger = _check_trigger(market, command)
    if command.reduce_only:
        lots = _check_reduce_only(account, market, command, lots)
    elif market.units.value(price, lots) < market.instrument.min_notional:
        raise Refusal(110094, f"Order does not meet minimum order value {market.instrument.min_notional}USDT")
    _check_count(account, market, command)
    if not command.reduce_only:
        _check_margin(core, account, market, command.side, lots, market.units.value(price, lots))
    return Accepted(lots=lots, price_ticks=price, trigger_ticks=trigger)


def _check_words(account: Account, command: PlaceOrder) -> None:
    if command.position_idx != 0 or account.settings.position_mode != 0:
        raise Refusal(10001, "position idx not match position mode")
    if command.order_link_id and not LINK_ID.fullmatch(command.order_link_id):
        raise Refusal(10001, "params error: OrderLinkId is invalid")
    if command.take_profit is not None or command.stop_loss is not None:
        raise Refusal(10001, "params error: takeProfit and stopLoss are not offered here")
    if command.order_link_id in account.by_link:
        account.truth.duplicate_requests += 1
        raise Refusal(110072, "OrderLinkedID is duplicate")


def _check_trading(account: Account, market: Market, reduce_only: bool) -> None:
    """Whether the instrument trades and the account may; reducing is allowed while an instrument is delisted."""
    status = market.instrument.status
    if status == "Delivering" and not reduce_only:
        raise Refusal(30228, "No new positions during delisting")
    if status == "Settling":
        raise Refusal(110063, f"Instrument is settling! {market.symbol}")
    if status not in ("Trading", "Delivering"):
        raise Refusal(110066, "Trading is currently not allowed")
    if account.settings.reduce_only and not reduce_only:
        raise Refusal(110023, "Currently you can only reduce positions")


def _check_qty(market: Market, command: PlaceOrder) -> int:
    limits, qty = market.instrument, command.qty
    if qty == 0 and command.reduce_only and command.close_on_trigger:
        qty = limits.max_market_qty
    lots = market.units.lots(qty) if qty.is_finite() else None
    if lots is None or lots < 0 or qty % limits.qty_step:
        raise Refusal(10001, "Qty invalid")
    if qty < limits.min_order_qty:
        raise Refusal(10001, "The number of contracts exceeds minimum limit allowed")
    most = limits.max_market_qty if command.order_type == "Market" else limits.max_order_qty
    if qty > most and not command.reduce_only:
        raise Refusal(10001, "The number of contracts exceeds maximum limit allowed: too large")
    return lots


def _check_price(core: Core, market: Market, command: PlaceOrder) -> int:
    """The limit in ticks; for Market orders the protection price."""
    _check_tolerance(command)
    if command.order_type == "Market":
        return band_ticks(core, market, command.side)
    price = command.price
    if price is None or not price.is_finite() or price <= 0:
        raise Refusal(10001, "params error: price invalid")
    ticks, limits = market.units.ticks(price), market.instrument
    if ticks is None or price % limits.tick_size or not limits.min_price <= price <= limits.max_price:
        raise Refusal(10001, "params error: price invalid, tick size is " + str(market.instrument.tick_size))
    if command.trigger_price is None:
        _check_limit(market, command.side == "Buy", price)
    return ticks


def _check_limit(market: Market, buy: bool, price: Decimal) -> None:
    limit = market.price_limit()
    if price > limit.buy_limit if buy else price < limit.sell_limit:
        raise Refusal(110003, "Order price is out of permissible range")


def _check_tolerance(command: PlaceOrder) -> None:
    tolerance, kind = command.slippage_tolerance, command.slippage_tolerance_type
    if tolerance is None and not kind:
        return
    if command.order_type != "Market" or command.trigger_price is not None or tolerance is None:
        raise Refusal(10001, "params error: slippageTolerance is for market orders")
    if kind == "TickSize":
        if not (1 <= tolerance <= 10_000 and tolerance == int(tolerance)):
            raise Refusal(110108, "slippageTolerance is out of range")
    elif kind == "Percent":
        if not (Decimal("0.01") <= tolerance <= 10 and round(tolerance, 2) == tolerance):
            raise Refusal(110109, "slippageTolerance is out of range")
    else:
        raise Refusal(10001, "params error: slippageToleranceType invalid")


def _check_trigger(market: Market, command: PlaceOrder) -> int | None:
    if command.trigger_price is None:
        return None
    ticks = market.units.ticks(command.trigger_price) if command.trigger_price.is_finite() else None
    if ticks is None or ticks <= 0:
        raise Refusal(10001, "params error: triggerPrice invalid")
    if command.trigger_direction not in (1, 2):
        raise Refusal(10001, "params error: triggerDirection invalid")
    rising, above = command.trigger_direction == 1, command.trigger_price > market.last
    if rising and not above:
        raise Refusal(110092, "expect Rising, but trigger_price <= current")
    if not rising and command.trigger_price >= market.last:
        raise Refusal(110093, "expect Falling, but trigger_price >= current")
    return ticks


def _check_reduce_only(account: Account, market: Market, command: PlaceOrder, lots: int) -> int:
    position = account.positions[market.symbol]
    if position.lots == 0:
        raise Refusal(110017, "current position is zero, cannot fix reduce-only order qty")
    if position.side == command.side:
        raise Refusal(110017, "reduce-only order has same side with current position")
    room = abs(position.lots) - account.reduce_only_lots(market.symbol)
    if room <= 0:
        raise Refusal(110017, "Reduce-only rule not satisfied")
    return min(lots, room)


def _check_count(account: Account, market: Market, command: PlaceOrder) -> None:
    live = account.live_of(market.symbol)
    conditional = sum(order.status == "Untriggered" for order in live)
    if command.trigger_price is not None and conditional >= market.instrument.max_conditional_orders:
        raise Refusal(110009, "The number of stop orders exceeds the maximum allowable limit")
    if command.trigger_price is None and len(live) - conditional >= market.instrument.max_active_orders:
        raise Refusal(110020, "Not allowed to have more than 500 active orders")


def _check_margin(core: Core, account: Account, market: Market, side: Side, lots: int, value: Decimal) -> None:
    """What the order would add to the initial margin must be free now."""
    state = account_margin(core, account)
    extra = order_margin(core, account, market, (side, lots, value)) - order_margin(core, account, market)
    if extra > 0 and state.initial + extra > state.balance:
        raise Refusal(110007, NO_ROOM)


def find_live(account: Account, symbol: str, order_id: str, link_id: str, missing: str = NOT_FOUND) -> Order:
    """The order that a cancel or amendment names; 110001 unless it may still trade."""
    if not order_id and not link_id:
        raise Refusal(10001, "params error: orderId or orderLinkId is required")
    order = account.lookup(symbol, order_id, link_id)
    if order is None or not order.live:
        raise Refusal(110001, missing)
    return order


def check_amend(core: Core, account: Account, command: AmendOrder) -> Order:
    """Raise `Refusal`, or give the order to amend."""
    if command.symbol not in core.markets:
        raise Refusal(10001, "params error: symbol invalid " + command.symbol)
    order = find_live(account, command.symbol, command.order_id, command.order_link_id, NOT_FOUND_AMEND)
    market = core.markets[command.symbol]
    _check_trading(account, market, order.reduce_only)
    lots, price = _amended_qty(market, order, command), _amended_price(market, order, command)
    trigger = command.trigger_price
    if trigger is not None and (order.trigger_ticks is None or market.units.ticks(trigger) is None):
        raise Refusal(10001, "params error: triggerPrice invalid")
    same_trigger = trigger is None or market.units.ticks(trigger) == order.trigger_ticks
    if lots == order.lots and price == order.price_ticks and same_trigger:
        raise Refusal(10001, "The order remains unchanged as the parameters entered match the existing ones.")
    added = market.units.value(price, lots) - market.units.value(order.price_ticks, order.lots)
    if added > 0 and not order.reduce_only:
        _check_margin(core, account, market, order.side, max(0, lots - order.lots), added)
    return order


def _amended_qty(market: Market, order: Order, command: AmendOrder) -> int:
    if command.qty is None:
        return order.lots
    lots = market.units.lots(command.qty) if command.qty.is_finite() else None
    limits = market.instrument
    if lots is None or not limits.min_order_qty <= command.qty <= limits.max_order_qty:
        raise Refusal(10001, "Qty invalid")
    if lots < order.filled:
        raise Refusal(10001, "params error: qty is below the executed quantity")
    return lots


def _amended_price(market: Market, order: Order, command: AmendOrder) -> int:
    if command.price is None:
        return order.price_ticks
    ticks = market.units.ticks(command.price) if command.price.is_finite() and command.price > 0 else None
    if ticks is None or order.is_market or command.price % market.instrument.tick_size:
        raise Refusal(10001, "params error: price invalid")
    _check_limit(market, order.side == "Buy", command.price)
    return ticks
