"""Which prices are fit to decide on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.market import Quote, QuotePolicy, Suspect, check_quote, depth_within, stale_ms
from tests.unit.domain.make import BTC, NOW, quote

D = Decimal
POLICY = QuotePolicy()


def reason(new: Quote, previous: Quote | None = None, now_ms: int = NOW) -> str:
    found = check_quote(new, previous, POLICY, now_ms)
    assert isinstance(found, Suspect), found
    return found.reason


def test_a_good_quote_passes_unchanged() -> None:
    assert check_quote(quote(), None, POLICY, NOW) == quote()
    assert check_quote(quote(), quote("59000"), POLICY, NOW) == quote()
    assert quote().mid == D(60_000)
    assert quote(index=D(59_000)).lender_price == D(59_000)


@pytest.mark.parametrize("field", ["last", "mark", "index", "bid", "ask"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_f07_no_absurd_number_passes(field: str, value: str) -> None:
    assert field in reason(quote(**{field: D(value)}))


def test_f03_f04_older_quotes_are_dropped_and_equal_times_pass() -> None:
    assert "older" in reason(quote(ts_ms=NOW - 1), quote())
    assert check_quote(quote(), quote(), POLICY, NOW) == quote()


def test_f01_a_stale_quote_is_no_quote() -> None:
    assert "stale" in reason(quote(ts_ms=NOW - POLICY.max_age_ms - 1))
    assert stale_ms(quote(ts_ms=NOW - 7), NOW) == 7
    assert stale_ms(quote(ts_ms=NOW + 7), NOW) == 0


def test_a_quote_from_the_future_is_no_quote() -> None:
    assert "future" in reason(quote(ts_ms=NOW + POLICY.max_ahead_ms + 1))


def test_a_crossed_or_gaping_book_is_no_quote() -> None:
    assert "crossed" in reason(quote(bid=D(60_001), ask=D(60_000)))
    assert "spread" in reason(quote(bid=D(58_000), ask=D(62_000)))


def test_f06_one_print_does_not_make_a_jump() -> None:
    assert "jump of one source" in reason(quote(last=D(40_000)), quote())


def test_f06_a_jump_of_all_sources_together_is_taken() -> None:
    assert check_quote(quote("40000"), quote(), POLICY, NOW) == quote("40000")


def test_f06_a_jump_needs_closer_agreement_than_ordinary_prices() -> None:
    apart = quote("40000", mark=D(42_500))
    assert "without agreement" in reason(apart, quote())
    assert check_quote(apart, quote("41000"), POLICY, NOW) == apart


@pytest.mark.parametrize("field", ["mark", "index", "last"])
def test_f08_sources_that_lie_apart_are_not_trusted(field: str) -> None:
    assert "apart" in reason(quote(**{field: D(52_000)}))


def test_depth_counts_what_rests_within_the_ratio() -> None:
    bids = [(D(99), D(2)), (D(98), D(10)), (D(90), D(100))]
    assert depth_within(bids, D(100), 0.01) == 198.0
    assert depth_within(bids, D(100), 0.02) == 1178.0
    assert depth_within([], D(100), 0.01) == 0.0


@pytest.mark.parametrize(("mid", "ratio"), [("0", 0.01), ("NaN", 0.01), ("100", 0.0), ("100", 1.0)])
def test_depth_of_nonsense_is_refused(mid: str, ratio: float) -> None:
    with pytest.raises(InvalidInput):
        depth_within([], D(mid), ratio)


@pytest.mark.parametrize("field", ["tick_size", "qty_step", "min_qty", "max_qty", "max_market_qty"])
def test_an_instrument_without_a_grid_is_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        replace(BTC, **{field: D(0)})
