"""Properties of prices, book and matching that hold for every input."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.simulator.book import SyntheticBook
from hedgelock_actors.simulator.book_stream import BookStream
from hedgelock_actors.simulator.instruments import BTCUSDT
from hedgelock_actors.simulator.market_views import BookView
from hedgelock_actors.simulator.matching import Fill, OrderBook, opposite
from hedgelock_actors.simulator.prices import Bar, BarPath
from hedgelock_actors.simulator.spec import BookShape
from hedgelock_actors.simulator.units import Units
from hedgelock_actors.simulator.words import Side

SIDES: tuple[Side, Side] = ("Buy", "Sell")
UNITS = Units(BTCUSDT)
SHAPE = BookShape(spread_bps=2.0, depth_usdt=200_000.0)
prices = st.floats(50.0, 150_000.0)


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    made = []
    for k in range(draw(st.integers(1, 6))):
        values = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
        open_, close = draw(st.permutations(values[1:3]))
        made.append(Bar(60_000 * k, open_, values[3], values[0], close, draw(st.floats(0, 1000))))
    return made


@given(bars(), st.integers(0, 2**32), st.integers(4, 30))
def test_a_path_begins_at_the_open_touches_both_extremes_and_ends_at_the_close(
    made: list[Bar], seed: int, per_minute: int
) -> None:
    path = BarPath(made, seed, per_minute)
    for bar in made:
        ticks = [path.take() for _ in range(per_minute)]
        seen = [tick.price for tick in ticks]
        assert (seen[0], seen[-1], min(seen), max(seen)) == (bar.open, bar.close, bar.low, bar.high)
        assert [tick.ts_ms for tick in ticks] == sorted({tick.ts_ms for tick in ticks})
    assert path.next_ms() is None


def fresh(seed: int, price: float = 60_000.0) -> OrderBook:
    book = OrderBook(SyntheticBook(UNITS, SHAPE, Random(seed)))
    book.synthetic.refresh(price)
    return book


@given(st.lists(prices, min_size=1, max_size=10), st.integers(0, 1000))
def test_the_made_up_book_is_sorted_uncrossed_and_never_empty(path: list[float], seed: int) -> None:
    book = fresh(seed)
    for price in path:
        book.synthetic.refresh(price)
        bids, asks = book.synthetic.bids, book.synthetic.asks
        assert bids[0][0] * UNITS.tick_float <= price * (1 + 1e-9)
        assert asks[0][0] * UNITS.tick_float >= price * (1 - 1e-9)
        assert bids[0][0] < asks[0][0]
        assert [level[0] for level in bids] == sorted({level[0] for level in bids}, reverse=True)
        assert [level[0] for level in asks] == sorted({level[0] for level in asks})
        assert all(level[1] > 0 for level in bids + asks)


resting = st.lists(st.tuples(st.sampled_from(SIDES), st.integers(1, 400), st.integers(1, 5000)), max_size=12)


def populate(book: OrderBook, wanted: list[tuple[Side, int, int]]) -> None:
    """Rest orders behind the touch, so that none crosses."""
    bid, ask = book.synthetic.bids[0][0], book.synthetic.asks[0][0]
    for number, (side, away, lots) in enumerate(wanted):
        price = bid + 1 - away if side == "Buy" else ask - 1 + away
        if not book.crosses(side, price):
            book.rest(f"o{number}", "u", side, price, lots)


@given(st.integers(0, 1000), resting, st.sampled_from(SIDES), st.integers(0, 600), st.integers(1, 60_000))
def test_a_taker_gets_the_best_prices_in_order_of_time_and_no_more_than_there_is(
    seed: int, wanted: list[tuple[Side, int, int]], side: Side, reach: int, lots: int
) -> None:
    book = fresh(seed)
    populate(book, wanted)
    other = opposite(side)
    best = book.best(other)
    assert best is not None
    limit = best + reach if side == "Buy" else best - reach
    available = book.available(side, limit)
    queue = {order.order_id: (order.key, order.lots) for order in book.resting(other)}
    fills: list[Fill] = []
    taken = book.take(side, limit, lots, fills.append)
    got = sum(fill.lots for fill in fills)
    assert got == min(lots, available)
    assert taken.left == lots - got
    seen = [fill.price for fill in fills]
    assert seen == sorted(seen, reverse=side == "Sell")
    assert all(price <= limit if side == "Buy" else price >= limit for price in seen)
    makers = [fill.maker for fill in fills if fill.maker is not None]
    assert [maker.key for maker in makers] == sorted(maker.key for maker in makers)
    if makers:
        # Every order with better priority than the last one hit is gone; the last one may be left in part.
        for order_id, (key, _) in queue.items():
            if key < makers[-1].key:
                assert all(order.order_id != order_id for order in book.resting(other))
    by_maker: dict[str, int] = {}
    for fill in fills:
        if fill.maker is not None:
            by_maker[fill.maker.order_id] = by_maker.get(fill.maker.order_id, 0) + fill.lots
    assert all(filled <= queue[order_id][1] for order_id, filled in by_maker.items())


@given(
    st.integers(0, 1000),
    resting,
    st.lists(st.tuples(st.floats(-0.01, 0.01), st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=8),
)
def test_the_market_moves_and_leaves_no_crossed_order(
    seed: int, wanted: list[tuple[Side, int, int]], moves: list[tuple[float, int, int]]
) -> None:
    book, price = fresh(seed), 60_000.0
    populate(book, wanted)
    start = {order.order_id: order.lots for side in SIDES for order in book.resting(side)}
    filled: dict[str, int] = {}

    def on_fill(fill: Fill) -> None:
        assert fill.maker is not None
        assert fill.price == fill.maker.price
        filled[fill.maker.order_id] = filled.get(fill.maker.order_id, 0) + fill.lots

    for move, sold, bought in moves:
        price *= 1 + move
        book.step(price, sold, bought, on_fill)
        bid, ask = book.best("Buy"), book.best("Sell")
        assert bid is None or ask is None or bid < ask
    left = {order.order_id: order.lots for side in SIDES for order in book.resting(side)}
    assert {name: left.get(name, 0) + filled.get(name, 0) for name in start} == start


sizes = st.dictionaries(st.integers(1, 60), st.integers(1, 5), max_size=30)


def as_view(bids: dict[int, int], asks: dict[int, int], seq: int) -> BookView:
    return BookView(
        symbol="BTCUSDT",
        ts_ms=seq,
        u=seq,
        seq=seq,
        bids=tuple((str(p), str(bids[p])) for p in sorted(bids, reverse=True)),
        asks=tuple((str(100 + p), str(asks[p])) for p in sorted(asks)),
    )


@settings(max_examples=50)
@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=12), st.sampled_from([1, 5, 50]))
def test_a_client_that_applies_the_deltas_has_the_book(
    states: list[tuple[dict[int, int], dict[int, int]]], depth: int
) -> None:
    stream = BookStream(depth)
    bids: dict[str, str] = {}
    asks: dict[str, str] = {}
    u = 0
    for seq, (new_bids, new_asks) in enumerate(states, 1):
        view = as_view(new_bids, new_asks, seq)
        message = stream.update(view)
        if message is not None:
            assert u == 0 or message.u == u + 1
            u = message.u
            if message.type == "snapshot":
                bids, asks = dict(message.bids), dict(message.asks)
            for side, rows in ((bids, message.bids), (asks, message.asks)):
                for price, size in rows:
                    if size == "0":
                        assert side.pop(price, None) is not None
                    else:
                        side[price] = size
        assert bids == dict(view.bids[:depth])
        assert asks == dict(view.asks[:depth])
