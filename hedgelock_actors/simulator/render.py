"""Engine values laid out as the venue's JSON: key names, key order and types of the documented examples.

Amounts become plain decimal strings (never an exponent), at most 8 decimals; times become millisecond strings.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from hedgelock_actors.simulator.api import (
    ClosedPnlRecord,
    CoinBalance,
    ExecutionView,
    OrderView,
    PositionView,
    TransactionRecord,
    WalletView,
)

Json = dict[str, object]
_EIGHT = Decimal("0.00000001")
_LOWEST_EXPONENT = -8


def text(value: Decimal | None, empty: str = "") -> str:
    """A decimal as the venue writes it; `empty` for None."""
    if value is None:
        return empty
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < _LOWEST_EXPONENT:
        value = value.quantize(_EIGHT, ROUND_HALF_EVEN).normalize()
    written = format(value, "f")
    return "0" if written in ("-0", "0.00000000") else written


def rate(value: Decimal) -> str:
    """A ratio with up to 12 decimals (hourly interest needs them)."""
    return format(round(value, 12).normalize(), "f") if value else "0"


def order(view: OrderView) -> Json:
    """An order as REST realtime shows it."""
    return {
        "orderId": view.order_id,
        "orderLinkId": view.order_link_id,
        "blockTradeId": "",
        "symbol": view.symbol,
        "price": text(view.price, "0"),
        "qty": text(view.qty),
        "side": view.side,
        "isLeverage": "",
        "positionIdx": 0,
        "orderStatus": view.order_status,
        "createType": view.create_type,
        "cancelType": view.cancel_type,
        "rejectReason": view.reject_reason,
        "avgPrice": text(view.avg_price, "0"),
        "leavesQty": text(view.leaves_qty),
        "leavesValue": text(view.leaves_value),
        "cumExecQty": text(view.cum_exec_qty),
        "cumExecValue": text(view.cum_exec_value),
        "cumExecFee": text(view.cum_exec_fee),
        "timeInForce": view.time_in_force,
        "orderType": view.order_type,
        "stopOrderType": view.stop_order_type,
        "orderIv": "",
        "triggerPrice": text(view.trigger_price),
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "triggerDirection": view.trigger_direction,
        "triggerBy": view.trigger_by,
        "lastPriceOnCreated": text(view.last_price_on_created),
        "reduceOnly": view.reduce_only,
        "closeOnTrigger": view.close_on_trigger,
        "smpType": view.smp_type or "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpslMode": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "placeType": "",
        "createdTime": str(view.created_ms),
        "updatedTime": str(view.updated_ms),
        "cumFeeDetail": {"USDT": text(view.cum_exec_fee)} if view.cum_exec_fee else {},
    }


def past_order(view: OrderView) -> Json:
    """An order as REST history shows it."""
    return {
        **order(view),
        "slippageToleranceType": view.slippage_tolerance_type or "UNKNOWN",
        "slippageTolerance": text(view.slippage_tolerance),
        "extraFees": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def order_push(view: OrderView) -> Json:
    """An order as the private stream pushes it."""
    return {
        "category": "linear",
        **order(view),
        "closedPnl": text(view.closed_pnl),
        "feeCurrency": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def execution(view: ExecutionView) -> Json:
    """An execution as REST lists it."""
    return {
        "symbol": view.symbol,
        "orderType": view.order_type,
        "underlyingPrice": "",
        "orderLinkId": view.order_link_id,
        "side": view.side,
        "indexPrice": "",
        "orderId": view.order_id,
        "stopOrderType": "UNKNOWN",
        "leavesQty": text(view.leaves_qty),
        "execTime": str(view.exec_ms),
        "feeCurrency": view.fee_currency,
        "isMaker": view.is_maker,
        "execFee": text(view.exec_fee),
        "feeRate": rate(view.fee_rate),
        "execId": view.exec_id,
        "tradeIv": "",
        "blockTradeId": "",
        "markPrice": text(view.mark_price),
        "execPrice": text(view.exec_price),
        "markIv": "",
        "orderQty": text(view.order_qty),
        "orderPrice": text(view.order_price),
        "execValue": text(view.exec_value),
        "execType": view.exec_type,
        "execQty": text(view.exec_qty),
        "closedSize": text(view.closed_size),
        "createType": view.create_type,
        "extraFees": "",
        "seq": view.seq,
    }


def execution_push(view: ExecutionView) -> Json:
    """An execution as the private stream pushes it."""
    return {
        "category": "linear",
        "symbol": view.symbol,
        "closedSize": text(view.closed_size),
        "execFee": text(view.exec_fee),
        "execId": view.exec_id,
        "execPrice": text(view.exec_price),
        "execQty": text(view.exec_qty),
        "execType": view.exec_type,
        "execValue": text(view.exec_value),
        "feeRate": rate(view.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": text(view.mark_price),
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": text(view.leaves_qty),
        "orderId": view.order_id,
        "orderLinkId": view.order_link_id,
        "orderPrice": text(view.order_price),
        "orderQty": text(view.order_qty),
        "orderType": view.order_type,
        "stopOrderType": "UNKNOWN",
        "side": view.side,
        "execTime": str(view.exec_ms),
        "isLeverage": "0",
        "isMaker": view.is_maker,
        "seq": view.seq,
        "marketUnit": "",
        "execPnl": text(view.exec_pnl),
        "createType": view.create_type,
        "extraFees": [],
        "feeCurrency": view.fee_currency,
    }


def fast_execution_push(view: ExecutionView) -> Json:
    """The short form; a maker's link id is left out, as the venue does."""
    return {
        "category": "linear",
        "symbol": view.symbol,
        "execId": view.exec_id,
        "execPrice": text(view.exec_price),
        "execQty": text(view.exec_qty),
        "orderId": view.order_id,
        "isMaker": view.is_maker,
        "orderLinkId": "" if view.is_maker else view.order_link_id,
        "side": view.side,
        "execTime": str(view.exec_ms),
        "seq": view.seq,
    }


def _position(view: PositionView, entry_key: str) -> Json:
    return {
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": view.risk_id,
        "riskLimitValue": text(view.risk_limit_value),
        "symbol": view.symbol,
        "side": view.side,
        "size": text(view.size),
        entry_key: text(view.avg_price),
        "leverage": text(view.leverage),
        "breakEvenPrice": text(view.break_even_price),
        "positionValue": text(view.position_value),
        "positionBalance": "0",
        "markPrice": text(view.mark_price),
        "positionIM": text(view.position_im),
        "positionIMByMp": text(view.position_im),
        "positionMM": text(view.position_mm),
        "positionMMByMp": text(view.position_mm),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": text(view.unrealised_pnl),
        "curRealisedPnl": text(view.cur_realised_pnl),
        "cumRealisedPnl": text(view.cum_realised_pnl),
        "sessionAvgPrice": "",
        "createdTime": str(view.created_ms),
        "updatedTime": str(view.updated_ms),
        "tpslMode": "Full",
        "liqPrice": text(view.liq_price),
        "bustPrice": text(view.bust_price),
    }


def position(view: PositionView) -> Json:
    """A position as REST lists it."""
    return {
        **_position(view, "avgPrice"),
        "positionStatus": view.position_status,
        "adlRankIndicator": 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdateTime": "",
        "openTime": view.open_ms,
        "seq": view.seq,
        "isReduceOnly": view.reduce_only,
    }


def position_push(view: PositionView) -> Json:
    """A position as the private stream pushes it (`entryPrice` for `avgPrice`)."""
    return {
        **_position(view, "entryPrice"),
        "category": "linear",
        "positionStatus": view.position_status,
        "adlRankIndicator": 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": view.seq,
        "isReduceOnly": view.reduce_only,
    }


def _coin(view: CoinBalance, available: Decimal | None) -> Json:
    return {
        "coin": view.coin,
        "equity": text(view.equity),
        "usdValue": text(view.usd_value),
        "walletBalance": text(view.wallet_balance),
        "availableToWithdraw": text(available),
        "availableToBorrow": "",
        "borrowAmount": text(view.borrow_amount),
        "accruedInterest": text(view.accrued_interest),
        "totalOrderIM": text(view.total_order_im),
        "totalPositionIM": text(view.total_position_im),
        "totalPositionMM": text(view.total_position_mm),
        "unrealisedPnl": text(view.unrealised_pnl),
        "cumRealisedPnl": text(view.cum_realised_pnl),
        "bonus": "0",
        "collateralSwitch": view.collateral_switch,
        "marginCollateral": view.margin_collateral,
        "locked": text(view.locked),
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }


def wallet(view: WalletView, coins: frozenset[str] | None = None) -> Json:
    """The unified account as REST and the stream show it; `coins` narrows the coin list."""
    shown = [coin for coin in view.coins if coins is None or coin.coin in coins]
    return {
        "accountIMRate": rate(view.account_im_rate),
        "accountIMRateByMp": rate(view.account_im_rate),
        "accountMMRate": rate(view.account_mm_rate),
        "accountMMRateByMp": rate(view.account_mm_rate),
        "totalEquity": text(view.total_equity),
        "totalWalletBalance": text(view.total_wallet_balance),
        "totalMarginBalance": text(view.total_margin_balance),
        "totalAvailableBalance": text(view.total_available_balance),
        "totalPerpUPL": text(view.total_perp_upl),
        "totalInitialMargin": text(view.total_initial_margin),
        "totalInitialMarginByMp": text(view.total_initial_margin),
        "totalMaintenanceMargin": text(view.total_maintenance_margin),
        "totalMaintenanceMarginByMp": text(view.total_maintenance_margin),
        "coin": [_coin(coin, None) for coin in shown],
        "accountLTV": "0",
        "accountType": "UNIFIED",
    }


def transaction(row: TransactionRecord) -> Json:
    """A transaction-log row."""
    return {
        "transSubType": "",
        "id": row.id,
        "symbol": row.symbol,
        "side": row.side or "None",
        "funding": text(row.funding) if row.funding else "",
        "orderLinkId": row.order_link_id,
        "orderId": row.order_id,
        "fee": text(row.fee),
        "change": text(row.change),
        "cashFlow": text(row.cash_flow),
        "transactionTime": str(row.ts_ms),
        "type": row.type,
        "feeRate": rate(row.fee_rate),
        "bonusChange": "",
        "size": text(row.size),
        "qty": text(row.qty),
        "cashBalance": text(row.cash_balance),
        "currency": row.currency,
        "category": "linear" if row.symbol else "",
        "tradePrice": text(row.trade_price),
        "tradeId": row.trade_id,
        "extraFees": "",
    }


def closed_pnl(row: ClosedPnlRecord) -> Json:
    """A closed-PnL row."""
    return {
        "symbol": row.symbol,
        "orderType": row.order_type,
        "leverage": text(row.leverage),
        "updatedTime": str(row.updated_ms),
        "side": row.side,
        "orderId": row.order_id,
        "closedPnl": text(row.closed_pnl),
        "avgEntryPrice": text(row.avg_entry_price),
        "qty": text(row.qty),
        "cumEntryValue": text(row.cum_entry_value),
        "createdTime": str(row.created_ms),
        "orderPrice": text(row.order_price),
        "closedSize": text(row.closed_size),
        "avgExitPrice": text(row.avg_exit_price),
        "execType": row.exec_type,
        "fillCount": str(row.fill_count),
        "cumExitValue": text(row.cum_exit_value),
        "openFee": text(row.open_fee),
        "closeFee": text(row.close_fee),
    }
