"""Every number of the report, computed by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.domain.order import Side
from hedgelock_actors.reporting.execution_quality import ExecutionQuality, Quality, judge, percentile
from hedgelock_actors.reporting.intents import IntentRecord, read_intents
from tests.unit.reporting.records import NOW, Stream

D = Decimal


def judged(*streams: Stream) -> ExecutionQuality:
    return judge(read_intents([one.records for one in streams]))


def two_intents() -> Stream:
    """A sell of 2 at a mid of 100, wholly filled by two orders; a buy of 4 at 110 that fills by half and is left."""
    stream = Stream()
    first = stream.intent("one", "2", "100", NOW)
    stream.fill(first, "1.5", "99", NOW + 40, fee="0.3", mids={1_000: "98", 60_000: "90"})
    again = stream.intent("one", "0.5", "100", NOW + 300, attempt=1)
    stream.fill(again, "0.5", "101", NOW + 500, fee="-0.1", maker=True, mids={1_000: "102"})
    second = stream.intent("two", "4", "110", NOW + 9_000, side=Side.BUY, version=2)
    stream.fill(second, "2", "111", NOW + 9_100, fee="0.2", side=Side.BUY)
    stream.intent("three", "1", "112", NOW + 20_000, version=3)
    return stream


def test_shortfall_slippage_and_fees() -> None:
    found = judged(two_intents()).overall
    # Sell: 1.5 × (100 − 99) + 0.5 × (100 − 101) = 1, fees 0.2. Buy: 2 × (111 − 110) = 2, fees 0.2, and 2 × (112 − 110)
    # for what did not fill. The third filled nothing, and nothing came after it: 0.
    assert found.shortfall_usdt == pytest.approx(1 + 0.2 + 2 + 0.2 + 4)
    decided = 2 * 100 + 4 * 110 + 1 * 112
    assert found.shortfall_bps == pytest.approx(7.4 / decided * 10_000)
    assert found.execution_bps == pytest.approx(3 / decided * 10_000)
    assert found.fees_bps == pytest.approx(0.4 / decided * 10_000)
    assert found.opportunity_bps == pytest.approx(4 / decided * 10_000)
    traded = 1.5 * 99 + 0.5 * 101 + 2 * 111
    assert found.traded_usdt == pytest.approx(traded)
    assert found.fees_usdt == pytest.approx(0.4)
    # 99 against 100 is 100 bps worse, 101 is 100 bps better; 111 for 110 is 90.9 bps worse.
    slippage = (1.5 * 99 * 100 - 0.5 * 101 * 100 + 222 * (1 / 110 * 10_000)) / traded
    assert found.slippage_bps == pytest.approx(slippage)
    assert found.maker_share == pytest.approx(0.5 * 101 / traded)


def test_counts_fill_rates_and_times() -> None:
    found = judged(two_intents()).overall
    assert (found.targets, found.targets_filled) == (3, 1)
    assert (found.intents, found.orders, found.retries, found.fills) == (3, 4, 1, 3)
    assert found.fill_rate == pytest.approx(4 / 7)
    assert found.target_fill_rate == pytest.approx(1 / 3)
    assert (found.fill_ms_p50, found.fill_ms_p99) == (500.0, 500.0)


def test_markouts_are_weighted_by_value_and_carry_their_band() -> None:
    found = judged(two_intents()).overall
    one, sixty = found.markouts
    # 99 with the mid at 98 is 101.01 bps in a seller's favour; 101 with the mid at 102 is 99.01 bps against him.
    a, b, va, vb = 1 / 99 * 10_000, -1 / 101 * 10_000, 1.5 * 99, 0.5 * 101
    mean = (va * a + vb * b) / (va + vb)
    spread = ((va * (a - mean)) ** 2 + (vb * (b - mean)) ** 2) ** 0.5 / (va + vb)
    assert (one.horizon_ms, one.fills) == (1_000, 2)
    assert one.mean_bps == pytest.approx(mean)
    assert one.half_width_bps == pytest.approx(1.959964 * spread, rel=1e-6)
    assert (sixty.horizon_ms, sixty.fills, sixty.half_width_bps) == (60_000, 1, None)
    assert sixty.mean_bps == pytest.approx(9 / 99 * 10_000)


def test_a_buyer_s_markout_is_the_mirror() -> None:
    stream = Stream()
    link = stream.intent("one", "1", "100", side=Side.BUY)
    stream.fill(link, "1", "100", NOW, side=Side.BUY, mids={1_000: "101"})
    assert judged(stream).overall.markouts[0].mean_bps == pytest.approx(100)


def test_strategies_and_variants_stand_apart() -> None:
    stream = Stream()
    for n, (strategy, variant) in enumerate([("passive", "a"), ("passive", "b"), ("twap", ""), ("", "")]):
        link = stream.intent(f"i{n}", "1", "100", NOW + n, strategy=strategy, variant=variant, version=n + 1)
        stream.fill(link, "1", str(100 - n), NOW + n, maker=strategy == "passive")
    found = judged(stream)
    assert [(one.strategy, one.intents) for one in found.strategies] == [("aggressive", 1), ("passive", 2), ("twap", 1)]
    assert [(one.strategy, one.variant) for one in found.variants] == [("passive", "a"), ("passive", "b")]
    passive = found.strategies[1]
    assert (passive.maker_share, passive.shortfall_usdt) == (1.0, 1.0)
    assert found.overall.maker_share == pytest.approx(199 / 394)


def test_a_target_that_needed_two_intents_is_one_target() -> None:
    stream = Stream()
    first = stream.intent("g0", "1", "100", NOW, version=7)
    stream.fill(first, "0.4", "100", NOW)
    second = stream.intent("g1", "0.6", "100", NOW + 5_000, version=7)
    stream.fill(second, "0.6", "100", NOW + 5_000)
    stream.intent("r", "1", "100", NOW + 6_000, version=7, side=Side.BUY, realise="sweep-1")
    found = judged(stream).overall
    assert (found.targets, found.targets_filled, found.intents) == (2, 1, 3)


def test_what_was_not_wanted_any_more_is_no_miss() -> None:
    stream = Stream()
    first = stream.intent("a", "1", "100", NOW, version=1)
    stream.fill(first, "0.4", "100", NOW)
    stream.write("strategy_done", NOW + 1, {"intent_id": "main:a", "unwanted": True})
    second = stream.intent("b", "2", "100", NOW + 2, version=2)
    stream.fill(second, "1", "100", NOW + 2)
    stream.write("strategy_done", NOW + 3, {"intent_id": "main:b", "unwanted": False})
    stream.write("strategy_done", NOW + 3, {"intent_id": "unknown", "unwanted": True})
    found = judged(stream).overall
    assert (found.targets, found.targets_filled, found.targets_superseded) == (2, 0, 1)
    assert found.fill_rate == pytest.approx(1.4 / 2.4)
    assert found.target_fill_rate == 0


def test_what_is_no_fill_of_ours_is_left_out() -> None:
    stream = Stream()
    link = stream.intent("one", "1", "100")
    stream.fill(link, "1", "100", NOW, exec_id="same", fee="1")
    stream.fill(link, "1", "100", NOW, exec_id="same", fee="1")
    stream.fill("", "0.1", "100", NOW, exec_type="Funding", fee="5")
    stream.fill("a-person", "3", "100", NOW, fee="5")
    stream.write("resend", NOW, {"order_link_id": link})
    stream.write("resend", NOW, {"order_link_id": "unknown"})
    stream.write("markout", NOW, {"exec_id": "unknown", "mids": {}})
    stream.write("outcome", NOW, {"order_link_id": link})
    found = judged(stream).overall
    assert (found.fills, found.fees_usdt, found.retries) == (1, 1.0, 1)


def test_nothing_is_an_answer_too() -> None:
    found = judge([])
    assert (found.strategies, found.variants, found.judged) == ((), (), ())
    assert (found.overall.fill_rate, found.overall.target_fill_rate) == (1.0, 1.0)
    assert (found.overall.slippage_bps, found.overall.maker_share, found.overall.fill_ms_p50) == (None, None, None)
    assert found.overall.markouts == ()
    stream = Stream()
    stream.intent("blind", "1", "0")
    assert judged(stream).judged == ()


@pytest.mark.parametrize(
    ("values", "share", "is_"), [([], 0.5, None), ([3], 0.99, 3), ([1, 2], 0.5, 1.5), ([1, 2, 4], 1, 4)]
)
def test_percentiles_are_linear(values: list[float], share: float, is_: float | None) -> None:
    assert percentile(values, share) == is_


fills = st.tuples(
    st.decimals("0.001", "2", places=3),
    st.decimals("90", "110", places=1),
    st.decimals("-1", "1", places=3),
    st.booleans(),
)
decisions = st.lists(
    st.tuples(st.sampled_from(["", "passive", "twap"]), st.sampled_from(["", "a", "b"]), st.lists(fills, max_size=4)),
    min_size=1,
    max_size=8,
)


def stream_of(account: str, decided: Sequence[tuple[str, str, Sequence[Any]]]) -> Stream:
    stream = Stream(account)
    for n, (strategy, variant, done) in enumerate(decided):
        at = NOW + 1_000 * n
        link = stream.intent(f"i{n}", "3", "100", at, strategy=strategy, variant=variant, version=n // 2 + 1)
        for qty, price, fee, maker in done:
            later = {1_000: str(price + 1), 10_000: str(price - 1)}
            stream.fill(link, str(qty), str(price), at + 5, fee=str(fee), maker=maker, mids=later)
    return stream


def same(a: Quality, b: Quality) -> None:
    for mine, other in zip(numbers(a), numbers(b), strict=True):
        assert mine == (None if other is None else pytest.approx(other, rel=1e-9, abs=1e-9))


def numbers(one: Quality) -> list[Any]:
    plain = [getattr(one, name) for name in one.__slots__ if name not in ("strategy", "variant", "markouts")]
    points = [number for p in one.markouts for number in (p.horizon_ms, p.mean_bps, p.half_width_bps, p.fills)]
    return plain + points


@settings(max_examples=60, deadline=None)
@given(decisions, decisions, st.randoms(use_true_random=False))
def test_order_does_not_matter(first: Any, second: Any, rng: random.Random) -> None:
    streams = [stream_of("main", first), stream_of("other", second)]
    plain = judged(*streams)
    intents: list[IntentRecord] = read_intents([one.records for one in reversed(streams)])
    for one in intents:
        rng.shuffle(one.fills)
    rng.shuffle(intents)
    mixed = judge(intents)
    same(plain.overall, mixed.overall)
    for a, b in zip(plain.strategies + plain.variants, mixed.strategies + mixed.variants, strict=True):
        assert (a.strategy, a.variant) == (b.strategy, b.variant)
        same(a, b)


@settings(max_examples=40, deadline=None)
@given(decisions)
def test_the_parts_add_up_to_the_whole(decided: Any) -> None:
    found = judged(stream_of("main", decided))
    for name in ("intents", "orders", "retries", "fills"):
        assert sum(getattr(one, name) for one in found.strategies) == getattr(found.overall, name)
    for name in ("fees_usdt", "traded_usdt", "shortfall_usdt"):
        total = sum(getattr(one, name) for one in found.strategies)
        assert total == pytest.approx(getattr(found.overall, name), abs=1e-6)
    whole = found.overall
    assert whole.shortfall_bps == pytest.approx(whole.execution_bps + whole.fees_bps + whole.opportunity_bps, abs=1e-9)


def test_twice_the_quantity_costs_the_same_bps() -> None:
    small, large = Stream(), Stream()
    for stream, qty in ((small, "1"), (large, "2")):
        link = stream.intent("one", qty, "100")
        stream.fill(link, qty, "99", NOW, fee=str(D(qty) / 10))
    a, b = judged(small).overall, judged(large).overall
    assert a.shortfall_bps == pytest.approx(b.shortfall_bps)
    assert b.shortfall_usdt == pytest.approx(2 * a.shortfall_usdt)
    assert replace(a, strategy="x").strategy == "x"
