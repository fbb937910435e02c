"""Every limit, in the order in which it is asked. Each check gives None when its limit holds, else what breaks it.

Two tables. `HARD` limits bind every order. `YIELDING` ones protect profit or rest on estimates of ours, and are not
asked of an order that protects (`gate_facts.protects`): whatever a day has cost, the hedge may be raised to its target
and may be shrunk. They are asked last, so an order that protects is refused by hard limits alone.
"""

from __future__ import annotations

from hedgelock_actors.domain import gate_budgets as budgets
from hedgelock_actors.domain import gate_order as order
from hedgelock_actors.domain import gate_rights as rights
from hedgelock_actors.domain import gate_worst_case as worst
from hedgelock_actors.domain.gate_facts import Check
from hedgelock_actors.domain.refusal import RefusalCode as C

Checks = tuple[tuple[C, Check], ...]

HARD: Checks = (
    (C.WRONG_ENVIRONMENT, rights.environment),
    (C.SYMBOL_NOT_ALLOWED, rights.symbol),
    (C.WRONG_ACCOUNT, rights.account),
    (C.NOT_THE_WRITER, rights.writer),
    (C.HALTED, rights.halted),
    (C.REDUCE_ONLY, rights.reduce_only),
    (C.OLD_EPOCH, rights.epoch),
    (C.NOT_RECONCILED, rights.reconciled),
    (C.QUOTE_MISSING, rights.quote_missing),
    (C.QUOTE_STALE, rights.quote_stale),
    (C.QUOTE_AHEAD, rights.quote_ahead),
    (C.POSITION_STALE, rights.position_stale),
    (C.UNKNOWN_INTENT, order.unknown_intent),
    (C.DUPLICATE, order.duplicate),
    (C.OVER_INTENT, order.over_intent),
    (C.WRONG_DIRECTION, order.direction),
    (C.NET_LONG, order.net_long),
    (C.AWAY_FROM_TARGET, order.away_from_target),
    (C.REPEATED_ORDER, order.repeated),
    (C.LOT_SIZE, order.lot),
    (C.TICK_SIZE, order.tick),
    (C.BELOW_VENUE_MIN_QTY, order.below_min),
    (C.ABOVE_VENUE_MAX_QTY, order.above_max),
    (C.BELOW_VENUE_MIN_NOTIONAL, order.min_notional),
    (C.BELOW_MIN_ORDER_QTY, order.below_our_min),
    (C.ORDER_QTY, order.order_qty),
    (C.ORDER_NOTIONAL, order.order_notional),
    (C.SLIPPAGE, order.slippage),
    (C.PRICE_BAND_MARK, order.mark_band),
    (C.PRICE_BAND_LAST_GOOD, order.last_good_band),
    (C.SELF_TRADE, worst.self_trade),
    (C.POSITION_QTY, worst.position_qty),
    (C.POSITION_NOTIONAL, worst.position_notional),
    (C.LIQUIDATION_DISTANCE, worst.liquidation_distance),
    (C.TRADE_ORDER_QTY, budgets.trade_order),
    (C.TRADE_DAILY_QTY, budgets.trade_daily),
    (C.OPEN_ORDERS, worst.open_orders),
    (C.ORDERS_PER_SECOND, worst.per_second),
    (C.ORDERS_PER_MINUTE, worst.per_minute),
    (C.NOTIONAL_PER_MINUTE, worst.notional_per_minute),
)
YIELDING: Checks = (
    (C.MONEY_STALE, rights.money_stale),
    (C.MARGIN, budgets.margin),
    (C.FUNDING_COST, budgets.funding_cost),
    (C.DAILY_LOSS, budgets.daily_loss),
    (C.DAILY_FEES, budgets.daily_fees),
)
CHECKS: Checks = HARD + YIELDING

_OF_AN_AMENDMENT = frozenset({
    C.WRONG_ENVIRONMENT, C.SYMBOL_NOT_ALLOWED, C.WRONG_ACCOUNT, C.NOT_THE_WRITER, C.HALTED, C.REDUCE_ONLY,
    C.OLD_EPOCH, C.NOT_RECONCILED, C.QUOTE_MISSING, C.QUOTE_STALE, C.QUOTE_AHEAD, C.POSITION_STALE, C.UNKNOWN_INTENT,
    C.AWAY_FROM_TARGET, C.TICK_SIZE, C.ORDER_NOTIONAL, C.SLIPPAGE, C.PRICE_BAND_MARK, C.PRICE_BAND_LAST_GOOD,
    C.SELF_TRADE,
})  # fmt: skip
AMEND_CHECKS: Checks = (
    *((code, check) for code, check in HARD if code in _OF_AN_AMENDMENT),
    (C.AMENDS_PER_SECOND, worst.amends_per_second),
    (C.AMENDS_PER_MINUTE, worst.amends_per_minute),
)
"""What another price for a resting order can break, in the same order."""
