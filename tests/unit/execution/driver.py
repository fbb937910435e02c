"""Runs one strategy as the router would, against a venue that does what the test says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import (
    Accepted,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    Unknown,
)
from hedgelock_actors.execution.build import build
from hedgelock_actors.execution.selection import Choice
from hedgelock_actors.execution.strategy import (
    Action,
    Amend,
    Begin,
    Book,
    BookSeen,
    Cancel,
    Done,
    Event,
    Feedback,
    FillSeen,
    Goal,
    LevelChanged,
    Mode,
    OrderSeen,
    Place,
    Refused,
    Result,
    SetTimer,
    Settings,
    Stop,
    TimerFired,
)
from tests.unit.domain.make import BTC, NOW, execution, quote, view

D = Decimal
SETTINGS = Settings(instrument=BTC, limits=Limits(), policy=ExecutionPolicy())
SELL = Goal(
    account="main", symbol="BTCUSDT", intent_id="intent-1", side=Side.SELL, qty=D(2), level=RiskLevel.CAUTION,
    decided_mid=D(60_000),
)  # fmt: skip
BUY = replace(SELL, side=Side.BUY)


def book(price: str = "60000", ts_ms: int = NOW, depth: float = 10_000_000.0, **changes: Decimal) -> Book:
    return Book(quote=quote(price, ts_ms=ts_ms, **changes), bid_depth_usdt=depth, ask_depth_usdt=depth)


class Driver:
    """Carries out what the strategy asks for; the test decides what the venue does."""

    def __init__(
        self, mode: Mode, goal: Goal = SELL, policy: ExecutionPolicy | None = None, seen: Book | None = None,
        settings: Settings = SETTINGS,
    ) -> None:  # fmt: skip
        self.now_ms = 0
        self.book = seen or book()
        self.sent: list[OrderRequest] = []
        self.amends: list[Amend] = []
        self.cancels: list[str] = []
        self.states: dict[str, OrderState] = {}
        self.prices: dict[str, Decimal] = {}
        self.timers: dict[str, int] = {}
        self.done: Result | None = None
        self._fills = 0
        choice = Choice(mode=mode, variant="", policy=policy or settings.policy, why="")
        self.strategy = build(choice, goal, settings)
        self.tell(Begin(self.now_ms, self.book, Feedback()))

    # ------------------------------------------------------------ what happens

    def tell(self, event: Event) -> list[Action]:
        asked = list(self.strategy.on(event))
        for action in asked:
            assert self.done is None, "nothing is asked for after the end"
            match action:
                case Place(request=request):
                    assert request.order_link_id not in self.states
                    self.sent.append(request)
                    self.states[request.order_link_id] = OrderState(request=request)
                    self.prices[request.order_link_id] = request.price or D(0)
                case Amend():
                    self.amends.append(action)
                case Cancel(order_link_id=link):
                    self.cancels.append(link)
                case SetTimer(name=name, at_ms=at_ms):
                    self.timers[name] = at_ms
                case Done(result=result):
                    self.done = result
        return asked

    def tick(self, price: str = "60000", after_ms: int = 100, **changes: Decimal) -> None:
        """A newer price; timers that are due by then fire before."""
        self.wait(after_ms)
        seen = book(price, ts_ms=self.book.quote.ts_ms + after_ms, **changes)
        self.book = replace(self.book, quote=seen.quote)
        self.tell(BookSeen(self.now_ms, self.book))

    def wait(self, ms: int) -> None:
        """Time passes, timers fire when they are due."""
        until_ms = self.now_ms + ms
        while self.timers and min(self.timers.values()) <= until_ms:
            name = min(self.timers, key=lambda known: self.timers[known])
            self.now_ms = max(self.now_ms, self.timers.pop(name))
            self.tell(TimerFired(self.now_ms, name))
        self.now_ms = until_ms

    def level(self, level: RiskLevel) -> None:
        self.tell(LevelChanged(self.now_ms, level))

    def stop(self) -> None:
        self.tell(Stop(self.now_ms, "not wanted any more"))

    # ------------------------------------------------------------ what the venue does

    @property
    def last(self) -> OrderRequest:
        return self.sent[-1]

    @property
    def result(self) -> Result:
        assert self.done is not None, f"still at work: {self.sent[-1:]}"
        return self.done

    def accept(self, request: OrderRequest | None = None) -> None:
        """Acknowledged, and it rests."""
        request = request or self.last
        self._fold(request, self.states[request.order_link_id].apply_outcome(Accepted("v")))
        self._view(request, OrderStatus.NEW)

    def moved(self, amend: Amend) -> None:
        """The venue carried out an amendment."""
        self.prices[amend.order_link_id] = amend.price
        self._view(self.states[amend.order_link_id].request, OrderStatus.NEW)

    def fill(self, qty: str | None = None, request: OrderRequest | None = None, *, maker: bool = False) -> None:
        """So much more of it fills; None: all of it."""
        request = request or self.last
        state = self.states[request.order_link_id]
        left = request.qty - state.cum_qty
        now = left if qty is None else D(qty)
        self._fills += 1
        price = request.price or self.book.quote.touch(request.side is Side.SELL)
        done = execution(f"x{self._fills}", request.side, str(now), str(price))
        done = replace(done, order_link_id=request.order_link_id, is_maker=maker)
        self.tell(FillSeen(self.now_ms, done))
        status = OrderStatus.FILLED if now == left else OrderStatus.PARTIALLY_FILLED
        self._view(request, status, state.cum_qty + now)

    def end(self, request: OrderRequest | None = None) -> None:
        """Cancelled, by the venue or because we asked."""
        self._view(request or self.last, OrderStatus.CANCELLED)

    def miss(self, filled: str = "0") -> None:
        """An IOC order ends with this much filled."""
        if D(filled):
            self.fill(filled)
        self.end()

    def unknown(self, request: OrderRequest | None = None) -> None:
        request = request or self.last
        self._fold(request, self.states[request.order_link_id].apply_outcome(Unknown("timeout")))

    def reject(self, code: str = "170000", request: OrderRequest | None = None) -> None:
        request = request or self.last
        self._fold(request, self.states[request.order_link_id].apply_outcome(Rejected(code, "no")))

    def refuse(self, code: str = "ORDERS_PER_SECOND", link: str | None = None) -> None:
        self.tell(Refused(self.now_ms, link or self.last.order_link_id, code, "11 of 10"))

    def _view(self, request: OrderRequest, status: OrderStatus, cum: Decimal | None = None) -> None:
        state = self.states[request.order_link_id]
        heard = view(request, status, str(state.cum_qty if cum is None else cum), ts_ms=NOW + self.now_ms)
        self._fold(request, state.apply_view(replace(heard, price=self.prices[request.order_link_id])))

    def _fold(self, request: OrderRequest, state: OrderState) -> None:
        self.states[request.order_link_id] = state
        self.tell(OrderSeen(self.now_ms, state))


def kinds(sent: list[OrderRequest]) -> list[str]:
    """Market, or the time in force of a limit."""
    return ["Market" if one.order_type is OrderType.MARKET else one.time_in_force.value for one in sent]
