"""The planner with the strategies it begins: whatever happens, never more than the target is asked for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.codec import Payload, request_payload
from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import Accepted, OrderRequest, OrderStatus, OrderType, Rejected, TimeInForce, Unknown
from hedgelock_actors.execution.build import build
from hedgelock_actors.execution.selection import choose
from hedgelock_actors.execution.strategy import (
    Begin,
    Book,
    BookSeen,
    Cancel,
    Done,
    Event,
    Feedback,
    OrderSeen,
    Place,
    SetTimer,
    Settings,
    Strategy,
    TimerFired,
)
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.routing.book import RouterBook, Tracked
from hedgelock_actors.routing.plan import BeginGoal, Planner, Resend, Situation
from hedgelock_actors.routing.state import RouterState, Target
from hedgelock_actors.routing.trades import TradeBook
from tests.unit.domain.make import BTC, execution, quote, view

D = Decimal
LIMITS = Limits(max_order_qty=D(1))
SETTINGS = Settings(instrument=BTC, limits=LIMITS, policy=ExecutionPolicy())
WORDS = ("ack", "unknown", "reject", "later", "part", "fill", "cancel")
stories = st.lists(
    st.tuples(st.sampled_from(("look", *WORDS)), st.integers(0, 3), st.integers(0, 15_000)), min_size=1, max_size=60
)


class Desk:
    """The book, the planner with its strategy, and a journal of what the book was told."""

    def __init__(self, short_qty: Decimal, level: RiskLevel) -> None:
        self.book, self.now_ms, self.position = RouterBook("main", "BTCUSDT"), 0, D(0)
        target = Target(version=1, short_qty=short_qty, level=level, reason="", causation_id="")
        self.state = RouterState("main", "BTCUSDT", instrument=BTC, target=target)
        self.short_qty = short_qty
        self.planner = Planner(self.book, TradeBook())
        self.strategy: Strategy | None = None
        self.timers: dict[str, int] = {}
        self.records: list[Record] = []
        self.sent: list[OrderRequest] = []
        self.again: list[OrderRequest] = []

    @property
    def market(self) -> Book:
        return Book(quote=quote(ts_ms=self.now_ms), bid_depth_usdt=5e6, ask_depth_usdt=5e6)

    def look(self) -> None:
        self.state.market = self.market
        at = Situation(
            now_ms=self.now_ms, state=self.state, market=self.market, instrument=BTC, signed_qty=self.position,
            limits=LIMITS,
        )  # fmt: skip
        again = self.planner.again(at)
        if isinstance(again, Resend):
            self.note("resend", again.payload)
            self.again.append(again.request)
        if self.strategy is None:
            plan = self.planner.next_goal(at)
            if isinstance(plan, BeginGoal):
                choice = choose(plan.goal, self.market, Feedback(), SETTINGS, plan.asked)
                self.strategy, self.timers, self.intent = build(choice, plan.goal, SETTINGS), {}, plan.intent
                self.tell(Begin(self.now_ms, self.market, Feedback()))
            return
        self.tell(BookSeen(self.now_ms, self.market))
        for name in [name for name, due_ms in self.timers.items() if due_ms <= self.now_ms]:
            del self.timers[name]
            self.tell(TimerFired(self.now_ms, name))

    def tell(self, event: Event) -> None:
        for action in () if self.strategy is None else self.strategy.on(event):
            match action:
                case Place(request=request):
                    payload = {
                        **request_payload(request), "intent_qty": str(self.intent.qty), "realise_id": "",
                        "trade_id": "", "gap": self.intent.gap, "decided_mid": "60000", "target_version": 1,
                    }  # fmt: skip
                    self.note("intent", payload)
                    self.sent.append(request)
                case SetTimer(name=name, at_ms=at_ms):
                    self.timers[name] = at_ms
                case Done():
                    self.note("strategy_done", {"intent_id": self.intent.intent_id, "ended": True})
                    self.strategy = None
                case Cancel():
                    pass

    def note(self, kind: str, payload: Payload) -> None:
        n = len(self.records) + 1
        entry = Entry(kind=kind, key=str(n), ts_ms=self.now_ms, account="main", payload=payload)
        self.records.append(Record(stream="router", n=n, epoch=1, entry=entry, prev_hash="", hash=""))
        self.book.replay(self.records[-1])

    def hear(self, tracked: Tracked, what: str) -> None:
        state, link = tracked.state, tracked.link
        filled, left = state.cum_qty, state.request.qty - state.cum_qty
        first = state.from_view is None and tracked.sends == 1 and tracked.answers == 0
        match what:
            case "ack":
                self.book.answered(link, Accepted("v"))
            case "unknown":
                self.book.answered(link, Unknown("timeout"))
                tracked.looks += 1
            case "reject" if first:
                self.book.answered(link, Rejected("1", "no"))
            case "later" if first:
                self.book.answered(link, Rejected("PACE", "later", retry=True))
            case "part" if not state.terminal and left > BTC.qty_step:
                self.fill(tracked, BTC.qty_step, OrderStatus.PARTIALLY_FILLED)
            case "fill" if not state.terminal:
                self.fill(tracked, left, OrderStatus.FILLED)
            case "cancel" if not state.terminal:
                self.book.heard(view(state.request, OrderStatus.CANCELLED, str(filled)))
        self.tell(OrderSeen(self.now_ms, tracked.state))

    def fill(self, tracked: Tracked, qty: Decimal, status: OrderStatus) -> None:
        request = tracked.state.request
        done = execution(f"x{len(self.records)}-{tracked.state.cum_qty}-{tracked.link}", request.side, str(qty))
        self.book.heard(view(request, status, str(tracked.state.cum_qty + qty)))
        self.book.executed(replace(done, order_link_id=tracked.link))
        self.position += request.side.sign * qty


@given(st.integers(1, 4_000), st.sampled_from(RiskLevel), stories)
@settings(max_examples=200)
def test_it_never_asks_for_more_than_its_goal(milli: int, level: RiskLevel, story: list[tuple[str, int, int]]) -> None:
    desk = Desk(D(milli) / 1000, level)
    for what, which, later in story:
        desk.now_ms += later
        live = desk.book.unsettled()
        if what != "look" and live:
            desk.hear(live[which % len(live)], what)
        desk.look()
        worst = -desk.position + desk.book.working().sell_qty
        assert worst <= desk.short_qty
        for intent in desk.book.intents.values():
            assert desk.book.committed(intent) <= intent.qty
    assert len({one.order_link_id for one in desk.sent}) == len(desk.sent)
    # What goes out again is what went out before.
    types = {one.order_link_id: one.order_type for one in desk.sent}
    assert all(types[one.order_link_id] is one.order_type for one in desk.again)
    # And a planner that comes back on the journal knows every order as it was sent last.
    again = RouterBook("main", "BTCUSDT")
    for record in desk.records:
        again.replay(record)
    assert {link: one.state.request for link, one in again.orders.items()} == {
        link: one.state.request for link, one in desk.book.orders.items()
    }


@given(st.integers(1, 4_000), st.sampled_from(RiskLevel))
@settings(max_examples=60)
def test_a_market_that_no_limit_reaches_is_filled_all_the_same(milli: int, level: RiskLevel) -> None:
    desk = Desk(D(milli) / 1000, level)
    for _ in range(200):
        desk.now_ms += 500
        desk.look()
        for tracked in desk.book.unsettled():
            request = tracked.state.request
            rests = request.time_in_force is not TimeInForce.IOC and desk.now_ms - tracked.sent_ms < 800
            if not rests:
                desk.hear(tracked, "fill" if request.order_type is OrderType.MARKET else "cancel")
    assert -desk.position == desk.short_qty
    assert {one.order_type for one in desk.sent} == {OrderType.LIMIT, OrderType.MARKET}
