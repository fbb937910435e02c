"""The venue's JSON as values of our ports. No I/O; whatever cannot be true raises BadData and is never passed on."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import AmendRequest, OrderRequest, OrderStatus, OrderView, Side
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.venue import PositionView, WalletView

CATEGORY = "linear"
SETTLE_COIN = "USDT"
_DOLLARS = (SETTLE_COIN, "USDC")

STATUSES: Mapping[str, OrderStatus] = MappingProxyType(
    {
        "New": OrderStatus.NEW,
        "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
        "Untriggered": OrderStatus.UNTRIGGERED,
        "Triggered": OrderStatus.TRIGGERED,
        "Rejected": OrderStatus.REJECTED,
        "PartiallyFilledCanceled": OrderStatus.CANCELLED,
        "Filled": OrderStatus.FILLED,
        "Cancelled": OrderStatus.CANCELLED,
        "Deactivated": OrderStatus.DEACTIVATED,
    }
)
_SIDES: Mapping[str, Side] = MappingProxyType({"Buy": Side.BUY, "Sell": Side.SELL})


def create_params(order: OrderRequest) -> dict[str, str | bool | int]:
    """The body of `order/create`: decimals as plain texts, one-way position mode."""
    body: dict[str, str | bool | int] = {
        "category": CATEGORY,
        "symbol": order.symbol,
        "side": order.side.value,
        "orderType": order.order_type.value,
        "qty": f.plain(order.qty),
        "timeInForce": order.time_in_force.value,
        "reduceOnly": order.reduce_only,
        "orderLinkId": order.order_link_id,
        "positionIdx": 0,
    }
    if order.price is not None:
        body["price"] = f.plain(order.price)
    return body


def amend_params(amend: AmendRequest) -> dict[str, str | bool | int]:
    """The body of `order/amend`: another price, nothing else."""
    named = {"category": CATEGORY, "symbol": amend.symbol, "orderLinkId": amend.order_link_id}
    return {**named, "price": f.plain(amend.price)}


def cancel_params(symbol: str, order_link_id: str) -> dict[str, str | bool | int]:
    """The body of `order/cancel`."""
    return {"category": CATEGORY, "symbol": symbol, "orderLinkId": order_link_id}


def side(row: Row) -> Side:
    """Buy or Sell."""
    found = _SIDES.get(f.text(row, "side"))
    if found is None:
        raise BadData("side", row.get("side"), "is neither Buy nor Sell")
    return found


def order(row: Row) -> OrderView:
    """An order, as pushed on `order` or listed by realtime and history."""
    status = STATUSES.get(f.text(row, "orderStatus"))
    if status is None:
        raise BadData("orderStatus", row.get("orderStatus"), "is not a known status")
    qty, filled = f.amount(row, "qty"), f.amount_or_zero(row, "cumExecQty")
    if filled > qty:
        raise BadData("cumExecQty", filled, f"is more than the quantity {qty}")
    return OrderView(
        symbol=f.text(row, "symbol"),
        order_id=f.text(row, "orderId"),
        order_link_id=f.text_or_empty(row, "orderLinkId"),
        status=status,
        side=side(row),
        qty=qty,
        price=f.amount_or_zero(row, "price"),
        cum_qty=filled,
        cum_value=f.amount_or_zero(row, "cumExecValue"),
        cum_fee=order_fee(row),
        leaves_qty=f.amount_or_zero(row, "leavesQty"),
        reduce_only=f.flag(row, "reduceOnly"),
        reject_reason=f.text_or_empty(row, "rejectReason"),
        cancel_type=f.text_or_empty(row, "cancelType"),
        create_type=f.text_or_empty(row, "createType"),
        ts_ms=f.time_ms(row, "updatedTime"),
    )


def order_fee(row: Row) -> Decimal:
    """Fees of an order in USDT: the sum of `cumFeeDetail` over coins worth one USDT, else the deprecated `cumExecFee`.

    A fee paid in another coin (a discount token) is not a number of USDT; the venue's own `cumExecFee` then stands.
    """
    detail = row.get("cumFeeDetail")
    if isinstance(detail, dict) and SETTLE_COIN in detail:
        return sum((f.number(detail, coin) for coin in detail if coin in _DOLLARS), f.ZERO)
    return f.number_or_zero(row, "cumExecFee")


def execution(row: Row) -> Execution:
    """An execution of any type: Trade, Funding, BustTrade, AdlTrade, Settle, …"""
    return Execution(
        symbol=f.text(row, "symbol"),
        exec_id=f.text(row, "execId"),
        order_id=f.text_or_empty(row, "orderId"),
        order_link_id=f.text_or_empty(row, "orderLinkId"),
        side=side(row),
        qty=f.amount(row, "execQty"),
        price=f.price(row, "execPrice"),
        fee=execution_fee(row),
        exec_type=f.text(row, "execType"),
        is_maker=f.flag(row, "isMaker"),
        ts_ms=f.time_ms(row, "execTime"),
        closed_size=f.amount_or_zero(row, "closedSize"),
        create_type=f.text_or_empty(row, "createType"),
    )


def execution_fee(row: Row) -> Decimal:
    """Fee (or funding) of an execution in USDT. One that is taken in another coin (a discount token) leaves the USDT
    wallet as it is: counted as USDT, it would set our books apart from the venue's.
    """
    fee, coin = f.number_or_zero(row, "execFee"), f.text_or_empty(row, "feeCurrency")
    return fee if coin in ("", *_DOLLARS) else f.ZERO


def position(row: Row, ts_ms: int) -> PositionView:
    """A one-way position as of `ts_ms`. The stream names the entry `entryPrice`, the query `avgPrice`."""
    size = f.amount(row, "size")
    entry_field = "avgPrice" if "avgPrice" in row else "entryPrice"
    named = f.text_or_empty(row, "side")
    if size > f.ZERO and named not in _SIDES:
        raise BadData("side", named, f"of a position of {size} is neither Buy nor Sell")
    liquidation = f.amount_or_zero(row, "liqPrice")
    return PositionView(
        symbol=f.text(row, "symbol"),
        ts_ms=ts_ms,
        signed_qty=size * _SIDES[named].sign if size > f.ZERO else f.ZERO,
        entry_price=f.price(row, entry_field) if size > f.ZERO else f.ZERO,
        mark=f.amount_or_zero(row, "markPrice"),
        unrealised_pnl=f.number_or_zero(row, "unrealisedPnl"),
        liquidation_price=liquidation if liquidation > f.ZERO else None,
    )


def wallet(row: Row, ts_ms: int, complete: bool) -> WalletView | None:
    """The unified account as of `ts_ms`; equity is what counts as margin.

    A push names only the coins that changed: without USDT in it there is nothing to say (None). A query is `complete`:
    a coin that it does not name is not there.
    """
    coins = {f.text(coin, "coin"): coin for coin in f.rows(row.get("coin"), "coin")}
    settle = coins.get(SETTLE_COIN)
    if settle is None and not complete:
        return None
    return WalletView(
        ts_ms=ts_ms,
        wallet_usdt=f.number(settle, "walletBalance") if settle is not None else f.ZERO,
        equity_usdt=f.number(row, "totalMarginBalance"),
        available_usdt=f.number(row, "totalAvailableBalance"),
        initial_margin_usdt=f.amount(row, "totalInitialMargin"),
        maintenance_margin_usdt=f.amount(row, "totalMaintenanceMargin"),
    )


def instrument(row: Row) -> Instrument:
    """Filters and limits of a linear perpetual."""
    prices, lots = _object(row, "priceFilter"), _object(row, "lotSizeFilter")
    leverage, risk = _object(row, "leverageFilter"), _object(row, "riskParameters")
    try:
        return Instrument(
            symbol=f.text(row, "symbol"),
            base_coin=f.text(row, "baseCoin"),
            tick_size=f.positive(prices, "tickSize"),
            qty_step=f.positive(lots, "qtyStep"),
            min_qty=f.positive(lots, "minOrderQty"),
            max_qty=f.positive(lots, "maxOrderQty"),
            max_market_qty=f.positive(lots, "maxMktOrderQty"),
            min_notional=f.amount(lots, "minNotionalValue"),
            funding_interval_min=f.integer(row, "fundingInterval"),
            max_leverage=f.positive(leverage, "maxLeverage"),
            price_limit_ratio=f.positive(risk, "priceLimitRatioX"),
        )
    except InvalidInput as error:
        raise BadData(error.field, row.get("symbol"), error.remedy) from error


def _object(row: Row, field: str) -> Row:
    found = row.get(field)
    if not isinstance(found, dict):
        raise BadData(field, found, "is not an object")
    return found
