"""The order fold: any interleaving of outcomes, views and fills ends in one state and never goes backwards."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.order import (
    TRANSITIONS,
    Accepted,
    OrderState,
    OrderStatus,
    OrderView,
    Rejected,
    SubmitOutcome,
    Unknown,
    advance,
    order_link_id,
)
from tests.unit.domain.make import request, view

D = Decimal
S = OrderStatus
REQUEST = request("1")
VIEWED = [status for status in S if not status.of_outcome]
Evidence = SubmitOutcome | OrderView | tuple[str, Decimal]

outcomes: st.SearchStrategy[SubmitOutcome] = st.sampled_from(
    [
        Accepted("venue-1"),
        Unknown("timeout"),
        Rejected("110007", "balance"),
        Rejected("110003", "price"),
        Rejected("10006", "too many", retry=True),
    ]
)
views = st.builds(
    view,
    st.just(REQUEST),
    st.sampled_from(VIEWED),
    st.sampled_from(["0", "0.2", "0.5", "1"]),
    st.integers(min_value=0, max_value=3),
)
fills = st.sampled_from([("e1", D("0.2")), ("e2", D("0.3")), ("e3", D("0.5"))])
histories = st.lists(st.one_of(outcomes, views, fills), max_size=8)


def fold(history: list[Evidence], state: OrderState | None = None) -> OrderState:
    state = OrderState(request=REQUEST) if state is None else state
    for item in history:
        state = apply(state, item)
    return state


def apply(state: OrderState, item: Evidence) -> OrderState:
    if isinstance(item, OrderView):
        return state.apply_view(item)
    if isinstance(item, tuple):
        return state.apply_execution(*item)
    return state.apply_outcome(item)


@given(st.data(), histories)
def test_any_order_of_arrival_ends_in_the_same_state(data: st.DataObject, history: list[Evidence]) -> None:
    shuffled = data.draw(st.permutations(history))
    assert fold(shuffled) == fold(history)


@given(histories)
def test_hearing_everything_twice_changes_nothing(history: list[Evidence]) -> None:
    once = fold(history)
    assert fold(history, once) == once


@given(histories)
def test_it_never_goes_backwards(history: list[Evidence]) -> None:
    state = OrderState(request=REQUEST)
    for item in history:
        after = apply(state, item)
        assert after.cum_qty >= state.cum_qty
        assert after.executed_qty >= state.executed_qty
        if state.from_view is not None:
            assert after.from_view is not None
            assert after.from_view is state.from_view or after.from_view in TRANSITIONS[state.from_view]
            assert after.worst_case_qty <= state.worst_case_qty
            assert after.terminal or not state.terminal, "what the venue closed stays closed"
        assert after.from_outcome is state.from_outcome or after.from_outcome in TRANSITIONS[state.from_outcome]
        state = after


@given(histories)
def test_g8_unknown_counts_until_the_venue_speaks(history: list[Evidence]) -> None:
    silent = [item for item in history if not isinstance(item, OrderView | tuple)]
    state = fold([*silent, Unknown("timeout")])
    assert state.worst_case_qty == REQUEST.qty
    assert not state.terminal


@given(histories)
def test_what_is_outstanding_covers_what_may_still_reach_the_position(history: list[Evidence]) -> None:
    state = fold(history)
    assert state.outstanding_qty >= max(D(0), state.cum_qty - state.executed_qty)
    assert state.outstanding_qty + state.executed_qty >= state.cum_qty + state.worst_case_qty
    assert state.worst_case_qty + state.cum_qty >= (D(0) if state.terminal else REQUEST.qty)


@given(st.lists(st.sampled_from(list(S)), min_size=1, max_size=6), st.data())
def test_views_join_in_any_order(statuses: list[OrderStatus], data: st.DataObject) -> None:
    heard = [status for status in statuses if not status.of_outcome] or [S.NEW]
    shuffled = data.draw(st.permutations(heard))

    def last(order: list[OrderStatus]) -> OrderStatus:
        status = order[0]
        for item in order:
            status = advance(status, item)
        return status

    assert last(heard) is last(shuffled)


@given(st.text(min_size=1, max_size=40), st.integers(0, 10**6), st.text(min_size=1, max_size=40), st.integers(0, 10**6))
def test_ids_differ_exactly_when_the_attempts_do(one: str, n: int, other: str, m: int) -> None:
    assert (order_link_id(one, n) == order_link_id(other, m)) == ((one, n) == (other, m))
