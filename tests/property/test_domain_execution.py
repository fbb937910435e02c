"""The planner with its attempts: whatever happens in whatever order, it never asks for more than its goal."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.codec import Payload
from hedgelock_actors.domain.execution_policy import AggressivePolicy, ExecutionPolicy
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import Accepted, OrderStatus, OrderType, Rejected, Unknown
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.router_book import RouterBook, Tracked
from hedgelock_actors.router_plan import Planner, Send, Situation, Target
from tests.unit.domain.make import BTC, execution, quote, view

D = Decimal
POLICY = ExecutionPolicy(aggressive=AggressivePolicy(limit_attempts=2, market_attempts=1))
LIMITS = Limits(max_order_qty=D(1))
WORDS = ("ack", "unknown", "reject", "part", "fill", "cancel")
stories = st.lists(
    st.tuples(st.sampled_from(("look", *WORDS)), st.integers(0, 3), st.integers(0, 15_000)), min_size=1, max_size=60
)


class Desk:
    """The book, the planner, and a journal of what the book was told."""

    def __init__(self, short_qty: Decimal) -> None:
        self.book, self.now_ms, self.position = RouterBook("main", "BTCUSDT"), 0, D(0)
        self.target = Target(version=1, short_qty=short_qty, level=RiskLevel.SAFE, reason="", causation_id="")
        self.records: list[Record] = []
        self.sent: list[Send] = []

    def look(self) -> None:
        at = Situation(
            now_ms=self.now_ms, target=self.target, quote=quote(ts_ms=self.now_ms), signed_qty=self.position,
            instrument=BTC, limits=LIMITS, execution=POLICY,
        )  # fmt: skip
        plan = Planner(self.book).next(at)
        if not isinstance(plan, Send):
            return
        if not plan.resend:
            assert not any(one.state.request.intent_id == plan.request.intent_id for one in self.book.unsettled()), (
                "one order of an intent at a time"
            )
        self.note("resend" if plan.resend else "intent", plan.payload)
        self.sent.append(plan)

    def note(self, kind: str, payload: Payload) -> None:
        n = len(self.records) + 1
        entry = Entry(kind=kind, key=str(n), ts_ms=self.now_ms, account="main", payload=payload)
        self.records.append(Record(stream="router", n=n, epoch=1, entry=entry, prev_hash="", hash=""))
        self.book.replay(self.records[-1])

    def hear(self, tracked: Tracked, what: str) -> None:
        state, link = tracked.state, tracked.link
        filled, left = state.cum_qty, state.request.qty - state.cum_qty
        match what:
            case "ack":
                self.book.answered(link, Accepted("v"))
            case "unknown":
                self.book.answered(link, Unknown("timeout"))
            case "reject" if state.from_view is None and tracked.sends == 1 and tracked.answers == 0:
                self.book.answered(link, Rejected("1", "no"))
            case "part" if not state.terminal and left > BTC.qty_step:
                self.fill(tracked, BTC.qty_step, OrderStatus.PARTIALLY_FILLED)
            case "fill" if not state.terminal:
                self.fill(tracked, left, OrderStatus.FILLED)
            case "cancel" if not state.terminal:
                self.book.heard(view(state.request, OrderStatus.CANCELLED, str(filled)))

    def fill(self, tracked: Tracked, qty: Decimal, status: OrderStatus) -> None:
        request = tracked.state.request
        done = execution(f"x{len(self.records)}-{tracked.state.cum_qty}-{tracked.link}", request.side, str(qty))
        self.book.heard(view(request, status, str(tracked.state.cum_qty + qty)))
        tracked.state = tracked.state.apply_execution(done.exec_id, qty)
        self.position += request.side.sign * qty


@given(st.integers(1, 4_000), stories)
def test_it_never_asks_for_more_than_its_goal(milli: int, story: list[tuple[str, int, int]]) -> None:
    desk = Desk(D(milli) / 1000)
    for what, which, later in story:
        desk.now_ms += later
        live = desk.book.unsettled()
        if what != "look" and live:
            desk.hear(live[which % len(live)], what)
        desk.look()
        worst = -desk.position + desk.book.working().sell_qty
        assert worst <= desk.target.short_qty
        for intent in desk.book.intents.values():
            assert desk.book.committed(intent) <= intent.qty
            assert desk.book.misses(intent) <= POLICY.aggressive.limit_attempts + POLICY.aggressive.market_attempts
    asked = [one.request for one in desk.sent if not one.resend]
    assert len({one.order_link_id for one in asked}) == len(asked)
    # What goes out again is what went out before.
    types = {one.order_link_id: one.order_type for one in asked}
    assert all(types[one.request.order_link_id] is one.request.order_type for one in desk.sent)
    # And a planner that comes back on the journal knows every order as it was sent last.
    again = RouterBook("main", "BTCUSDT")
    for record in desk.records:
        again.replay(record)
    assert {link: one.state.request for link, one in again.orders.items()} == {
        link: one.state.request for link, one in desk.book.orders.items()
    }


@given(st.integers(1, 4_000))
def test_a_market_that_no_limit_reaches_is_filled_all_the_same(milli: int) -> None:
    desk = Desk(D(milli) / 1000)
    for _ in range(40):
        desk.now_ms += 1_000
        desk.look()
        for tracked in desk.book.unsettled():
            market = tracked.state.request.order_type is OrderType.MARKET
            desk.hear(tracked, "fill" if market else "cancel")
    assert -desk.position == desk.target.short_qty
    limits = [one for one in desk.sent if one.request.order_type is OrderType.LIMIT]
    assert len(limits) == POLICY.aggressive.limit_attempts
