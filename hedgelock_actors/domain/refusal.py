"""Why our own limits stop an order: one code per limit, each with a sentence for people."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class RefusalCode(StrEnum):
    """*Refused* is our word; what the venue says no to is *rejected*."""

    WRONG_ENVIRONMENT = "WRONG_ENVIRONMENT"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    WRONG_ACCOUNT = "WRONG_ACCOUNT"
    NOT_THE_WRITER = "NOT_THE_WRITER"
    HALTED = "HALTED"
    REDUCE_ONLY = "REDUCE_ONLY"
    OLD_EPOCH = "OLD_EPOCH"
    NOT_RECONCILED = "NOT_RECONCILED"
    QUOTE_MISSING = "QUOTE_MISSING"
    QUOTE_STALE = "QUOTE_STALE"
    QUOTE_AHEAD = "QUOTE_AHEAD"
    POSITION_STALE = "POSITION_STALE"
    UNKNOWN_INTENT = "UNKNOWN_INTENT"
    DUPLICATE = "DUPLICATE"
    OVER_INTENT = "OVER_INTENT"
    WRONG_DIRECTION = "WRONG_DIRECTION"
    NET_LONG = "NET_LONG"
    AWAY_FROM_TARGET = "AWAY_FROM_TARGET"
    REPEATED_ORDER = "REPEATED_ORDER"
    LOT_SIZE = "LOT_SIZE"
    TICK_SIZE = "TICK_SIZE"
    BELOW_VENUE_MIN_QTY = "BELOW_VENUE_MIN_QTY"
    ABOVE_VENUE_MAX_QTY = "ABOVE_VENUE_MAX_QTY"
    BELOW_VENUE_MIN_NOTIONAL = "BELOW_VENUE_MIN_NOTIONAL"
    BELOW_MIN_ORDER_QTY = "BELOW_MIN_ORDER_QTY"
    ORDER_QTY = "ORDER_QTY"
    ORDER_NOTIONAL = "ORDER_NOTIONAL"
    SLIPPAGE = "SLIPPAGE"
    PRICE_BAND_MARK = "PRICE_BAND_MARK"
    PRICE_BAND_LAST_GOOD = "PRICE_BAND_LAST_GOOD"
    SELF_TRADE = "SELF_TRADE"
    POSITION_QTY = "POSITION_QTY"
    POSITION_NOTIONAL = "POSITION_NOTIONAL"
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE"
    TRADE_ORDER_QTY = "TRADE_ORDER_QTY"
    TRADE_DAILY_QTY = "TRADE_DAILY_QTY"
    OPEN_ORDERS = "OPEN_ORDERS"
    ORDERS_PER_SECOND = "ORDERS_PER_SECOND"
    ORDERS_PER_MINUTE = "ORDERS_PER_MINUTE"
    NOTIONAL_PER_MINUTE = "NOTIONAL_PER_MINUTE"
    MONEY_STALE = "MONEY_STALE"
    MARGIN = "MARGIN"
    FUNDING_COST = "FUNDING_COST"
    DAILY_LOSS = "DAILY_LOSS"
    DAILY_FEES = "DAILY_FEES"
    AMENDS_PER_SECOND = "AMENDS_PER_SECOND"
    AMENDS_PER_MINUTE = "AMENDS_PER_MINUTE"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"

    @property
    def doc(self) -> str:
        """What the limit is for, in one sentence."""
        return _DOCS[self]


_C = RefusalCode
_DOCS = MappingProxyType(
    {
        _C.WRONG_ENVIRONMENT: "The limits were written for another environment than the venue's (mainnet, testnet, …).",
        _C.SYMBOL_NOT_ALLOWED: "The symbol is not on the list of instruments, or its filters are not known.",
        _C.WRONG_ACCOUNT: "The order belongs to another account.",
        _C.NOT_THE_WRITER: "Another process holds the right to trade the account.",
        _C.HALTED: "Trading is halted; the hedge is kept as it is.",
        _C.REDUCE_ONLY: "Only orders that shrink a position may be sent.",
        _C.OLD_EPOCH: "The order was decided before the trading state last changed.",
        _C.NOT_RECONCILED: "The account is not yet reconciled with the venue, so nothing may be opened.",
        _C.QUOTE_MISSING: "No trustworthy price is known.",
        _C.QUOTE_STALE: "The last trustworthy price is too old.",
        _C.QUOTE_AHEAD: "The price bears a time far ahead of our clock, so its age is unknown.",
        _C.POSITION_STALE: "The position was not confirmed by the venue for too long.",
        _C.UNKNOWN_INTENT: "No decision stands behind the order, or it says the other side.",
        _C.DUPLICATE: "This attempt of this intent was sent already (or is to be sent again and never was).",
        _C.OVER_INTENT: "The orders of an intent would add up to more than the intent.",
        _C.WRONG_DIRECTION: "A hedge is opened by selling and shrunk by reduce-only buying, never otherwise.",
        _C.NET_LONG: "With all working orders filled, the hedge could turn into a long position.",
        _C.AWAY_FROM_TARGET: "The order would bring the short away from its target instead of nearer.",
        _C.REPEATED_ORDER: "Another intent sent the very same side, price and quantity a moment ago.",
        _C.LOT_SIZE: "The quantity is not on the venue's grid.",
        _C.TICK_SIZE: "The price is not on the venue's grid.",
        _C.BELOW_VENUE_MIN_QTY: "The quantity is below what the venue takes.",
        _C.ABOVE_VENUE_MAX_QTY: "The quantity is above what the venue takes in one order.",
        _C.BELOW_VENUE_MIN_NOTIONAL: "The value is below what the venue takes.",
        _C.BELOW_MIN_ORDER_QTY: "The quantity is below our least for one order.",
        _C.ORDER_QTY: "The quantity is above our limit for one order.",
        _C.ORDER_NOTIONAL: "The value is above our limit for one order.",
        _C.SLIPPAGE: "The price reaches too far through the middle of the book.",
        _C.PRICE_BAND_MARK: "The price lies too far from the mark price.",
        _C.PRICE_BAND_LAST_GOOD: "The price lies too far from the last good price.",
        _C.SELF_TRADE: "The order would trade with an order of our own.",
        _C.POSITION_QTY: "With all working orders filled, the short would exceed our limit.",
        _C.POSITION_NOTIONAL: "With all working orders filled, the value of the short would exceed our limit.",
        _C.LIQUIDATION_DISTANCE: "With all working orders filled, a small rally would liquidate the short.",
        _C.TRADE_ORDER_QTY: "The quantity is above the limit for one order of a `hedge_trades` command.",
        _C.TRADE_DAILY_QTY: "The `hedge_trades` commands of the day would exceed their limit.",
        _C.OPEN_ORDERS: "Too many orders would be open at once.",
        _C.ORDERS_PER_SECOND: "Too many orders were sent within a second.",
        _C.ORDERS_PER_MINUTE: "Too many orders were sent within a minute.",
        _C.NOTIONAL_PER_MINUTE: "The value of the orders sent within a minute would exceed our limit.",
        _C.MONEY_STALE: "Free margin and liquidation price were not confirmed by the venue for too long.",
        _C.MARGIN: "Free margin does not cover the order and what works already.",
        _C.FUNDING_COST: "Holding the position costs too much funding at the present rate.",
        _C.DAILY_LOSS: "The day's realised loss has reached its limit.",
        _C.DAILY_FEES: "The day's fees have reached their limit.",
        _C.AMENDS_PER_SECOND: "Too many amendments were sent within a second.",
        _C.AMENDS_PER_MINUTE: "Too many amendments were sent within a minute.",
        _C.UNKNOWN_ORDER: "The order to be amended is not known to rest on the venue.",
    }
)
