"""The page of refusals, generated from the codes, the checks and the configuration: `make docs` writes it."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from hedgelock_actors.domain.gate_checks import AMEND_CHECKS, CHECKS, YIELDING
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.runtime.config import Config

_C = RefusalCode
KEYS = MappingProxyType(
    {
        _C.WRONG_ENVIRONMENT: ("venue.environment",),
        _C.SYMBOL_NOT_ALLOWED: ("venue.accounts",),
        _C.QUOTE_STALE: ("market.stale_after_s",),
        _C.QUOTE_AHEAD: ("market.stale_after_s",),
        _C.POSITION_STALE: ("limits.position_max_age_s",),
        _C.REPEATED_ORDER: ("limits.duplicate_window_s",),
        _C.BELOW_MIN_ORDER_QTY: ("limits.min_order_qty",),
        _C.ORDER_QTY: ("limits.max_order_qty",),
        _C.ORDER_NOTIONAL: ("limits.max_order_notional_usdt",),
        _C.SLIPPAGE: ("limits.max_slippage_bps",),
        _C.PRICE_BAND_MARK: ("limits.price_band_bps",),
        _C.PRICE_BAND_LAST_GOOD: ("limits.price_band_bps",),
        _C.POSITION_QTY: ("limits.max_position_qty",),
        _C.POSITION_NOTIONAL: ("limits.max_position_notional_usdt",),
        _C.LIQUIDATION_DISTANCE: ("limits.min_liquidation_distance", "sweep.maintenance", "sweep.taker_fee"),
        _C.TRADE_ORDER_QTY: ("limits.max_trade_order_qty",),
        _C.TRADE_DAILY_QTY: ("limits.max_trade_daily_qty",),
        _C.OPEN_ORDERS: ("limits.max_open_orders",),
        _C.ORDERS_PER_SECOND: ("limits.orders_per_second",),
        _C.ORDERS_PER_MINUTE: ("limits.orders_per_minute", "limits.critical_orders_per_minute"),
        _C.NOTIONAL_PER_MINUTE: ("limits.notional_per_minute_usdt", "limits.critical_notional_per_minute_usdt"),
        _C.AMENDS_PER_SECOND: ("limits.amends_per_second",),
        _C.AMENDS_PER_MINUTE: ("limits.amends_per_minute",),
        _C.MONEY_STALE: ("limits.money_max_age_s",),
        _C.MARGIN: ("limits.initial_margin",),
        _C.FUNDING_COST: ("limits.max_funding_cost",),
        _C.DAILY_LOSS: ("limits.max_daily_loss_usdt",),
        _C.DAILY_FEES: ("limits.max_daily_fees_usdt",),
    }
)
"""The keys of the configuration that set a limit; the others are not a matter of taste."""

COMMAND = "make docs"
PAGE = Path("docs/REFUSALS.md")
_HEAD = f"""# Refusals

<!-- Written by `{COMMAND}` from the codes of domain/refusal.py. Changes made here are lost. -->

Before an order is sent it passes every check below, in this order, and again at the last line before the write. The
first check that fails refuses it, with its code and the numbers. *Refused* is our own word; what the venue says no to
is *rejected*.

**Binds** says what a limit can stop. *All*: every order. *Opening*: an order that grows the position. *Unprotective*:
what neither shrinks the position, nor raises the short towards its target, nor went out before. So whatever a day has
cost, the hedge may be raised to its target and may be shrunk. *Amendments* tells whether another price for a resting
order is held to it too. Keys are those of `configs/hedgelock.yaml`, with the value that holds when nothing else is
written there.

| Code | Meaning | Binds | Amendments | Key (default) |
| --- | --- | --- | --- | --- |
"""
_OPENING = frozenset({
    _C.REDUCE_ONLY, _C.NOT_RECONCILED, _C.BELOW_VENUE_MIN_NOTIONAL, _C.POSITION_QTY, _C.POSITION_NOTIONAL,
    _C.LIQUIDATION_DISTANCE,
})  # fmt: skip
_TRADES = frozenset({_C.TRADE_ORDER_QTY, _C.TRADE_DAILY_QTY})


def refusals_page() -> str:
    """The whole page."""
    config = Config()
    amended = {code for code, _ in AMEND_CHECKS} | {_C.UNKNOWN_ORDER}
    orders = [code for code, _ in CHECKS]
    rest = [code for code in _C if code not in orders]
    rows = [
        f"| `{code.value}` | {code.doc} | {_binds(code) if code in orders else ''} | "
        f"{'yes' if code in amended else ''} | {_keys(code, config)} |"
        for code in [*orders, *rest]
    ]
    return _HEAD + "\n".join(rows) + "\n"


def default_of(key: str, config: Config) -> object:
    """The value of a dotted key."""
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _binds(code: RefusalCode) -> str:
    if code in _TRADES:
        return "`hedge_trades`"
    if code in {yielding for yielding, _ in YIELDING}:
        return "unprotective"
    return "opening" if code in _OPENING else "all"


def _keys(code: RefusalCode, config: Config) -> str:
    return ", ".join(f"`{key}`{_shown(default_of(key, config))}" for key in KEYS.get(code, ()))


def _shown(value: object) -> str:
    return (
        f" ({value:,})" if isinstance(value, int | float | Decimal) else f" ({value})" if isinstance(value, str) else ""
    )


def main() -> None:
    """Write the page under the directory that is given, else under the present one."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    (root / PAGE).write_text(refusals_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
