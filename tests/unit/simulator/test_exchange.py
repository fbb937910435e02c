"""The exchange as a whole: time, several markets, queries, and that it notices when its own books do not close."""

from __future__ import annotations

import json

import pytest

from hedgelock_actors.simulator.api import (
    BookChanged,
    ExchangeSpec,
    KlineChanged,
    PriceLimit,
    PublicTrades,
    TickerChanged,
)
from hedgelock_actors.simulator.book_stream import BookStream
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.simulator.instruments import INSTRUMENTS
from hedgelock_actors.simulator.ledger import CLEARING, FEES, OUTSIDE, BrokenInvariant, fund, unified
from hedgelock_actors.simulator.prices import RandomWalk
from tests.unit.simulator.rig import T0, UID, D, ListPath, account, exchange, order, place, run, run_out


def two_markets() -> Exchange:
    paths = {
        "BTCUSDT": ListPath([60000.0, 60010.0, 60020.0, 60030.0]),
        "ETHUSDT": ListPath([3000.0, 3001.0, 3002.0], start_ms=T0 + 1000),
    }
    return Exchange(ExchangeSpec(accounts=(account(),), instruments=INSTRUMENTS), paths, {}, 1)


def test_markets_start_together_at_the_latest_first_tick() -> None:
    venue = two_markets()
    assert (venue.start_ms, venue.now_ms) == (T0 + 1000, T0 + 1000)
    assert venue.ticker("BTCUSDT").index_price == 60010
    assert venue.ticker("ETHUSDT").index_price == 3000
    assert [one.symbol for one in venue.instruments()] == ["BTCUSDT", "ETHUSDT"]


def test_ticks_of_one_moment_are_one_step() -> None:
    venue = two_markets()
    assert venue.next_market_ms() == T0 + 2000
    events = venue.advance(T0 + 2000)
    assert {event.symbol for event in events} == {"BTCUSDT", "ETHUSDT"}
    assert {type(event.payload) for event in events} == {
        BookChanged,
        TickerChanged,
        PublicTrades,
        PriceLimit,
        KlineChanged,
    }
    assert venue.ticks == 1
    venue.advance(T0 + 3000)
    assert (venue.ticks, venue.next_market_ms()) == (2, None)


def test_a_hedge_in_ether_has_its_own_filters() -> None:
    venue = two_markets()
    ack = venue.request(UID, order(symbol="ETHUSDT", qty="0.005"), venue.now_ms)
    assert ack.ret_code == 10001
    place(venue, order(symbol="ETHUSDT", qty="0.05"))
    position = venue.position(UID, "ETHUSDT")
    assert (position.side, position.size) == ("Sell", D("0.05"))
    assert position.avg_price % D("0.01") == 0
    assert venue.position(UID, "BTCUSDT").size == 0


def test_internal_events_go_before_a_market_step_of_the_same_time() -> None:
    venue = exchange([60000.0, 50000.0, 50000.0])
    venue.request(UID, order(), T0 + 997)
    assert venue.next_internal_ms() == T0 + 1000
    venue.advance(T0 + 1000)
    assert venue.executions(UID)[0].exec_price > 59000


def test_a_request_brings_the_venue_to_its_time_and_loses_no_event() -> None:
    venue = exchange([60000.0, 60010.0, 60020.0, 60030.0])
    venue.request(UID, order(), T0 + 2500)
    assert (venue.now_ms, venue.ticks) == (T0 + 2500, 2)
    tickers = [e.ts_ms for e in venue.advance(T0 + 2600) if isinstance(e.payload, TickerChanged)]
    assert tickers == [T0 + 1000, T0 + 2000]


def test_an_unknown_client_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        exchange().request("nobody", order(), T0)


def test_klines_sum_up_the_minutes() -> None:
    venue = exchange([60000.0 + 10 * k for k in range(20)], step_ms=30_000, volume=1.0)
    run_out(venue)
    minutes = venue.klines("BTCUSDT", "1", limit=100)
    assert [bar.start_ms for bar in minutes] == [T0 + 60_000 * k for k in range(9, -1, -1)]
    five = venue.klines("BTCUSDT", "5")
    assert len(five) == 2
    newest, oldest = five
    assert oldest.volume == sum(bar.volume for bar in minutes[5:])
    assert (oldest.open, oldest.close) == (minutes[9].open, minutes[5].close)
    assert oldest.high == max(bar.high for bar in minutes[5:])
    assert (oldest.confirmed, newest.start_ms) == (True, T0 + 300_000)
    within = venue.klines("BTCUSDT", "1", start_ms=T0 + 60_000, end_ms=T0 + 120_000)
    assert [bar.start_ms for bar in within] == [T0 + 120_000, T0 + 60_000]
    with pytest.raises(ValueError, match="interval"):
        venue.klines("BTCUSDT", "7")


def test_the_ticker_survives_a_gap_in_the_data() -> None:
    venue = exchange([60000.0, 60100.0], step_ms=30 * 3_600_000)
    run(venue, 29 * 3_600_000)
    ticker = venue.ticker("BTCUSDT")
    assert ticker.prev_price_1h == ticker.prev_price_24h == ticker.last_price
    assert ticker.next_funding_ms == T0 + 32 * 3_600_000


def test_one_event_a_tick_moves_the_book_stream_by_one() -> None:
    venue = exchange([60000.0 + k for k in range(20)])
    stream = BookStream(50)
    messages = [stream.update(payload.book) for payload in run_out(venue).of(BookChanged)]
    sent = [message for message in messages if message is not None]
    assert [message.type for message in sent] == ["snapshot"] + ["delta"] * (len(sent) - 1)
    assert [message.u for message in sent] == list(range(1, len(sent) + 1))


def test_a_random_walk_runs_for_a_day_of_venue_time() -> None:
    path = RandomWalk(60000.0, T0, seed=3, tick_ms=60_000)
    venue = Exchange(ExchangeSpec(accounts=(account(),), instruments=INSTRUMENTS), {"BTCUSDT": path}, {}, 3)
    place(venue, order(qty="0.2"))
    venue.advance(T0 + 86_400_000)
    assert venue.ticks == 1440
    assert len(venue.funding_history("BTCUSDT")) == 3
    assert venue.next_market_ms() is not None


def test_the_report_is_plain_json() -> None:
    venue = exchange()
    place(venue, order())
    report = json.loads(json.dumps(venue.report(UID)))
    assert (report["orders"], report["fills"], report["positions"]) == (1, 1, {"BTCUSDT": -0.1})


@pytest.mark.parametrize(
    ("src", "dst", "amount"),
    [(FEES, unified(UID), "1"), (unified(UID), CLEARING, "0.00000001"), (OUTSIDE, fund(UID), "5")],
)
def test_money_that_moves_without_a_reason_stops_the_exchange(
    src: tuple[str, str], dst: tuple[str, str], amount: str
) -> None:
    venue = exchange()
    run(venue, 1000)
    venue._core.ledger.move("USDT", D(amount), src, dst)
    with pytest.raises(BrokenInvariant, match="tally"):
        run(venue, 1000)


def test_a_position_from_nowhere_stops_the_exchange() -> None:
    venue = exchange()
    venue._core.accounts[UID].positions["BTCUSDT"].lots = 5
    with pytest.raises(BrokenInvariant, match="positions"):
        run(venue, 1000)
