"""The order's life: one table, two kinds of evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken
from hedgelock_actors.domain.order import (
    TRANSITIONS,
    Accepted,
    AmendRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    Unknown,
    advance,
    order_link_id,
)
from tests.unit.domain.make import request, view

S = OrderStatus
D = Decimal
FRESH = OrderState(request=request("1"))


def test_the_table_names_every_status_and_has_no_cycle() -> None:
    assert set(TRANSITIONS) == set(S)
    for status, later in TRANSITIONS.items():
        assert status not in later
        for follower in later:
            assert status not in TRANSITIONS[follower], f"{status} and {follower} follow each other"
            assert TRANSITIONS[follower] <= later, f"{status} → {follower} is not transitive"


def test_nothing_follows_filled_and_only_fills_outweigh_a_cancel() -> None:
    assert TRANSITIONS[S.FILLED] == frozenset()
    assert TRANSITIONS[S.CANCELLED] == {S.FILLED}
    assert advance(S.FILLED, S.CANCELLED) is S.FILLED
    assert advance(S.NEW, S.PARTIALLY_FILLED) is S.PARTIALLY_FILLED


def test_ids_are_the_venues_form_and_a_function_of_the_attempt() -> None:
    ids = {order_link_id(f"intent-{n}", attempt) for n in range(50) for attempt in range(4)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,36}", link) for link in ids)
    assert order_link_id("intent-1", 0) == "hl-4e3ee1b2540f988ac83ff5ded066239c"
    assert order_link_id("a1", 1) != order_link_id("a", 11)


@pytest.mark.parametrize(("intent", "attempt"), [("", 0), ("x", -1)])
def test_an_id_needs_an_intent_and_an_attempt(intent: str, attempt: int) -> None:
    with pytest.raises(InvalidInput):
        order_link_id(intent, attempt)


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": D(0)},
        {"qty": D("NaN")},
        {"price": None},
        {"price": D(0)},
        {"order_type": OrderType.MARKET},
        {"order_link_id": "x" * 37},
        {"order_link_id": "with space"},
        {"order_link_id": ""},
    ],
)
def test_an_impossible_request_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(request(), **changes)  # type: ignore[arg-type]


def test_sides_mirror() -> None:
    assert Side.SELL.opposite is Side.BUY
    assert Side.BUY.opposite is Side.SELL
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


def test_a_fresh_order_counts_in_full() -> None:
    assert FRESH.status is S.PENDING_SUBMIT
    assert FRESH.worst_case_qty == FRESH.outstanding_qty == D(1)


def test_acknowledged_is_not_accepted() -> None:
    acked = FRESH.apply_outcome(Accepted("venue-1"))
    assert (acked.status, acked.order_id, acked.worst_case_qty) == (S.SUBMITTED, "venue-1", D(1))
    rejected = acked.apply_view(view(FRESH.request, S.REJECTED))
    assert (rejected.status, rejected.worst_case_qty) == (S.REJECTED, D(0))


def test_g8_unknown_stays_unknown_and_counts() -> None:
    unknown = FRESH.apply_outcome(Unknown("timeout"))
    assert (unknown.status, unknown.worst_case_qty) == (S.UNRESOLVED, D(1))
    refused_later = unknown.apply_outcome(Rejected("110007", "insufficient"))
    assert refused_later.status is S.UNRESOLVED, "the first send may still arrive"
    assert unknown.apply_outcome(Accepted("venue-1")).status is S.SUBMITTED


def test_a_final_refusal_ends_it_and_a_refusal_to_be_repeated_does_not() -> None:
    assert FRESH.apply_outcome(Rejected("110007", "insufficient")).status is S.REJECTED
    again = FRESH.apply_outcome(Rejected("10006", "too many", retry=True))
    assert again == FRESH


def test_f14_proven_absence_ends_it_until_the_venue_says_otherwise() -> None:
    absent = FRESH.apply_outcome(Unknown("timeout")).prove_absent("not found for 60 s, fenced")
    assert (absent.status, absent.worst_case_qty) == (S.REJECTED, D(0))
    late = absent.apply_view(view(FRESH.request, S.FILLED, "1"))
    assert (late.status, late.outstanding_qty) == (S.FILLED, D(1))
    assert absent.prove_absent("again") == absent
    with pytest.raises(InvariantBroken):
        FRESH.prove_absent("")


def test_f16_an_ack_after_the_fill_changes_nothing() -> None:
    filled = FRESH.apply_view(view(FRESH.request, S.FILLED, "1"))
    assert filled.apply_outcome(Accepted("venue-1")).status is S.FILLED


def test_f22_a_cancel_keeps_its_fills() -> None:
    partly = FRESH.apply_view(view(FRESH.request, S.CANCELLED, "0.4"))
    assert (partly.cum_qty, partly.worst_case_qty, partly.outstanding_qty) == (D("0.4"), D(0), D("0.4"))


def test_f23_two_filled_views_after_a_cancel_are_one_change() -> None:
    state = FRESH.apply_view(view(FRESH.request, S.CANCELLED, "0.4"))
    for _ in range(2):
        state = state.apply_view(view(FRESH.request, S.FILLED, "1"))
    assert (state.status, state.cum_qty) == (S.FILLED, D(1))


def test_what_is_outstanding_is_what_the_position_does_not_have_yet() -> None:
    state = FRESH.apply_view(view(FRESH.request, S.PARTIALLY_FILLED, "0.4"))
    assert state.worst_case_qty == D("0.6")
    assert state.outstanding_qty == D(1), "the view is here, its execution is not"
    state = state.apply_execution("e1", D("0.4"))
    assert state.outstanding_qty == D("0.6")
    early = FRESH.apply_execution("e1", D("0.4"))
    assert (early.status, early.outstanding_qty) == (S.PARTIALLY_FILLED, D("0.6")), "the execution came first"
    done = state.apply_view(view(FRESH.request, S.CANCELLED, "0.4"))
    assert done.outstanding_qty == D(0)


def test_executions_are_counted_once_and_complete_an_order() -> None:
    state = FRESH.apply_execution("e1", D("0.4")).apply_execution("e1", D("0.4")).apply_execution("e2", D("0.6"))
    assert (state.executed_qty, state.status, state.terminal) == (D(1), S.FILLED, True)


def test_a_view_of_another_order_is_a_bug() -> None:
    with pytest.raises(InvariantBroken):
        FRESH.apply_view(view(request(attempt=1), S.NEW))
    with pytest.raises(InvariantBroken, match="not a word of the venue"):
        FRESH.apply_view(view(FRESH.request, S.SUBMITTED))


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_an_amendment_to_no_price_cannot_be_made(price: str) -> None:
    with pytest.raises(InvalidInput, match=r"amend\.price"):
        AmendRequest(
            account="main", symbol="BTCUSDT", side=Side.SELL, order_link_id="hl-1", intent_id="i",
            price=Decimal(price), number=1,
        )  # fmt: skip
