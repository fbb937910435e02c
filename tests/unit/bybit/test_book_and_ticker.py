"""Our own book and ticker follow the documented rules and never show what they cannot know."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit.book import BookGap, OrderBook
from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.adapters.bybit.ticker import Ticker
from tests.unit.bybit.fake_venue import FULL_TICKER, NOW_MS, book_message, ticker_message

BIDS = [["100", "1"], ["99", "2"]]
ASKS = [["101", "1"], ["102", "2"]]


def fresh() -> OrderBook:
    book = OrderBook("BTCUSDT")
    assert book.apply(book_message("snapshot", 10, BIDS, ASKS)) is not None
    return book


def test_documented_snapshot(shared_file: Callable[[str], Path]) -> None:
    text = shared_file("bybit/examples/WS_public_orderbook__ws_push__snapshot__snapshot.json").read_text()
    view = OrderBook("BTCUSDT").apply(json.loads(text))
    assert view is not None
    assert view.bids[0] == (Decimal("16493.50"), Decimal("0.006"))
    assert view.asks[0] == (Decimal("16611.00"), Decimal("0.029"))


def test_documented_delta_without_a_snapshot_is_a_gap(shared_file: Callable[[str], Path]) -> None:
    text = shared_file("bybit/examples/WS_public_orderbook__ws_push__delta__delta.json").read_text()
    with pytest.raises(BookGap):
        OrderBook("BTCUSDT").apply(json.loads(text))


def test_a_delta_inserts_sorted_updates_and_deletes() -> None:
    view = fresh().apply(book_message("delta", 11, [["100.5", "3"], ["99", "0"]], [["101", "5"], ["777", "0"]]))
    assert view is not None
    assert view.bids == ((Decimal("100.5"), Decimal(3)), (Decimal(100), Decimal(1)))
    assert view.asks == ((Decimal(101), Decimal(5)), (Decimal(102), Decimal(2)))
    assert view.update_id == 11


def test_f05_a_gap_makes_the_book_invalid_until_the_next_snapshot() -> None:
    book = fresh()
    with pytest.raises(BookGap, match="does not follow 10"):
        book.apply(book_message("delta", 12, [], []))
    assert not book.valid
    with pytest.raises(BookGap, match="without a snapshot"):
        book.apply(book_message("delta", 13, [], []))
    assert book.apply(book_message("snapshot", 20, BIDS, ASKS)) is not None


def test_f03_repeated_updates_change_nothing() -> None:
    book = fresh()
    assert book.apply(book_message("snapshot", 10, [["1", "1"]], ASKS)) is None
    assert book.apply(book_message("delta", 10, [["100", "0"]], [])) is None
    assert book.apply(book_message("delta", 9, [["100", "0"]], [])) is None
    assert book.repeated == 3
    view = book.apply(book_message("delta", 11, [], []))
    assert view is not None
    assert view.bids[0] == (Decimal(100), Decimal(1))


def test_update_id_one_means_the_service_restarted() -> None:
    book = fresh()
    view = book.apply(book_message("delta", 1, [["90", "1"]], [["91", "1"]]))
    assert view is not None
    assert view.bids == ((Decimal(90), Decimal(1)),)
    assert book.apply(book_message("delta", 2, [["90", "2"]], [])) is not None


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([["0", "1"]], ASKS),
        ([["-1", "1"]], ASKS),
        ([["NaN", "1"]], ASKS),
        ([["1e10", "1"]], ASKS),
        ([["100", "-1"]], ASKS),
        ([["100", "Infinity"]], ASKS),
        ([[100.0, "1"]], ASKS),
        ([["100"]], ASKS),
        ([["101", "1"]], ASKS),
        ([["105", "1"]], ASKS),
        ([], ASKS),
        (BIDS, "none"),
    ],
)
def test_f07_an_impossible_book_is_refused(bids: list[list[str]], asks: list[list[str]]) -> None:
    book = fresh()
    with pytest.raises(BadData):
        book.apply(book_message("snapshot", 30, bids, asks))
    assert not book.valid


def test_a_book_of_another_symbol_is_refused() -> None:
    with pytest.raises(BadData, match="BTCUSDT"):
        fresh().apply(book_message("delta", 11, [], [], symbol="ETHUSDT"))


LEVEL = st.tuples(st.integers(1, 40), st.integers(0, 5))


@given(st.lists(st.lists(LEVEL, max_size=5), max_size=20))
def test_the_book_equals_a_replayed_dictionary(deltas: list[list[tuple[int, int]]]) -> None:
    """Bids below 100 and asks above, so that no delta can cross the book."""
    book, bids, asks = fresh(), {Decimal(100): Decimal(1), Decimal(99): Decimal(2)}, None
    for number, delta in enumerate(deltas, 11):
        changes = [[str(price), str(qty)] for price, qty in delta]
        view = book.apply(book_message("delta", number, changes, []))
        for price, qty in delta:
            bids[Decimal(price)] = Decimal(qty)
        bids = {price: qty for price, qty in bids.items() if qty}
        assert view is not None
        assert dict(view.bids) == bids
        assert [price for price, _ in view.bids] == sorted(bids, reverse=True)
        assert asks is None or view.asks == asks
        asks = view.asks


# ------------------------------------------------------------------ ticker


def test_a_ticker_merges_deltas() -> None:
    ticker = Ticker("BTCUSDT")
    ticker.apply(ticker_message("snapshot", **FULL_TICKER))
    view = ticker.apply(ticker_message("delta", ts=NOW_MS + 100, lastPrice="59000"))
    assert view is not None
    assert (view.last, view.mark, view.ts_ms) == (Decimal(59000), Decimal(60001), NOW_MS + 100)
    assert view.next_funding_ms == NOW_MS + 3_600_000
    assert view.turnover_24h_usdt == Decimal("1500000000.25")


def test_documented_ticker(shared_file: Callable[[str], Path]) -> None:
    text = shared_file("bybit/examples/WS_public_tickers__ws_push__snapshot__linear.json").read_text()
    view = Ticker("BTCUSDT").apply(json.loads(text))
    assert view is not None
    assert (view.last, view.index) == (Decimal("66666.60"), Decimal("115418.19"))


def test_f04_an_older_delta_is_dropped_and_counted() -> None:
    ticker = Ticker("BTCUSDT")
    ticker.apply(ticker_message("snapshot", **FULL_TICKER))
    assert ticker.apply(ticker_message("delta", ts=NOW_MS - 1, lastPrice="1")) is None
    assert ticker.late == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"lastPrice": "0"},
        {"markPrice": "NaN"},
        {"indexPrice": "-1"},
        {"lastPrice": "1e15"},
        {"lastPrice": ""},
        {"fundingRate": "2"},
        {"nextFundingTime": "never"},
    ],
)
def test_f07_an_impossible_ticker_is_refused_and_forgotten(changes: dict[str, str]) -> None:
    ticker = Ticker("BTCUSDT")
    ticker.apply(ticker_message("snapshot", **FULL_TICKER))
    with pytest.raises(BadData):
        ticker.apply(ticker_message("delta", **changes))
    with pytest.raises(BadData, match="without a snapshot"):
        ticker.apply(ticker_message("delta", lastPrice="60000"))


def test_a_delta_before_the_snapshot_is_refused() -> None:
    with pytest.raises(BadData, match="without a snapshot"):
        Ticker("BTCUSDT").apply(ticker_message("delta", lastPrice="60000"))
