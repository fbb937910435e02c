"""The gate as a machine: whatever is asked, sent, filled, lost or late, the worst case stays within the limits."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hedgelock_actors.domain.limits import Approved, GateContext, Intent, Limits, approve, working_of
from hedgelock_actors.domain.order import Accepted, OrderState, OrderStatus, Rejected, Side, Unknown
from hedgelock_actors.domain.position import PositionFold
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, transition
from tests.unit.domain.make import BTC, NOW, execution, quote, request, view

D = Decimal
LIMITS = Limits(
    max_order_qty=D(3), max_position_qty=D(7), max_open_orders=4, orders_per_second=3, orders_per_minute=8,
    critical_orders_per_minute=8, max_position_notional_usdt=D(390_000),
)  # fmt: skip
qtys = st.integers(1, 4_000).map(lambda n: str(D(n) / 1000))
sides = st.sampled_from(list(Side))


class Gate(RuleBasedStateMachine):
    """A venue that fills what it likes, a router that asks for anything, and the gate between them."""

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.orders: dict[tuple[str, int], OrderState] = {}
        self.intents: dict[str, Intent] = {}
        self.sent: list[int] = []
        self.fold = PositionFold("BTCUSDT")
        self.trading: TradingState = INITIAL
        self.halted_after = False
        self.fills = 0

    def context(self, epoch: int, resend: bool = False) -> GateContext:
        known = {}
        for intent_id, intent in self.intents.items():
            mine = [order for (owner, _), order in self.orders.items() if owner == intent_id]
            committed = sum((order.cum_qty + order.worst_case_qty for order in mine), D(0))
            attempts = frozenset(attempt for owner, attempt in self.orders if owner == intent_id)
            known[intent_id] = Intent(side=intent.side, qty=intent.qty, committed_qty=committed, attempts=attempts)
        return GateContext(
            now_ms=self.now,
            account="main",
            environment="local",
            instrument=BTC,
            quote=quote(ts_ms=self.now),
            position_qty=self.fold.signed_qty,
            position_ms=self.now,
            reconciled=True,
            working=working_of(self.orders.values()),
            intents=MappingProxyType(known),
            recent_order_ms=tuple(self.sent),
            trading=self.trading,
            epoch=epoch,
            resend=resend,
        )

    @rule(n=st.integers(0, 3), side=sides, qty=st.integers(1, 12))
    def decide(self, n: int, side: Side, qty: int) -> None:
        self.intents.setdefault(f"intent-{n}", Intent(side=side, qty=D(qty)))

    @rule(n=st.integers(0, 4), attempt=st.integers(0, 5), side=sides, qty=qtys, late=st.booleans())
    def ask(self, n: int, attempt: int, side: Side, qty: str, late: bool) -> None:
        price = "59940" if side is Side.SELL else "60060"
        made = request(qty, side, price, intent_id=f"intent-{n}", attempt=attempt)
        epoch = max(0, self.trading.epoch - late)
        found = approve(made, self.context(epoch), LIMITS)
        if not isinstance(found, Approved):
            return
        assert (f"intent-{n}", attempt) not in self.orders, "one order per attempt"
        assert self.trading.mode is TradingMode.ACTIVE or (
            self.trading.mode is TradingMode.REDUCE_ONLY and made.reduce_only
        )
        assert epoch == self.trading.epoch
        self.orders[f"intent-{n}", attempt] = OrderState(request=made)
        self.sent.append(self.now)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), outcome=st.sampled_from([Accepted("v"), Unknown("timeout"), Rejected("1", "no")]))
    def answer(self, data: st.DataObject, outcome: Accepted | Unknown | Rejected) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        order = self.orders[key]
        # The venue refuses only what it has not taken.
        if isinstance(outcome, Rejected) and (order.order_id or order.from_view or order.executions):
            return
        self.orders[key] = order.apply_outcome(outcome)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), part=st.integers(1, 4), told=st.sampled_from(["view", "execution", "both"]))
    def fill(self, data: st.DataObject, part: int, told: str) -> None:
        open_keys = sorted(key for key, order in self.orders.items() if order.worst_case_qty > 0)
        if not open_keys:
            return
        key = data.draw(st.sampled_from(open_keys))
        order = self.orders[key]
        qty = order.worst_case_qty if part == 4 else order.worst_case_qty * part / 4
        self.fills += 1
        if told in ("execution", "both"):
            self.fold = self.fold.apply(execution(f"e{self.fills}", order.request.side, str(qty), ts_ms=self.now))
            order = order.apply_execution(f"e{self.fills}", qty)
        if told in ("view", "both"):
            cum = order.cum_qty if told == "both" else order.cum_qty + qty
            status = OrderStatus.FILLED if cum == order.request.qty else OrderStatus.PARTIALLY_FILLED
            order = order.apply_view(view(order.request, status, str(cum)))
        self.orders[key] = order

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        order = self.orders[key]
        self.orders[key] = order.apply_view(view(order.request, OrderStatus.CANCELLED, str(order.cum_qty)))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def late_execution(self, data: st.DataObject) -> None:
        """What a view told of arrives as an execution after all."""
        key = data.draw(st.sampled_from(sorted(self.orders)))
        order = self.orders[key]
        missing = order.cum_qty - order.executed_qty
        if missing > 0:
            self.fills += 1
            self.fold = self.fold.apply(execution(f"e{self.fills}", order.request.side, str(missing), ts_ms=self.now))
            self.orders[key] = order.apply_execution(f"e{self.fills}", missing)

    @rule(ms=st.sampled_from([1, 400, 1_000, 20_000, 60_000]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(mode=st.sampled_from(list(TradingMode)))
    def change_mode(self, mode: TradingMode) -> None:
        self.trading = transition(self.trading, mode, "drill")

    @invariant()
    def the_worst_case_is_within_the_limits(self) -> None:
        if not hasattr(self, "orders"):
            return
        working = working_of(self.orders.values())
        assert -self.fold.signed_qty + working.sell_qty <= LIMITS.max_position_qty
        assert (-self.fold.signed_qty + working.sell_qty) * 60_000 <= LIMITS.max_position_notional_usdt
        assert self.fold.signed_qty + working.buy_qty <= 0 or working.buy_qty == 0, "never net long"
        assert self.fold.signed_qty <= 0
        assert working.count <= LIMITS.max_open_orders

    @invariant()
    def intents_in_bound_orders_out(self) -> None:
        for intent_id, intent in getattr(self, "intents", {}).items():
            mine = [order for (owner, _), order in self.orders.items() if owner == intent_id]
            assert sum((order.cum_qty + order.worst_case_qty for order in mine), D(0)) <= intent.qty
            assert all(order.request.side is intent.side for order in mine)

    @invariant()
    def rates_hold_in_every_window(self) -> None:
        sent = getattr(self, "sent", [])
        for window, most in ((1_000, LIMITS.orders_per_second), (60_000, LIMITS.orders_per_minute)):
            assert all(sum(1 for b in sent if a <= b < a + window) <= most for a in sent)


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(qtys, sides, st.integers(0, 5), st.booleans())
def test_asking_twice_gives_the_same_answer(qty: str, side: Side, attempt: int, known: bool) -> None:
    machine = Gate()
    machine.begin()
    if known:
        machine.decide(1, side, 5)
    made = request(qty, side, "59940" if side is Side.SELL else "60060", intent_id="intent-1", attempt=attempt)
    first = approve(made, machine.context(0), LIMITS)
    again = approve(made, machine.context(0), LIMITS)
    assert first == again
