"""Every strategy under every story: fills, silence, refusals, prices, levels, stops and restarts in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hypothesis import event, given, settings
from hypothesis import strategies as st

from hedgelock_actors.domain.execution_policy import ExecutionPolicy, Mode, TwapPolicy
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import ZERO, is_multiple
from hedgelock_actors.domain.order import (
    Accepted,
    OrderRequest,
    OrderState,
    OrderStatus,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
    order_link_id,
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
    OrderSeen,
    Place,
    Refused,
    Result,
    SetTimer,
    Settings,
    Stop,
    TimerFired,
)
from hedgelock_actors.execution.twap import slice_sizes, slice_times_ms
from tests.unit.domain.make import BTC, NOW, execution, quote, view

D = Decimal
SETTINGS = Settings(instrument=BTC, limits=Limits(max_order_qty=D(1)), policy=ExecutionPolicy())
WORDS = (
    "ack", "unknown", "refuse", "reject", "part", "fill", "end", "hear", "hear", "hear", "amend", "tick", "tick",
    "time", "time", "level", "again",
)  # fmt: skip
ORDERS_MAX = 80
"""More orders than any strategy may send that does not get on: slices, tries, attempts and replacements together."""
stories = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 7), st.integers(0, 9_000)), min_size=1, max_size=60)
goals = st.builds(
    lambda side, milli, level, limit, must_fill: Goal(
        account="main", symbol="BTCUSDT", intent_id="intent-1", side=side, qty=D(milli) / 1000, level=level,
        decided_mid=D(60_000), limit_price=limit, reference_price=limit, must_fill=must_fill,
    ),
    st.sampled_from(Side), st.integers(1, 4_000), st.sampled_from(RiskLevel),
    st.sampled_from([None, D("59990.05"), D("60010.05")]), st.booleans(),
)  # fmt: skip


@dataclass
class Truth:
    """One order as the venue has it, and what we were told of it."""

    request: OrderRequest
    state: OrderState
    price: Decimal
    filled: Decimal = ZERO
    ended: bool = False
    told: bool = False
    wanted: bool = True
    """Nobody asked for its end."""

    @property
    def worst(self) -> Decimal:
        return self.filled if self.ended else self.request.qty


@dataclass
class World:
    """The venue, the router's duties, and the laws that every strategy has to keep."""

    mode: Mode
    goal: Goal
    now_ms: int = 0
    orders: dict[str, Truth] = field(default_factory=dict)
    mail: list[Callable[[], Event]] = field(default_factory=list)
    """What is on its way to us: made when it is heard, because it says what is known by then."""
    timers: dict[str, int] = field(default_factory=dict)
    result: Result | None = None
    stopped: bool = False
    fills: int = 0
    whole: int = 0
    price: Decimal = field(default_factory=lambda: D(60_000))
    book_ms: int = NOW
    amends: list[Amend] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin(self.goal)

    def begin(self, goal: Goal) -> None:
        choice = Choice(mode=self.mode, variant="", policy=SETTINGS.policy, why="")
        self.strategy = build(choice, goal, SETTINGS)
        self.timers = {}
        self.result = None
        self.tell(Begin(self.now_ms, self.book, Feedback()))

    @property
    def book(self) -> Book:
        seen = quote(str(self.price), ts_ms=self.book_ms)
        return Book(quote=seen, bid_depth_usdt=3_000_000.0, ask_depth_usdt=3_000_000.0)

    def tell(self, event: Event) -> None:
        over = self.result is not None
        asked = list(self.strategy.on(event))
        assert not (over and asked), "after the end it asks for nothing"
        for action in asked:
            self.perform(action)

    def perform(self, action: Action) -> None:
        assert self.result is None, "the end comes last"
        match action:
            case Place(request=request):
                self.place(request)
            case Amend(order_link_id=link, price=price):
                assert is_multiple(price, BTC.tick_size)
                assert self.within_limit(price)
                assert not self.orders[link].state.terminal
                self.amends.append(action)
            case Cancel(order_link_id=link):
                assert self.orders[link].wanted, "asked for once"
                self.orders[link].wanted = False
            case SetTimer(name=name, at_ms=at_ms):
                self.timers[name] = at_ms
            case Done(result=result):
                self.end(result)

    def place(self, request: OrderRequest) -> None:
        assert request.order_link_id == order_link_id("intent-1", request.attempt)
        assert request.order_link_id not in self.orders, "an attempt is never used for another order"
        assert is_multiple(request.qty, BTC.qty_step)
        assert request.qty >= BTC.min_qty
        assert request.side is self.goal.side
        assert request.reduce_only == (request.side is Side.BUY)
        if request.price is not None:
            assert is_multiple(request.price, BTC.tick_size)
            assert self.within_limit(request.price)
        else:
            assert self.goal.limit_price is None
            assert self.goal.must_fill
        self.orders[request.order_link_id] = Truth(request, OrderState(request=request), request.price or ZERO)
        assert sum(one.worst for one in self.orders.values()) <= self.goal.qty, "never more than its goal"

    def within_limit(self, price: Decimal) -> bool:
        bound = self.goal.limit_price
        if bound is None:
            return True
        return price >= bound if self.goal.side is Side.SELL else price <= bound

    def end(self, result: Result) -> None:
        self.result = result
        alive = [one for one in self.orders.values() if not one.ended]
        assert not alive, "after the end nothing works on the venue"
        begun = self.strategy.goal.qty
        assert result.filled_qty + result.left_qty == begun
        assert result.success == (not result.error)
        if result.success and self.mode is not Mode.LIMIT_CHASE:
            assert result.left_qty * 60_000 < max(D(60), BTC.min_notional * 2)

    # ------------------------------------------------------------ what the venue does

    def open(self) -> list[Truth]:
        return [one for one in self.orders.values() if not one.ended]

    def fold(self, one: Truth, state: OrderState) -> None:
        one.state, one.told = state, True
        self.tell(OrderSeen(self.now_ms, state))

    def fill(self, one: Truth, qty: Decimal) -> None:
        self.fills += 1
        one.filled += qty
        price = one.price or self.price
        done = replace(
            execution(f"x{self.fills}", one.request.side, str(qty), str(price)), order_link_id=one.request.order_link_id
        )
        if one.filled == one.request.qty:
            one.ended = True
            self.whole += 1
        self.mail.append(lambda: FillSeen(self.now_ms, done))
        self.post(one, OrderStatus.FILLED if one.ended else OrderStatus.PARTIALLY_FILLED)

    def post(self, one: Truth, status: OrderStatus) -> None:
        heard = replace(view(one.request, status, str(one.filled), ts_ms=NOW + self.now_ms), price=one.price)

        def deliver() -> Event:
            one.state, one.told = one.state.apply_view(heard), True
            return OrderSeen(self.now_ms, one.state)

        self.mail.append(deliver)

    def hear(self, which: int) -> None:
        if self.mail:
            # Twice at times: what is told repeatedly changes nothing.
            message = self.mail.pop(which % len(self.mail)) if which < 6 else self.mail[0]
            self.tell(message())

    def happen(self, what: str, which: int, later: int) -> None:
        alive = self.open()
        one = alive[which % len(alive)] if alive else None
        match what:
            case "tick":
                self.tick(D(which - 3) * 5)
            case "time":
                self.time(later)
            case "level":
                self.tell(LevelChanged(self.now_ms, list(RiskLevel)[which % 4]))
            case "hear":
                self.hear(which)
            case "again":
                if which == 0:
                    self.restart()
            case "amend":
                if self.amends:
                    self.amended(self.amends.pop(0), which)
            case _:
                if one is not None:
                    self.order_event(one, what)

    def order_event(self, one: Truth, what: str) -> None:
        left = one.request.qty - one.filled
        match what:
            case "ack":
                self.fold(one, one.state.apply_outcome(Accepted("v")))
                self.post(one, OrderStatus.NEW)
            case "unknown":
                self.fold(one, one.state.apply_outcome(Unknown("timeout")))
            case "refuse" if not one.told and not one.filled:
                one.ended = True
                self.tell(Refused(self.now_ms, one.request.order_link_id, "ORDERS_PER_SECOND", ""))
            case "reject" if not one.told and not one.filled:
                one.ended = True
                self.fold(one, one.state.apply_outcome(Rejected("1", "no")))
            case "part" if left > BTC.qty_step:
                self.fill(one, BTC.qty_step)
            case "fill":
                self.fill(one, left)
            case "end" if one.request.time_in_force is not TimeInForce.GTC or not one.wanted:
                one.ended = True
                self.post(one, OrderStatus.CANCELLED)

    def amended(self, amend: Amend, which: int) -> None:
        one = self.orders[amend.order_link_id]
        if which == 0:
            self.tell(Refused(self.now_ms, amend.order_link_id, "SLIPPAGE", ""))
        elif not one.ended and which < 6:
            one.price = amend.price
            self.post(one, OrderStatus.PARTIALLY_FILLED if one.filled else OrderStatus.NEW)

    def tick(self, by: Decimal) -> None:
        self.price += by
        self.book_ms += 100
        self.tell(BookSeen(self.now_ms, self.book))

    def time(self, ms: int) -> None:
        until_ms = self.now_ms + ms
        while self.timers and min(self.timers.values()) <= until_ms:
            name = min(self.timers, key=lambda known: self.timers[known])
            self.now_ms = max(self.now_ms, self.timers.pop(name))
            self.tell(TimerFired(self.now_ms, name))
        self.now_ms = until_ms

    def settle_orders(self) -> None:
        for one in self.open():
            if not one.wanted or one.request.time_in_force is not TimeInForce.GTC:
                one.ended = True
                self.post(one, OrderStatus.CANCELLED)
        while self.mail:
            self.hear(0)

    def restart(self) -> None:
        """The router dies and comes back: what worked is cancelled until closed, and what is left is begun anew."""
        left = self.goal.qty - sum((one.filled for one in self.orders.values()), ZERO)
        if self.stopped or self.result is not None or left < BTC.min_qty:
            return
        for one in self.open():
            one.ended = True
            one.state = one.state.apply_view(view(one.request, OrderStatus.CANCELLED, str(one.filled)))
        self.mail.clear()
        misses = sum(1 for one in self.orders.values() if one.filled < one.request.qty)
        self.begin(replace(self.goal, qty=left, first_attempt=len(self.orders), misses=misses))

    def stop(self) -> None:
        self.stopped = True
        self.tell(Stop(self.now_ms, "halted"))


def run(world: World, story: list[tuple[str, int, int]], stop_at: int) -> None:
    for number, (what, which, later) in enumerate(story):
        if number == stop_at:
            world.stop()
        world.happen(what, which, later)
        unfilled = len(world.orders) - world.whole
        assert unfilled <= ORDERS_MAX + sum(1 for word, _, _ in story if word in ("refuse", "again")) * 20


def to_the_end(world: World) -> None:
    """Every order gets its last word, and time goes by."""
    for _ in range(200):
        if world.result is not None:
            break
        world.settle_orders()
        world.time(10_000)
        world.tick(ZERO)
        if world.mode is Mode.RESTING and world.result is None:
            world.stop()
    assert world.result is not None, "every run ends"
    event(f"{world.mode}: {'filled' if world.result.success else world.result.error[:20]}")
    assert sum((one.filled for one in world.orders.values()), ZERO) <= world.goal.qty


def priced(mode: Mode, goal: Goal) -> Goal:
    return replace(goal, limit_price=D("60010.05")) if mode is Mode.RESTING else goal


@given(st.sampled_from(Mode), goals, stories, st.integers(0, 120))
@settings(max_examples=300)
def test_no_story_makes_a_strategy_ask_for_too_much_or_go_on_for_ever(
    mode: Mode, goal: Goal, story: list[tuple[str, int, int]], stop_at: int
) -> None:
    world = World(mode, priced(mode, goal))
    run(world, story, stop_at)
    to_the_end(world)


@given(st.sampled_from(Mode), goals, st.integers(0, 2**32 - 1))
@settings(max_examples=400)
def test_neither_does_a_long_one(mode: Mode, goal: Goal, seed: int) -> None:
    rng = random.Random(seed)
    calm = rng.choice((500, 2_000, 9_000))
    story = [(rng.choice(WORDS), rng.randrange(8), rng.randrange(calm)) for _ in range(rng.randrange(20, 200))]
    world = World(mode, priced(mode, goal))
    run(world, story, rng.randrange(400))
    to_the_end(world)


@given(st.sampled_from(Mode), goals, st.integers(0, 2**32 - 1))
def test_the_same_story_gives_the_same_orders(mode: Mode, goal: Goal, seed: int) -> None:
    runs = []
    for _ in range(2):
        rng, world = random.Random(seed), World(mode, priced(mode, goal))
        run(world, [(rng.choice(WORDS), rng.randrange(8), rng.randrange(2_000)) for _ in range(60)], 99)
        runs.append(([one.request for one in world.orders.values()], world.result))
    assert runs[0] == runs[1]


@given(st.integers(1, 50_000), st.integers(1, 40), st.integers(0, 95), st.text(min_size=1, max_size=8))
def test_slices_add_up_and_stay_within_their_jitter(milli: int, count: int, percent: int, intent: str) -> None:
    qty, jitter = D(milli) / 1000, D(percent) / 100
    sizes = slice_sizes(qty, count, jitter, BTC.qty_step, intent)
    assert len(sizes) == count
    assert sum(sizes) == qty
    even = qty / count
    for size in sizes:
        assert is_multiple(size, BTC.qty_step)
        assert even * (1 - jitter) - BTC.qty_step <= size <= even * (1 + jitter) + BTC.qty_step
    assert sizes == slice_sizes(qty, count, jitter, BTC.qty_step, intent), "a function of the intent"


@given(st.integers(1, 40), st.integers(0, 95), st.integers(1, 60_000), st.text(min_size=1, max_size=8))
def test_slices_come_in_order_and_at_most_their_jitter_late(
    count: int, percent: int, slice_ms: int, intent: str
) -> None:
    policy = TwapPolicy(slice_ms=slice_ms, time_jitter=D(percent) / 100)
    times = slice_times_ms(count, policy, intent)
    assert times[0] == 0
    for number, at_ms in enumerate(times):
        assert 0 <= at_ms - number * slice_ms <= policy.time_jitter * slice_ms
    assert list(times) == sorted(set(times))
