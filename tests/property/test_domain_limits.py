"""The gate as a machine: whatever is asked, sent, filled, lost or late, the worst case stays within the limits."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hedgelock_actors.domain.limits import (
    Approved,
    GateContext,
    Intent,
    Limits,
    OpenOrder,
    TradeBudget,
    approve,
    approve_amend,
    working_of,
)
from hedgelock_actors.domain.order import Accepted, AmendRequest, OrderState, OrderStatus, Rejected, Side, Unknown
from hedgelock_actors.domain.position import PositionFold
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, transition
from tests.unit.domain.make import BTC, NOW, execution, quote, request, view

D = Decimal
LIMITS = Limits(
    max_order_qty=D(3), max_position_qty=D(7), max_open_orders=4, orders_per_second=3, orders_per_minute=8,
    critical_orders_per_minute=8, max_position_notional_usdt=D(390_000), amends_per_second=2, amends_per_minute=5,
    max_trade_order_qty=D(1), max_trade_daily_qty=D(3),
)  # fmt: skip
PRICES = {Side.SELL: ("59940", "59995", "60010"), Side.BUY: ("60060", "60005", "59990")}
FOREIGN = "somebody else's"
MOST_SHORT = min(LIMITS.max_position_qty, LIMITS.max_position_notional_usdt / 60_000)
qtys = st.integers(1, 4_000).map(lambda n: str(D(n) / 1000))
sides = st.sampled_from(list(Side))
seldom = st.sampled_from([False] * 7 + [True])


class Gate(RuleBasedStateMachine):
    """A venue that fills what it likes, a router that asks for anything, somebody else who trades the same account,
    and the gate between them.
    """

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.orders: dict[tuple[str, int], OrderState] = {}
        self.intents: dict[str, Intent] = {"intent-0": Intent(side=Side.SELL, qty=D(12))}
        self.sent: list[int] = []
        self.fold = PositionFold("BTCUSDT")
        self.trading: TradingState = INITIAL
        self.fills = 0
        self.prices: dict[tuple[str, int], Decimal] = {}
        self.amended: list[int] = []
        self.target: Decimal | None = None
        self.restrictions: tuple[str, ...] = ()
        self.short_allowed, self.long_allowed = MOST_SHORT, D(0)

    # ------------------------------------------------------------ what is true

    def worst_short(self) -> Decimal:
        return -self.fold.signed_qty + working_of(self.orders.values()).sell_qty

    def traded(self) -> Decimal:
        return sum((o.cum_qty + o.worst_case_qty for (owner, _), o in self.orders.items() if is_trade(owner)), D(0))

    def effective_target(self) -> Decimal | None:
        """What trades have added to the short is kept."""
        sold = sum((o.cum_qty * -o.request.side.sign for (owner, _), o in self.orders.items() if is_trade(owner)), D(0))
        return None if self.target is None else self.target + max(D(0), sold)

    def live(self) -> dict[tuple[str, int], OrderState]:
        return {key: order for key, order in self.orders.items() if order.worst_case_qty > 0}

    # ------------------------------------------------------------ what the gate is told

    def context(self, epoch: int, which: str = "", resend: bool = False) -> GateContext:
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
            target_short_qty=None if is_trade(which) else self.effective_target(),
            restrictions=self.restrictions,
            open_orders=tuple(
                OpenOrder(
                    order_link_id=order.request.order_link_id, side=order.request.side, price=self.prices[key],
                    qty=order.worst_case_qty,
                )
                for key, order in self.live().items()
            ),
            recent_amend_ms=tuple(self.amended),
            trade=TradeBudget(traded_today_qty=self.traded()) if is_trade(which) else None,
        )  # fmt: skip

    # ------------------------------------------------------------ what happens

    @rule(n=st.integers(0, 3), side=sides, qty=st.integers(1, 12))
    def decide(self, n: int, side: Side, qty: int) -> None:
        self.intents.setdefault(f"intent-{n}", Intent(side=side, qty=D(qty)))

    @rule(n=st.integers(0, 2), side=sides, qty=st.integers(1, 4))
    def command(self, n: int, side: Side, qty: int) -> None:
        """A `hedge_trades` command."""
        self.intents.setdefault(f"trade-{n}", Intent(side=side, qty=D(qty)))

    @rule(
        data=st.data(), attempt=st.integers(0, 5), qty=qtys, price=st.integers(0, 2), late=seldom, stray=seldom,
    )  # fmt: skip
    def ask(self, data: st.DataObject, attempt: int, qty: str, price: int, late: bool, stray: bool) -> None:
        which = data.draw(st.sampled_from([*self.intents, "intent-never"]))
        known = self.intents.get(which)
        side = Side.SELL if known is None else known.side.opposite if stray else known.side
        made = request(qty, side, PRICES[side][price], intent_id=which, attempt=attempt)
        epoch = max(0, self.trading.epoch - late)
        target, before = self.effective_target(), self.worst_short()
        found = approve(made, self.context(epoch, which), LIMITS)
        if not isinstance(found, Approved):
            return
        assert (which, attempt) not in self.orders, "one order per attempt"
        assert made.reduce_only or not self.restrictions
        if side is Side.SELL and target is not None and not is_trade(which):
            assert before < target, "nothing is opened beyond the target"
            assert before + made.qty < target + BTC.qty_step
        assert self.trading.mode is TradingMode.ACTIVE or (
            self.trading.mode is TradingMode.REDUCE_ONLY and made.reduce_only
        )
        assert epoch == self.trading.epoch
        self.orders[which, attempt] = OrderState(request=made)
        self.prices[which, attempt] = D(PRICES[side][price])
        self.sent.append(self.now)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), price=st.integers(0, 2), late=seldom)
    def amend(self, data: st.DataObject, price: int, late: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        order, epoch = self.orders[key], max(0, self.trading.epoch - late)
        asked = AmendRequest(
            account="main", symbol="BTCUSDT", side=order.request.side, order_link_id=order.request.order_link_id,
            intent_id=key[0], price=D(PRICES[order.request.side][price]), number=1,
        )  # fmt: skip
        found = approve_amend(asked, self.context(epoch, key[0]), LIMITS)
        if not isinstance(found, Approved):
            return
        assert key in self.live(), "what is closed is not amended"
        assert self.trading.mode is not TradingMode.HALTED
        assert epoch == self.trading.epoch
        opens = order.request.side is Side.SELL
        assert not (opens and (self.restrictions or self.trading.mode is TradingMode.REDUCE_ONLY))
        self.prices[key] = asked.price
        self.amended.append(self.now)

    @rule(side=sides, qty=qtys, noticed=st.booleans())
    def foreign_fill(self, side: Side, qty: str, noticed: bool) -> None:
        """Somebody trades by hand: it may bring the account where no order of ours may."""
        self.fills += 1
        self.fold = self.fold.apply(execution(f"{FOREIGN} {self.fills}", side, qty, ts_ms=self.now))
        if noticed:
            self.restrictions = ("foreign activity",)
        self.short_allowed = max(MOST_SHORT, self.worst_short())
        working = working_of(self.orders.values())
        self.long_allowed = max(D(0), self.fold.signed_qty + working.buy_qty)

    @rule()
    def acknowledge(self) -> None:
        self.restrictions = ()

    @rule(short=st.one_of(st.none(), st.integers(0, 9_000).map(lambda n: D(n) / 1000)))
    def aim(self, short: Decimal | None) -> None:
        self.target = short

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), outcome=st.sampled_from([Accepted("v"), Unknown("timeout"), Rejected("1", "no")]))
    def answer(self, data: st.DataObject, outcome: Accepted | Unknown | Rejected) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        order = self.orders[key]
        # The venue refuses only what it has not taken, and what it has refused for good it never takes.
        if order.refusal is not None:
            return
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

    @rule(mode=st.sampled_from([*[TradingMode.ACTIVE] * 4, TradingMode.REDUCE_ONLY, TradingMode.HALTED]))
    def change_mode(self, mode: TradingMode) -> None:
        self.trading = transition(self.trading, mode, "drill")

    @invariant()
    def the_worst_case_is_within_the_limits(self) -> None:
        if not hasattr(self, "orders"):
            return
        working, short = working_of(self.orders.values()), self.worst_short()
        assert short <= self.short_allowed
        long = self.fold.signed_qty + working.buy_qty
        assert long <= self.long_allowed or working.buy_qty == 0, "never net long"
        assert working.count <= LIMITS.max_open_orders
        # What somebody else did is forgiven only until we are back within.
        self.short_allowed = max(MOST_SHORT, min(self.short_allowed, short))
        self.long_allowed = max(D(0), min(self.long_allowed, long))

    @invariant()
    def our_own_orders_never_meet(self) -> None:
        live = getattr(self, "orders", {}) and self.live()
        sells = [self.prices[key] for key, order in live.items() if order.request.side is Side.SELL] if live else []
        buys = [self.prices[key] for key, order in live.items() if order.request.side is Side.BUY] if live else []
        assert not sells or not buys or max(buys) < min(sells)

    @invariant()
    def trades_stay_within_their_day(self) -> None:
        if hasattr(self, "orders"):
            assert self.traded() <= LIMITS.max_trade_daily_qty
            sizes = [order.request.qty for (owner, _), order in self.orders.items() if is_trade(owner)]
            assert max(sizes, default=D(0)) <= LIMITS.max_trade_order_qty

    @invariant()
    def intents_in_bound_orders_out(self) -> None:
        for intent_id, intent in getattr(self, "intents", {}).items():
            mine = [order for (owner, _), order in self.orders.items() if owner == intent_id]
            assert sum((order.cum_qty + order.worst_case_qty for order in mine), D(0)) <= intent.qty
            assert all(order.request.side is intent.side for order in mine)

    @invariant()
    def rates_hold_in_every_window(self) -> None:
        sent, amended = getattr(self, "sent", []), getattr(self, "amended", [])
        for times, window, most in (
            (sent, 1_000, LIMITS.orders_per_second), (sent, 60_000, LIMITS.orders_per_minute),
            (amended, 1_000, LIMITS.amends_per_second), (amended, 60_000, LIMITS.amends_per_minute),
        ):  # fmt: skip
            assert all(sum(1 for b in times if a <= b < a + window) <= most for a in times)


def is_trade(intent_id: str) -> bool:
    return intent_id.startswith("trade-")


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


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
