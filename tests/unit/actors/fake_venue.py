"""A small venue in memory that is as awkward as the real one: it acknowledges first, and shows and fills later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
    OrderType,
    OrderView,
    Rejected,
    Side,
    SubmitOutcome,
    TimeInForce,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import (
    LoanView,
    Maintenance,
    PositionView,
    PrivateEvent,
    PrivateHandler,
    VenueError,
    WalletView,
)

ZERO = Decimal(0)
SYMBOL, ACCOUNT = "BTCUSDT", "main"
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    base_coin="BTC",
    tick_size=Decimal("0.10"),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1190),
    max_market_qty=Decimal(500),
    min_notional=Decimal(5),
    funding_interval_min=480,
    max_leverage=Decimal(100),
    price_limit_ratio=Decimal("0.01"),
)


def tick(ts_ms: int, price: int | str = 60_000) -> Tick:
    """A price with a spread of 0.2 USDT and plenty of depth."""
    mid = Decimal(price)
    return Tick(
        symbol=SYMBOL,
        ts_ms=ts_ms,
        last=mid,
        mark=mid,
        index=mid,
        bid=mid - Decimal("0.1"),
        ask=mid + Decimal("0.1"),
        bid_depth_usdt=1e7,
        ask_depth_usdt=1e7,
        funding_rate=0.0001,
        next_funding_ms=ts_ms + 3_600_000,
    )


@dataclass(slots=True)
class Taken:
    """An order that the venue has taken; it shows and fills at `due_ms`."""

    request: OrderRequest
    due_ms: int
    view: OrderView | None = None
    waiting: list[PrivateEvent] = field(default_factory=list)


class FakeVenue:
    """Implements Venue. Orders fill wholly at their limit price, `fill` of them, when they show; what may rest and does
    not cross `touch` rests until `hit`, cancelled or amended.

    `lag_ms`: from acknowledgement to effect and visibility. `answers`: outcomes given instead of taking the order
    ("lost": neither taken nor answered; "unanswered": taken, the answer is lost; or a code that it is rejected with).
    """

    def __init__(self, clock: Clock, lag_ms: int = 0) -> None:
        self.clock = clock
        self.lag_ms = lag_ms
        self.fill = Decimal(1)
        self.wide = False
        """The spread is wider than any limit reaches: only market orders fill."""
        self.answers: list[str] = []
        self.silent = False
        """Pushes are lost; queries work."""
        self.failing = 0
        """So many queries fail."""
        self.taken: dict[str, Taken] = {}
        self.sent: list[OrderRequest] = []
        self.executed: list[Execution] = []
        self.duplicates = 0
        self.cancelled: list[str] = []
        self.amended: list[AmendRequest] = []
        self.deaf = 0
        """So many cancels and amendments are lost on the way there."""
        self.touch = (Decimal("59999.9"), Decimal("60000.1"))
        """Bid and ask, for orders that may rest."""
        self.windows: list[Maintenance] = []
        self.faults: list[str] = []
        self.available = Decimal(84_000)
        self.queries: Counter[str] = Counter()
        self.failing_names: set[str] = set()
        """Queries that fail whenever they are made."""
        self.strangers: list[OrderView] = []
        """Open orders that nobody remembers."""
        self.lowest_qty = ZERO
        """The largest short that ever was."""
        self._handler: PrivateHandler | None = None
        self._topics: frozenset[str] = frozenset()

    # ------------------------------------------------------------ the port

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        self._topics, self._handler = frozenset(topics), handler

    async def stop(self) -> None:
        self._handler = None

    async def instrument(self, symbol: str) -> Instrument:
        self._query("instrument")
        return INSTRUMENT

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        request = order.request
        self.sent.append(request)
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost on the way there")
        if answer.isdigit():
            return Rejected(answer, "no", answer in ("10006", "10002"))
        if request.order_link_id in self.taken:
            self.duplicates += 1
            return Rejected("110072", "OrderLinkedID is duplicate")
        self.taken[request.order_link_id] = Taken(request, self.clock.now_ms() + self.lag_ms)
        if self.lag_ms == 0:
            self._effect(self.taken[request.order_link_id])
        return Unknown("lost on the way back") if answer == "unanswered" else Accepted(f"id-{request.order_link_id}")

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        request = order.request
        self.amended.append(request)
        if self._lost():
            return Unknown("lost on the way there")
        taken = self.taken.get(request.order_link_id)
        if taken is None or taken.view is None or taken.view.status.terminal:
            return Rejected("110001", "order not exists or too late to amend")
        taken.request = replace(taken.request, price=request.price)
        self._show(taken, replace(taken.view, price=request.price))
        return Accepted(taken.view.order_id)

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        self.cancelled.append(order_link_id)
        if self._lost():
            return Unknown("lost on the way there")
        known = len(self.strangers)
        self.strangers = [one for one in self.strangers if one.order_link_id != order_link_id]
        if len(self.strangers) < known:
            return Accepted("stranger")
        taken = self.taken.get(order_link_id)
        if taken is None or taken.view is None or taken.view.status.terminal:
            return Unknown("110001: order not exists or too late to cancel")
        self._show(taken, replace(taken.view, status=OrderStatus.CANCELLED, leaves_qty=ZERO))
        return Accepted(taken.view.order_id)

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        return [await self.cancel(symbol, link) for link in order_link_ids]

    async def maintenance(self) -> Sequence[Maintenance]:
        self._query("maintenance")
        return list(self.windows)

    async def account_faults(self, symbol: str) -> Sequence[str]:
        self._query("account_faults")
        return list(self.faults)

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        self._query("open_orders")
        self._settle()
        return [one.view for one in self.taken.values() if one.view is not None] + self.strangers

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        self._query("find_order")
        self._settle()
        taken = self.taken.get(order_link_id)
        return None if taken is None else taken.view

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        self._query("executions")
        self._settle()
        return [one for one in self.executed if one.ts_ms >= since_ms]

    async def position(self, symbol: str) -> PositionView:
        self._query("position")
        self._settle()
        qty = self.signed_qty
        return PositionView(
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms(),
            signed_qty=qty,
            entry_price=Decimal(60_000),
            mark=Decimal(60_000),
            unrealised_pnl=ZERO,
            liquidation_price=None,
        )

    async def wallet(self) -> WalletView:
        self._query("wallet")
        cash = Decimal(84_000)
        return WalletView(
            ts_ms=self.clock.now_ms(),
            wallet_usdt=cash,
            equity_usdt=cash,
            available_usdt=self.available,
            initial_margin_usdt=ZERO,
            maintenance_margin_usdt=ZERO,
        )

    # ------------------------------------------------------------ the venue itself

    @property
    def signed_qty(self) -> Decimal:
        """The position as it truly is."""
        return sum((one.side.sign * one.qty for one in self.executed if one.exec_type != "Funding"), ZERO)

    async def push(self) -> None:
        """Hand over what has become visible; lost when `silent`."""
        self._settle()
        for taken in list(self.taken.values()):
            events, taken.waiting = taken.waiting, []
            for event in events:
                await self.give(event)

    async def give(self, event: PrivateEvent) -> None:
        """One push."""
        if self._handler is not None and not self.silent:
            await self._handler(event)

    def resting(self) -> list[Taken]:
        """Orders in the book."""
        return [one for one in self.taken.values() if one.view is not None and not one.view.status.terminal]

    def hit(self, qty: str | Decimal, index: int = 0) -> Execution:
        """Somebody trades with the n-th resting order."""
        taken = self.resting()[index]
        assert taken.view is not None
        assert taken.request.price is not None
        view, price, filled = taken.view, taken.request.price, Decimal(qty)
        cum = view.cum_qty + filled
        status = OrderStatus.FILLED if cum == view.qty else OrderStatus.PARTIALLY_FILLED
        done = self._executed(taken, filled, price, maker=True)
        self._show(
            taken,
            replace(
                view,
                status=status,
                cum_qty=cum,
                leaves_qty=view.qty - cum,
                cum_value=view.cum_value + filled * price,
                ts_ms=self.clock.now_ms(),
            ),
        )
        taken.waiting.append(done)
        return done

    def happen(self, side: Side, qty: str, exec_type: str = "Trade", exec_id: str = "") -> Execution:
        """Something that was not ordered by us."""
        done = Execution(
            symbol=SYMBOL,
            exec_id=exec_id or f"foreign-{len(self.executed)}",
            order_id="foreign",
            order_link_id="",
            side=side,
            qty=Decimal(qty),
            price=Decimal(60_000),
            fee=ZERO,
            exec_type=exec_type,
            is_maker=False,
            ts_ms=self.clock.now_ms(),
            closed_size=ZERO,
            create_type="CreateByLiq" if exec_type == "BustTrade" else "CreateByUser",
        )
        self.executed.append(done)
        return done

    def _query(self, name: str) -> None:
        self.queries[name] += 1
        if self.failing > 0 or name in self.failing_names:
            self.failing = max(0, self.failing - 1)
            raise VenueError(f"{name}: no answer")

    def _settle(self) -> None:
        for taken in self.taken.values():
            if taken.view is None and taken.due_ms <= self.clock.now_ms():
                self._effect(taken)

    def _lost(self) -> bool:
        if self.deaf <= 0:
            return False
        self.deaf -= 1
        return True

    def _show(self, taken: Taken, view: OrderView) -> None:
        taken.view = view
        taken.waiting.append(view)

    def _executed(self, taken: Taken, filled: Decimal, price: Decimal, *, maker: bool = False) -> Execution:
        link = taken.request.order_link_id
        count = sum(1 for one in self.executed if one.order_link_id == link)
        done = replace(
            self.happen(taken.request.side, str(filled), exec_id=f"x-{link}" + (f"-{count}" if count else "")),
            order_link_id=link,
            order_id=f"id-{link}",
            price=price,
            fee=filled * price * Decimal("0.0002" if maker else "0.00055"),
            is_maker=maker,
        )
        self.executed[-1] = done
        return done

    def _effect(self, taken: Taken) -> None:
        request, now_ms = taken.request, self.clock.now_ms()
        price = request.price or Decimal(60_000)
        short = -self.signed_qty
        most = min(request.qty, max(ZERO, short)) if request.reduce_only else request.qty
        may_rest = request.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
        bid, ask = self.touch
        crosses = price <= bid if request.side is Side.SELL else price >= ask
        missed = (self.wide and request.order_type is OrderType.LIMIT) or (may_rest and not crosses)
        rejected = request.time_in_force is TimeInForce.POST_ONLY and crosses
        filled = ZERO if missed or rejected else (most * self.fill).quantize(INSTRUMENT.qty_step)
        status = OrderStatus.FILLED if filled == request.qty else OrderStatus.CANCELLED
        if may_rest and filled < request.qty and not rejected:
            status = OrderStatus.PARTIALLY_FILLED if filled > ZERO else OrderStatus.NEW
        taken.view = OrderView(
            symbol=SYMBOL,
            order_id=f"id-{request.order_link_id}",
            order_link_id=request.order_link_id,
            status=OrderStatus.REJECTED if rejected else status,
            side=request.side,
            qty=request.qty,
            price=price,
            cum_qty=filled,
            cum_value=filled * price,
            cum_fee=filled * price * Decimal("0.00055"),
            leaves_qty=ZERO if status.terminal or rejected else request.qty - filled,
            reduce_only=request.reduce_only,
            reject_reason="EC_PostOnlyWillTakeLiquidity" if rejected else "EC_NoError",
            cancel_type="UNKNOWN",
            create_type="CreateByUser",
            ts_ms=now_ms,
        )
        taken.waiting.append(taken.view)
        if filled > ZERO:
            taken.waiting.append(self._executed(taken, filled, price))
        self.lowest_qty = min(self.lowest_qty, self.signed_qty)


class FakeLoans:
    """Implements Loans: one loan, a Funding wallet and a unified wallet.

    `answers` as in FakeVenue: "lost" (not done, no answer), "unanswered" (done, no answer) or a code.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.debt = Decimal(240_000)
        self.collateral = Decimal(10)
        self.funding = ZERO
        self.unified = Decimal(84_000)
        self.transfers: dict[str, Decimal] = {}
        self.repaid: list[Decimal] = []
        self.answers: list[str] = []
        self.failing = 0

    async def loans(self) -> Sequence[LoanView]:
        self._query()
        if self.debt == ZERO and self.collateral == ZERO:
            return []
        return [
            LoanView(
                loan_id="loan-1",
                ts_ms=self.clock.now_ms(),
                collateral_coin="BTC",
                collateral=self.collateral,
                collateral_value_usd=self.collateral * 60_000,
                debt=self.debt,
                lender_ltv=0.4,
                haircut=1.0,
            )
        ]

    async def funding_wallet_usdt(self) -> Decimal:
        self._query()
        return self.funding

    async def transferable_usdt(self) -> Decimal:
        self._query()
        return self.unified

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost")
        if answer.isdigit():
            return Rejected(answer, "no")
        if transfer_id not in self.transfers:
            self.transfers[transfer_id] = amount
            self.unified -= amount
            self.funding += amount
        return Unknown("lost") if answer == "unanswered" else Accepted(transfer_id)

    async def find_transfer(self, transfer_id: str) -> str | None:
        self._query()
        return "SUCCESS" if transfer_id in self.transfers else None

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            return Unknown("lost")
        if answer.isdigit():
            return Rejected(answer, "no")
        if amount > self.funding or amount > self.debt:
            return Rejected("148029", "insufficient repay balance")
        self.funding -= amount
        self.debt -= amount
        self.repaid.append(amount)
        return Unknown("lost") if answer == "unanswered" else Accepted("repay")

    def _query(self) -> None:
        if self.failing > 0:
            self.failing -= 1
            raise VenueError("no answer")
