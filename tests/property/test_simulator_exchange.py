"""Whatever clients do: money is conserved, reduce-only never flips, FOK is all or nothing, and equal runs are equal.

The exchange checks its own books at every tick (ledger sums, positions, the tally of each account) and raises when they
do not close, so a run that ends has proved that for every moment of it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

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
    Transfer,
)
from hedgelock_actors.simulator.engine import Exchange
from tests.unit.simulator.rig import D, exchange

UIDS = ("1", "2")
steps = st.floats(-0.03, 0.03)
sides = st.sampled_from(["Buy", "Sell"])
forces = st.sampled_from(["GTC", "IOC", "FOK", "PostOnly"])
lots = st.integers(1, 4000).map(lambda n: D(n) / 1000)


@st.composite
def orders(draw: st.DrawFn, reduce_only: st.SearchStrategy[bool] | None = None) -> tuple[str, int, PlaceOrder]:
    """A client, the distance of the limit from the last price in ticks (0: a market order), and the order."""
    away = draw(st.integers(-400, 400))
    command = PlaceOrder(
        symbol="BTCUSDT",
        side=draw(sides),
        order_type="Limit" if away else "Market",
        qty=draw(lots),
        time_in_force=draw(forces),
        reduce_only=draw(reduce_only if reduce_only is not None else st.booleans()),
        smp_type=draw(st.sampled_from(["None", "CancelMaker", "CancelTaker", "CancelBoth"])),
    )
    return draw(st.sampled_from(UIDS)), away, command


amounts = st.integers(1, 30_000).map(Decimal)
coins = st.integers(1, 300).map(lambda n: D(n) / 100)
others: st.SearchStrategy[Command] = st.one_of(
    st.builds(CancelAll),
    st.builds(Repay, loan_currency=st.just("USDT"), amount=amounts),
    st.builds(Borrow, loan_currency=st.just("USDT"), loan_amount=amounts),
    st.builds(RepayCollateral, loan_currency=st.just("USDT"), collateral_coin=st.just("BTC"), amount=amounts),
    st.builds(AdjustLtv, currency=st.just("BTC"), amount=coins, direction=st.sampled_from(["0", "1"])),
    st.builds(
        Transfer,
        transfer_id=st.uuids().map(str),
        coin=st.just("USDT"),
        amount=amounts,
        from_account=st.sampled_from(["UNIFIED", "FUND"]),
        to_account=st.sampled_from(["UNIFIED", "FUND"]),
    ),
)
other = st.tuples(st.sampled_from(UIDS), st.just(0), others)
cancels = st.tuples(st.sampled_from(UIDS), st.integers(0, 9), st.sampled_from(["cancel", "amend"]))
Action = tuple[str, int, Command | str]
actions = st.lists(st.tuples(st.one_of(orders(), orders(), other, cancels), st.integers(0, 1500)), max_size=25)
paths = st.lists(steps, min_size=5, max_size=30)


def venue(moves: list[float], seed: int = 1, volume: float = 3.0) -> Exchange:
    prices = [60_000.0]
    for move in moves:
        prices.append(prices[-1] * (1 + move))
    rich = AccountSpec(
        uid="1",
        unified={"USDT": D(60_000), "BTC": D(1)},
        fund={"USDT": D(40_000), "BTC": D(3)},
        loan=InitialLoan(collateral={"BTC": D(5)}, ltv=D("0.6")),
    )
    poor = AccountSpec(uid="2", unified={"USDT": D(9_000)}, leverage=D(50))
    return exchange(
        prices,
        accounts=[rich, poor],
        volume=volume,
        seed=seed,
        step_ms=700_000,
        latency=Latency(ack_ms=(1, 9), effect_ms=(1, 400_000), push_ms=(1, 5)),
    )


def perform(exchange: Exchange, uid: str, number: int, what: Command | str) -> None:
    command: Command | None = None if isinstance(what, str) else what
    if isinstance(what, str):
        open_orders = exchange.open_orders(uid)
        if open_orders:
            chosen = open_orders[number % len(open_orders)]
            named = {"symbol": chosen.symbol, "order_id": chosen.order_id}
            command = CancelOrder(**named) if what == "cancel" else AmendOrder(**named, qty=chosen.qty + D("0.5"))
    elif isinstance(what, PlaceOrder) and number:
        last = exchange.ticker(what.symbol).last_price
        command = replace(what, price=last + number * D("0.1"))
    if command is not None:
        exchange.request(uid, command, exchange.now_ms)


def play(moves: list[float], todo: list[tuple[Action, int]], seed: int = 1) -> tuple[Exchange, list[Event]]:
    made = venue(moves, seed)
    events: list[Event] = []
    for (uid, number, what), pause_s in todo:
        perform(made, uid, number, what)
        events += made.advance(made.now_ms + pause_s * 1000)
    while (due := made.next_market_ms()) is not None:
        events += made.advance(due)
    return made, events + made.advance(made.now_ms + 2_000_000)


@settings(max_examples=60, deadline=None)
@given(paths, actions)
def test_the_books_close_whatever_happens(moves: list[float], todo: list[tuple[Action, int]]) -> None:
    made, events = play(moves, todo)
    times = [event.ts_ms for event in events]
    assert times == sorted(times)
    for uid in UIDS:
        report = made.report(uid)
        assert report["duplicate_orders"] == 0
        executed = sum((one.exec_fee for one in made.executions(uid) if one.exec_type != "Funding"), D(0))
        assert float(executed) == report["fees_usdt"]
        for view in made.order_history(uid):
            assert 0 <= view.cum_exec_qty <= view.qty
            assert not view.open
        changes = sum((one.change for one in made.transactions(uid) if one.currency == "USDT"), D(0))
        start = D(60_000) if uid == "1" else D(9_000)
        insured = D(str(report["insured_usdt"]))
        if made.transferable(uid, "UNIFIED", "BTC").wallet_balance == (1 if uid == "1" else 0):
            wallet = made.transferable(uid, "UNIFIED", "USDT").wallet_balance
            assert abs(start + changes + insured - wallet) < D("0.000001")


@settings(max_examples=60, deadline=None)
@given(paths, st.lists(st.tuples(st.one_of(orders(), orders(st.just(True))), st.integers(0, 900)), max_size=25))
def test_reduce_only_never_opens_and_never_flips(
    moves: list[float], todo: list[tuple[tuple[str, int, PlaceOrder], int]]
) -> None:
    made, events = play(moves, list(todo))
    held = dict.fromkeys(UIDS, D(0))
    reducing = {
        e.payload.order.order_id for e in events if isinstance(e.payload, OrderUpdate) and e.payload.order.reduce_only
    }
    for uid in UIDS:
        for one in reversed(made.executions(uid)):
            if one.exec_type == "Funding":
                continue
            before = held[uid]
            held[uid] += one.exec_qty if one.side == "Buy" else -one.exec_qty
            if one.order_id in reducing:
                assert abs(held[uid]) == abs(before) - one.exec_qty
        size = made.position(uid, "BTCUSDT")
        assert held[uid] == (size.size if size.side == "Buy" else -size.size)


@settings(max_examples=60, deadline=None)
@given(paths, actions)
def test_fok_is_all_or_nothing_and_post_only_never_takes(moves: list[float], todo: list[tuple[Action, int]]) -> None:
    made, _ = play(moves, todo)
    for uid in UIDS:
        views = made.order_history(uid) + made.open_orders(uid)
        for view in views:
            if view.time_in_force == "FOK" and view.create_type == "CreateByUser":
                assert view.cum_exec_qty in (0, view.qty)
        post_only = {view.order_id for view in views if view.time_in_force == "PostOnly"}
        assert all(one.is_maker for one in made.executions(uid) if one.order_id in post_only)


@settings(max_examples=25, deadline=None)
@given(paths, actions, st.integers(0, 2**32))
def test_equal_runs_give_equal_events(moves: list[float], todo: list[tuple[Action, int]], seed: int) -> None:
    _, first = play(moves, todo, seed)
    _, second = play(moves, todo, seed)
    assert first == second


@settings(max_examples=25, deadline=None)
@given(paths, actions)
def test_pushes_tell_the_same_story_as_queries(moves: list[float], todo: list[tuple[Action, int]]) -> None:
    made, events = play(moves, todo)
    for uid in UIDS:
        mine = [event.payload for event in events if event.uid == uid]
        pushed = [payload.execution for payload in mine if isinstance(payload, Execution)]
        assert pushed == list(reversed(made.executions(uid)))
        last = {payload.order.order_id: payload.order for payload in mine if isinstance(payload, OrderUpdate)}
        assert len({one.exec_id for one in pushed}) == len(pushed)
        for view in made.open_orders(uid):
            assert last[view.order_id] == view
