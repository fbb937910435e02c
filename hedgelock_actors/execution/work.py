"""What a strategy did and knows: its orders with the worst case counted, its fills, and what is left of its goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.domain.errors import InvariantBroken
from hedgelock_actors.domain.gap import order_qty, price_through_mid
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import ZERO, round_price, round_to_step
from hedgelock_actors.domain.order import (
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    order_link_id,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.execution.strategy import (
    Action,
    Amend,
    Begin,
    Book,
    BookSeen,
    Cancel,
    Event,
    Feedback,
    FillSeen,
    Goal,
    LevelChanged,
    OrderSeen,
    Place,
    Refused,
    SetTimer,
    Settings,
    TimerFired,
)

MARGIN_CODES = frozenset({"110004", "110007", "110012"})
"""The venue has not the money for the order: sending it again changes nothing."""


@dataclass(slots=True)
class Own:
    """One order of the goal."""

    request: OrderRequest
    sent_ms: int
    quote_ms: int
    """Time of the price it was decided on."""
    state: OrderState | None = None
    executed: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    refused: bool = False
    cancelled: bool = False
    """We asked for its end."""
    asked_price: Decimal | None = None
    """Of the last amendment."""
    amended_ms: int = 0
    amends: int = 0

    @property
    def closed(self) -> bool:
        """Nothing more of it can fill."""
        return self.refused or (self.state is not None and self.state.terminal)

    @property
    def filled(self) -> Decimal:
        """By whichever source has heard more."""
        executed = sum(self.executed.values(), ZERO)
        return executed if self.state is None else max(executed, self.state.cum_qty)

    @property
    def committed(self) -> Decimal:
        """What of the goal it may take, in the worst case."""
        return self.filled if self.closed else max(self.request.qty, self.filled)

    @property
    def missed(self) -> bool:
        """It ended without filling wholly."""
        return self.closed and self.filled < self.request.qty

    @property
    def turned_away(self) -> bool:
        """It ended without filling wholly, and not because we asked."""
        return self.missed and not self.cancelled

    @property
    def resting(self) -> bool:
        """The venue says that it rests in the book, so it can be moved."""
        status = None if self.state is None else self.state.status
        return status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED) and not self.cancelled

    @property
    def price(self) -> Decimal:
        """Where it rests, by the venue's last word; 0 for a market order."""
        view = None if self.state is None else self.state.view
        return view.price if view is not None else self.request.price or ZERO


class Work:
    """The shared part of every strategy. `take` hears; `place`, `amend`, `cancel` and `timer` collect actions."""

    def __init__(self, goal: Goal, settings: Settings) -> None:
        self.goal, self.settings = goal, settings
        self.now_ms = 0
        self.level = goal.level
        self.feedback = Feedback()
        self.orders: dict[str, Own] = {}
        self.fills: dict[tuple[str, str], Execution] = {}
        self.refusals = 0
        """In a row."""
        self._refused_attempt = -1
        self.refusal = ""
        self.hold_until_ms = 0
        """Our limits stopped an order: nothing is asked for until then."""
        self.no_margin = ""
        self._book: Book | None = None
        self._actions: list[Action] = []
        self._timers: dict[str, int] = {}

    # ------------------------------------------------------------ what is known

    @property
    def book(self) -> Book:
        """The market as last seen."""
        if self._book is None:
            raise InvariantBroken("a strategy is told `Begin` before everything else")
        return self._book

    @property
    def selling(self) -> bool:
        """The goal grows the hedge."""
        return self.goal.side is Side.SELL

    @property
    def filled_qty(self) -> Decimal:
        """Certain."""
        return sum((own.filled for own in self.orders.values()), ZERO)

    @property
    def committed_qty(self) -> Decimal:
        """Filled, or may still fill."""
        return sum((own.committed for own in self.orders.values()), ZERO)

    @property
    def todo(self) -> Decimal:
        """What may still be asked for: the goal less everything that filled or may still fill."""
        return max(ZERO, self.goal.qty - self.committed_qty)

    @property
    def left_qty(self) -> Decimal:
        """What did not fill."""
        return max(ZERO, self.goal.qty - self.filled_qty)

    @property
    def idle(self) -> bool:
        """No order of the goal can fill any more."""
        return all(own.closed for own in self.orders.values())

    @property
    def sent(self) -> int:
        """Orders that our own limits let pass."""
        return sum(1 for own in self.orders.values() if not own.refused)

    @property
    def least_qty(self) -> Decimal:
        """The least that the venue and our limits take, on the venue's grid."""
        instrument = self.settings.instrument
        by_value = instrument.min_notional / self.book.quote.mark if self.selling else ZERO
        return round_to_step(max(self._min_qty, by_value), instrument.qty_step, "up")

    def is_crumb(self, qty: Decimal) -> bool:
        """Below what the venue and our limits take in an order."""
        worth_too_little = self.selling and qty * self.book.quote.mark < self.settings.instrument.min_notional
        return qty < self._min_qty or worth_too_little

    @property
    def _min_qty(self) -> Decimal:
        return max(self.settings.instrument.min_qty, self.settings.limits.min_order_qty)

    # ------------------------------------------------------------ hearing

    def take(self, event: Event) -> None:
        """Take in what happened."""
        self.now_ms = max(self.now_ms, event.now_ms)
        match event:
            case Begin(book=book, feedback=feedback):
                self._book, self.feedback = book, feedback
            case BookSeen(book=book):
                self._book = book
            case OrderSeen(order=order):
                self._order(order)
            case FillSeen(execution=execution):
                self._fill(execution)
            case Refused():
                self._refused(event)
            case LevelChanged(level=level):
                self.level = level
            case TimerFired(name=name):
                self._timers.pop(name, None)
            case _:
                pass

    def _order(self, order: OrderState) -> None:
        own = self.orders.get(order.request.order_link_id)
        if own is None:
            return
        own.state = order
        if order.request.attempt > self._refused_attempt:
            self.refusals = 0
        if order.refusal is not None and order.refusal.code in MARGIN_CODES and order.status is OrderStatus.REJECTED:
            self.no_margin = f"{order.refusal.code}: {order.refusal.text}"

    def _fill(self, execution: Execution) -> None:
        own = self.orders.get(execution.order_link_id)
        if own is None or execution.is_funding:
            return
        own.executed[execution.key] = execution.qty
        self.fills[execution.key] = execution

    def _refused(self, event: Refused) -> None:
        own = self.orders.get(event.order_link_id)
        if own is None or own.refused:
            return
        if own.state is not None:
            # An amendment (or another send of an order that is known of): the order stays what it was.
            own.asked_price = None
            return
        own.refused = True
        self.refusals += 1
        self._refused_attempt = max(self._refused_attempt, own.request.attempt)
        self.refusal = f"{event.code}: {event.detail}"
        self.hold_until_ms = self.now_ms + self.settings.policy.refusal_pause_ms
        self.timer("hold", self.hold_until_ms)

    # ------------------------------------------------------------ asking

    def place(self, qty: Decimal, price: Decimal | None, time_in_force: TimeInForce) -> Own | None:
        """Ask for an order of `qty`, or as much as is left of the goal and one order may carry; None: too little.

        A `price` of None is a market order, or a limit at the worst price that the goal allows, where it names one.
        """
        price = self._no_worse(price)
        carried = self._carried(min(qty, self.todo), price)
        if carried <= ZERO:
            return None
        attempt = self.goal.first_attempt + len(self.orders)
        request = OrderRequest(
            account=self.goal.account,
            symbol=self.goal.symbol,
            side=self.goal.side,
            qty=carried,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            time_in_force=time_in_force,
            reduce_only=self.goal.reduce_only,
            order_link_id=order_link_id(self.goal.intent_id, attempt),
            intent_id=self.goal.intent_id,
            attempt=attempt,
        )
        own = self.orders[request.order_link_id] = Own(request, self.now_ms, self.book.quote.ts_ms)
        self._actions.append(Place(request))
        return own

    def amend(self, own: Own, price: Decimal) -> None:
        """Ask to move a resting order."""
        own.asked_price, own.amended_ms, own.amends = price, self.now_ms, own.amends + 1
        self._actions.append(Amend(own.request.order_link_id, price))

    def cancel(self, own: Own) -> None:
        """Ask for the end of an order; once, whoever carries it out repeats it."""
        if own.closed or own.cancelled:
            return
        own.cancelled = True
        self._actions.append(Cancel(own.request.order_link_id))

    def cancel_all(self) -> None:
        """Ask for the end of every order."""
        for own in self.orders.values():
            self.cancel(own)

    def timer(self, name: str, at_ms: int) -> None:
        """Be woken at a time."""
        if self._timers.get(name) != at_ms:
            self._timers[name] = at_ms
            self._actions.append(SetTimer(name, at_ms))

    def actions(self) -> list[Action]:
        """What was asked for since the last call."""
        asked, self._actions = self._actions, []
        return asked

    def worse(self, price: Decimal, than: Decimal) -> bool:
        """For us, `price` is worse than another one."""
        return price < than if self.selling else price > than

    def no_worse(self, price: Decimal) -> Decimal:
        """The price, or the goal's own bound on it when that is better; on the venue's grid."""
        bound = self.goal.limit_price
        return price if bound is None or not self.worse(price, bound) else self.on_grid(bound)

    def through_mid(self, reach_bps: Decimal) -> Decimal:
        """A price that reaches so far through the mid, and no further than the slippage cap; < 0: better than it."""
        reach_bps = min(reach_bps, self.settings.limits.max_slippage_bps)
        return price_through_mid(self.goal.side, self.book.quote, reach_bps, self.settings.instrument)

    def on_grid(self, price: Decimal) -> Decimal:
        """A price that the venue takes, never a worse one."""
        return round_price(price, self.settings.instrument.tick_size, "up" if self.selling else "down")

    def _no_worse(self, price: Decimal | None) -> Decimal | None:
        if price is not None:
            return self.no_worse(price)
        if self.goal.limit_price is not None:
            return self.on_grid(self.goal.limit_price)
        return None if self.goal.must_fill else self.through_mid(self.settings.limits.max_slippage_bps)

    def _carried(self, qty: Decimal, price: Decimal | None) -> Decimal:
        instrument, quote = self.settings.instrument, self.book.quote
        first_met = quote.touch(self.selling) if price is None else price
        most = min(qty, instrument.max_market_qty) if price is None else qty
        carried = order_qty(most, max(quote.mark, first_met), instrument, self.settings.limits)
        worth = carried * (quote.mark if price is None else price)
        if carried < self._min_qty or (self.selling and worth < instrument.min_notional):
            return ZERO
        return carried


def worsened(work: Work) -> bool:
    """The risk level is a worse one than when the goal was set."""
    return work.level.rank > work.goal.level.rank


def turned_critical(work: Work) -> bool:
    """The risk level became CRITICAL while the goal was worked."""
    return work.level is RiskLevel.CRITICAL and worsened(work)
