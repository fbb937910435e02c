"""Epochs: the highest wins, wherever and in whatever order it is heard."""

from __future__ import annotations

import itertools

import pytest

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState, merge, transition

ACTIVE, REDUCE_ONLY, HALTED = TradingMode


def test_a_change_takes_the_next_epoch_and_needs_a_reason() -> None:
    halted = transition(INITIAL, HALTED, "drill")
    assert halted == TradingState(HALTED, 1, "drill")
    assert transition(halted, ACTIVE, "over").epoch == 2
    with pytest.raises(InvalidInput, match="reason"):
        transition(INITIAL, HALTED, "  ")
    with pytest.raises(InvalidInput):
        TradingState(ACTIVE, -1)


def test_what_is_heard_in_any_order_gives_the_same_state() -> None:
    heard = [
        TradingState(HALTED, 2, "b"),
        TradingState(ACTIVE, 1, "a"),
        TradingState(REDUCE_ONLY, 2, "c"),
        TradingState(ACTIVE, 2, "d"),
    ]
    results = set()
    for order in itertools.permutations(heard):
        state = INITIAL
        for item in order:
            state = merge(state, item)
        results.add(state)
    assert results == {TradingState(HALTED, 2, "b")}, "within one epoch the stricter wins"


def test_a_lower_epoch_is_ignored() -> None:
    resumed = TradingState(ACTIVE, 5, "over")
    assert merge(resumed, TradingState(HALTED, 4, "late")) == resumed
    assert merge(resumed, resumed) == resumed


def test_severities_are_ordered() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2, 3]
