"""Whatever clients do: money is conserved, reduce-only never flips, FOK is all or nothing, and equal runs are equal.

The exchange checks its own books at every tick (ledger sums, positions, the tally of each account) and raises when they
do not close, so a run that ends has proved that for every moment of it.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.simulator.api import (
    AccountSpec,
    AdjustLtv,
    AmendOrder,
    Borrow,
    CancelAll,
    CancelOrder,
    Command,
    Event,
    Execution,
    InitialLoan,
    Latency,
    OrderUpdate,
    PlaceOrder,
    Repay,
    RepayCollateral,
    Side,
    TimeInForce,
    Transfer,
)
from hedgelock_actors.simulator.engine import Exchange
from tests.unit.simulator.rig import D, exchange

UIDS = ("1", "2")
Action = tuple[str, int, Command | str, int]
"""A client; the distance of a limit from the last price in ticks, or which open order; what; the pause after it, s."""
SIDES: tuple[Side, Side] = ("Buy", "Sell")
FORCES: tuple[TimeInForce, ...] = ("GTC", "GTC", "IOC", "FOK", "PostOnly")
storms = st.integers(0, 2**32)


def an_order(rng: Random) -> tuple[int, PlaceOrder]:
    away = rng.choice([0, rng.randint(-300, 300), rng.randint(-30, 30)])
    return away, PlaceOrder(
        symbol="BTCUSDT",
        side=rng.choice(SIDES),
        order_type="Limit" if away else "Market",
        qty=D(rng.randint(1, 3000)) / 1000,
        time_in_force=rng.choice(FORCES),
        reduce_only=rng.random() < 0.3,
        smp_type=rng.choice(["None", "None", "CancelMaker", "CancelTaker", "CancelBoth"]),
    )


def another(rng: Random) -> Command:
    amount, coins = D(rng.randint(1, 30_000)), D(rng.randint(1, 150)) / 100
    wallets = rng.choice([("UNIFIED", "FUND"), ("FUND", "UNIFIED")])
    return rng.choice(
        [
            CancelAll(),
            Repay(loan_currency="USDT", amount=amount),
            Borrow(loan_currency="USDT", loan_amount=amount),
            RepayCollateral(loan_currency="USDT", collateral_coin="BTC", amount=amount),
            AdjustLtv(currency="BTC", amount=coins, direction=rng.choice("01")),
            Transfer(
                transfer_id=str(rng.random()),
                coin="USDT",
                amount=amount,
                from_account=wallets[0],
                to_account=wallets[1],
            ),
        ]
    )


def an_action(rng: Random) -> Action:
    uid, pause = rng.choice(UIDS), rng.choice([0, 0, rng.randint(0, 60), rng.randint(0, 1500)])
    kind = rng.random()
    if kind < 0.6:
        return uid, *an_order(rng), pause
    if kind < 0.8:
        return uid, rng.randint(0, 9), rng.choice(["cancel", "amend", "amend"]), pause
    return uid, 0, another(rng), pause


def storm(seed: int) -> tuple[list[float], list[Action]]:
    """Price moves and what the clients do meanwhile."""
    rng = Random(seed)
    wild = rng.choice([0.002, 0.01, 0.04])
    moves = [rng.gauss(rng.choice([0, -0.3, 0.3]) * wild, wild) for _ in range(rng.randint(5, 40))]
    return moves, [an_action(rng) for _ in range(rng.randint(0, 80))]


def venue(moves: list[float], seed: int = 1, volume: float = 3.0) -> Exchange:
    prices = [60_000.0]
    for move in moves:
        prices.append(prices[-1] * (1 + move))
    rich = AccountSpec(
        uid="1",
        unified={"USDT": D(60_000), "BTC": D(1)},
        fund={"USDT": D(40_000), "BTC": D(3)},
        loan=InitialLoan(collateral={"BTC": D(5)}, ltv=D("0.75")),
    )
    poor = AccountSpec(uid="2", unified={"USDT": D(9_000)}, leverage=D(50))
    return exchange(
        prices,
        accounts=[rich, poor],
        volume=volume,
        seed=seed,
        step_ms=1_500_000,
        latency=Latency(ack_ms=(1, 9), effect_ms=(1, 400_000), push_ms=(1, 5)),
    )


def perform(exchange: Exchange, uid: str, number: int, what: Command | str) -> None:
    command: Command | None = None if isinstance(what, str) else what
    if isinstance(what, str):
        open_orders = exchange.open_orders(uid)
        if open_orders:
            chosen = open_orders[number % len(open_orders)]
            if what == "cancel":
                command = CancelOrder(symbol=chosen.symbol, order_id=chosen.order_id)
            else:
                qty, price = chosen.qty + D(number - 3) / 10, chosen.price + (number - 5) * 10
                command = AmendOrder(symbol=chosen.symbol, order_id=chosen.order_id, qty=qty, price=price)
    elif isinstance(what, PlaceOrder) and number:
        last = exchange.ticker(what.symbol).last_price
        command = replace(what, price=last + number * D("0.1"))
    if command is not None:
        exchange.request(uid, command, exchange.now_ms)


def play(seed: int) -> tuple[Exchange, list[Event]]:
    moves, todo = storm(seed)
    made = venue(moves, seed)
    events: list[Event] = []
    for uid, number, what, pause_s in todo:
        perform(made, uid, number, what)
        events += made.advance(made.now_ms + pause_s * 1000)
    while (due := made.next_market_ms()) is not None:
        events += made.advance(due)
    return made, events + made.advance(made.now_ms + 2_000_000)


@settings(max_examples=80, deadline=None)
@given(storms)
def test_the_books_close_whatever_happens(seed: int) -> None:
    made, events = play(seed)
    times = [event.ts_ms for event in events]
    assert times == sorted(times)
    for uid in UIDS:
        report = made.report(uid)
        assert report["duplicate_orders"] == 0
        fees = sum((one.exec_fee for one in made.executions(uid) if one.exec_type != "Funding"), D(0))
        assert float(fees) == report["fees_usdt"]
        for view in made.order_history(uid):
            assert 0 <= view.cum_exec_qty <= view.qty
            assert not view.open
        log = [one for one in made.transactions(uid) if one.currency == "USDT"]
        extra = D(str(report["insured_usdt"])) + D(str(report["converted_usdt"]))
        start = D(60_000) if uid == "1" else D(9_000)
        wallet = made.transferable(uid, "UNIFIED", "USDT").wallet_balance
        assert abs(start + sum((one.change for one in log), D(0)) + extra - wallet) < D("0.000001")


@settings(max_examples=80, deadline=None)
@given(storms)
def test_reduce_only_never_opens_and_never_flips(seed: int) -> None:
    made, events = play(seed)
    held = dict.fromkeys(UIDS, D(0))
    pushed = [event.payload.order for event in events if isinstance(event.payload, OrderUpdate)]
    reducing = {order.order_id for order in pushed if order.reduce_only}
    for uid in UIDS:
        for one in reversed(made.executions(uid)):
            if one.exec_type == "Funding":
                continue
            before = held[uid]
            held[uid] += one.exec_qty if one.side == "Buy" else -one.exec_qty
            if one.order_id in reducing:
                assert abs(held[uid]) == abs(before) - one.exec_qty
        position = made.position(uid, "BTCUSDT")
        assert held[uid] == (position.size if position.side == "Buy" else -position.size)


@settings(max_examples=80, deadline=None)
@given(storms)
def test_fok_is_all_or_nothing_and_post_only_never_takes(seed: int) -> None:
    made, _ = play(seed)
    for uid in UIDS:
        views = made.order_history(uid) + made.open_orders(uid)
        for view in views:
            if view.time_in_force == "FOK":
                assert view.cum_exec_qty in (0, view.qty)
        post_only = {view.order_id for view in views if view.time_in_force == "PostOnly"}
        assert all(one.is_maker for one in made.executions(uid) if one.order_id in post_only)


@settings(max_examples=25, deadline=None)
@given(storms)
def test_equal_runs_give_equal_events(seed: int) -> None:
    assert play(seed)[1] == play(seed)[1]


@settings(max_examples=50, deadline=None)
@given(storms)
def test_pushes_tell_the_same_story_as_queries(seed: int) -> None:
    made, events = play(seed)
    for uid in UIDS:
        mine = [event.payload for event in events if event.uid == uid]
        pushed = [payload.execution for payload in mine if isinstance(payload, Execution)]
        assert pushed == list(reversed(made.executions(uid)))
        assert len({one.exec_id for one in pushed}) == len(pushed)
        last = {payload.order.order_id: payload.order for payload in mine if isinstance(payload, OrderUpdate)}
        for view in made.open_orders(uid):
            assert last[view.order_id] == view


def test_the_storms_reach_every_corner() -> None:
    """The properties above would hold of an exchange on which nothing happens; here is that much does."""
    seen: set[str] = set()
    for seed in range(60):
        made, _ = play(seed)
        for uid in UIDS:
            seen |= {one.create_type or one.exec_type for one in made.executions(uid)}
            seen |= {"maker" if one.is_maker else "taker" for one in made.executions(uid)}
            seen |= {view.cancel_type for view in made.order_history(uid)}
            seen |= {view.reject_reason for view in made.order_history(uid)}
            seen |= {f"repay {one.repay_type}" for one in made.repay_history(uid)}
            seen |= {f"adjust {one.direction}" for one in made.adjust_history(uid)}
    wanted = {
        "CreateByUser", "CreateByLiq", "Funding", "maker", "taker",
        "CancelByUser", "CancelByReduceOnly", "CancelByPrepareLiq", "CancelBySmp",
        "EC_PostOnlyWillTakeLiquidity", "EC_NoImmediateQtyToFill", "EC_CancelForNoFullFill",
        "EC_OrigClOrdIDDoesNotExist",
        "repay 1", "repay 2", "repay 7", "adjust 0", "adjust 1",
    }  # fmt: skip
    assert wanted <= seen, wanted - seen
