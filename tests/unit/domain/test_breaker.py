"""A dependency that fails is left alone, longer each time, and tried by one call at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.breaker import Breaker
from hedgelock_actors.domain.errors import InvalidInput


def opened(at_ms: int = 0) -> Breaker:
    breaker = Breaker(3, 1_000, 5_000)
    for _ in range(3):
        breaker.failed(at_ms)
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(3, 1_000, 5_000)
    for _ in range(5):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded(0)
    assert breaker.state == "closed"
    assert breaker.allows(0)
    assert opened().state == "open"


def test_while_open_nothing_goes_out_and_old_calls_change_nothing() -> None:
    breaker = opened()
    assert not breaker.allows(999)
    breaker.succeeded(500)
    breaker.failed(500)
    assert breaker.state == "open"
    assert not breaker.allows(999)
    assert breaker.allows(1_000)


def test_half_open_lets_one_probe_through() -> None:
    breaker = opened()
    assert [breaker.allows(1_000), breaker.allows(1_000), breaker.allows(1_500)] == [True, False, False]
    assert breaker.state == "half_open"
    breaker.succeeded(1_600)
    assert breaker.state == "closed"
    assert all(breaker.allows(1_600) for _ in range(10))


def test_a_probe_that_fails_doubles_the_open_time_up_to_the_most() -> None:
    breaker, now_ms = opened(), 0
    for open_ms in (1_000, 2_000, 4_000, 5_000, 5_000):
        assert not breaker.allows(now_ms + open_ms - 1)
        now_ms += open_ms
        assert breaker.allows(now_ms)
        breaker.failed(now_ms)
    now_ms += 5_000
    assert breaker.allows(now_ms)
    breaker.succeeded(now_ms)
    for _ in range(3):
        breaker.failed(now_ms)
    assert breaker.allows(now_ms + 1_000), "after a success it begins with the shortest time again"


def test_a_probe_that_nobody_heard_of_again_blocks_nothing_for_ever() -> None:
    breaker = opened()
    assert breaker.allows(1_000)
    assert not breaker.allows(1_999)
    assert breaker.allows(2_000)


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 2, 1)])
def test_nonsense_is_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput):
        Breaker(*bad)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from(["call", "lost"]), st.booleans()), max_size=60))
def test_a_dependency_that_is_down_is_called_rarely_and_never_given_up(steps: list[tuple[int, str, bool]]) -> None:
    breaker, now_ms, last_failure_ms = Breaker(2, 1_000, 8_000), 0, 0
    for wait_ms, kind, works in steps:
        now_ms += wait_ms
        was = breaker.state
        if not breaker.allows(now_ms):
            assert was != "closed"
            assert now_ms - last_failure_ms < 8_000, "never silent for longer than the most"
            continue
        if was == "open":
            assert now_ms - last_failure_ms >= 1_000
        last_failure_ms = now_ms
        if kind == "call":
            (breaker.succeeded if works else breaker.failed)(now_ms)
            assert not works or breaker.state == "closed"
