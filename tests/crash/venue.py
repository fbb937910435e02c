"""A venue for the crash matrix: acknowledges at once, shows and fills `lag_ms` later, and keeps its own record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.messages import Tick
from hedgelock_actors.domain.order import (
    Accepted,
    AmendOutcome,
    AmendRequest,
    CancelOutcome,
    OrderRequest,
    OrderStatus,
    OrderView,
    Rejected,
    Side,
    SubmitOutcome,
    TimeInForce,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.venue import Maintenance, PositionView, PrivateEvent, PrivateHandler, WalletView
from tests.crash.fuse import Tape
from tests.unit.actors.fake_venue import INSTRUMENT, SYMBOL

ZERO = Decimal(0)
HALF_SPREAD = Decimal("0.1")
FEE = Decimal("0.00055")


@dataclass(slots=True)
class Held:
    """One order as the venue has it."""

    request: OrderRequest
    due_ms: int
    price: Decimal | None
    status: OrderStatus | None = None
    """None until it shows."""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    reason: str = "EC_NoError"
    shown_ms: int = 0
    changes: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """Amendments and cancels under way, and when they take effect."""

    @property
    def closed(self) -> bool:
        return self.status is not None and self.status.terminal


class MatrixVenue:
    """Implements Venue. Pushes wait until `push`; what waits when the connection's owner dies is lost with it.

    `answers` to the next creates: "lost" (neither taken nor answered) or "unanswered" (taken, the answer is lost).
    `depth`: so much there is to take at once for one order; None: any amount.
    """

    def __init__(self, tape: Tape, now_ms: Callable[[], int], lag_ms: int) -> None:
        self.tape, self.now_ms, self.lag_ms = tape, now_ms, lag_ms
        self.mid = Decimal(60_000)
        self.depth: list[Decimal] = []
        self.wide = False
        """The spread is wider than any limit reaches: only market orders fill."""
        self.answers: list[str] = []
        self.orders: dict[str, Held] = {}
        self.executed: list[Execution] = []
        self.worst: dict[str, Decimal] = {}
        """Intent → the most that it could ever have come to: filled, and everything of it that was alive filled too."""
        self.worst_short = ZERO
        """The largest short that ever could have been, had everything that sells filled."""
        self._outbox: list[PrivateEvent] = []
        self._handler: PrivateHandler | None = None

    # ------------------------------------------------------------ the port

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        self._handler = handler

    async def stop(self) -> None:
        self.hang_up()

    async def instrument(self, symbol: str) -> Instrument:
        return INSTRUMENT

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        request = order.request
        self.tape.note("arrives", request.order_link_id)
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost on the way there")
        if request.order_link_id in self.orders:
            return Rejected("110072", "OrderLinkedID is duplicate")
        self.orders[request.order_link_id] = Held(request, self.now_ms() + self.lag_ms, request.price)
        alike = [one for one in self.orders.values() if one.request.intent_id == request.intent_id]
        could = sum((one.filled if one.closed else one.request.qty for one in alike), ZERO)
        self.worst[request.intent_id] = max(self.worst.get(request.intent_id, ZERO), could)
        selling = [one for one in self.orders.values() if one.request.side is Side.SELL and not one.closed]
        working = sum((one.request.qty - one.filled for one in selling), ZERO)
        self.worst_short = max(self.worst_short, working - self.signed_qty)
        self.happen()
        return Unknown("lost on the way back") if answer == "unanswered" else Accepted(_order_id(request))

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        request = order.request
        held = self.orders.get(request.order_link_id)
        if held is None or held.status is None:
            return Rejected("110001", "order does not exist or too late")
        if held.closed:
            return Rejected("110010", "order is closed")

        def effect() -> None:
            held.price = request.price
            self._show(held)

        held.changes.append((self.now_ms() + self.lag_ms, effect))
        self.happen()
        return Accepted(_order_id(held.request))

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        held = self.orders.get(order_link_id)
        if held is None or held.status is None:
            return Unknown("110001 order not exists or too late to cancel")
        if held.closed:
            return Rejected("110010", "order is closed")
        held.changes.append((self.now_ms() + self.lag_ms, lambda: self._close(held, OrderStatus.CANCELLED)))
        self.happen()
        return Accepted(_order_id(held.request))

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        return [await self.cancel(symbol, link) for link in order_link_ids]

    async def maintenance(self) -> Sequence[Maintenance]:
        return []

    async def account_faults(self, symbol: str) -> Sequence[str]:
        return []

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        return [_view(one) for one in self.orders.values() if one.status is not None]

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        held = self.orders.get(order_link_id)
        return None if held is None or held.status is None else _view(held)

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        self.tape.note("executions read")
        return [one for one in self.executed if one.ts_ms >= since_ms]

    async def position(self, symbol: str) -> PositionView:
        self.tape.note("position read")
        return PositionView(
            symbol=SYMBOL,
            ts_ms=self.now_ms(),
            signed_qty=self.signed_qty,
            entry_price=self.mid,
            mark=self.mid,
            unrealised_pnl=ZERO,
            liquidation_price=None,
        )

    async def wallet(self) -> WalletView:
        cash = Decimal(840_000)
        return WalletView(
            ts_ms=self.now_ms(),
            wallet_usdt=cash,
            equity_usdt=cash,
            available_usdt=cash,
            initial_margin_usdt=ZERO,
            maintenance_margin_usdt=ZERO,
        )

    # ------------------------------------------------------------ the venue itself

    @property
    def signed_qty(self) -> Decimal:
        """The position as it truly is."""
        return sum((one.side.sign * one.qty for one in self.executed), ZERO)

    @property
    def quiet(self) -> bool:
        """Nothing can fill, show or change any more."""
        return all(one.closed for one in self.orders.values())

    def filled(self, side: Side) -> Decimal:
        """Traded so far on one side."""
        return sum((one.qty for one in self.executed if one.side is side), ZERO)

    def tick(self) -> Tick:
        """The price of now, with plenty of depth."""
        return Tick(
            symbol=SYMBOL,
            ts_ms=self.now_ms(),
            last=self.mid,
            mark=self.mid,
            index=self.mid,
            bid=self.mid - HALF_SPREAD,
            ask=self.mid + HALF_SPREAD,
            bid_depth_usdt=1e7,
            ask_depth_usdt=1e7,
            funding_rate=0.0001,
            next_funding_ms=self.now_ms() + 3_600_000,
        )

    def happen(self) -> None:
        """What is due happens: orders show, rest, fill, change and close."""
        now_ms = self.now_ms()
        for held in self.orders.values():
            if held.status is None and held.due_ms <= now_ms:
                self._arrive(held)
            due = [change for at_ms, change in held.changes if at_ms <= now_ms]
            held.changes = [one for one in held.changes if one[0] > now_ms]
            for change in due:
                if not held.closed:
                    change()
            if held.status is not None and not held.closed:
                self._match(held, at=held.price)

    async def push(self) -> None:
        """Hand over what has become visible."""
        self.happen()
        events, self._outbox = self._outbox, []
        for event in events:
            if self._handler is not None:
                await self._handler(event)

    def trade(self, link: str, side: Side, qty: Decimal, price: Decimal, *, maker: bool = False) -> None:
        """A fill of an order, by whomever it was sent."""
        self.executed.append(
            Execution(
                symbol=SYMBOL,
                exec_id=f"x{len(self.executed)}",
                order_id=f"id-{link}",
                order_link_id=link,
                side=side,
                qty=qty,
                price=price,
                fee=qty * price * FEE,
                exec_type="Trade",
                is_maker=maker,
                ts_ms=self.now_ms(),
                closed_size=ZERO,
                create_type="CreateByUser",
            )
        )
        self.tape.note(f"fills {side.value} {qty}", link)
        self._outbox.append(self.executed[-1])

    def hang_up(self) -> None:
        """The connection is gone, and what was under way on it."""
        self._handler = None
        self._outbox.clear()

    def _arrive(self, held: Held) -> None:
        request, touch = held.request, self._touch(held.request.side)
        crosses = held.price is None or (not self.wide and (held.price - touch) * request.side.sign >= 0)
        rests = request.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
        held.shown_ms = self.now_ms()
        if request.reduce_only and self._most(held) <= ZERO:
            held.reason = "EC_ReduceOnlyWillNotReduce"
            self._close(held, OrderStatus.CANCELLED)
        elif request.time_in_force is TimeInForce.POST_ONLY and crosses:
            held.reason = "EC_PostOnlyWillTakeLiquidity"
            self._close(held, OrderStatus.CANCELLED)
        elif crosses:
            depth = self.depth.pop(0) if self.depth else request.qty
            self._fill(held, min(depth, self._most(held)), held.price or touch, maker=False)
        if not held.closed and rests:
            self._show(held, OrderStatus.NEW if held.filled == ZERO else OrderStatus.PARTIALLY_FILLED)
        elif not held.closed:
            self._close(held, OrderStatus.CANCELLED)

    def _match(self, held: Held, at: Decimal | None) -> None:
        if at is not None and (at - self._touch(held.request.side)) * held.request.side.sign >= 0:
            self._fill(held, self._most(held), at, maker=True)

    def _touch(self, side: Side) -> Decimal:
        return self.mid + side.sign * HALF_SPREAD

    def _most(self, held: Held) -> Decimal:
        left = held.request.qty - held.filled
        return min(left, max(ZERO, -self.signed_qty)) if held.request.reduce_only else left

    def _fill(self, held: Held, qty: Decimal, price: Decimal, maker: bool) -> None:
        if qty <= ZERO:
            return
        held.filled += qty
        held.value += qty * price
        self.trade(held.request.order_link_id, held.request.side, qty, price, maker=maker)
        if held.filled == held.request.qty:
            self._close(held, OrderStatus.FILLED)
        else:
            self._show(held, OrderStatus.PARTIALLY_FILLED)

    def _close(self, held: Held, status: OrderStatus) -> None:
        if not held.closed:
            self._show(held, status)

    def _show(self, held: Held, status: OrderStatus | None = None) -> None:
        held.status, held.shown_ms = status or held.status, self.now_ms()
        self._outbox.append(_view(held))


def _order_id(request: OrderRequest) -> str:
    return f"id-{request.order_link_id}"


def _view(held: Held) -> OrderView:
    request, status = held.request, held.status
    assert status is not None
    return OrderView(
        symbol=SYMBOL,
        order_id=_order_id(request),
        order_link_id=request.order_link_id,
        status=status,
        side=request.side,
        qty=request.qty,
        price=held.price or ZERO,
        cum_qty=held.filled,
        cum_value=held.value,
        cum_fee=held.value * FEE,
        leaves_qty=ZERO if status.terminal else request.qty - held.filled,
        reduce_only=request.reduce_only,
        reject_reason=held.reason,
        cancel_type="UNKNOWN",
        create_type="CreateByUser",
        ts_ms=held.shown_ms,
    )
