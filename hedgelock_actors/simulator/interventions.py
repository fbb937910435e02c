"""What the venue or a person does to an account or a market from outside the API, for rehearsals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.simulator.account import AccountSettings
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.matching import opposite
from hedgelock_actors.simulator.trading import TradingDesk

# How a position is taken away: (create type of the order, type of the execution).
TAKINGS = {
    "adl": ("CreateByAdl_PassThrough", "AdlTrade"),
    "liquidation": ("CreateByLiq", "BustTrade"),
    "takeover": ("CreateByTakeOver_PassThrough", "BustTrade"),
}
_CHANGEABLE = frozenset(
    {
        *(
            "status",
            "tick_size",
            "qty_step",
            "min_order_qty",
            "max_order_qty",
            "max_market_qty",
            "min_notional",
        ),
        *("max_leverage", "price_limit_x"),
    }
)


class Interventions:
    """Acts on the exchange at once."""

    def __init__(self, core: Core, clearing: Clearing, trading: TradingDesk) -> None:
        self._core, self._clearing, self._trading = core, clearing, trading

    def take_position(self, uid: str, symbol: str, qty: Decimal | None, how: str) -> Decimal:
        """Close `qty` (None: all) of a position at the mark price, as `how` of `TAKINGS`; returns what was closed.

        Raises:
            ValueError: `how` is unknown, the position is flat, or the quantity is not one of it.
        """
        if how not in TAKINGS:
            raise ValueError(f"how must be one of {', '.join(TAKINGS)}")
        account, market = self._core.accounts[uid], self._core.markets[symbol]
        position = account.positions[symbol]
        held, side = abs(position.lots), position.side
        lots = held if qty is None else market.units.lots(qty)
        if side is None or lots is None or not 0 < lots <= held:
            raise ValueError(f"{uid} holds {market.units.qty(position.lots)} {symbol}")
        create_type, exec_type = TAKINGS[how]
        ticks = max(1, market.units.ticks_floor(market.mark))
        order = self._trading.liquidation_order(account, symbol, opposite(side), lots, ticks, create_type)
        self._clearing.fill(order, ticks, lots, is_maker=False, exec_type=exec_type)
        account.live.pop(order.order_id, None)
        account.truth.short_liquidated |= side == "Sell" and how != "adl"
        self._clearing.tell(account, symbol, order)
        self._clearing.tell_wallet(account)
        return market.units.qty(lots)

    def change_instrument(self, symbol: str, changes: dict[str, str]) -> None:
        """Give an instrument other filters, or another status, from now on; orders that rest stay as they are.

        Raises:
            ValueError: a field that does not change, or a step that is no multiple of the one at the start.
        """
        if unknown := set(changes) - _CHANGEABLE:
            raise ValueError(f"cannot change {', '.join(sorted(unknown))}; only {', '.join(sorted(_CHANGEABLE))}")
        market = self._core.markets[symbol]
        typed = {name: value if name == "status" else Decimal(value) for name, value in changes.items()}
        changed = replace(market.instrument, **typed)  # type: ignore[arg-type]  # checked against the fields above
        if changed.tick_size % market.units.tick or changed.qty_step % market.units.lot:
            raise ValueError(f"steps must be multiples of {market.units.tick} and {market.units.lot}")
        market.instrument = changed

    def change_settings(self, uid: str, settings: AccountSettings, leverage: Decimal | None) -> None:
        """Set an account up as its owner might by hand, without any check."""
        account = self._core.accounts[uid]
        account.settings = settings
        if leverage is not None:
            account.leverage = dict.fromkeys(account.leverage, leverage)
