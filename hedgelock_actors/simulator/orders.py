"""The life of an order: arrival, matching, resting, amendment, cancellation, triggering."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.commands import AmendOrder
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import BookChanged, OrderUpdate, PublicTrades
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.market_views import TradeView
from hedgelock_actors.simulator.matching import Fill
from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.words import Side

TOO_LATE = "EC_OrigClOrdIDDoesNotExist"


class OrderDesk:
    """Carries orders out. What may be asked is decided before, in `order_checks`."""

    def __init__(self, core: Core, clearing: Clearing) -> None:
        self._core, self._clearing = core, clearing

    # -- arrival

    def arrive(self, order: Order) -> None:
        """The request reaches the matching engine."""
        if not order.live:
            return
        account = self._core.accounts[order.uid]
        account.truth.took_effect("" if order.is_part else order.link_id)
        if order.reduce_only and not self._fit_reduce_only(account, order):
            self._end(order, "Cancelled", "CancelByReduceOnly")
        elif order.trigger_ticks is not None:
            order.status, order.updated_ms = "Untriggered", self._core.now_ms
            self._clearing.tell(account, order.symbol, order)
        else:
            self._enter(order)

    def reject(self, order: Order) -> None:
        """The request was acknowledged, and the matching engine does not take it."""
        if order.live:
            self._end(order, "Rejected", "UNKNOWN", "EC_Others")

    def arrive_liquidation(self, order: Order) -> None:
        """The venue closes a part of a position in the book; it is not counted as the client's order."""
        self._enter(order)

    def _fit_reduce_only(self, account: Account, order: Order) -> bool:
        """Cut the order to what the position can still give; False when that is nothing."""
        position = account.positions[order.symbol]
        if position.lots == 0 or position.side == order.side:
            return False
        room = abs(position.lots) - account.reduce_only_booked(order.symbol, but=order)
        if room <= 0:
            return False
        order.lots = min(order.lots, order.filled + room)
        return True

    def _enter(self, order: Order) -> None:
        """Match what crosses, then rest or end."""
        market = self._core.markets[order.symbol]
        book, tif = market.book, order.time_in_force
        order.updated_ms = self._core.now_ms
        if order.is_market:
            order.price_ticks = protection(self._core, market, order)
        if tif == "PostOnly" and book.crosses(order.side, order.price_ticks):
            self._end(order, "Cancelled", "UNKNOWN", "EC_PostOnlyWillTakeLiquidity")
            return
        smp = order.command.smp_type
        if tif == "FOK" and book.available(order.side, order.price_ticks, order.uid, smp) < order.left:
            self._end(order, "Cancelled", "UNKNOWN", "EC_CancelForNoFullFill")
            return
        prevented = self._take(market, order)
        if order.left == 0:
            self._tell_filled(order)
        elif prevented:
            self._end(order, "Cancelled", "CancelBySmp")
        elif tif in ("IOC", "FOK"):
            if order.filled:
                self._core.push(self._core.accounts[order.uid], order.symbol, self._update(order))
            self._end(order, "Cancelled", "UNKNOWN", "EC_NoImmediateQtyToFill")
        else:
            self._rest(market, order)

    def _take(self, market: Market, order: Order) -> bool:
        """Eat the other side; True when self-match prevention ends the order."""
        trades: list[TradeView] = []

        def on_fill(fill: Fill) -> None:
            if fill.maker is not None:
                self.maker_filled(fill)
            self._clearing.fill(order, fill.price, fill.lots, is_maker=False)
            self.trim(order.uid, order.symbol, but=order)
            trades.append(market.trade(order.side, fill.price, fill.lots))

        smp = order.command.smp_type
        taken = market.book.take(order.side, order.price_ticks, order.left, on_fill, order.uid, smp)
        for resting in taken.removed:
            self._end(self._core.accounts[resting.uid].orders[resting.order_id], "Cancelled", "CancelBySmp")
        if trades:
            self._core.publish(order.symbol, PublicTrades(trades=tuple(trades)))
            self._book_changed(market)
        return taken.stopped

    def _rest(self, market: Market, order: Order) -> None:
        order.status = "PartiallyFilled" if order.filled else "New"
        order.resting = market.book.rest(order.order_id, order.uid, order.side, order.price_ticks, order.left)
        self._book_changed(market)
        account = self._core.accounts[order.uid]
        self._clearing.tell(account, order.symbol, order)
        self._clearing.tell_wallet(account)

    def _book_changed(self, market: Market) -> None:
        market.now_ms = max(market.now_ms, self._core.now_ms)
        market.touch()
        self._core.publish(market.symbol, BookChanged(book=market.book_view()))

    def _update(self, order: Order) -> OrderUpdate:
        return OrderUpdate(order=order.view(self._core.markets[order.symbol].units))

    # -- fills of resting orders

    def maker_filled(self, fill: Fill) -> None:
        """One of our resting orders was hit."""
        if fill.maker is None:
            return
        order = self._core.accounts[fill.maker.uid].orders[fill.maker.order_id]
        self._clearing.fill(order, fill.price, fill.lots, is_maker=True)
        if order.left == 0:
            order.resting = None
        self._tell_filled(order)
        self.trim(order.uid, order.symbol)

    def _tell_filled(self, order: Order) -> None:
        account = self._core.accounts[order.uid]
        if order.status == "Filled":
            account.live.pop(order.order_id, None)
        self._clearing.tell(account, order.symbol, order)
        self._clearing.tell_wallet(account)

    def trim(self, uid: str, symbol: str, but: Order | None = None) -> None:
        """Resting reduce-only orders never promise more than the position: the youngest give way first."""
        account = self._core.accounts[uid]
        position = account.positions[symbol]
        room = abs(position.lots)
        mine = account.live_of(symbol)
        orders = [order for order in mine if order.reduce_only and order is not but and order.shown_open]
        for order in orders:
            if position.lots == 0 or position.side == order.side or room == 0:
                self._end(order, "Cancelled", "CancelByReduceOnly")
                continue
            if order.left > room:
                order.lots = order.filled + room
                if order.resting is not None:
                    self._core.markets[symbol].book.shrink(order.resting, room)
                self._core.push(account, symbol, self._update(order))
            room -= order.left

    # -- ending

    def _end(self, order: Order, status: str, cancel_type: str, reason: str = "EC_NoError") -> None:
        """Take out of the book, close, tell."""
        market, account = self._core.markets[order.symbol], self._core.accounts[order.uid]
        if order.resting is not None and order.resting.lots:
            market.book.remove(order.resting)
            self._book_changed(market)
        order.close(status, self._core.now_ms, cancel_type, reason)
        account.live.pop(order.order_id, None)
        account.truth.cancelled += 1
        self._clearing.tell(account, order.symbol, order)
        self._clearing.tell_wallet(account)

    def cancel(self, order: Order, cancel_type: str = "CancelByUser") -> None:
        """A cancel reaches the matching engine. One that lost the race against a fill tells so in a second message."""
        if order.live:
            status = "Deactivated" if order.status == "Untriggered" else "Cancelled"
            self._end(order, status, cancel_type)
        elif order.status == "Filled":
            order.cancel_type, order.reject_reason = cancel_type, TOO_LATE
            order.updated_ms = self._core.now_ms
            self._core.push(self._core.accounts[order.uid], order.symbol, self._update(order))

    def cancel_all(self, account: Account, symbol: str | None, cancel_type: str) -> None:
        """Cancel what is live now."""
        for order in list(account.live.values()):
            if symbol is None or order.symbol == symbol:
                self.cancel(order, cancel_type)

    # -- amendment

    def amend(self, order: Order, command: AmendOrder) -> None:
        """An amendment reaches the matching engine. Only a smaller quantity keeps its place in the queue."""
        market, account = self._core.markets[order.symbol], self._core.accounts[order.uid]
        if not order.live:
            self.cancel(order, "UNKNOWN")
            return
        order.updated_ms = self._core.now_ms
        lots = order.lots if command.qty is None else max(market.units.lots_of(command.qty), order.filled)
        price = order.price_ticks if command.price is None else market.units.ticks_of(command.price)
        if command.trigger_price is not None and order.trigger_ticks is not None:
            order.trigger_ticks = market.units.ticks_of(command.trigger_price)
        only_less = price == order.price_ticks and lots <= order.lots
        order.lots, order.price_ticks = lots, price
        if order.reduce_only:
            self._fit_reduce_only(account, order)
        if order.filled == lots:
            self._end(order, "Filled", "UNKNOWN")
        elif order.resting is None:
            self._clearing.tell(account, order.symbol, order)
        elif only_less:
            market.book.shrink(order.resting, order.left)
            self._book_changed(market)
            self._clearing.tell(account, order.symbol, order)
        else:
            market.book.remove(order.resting)
            order.resting = None
            self._enter(order)

    # -- triggers

    def trigger_due(self, market: Market) -> None:
        """Conditional orders whose price has come: Untriggered → Triggered → the book."""
        for account in self._core.accounts.values():
            for order in account.live_of(market.symbol):
                if order.status == "Untriggered" and self._reached(market, order):
                    order.status, order.updated_ms = "Triggered", self._core.now_ms
                    self._core.push(account, order.symbol, self._update(order))
                    order.status, order.trigger_ticks = "New", order.trigger_ticks
                    if order.reduce_only and not self._fit_reduce_only(account, order):
                        self._end(order, "Cancelled", "CancelByReduceOnly")
                    else:
                        self._enter(order)

    def _reached(self, market: Market, order: Order) -> bool:
        if order.trigger_ticks is None:
            return False
        by = order.command.trigger_by
        price = market.mark if by == "MarkPrice" else market.index if by == "IndexPrice" else market.last
        level = market.units.price(order.trigger_ticks)
        return price >= level if order.command.trigger_direction == 1 else price <= level


def protection(core: Core, market: Market, order: Order) -> int:
    """The limit of a Market order in ticks: the client's tolerance from the touch, else the venue's band from mark."""
    command = order.command
    touch = market.book.best("Sell" if order.side == "Buy" else "Buy")
    if command.slippage_tolerance is not None and touch is not None:
        return _tolerated(touch, order.side, command.slippage_tolerance_type, command.slippage_tolerance)
    return band_ticks(core, market, order.side)


def band_ticks(core: Core, market: Market, side: Side) -> int:
    """The venue's own protection price: the mark price ± its band."""
    given = core.faults.market_band
    band, units = core.spec.market_protection if given is None else given, market.units
    if side == "Buy":
        return units.ticks_floor(market.mark * (1 + band))
    return max(1, units.ticks_ceil(market.mark * (1 - band)))


def _tolerated(touch: int, side: Side, kind: str, tolerance: Decimal) -> int:
    sign = 1 if side == "Buy" else -1
    if kind == "TickSize":
        return max(1, touch + sign * int(tolerance))
    moved = Decimal(touch) * (1 + sign * tolerance / 100)
    return max(1, int(moved) if side == "Buy" else -int(-moved // 1))
