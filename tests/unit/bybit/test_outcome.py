"""One table says what an answer means; what is not in it is Unknown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit.outcome import (
    AMEND,
    CANCEL,
    CREATE,
    REPAY,
    TRANSFER,
    Answer,
    HttpFailure,
    Meaning,
    NoAnswer,
    NotSent,
    amend_outcome,
    cancel_outcome,
    in_trouble,
    meaning,
    submit_outcome,
)
from hedgelock_actors.domain.order import Accepted, Rejected, Unknown

REFUSED = [10001, 10003, 10004, 10005, 10010, 10024, 10027, 33004]
REFUSED += [110003, 110004, 110006, 110007, 110012, 110017, 110020, 110021, 110066, 110090, 110094]
REFUSED += [110023, 110063, 30228]
REFUSED_FOR_NOW = [10002, 10006, 10019, 10403, 10429]
UNKNOWN = [10000, 10014, 10016, 3400214, 20006, 40004]
DOCUMENTED = {0, 110072, *REFUSED, *REFUSED_FOR_NOW, *UNKNOWN}


def said(code: int, **result: str) -> Answer:
    return Answer(code=code, text="text", time_ms=1, result=result)


def test_the_table_holds_every_documented_code_and_no_other() -> None:
    assert set(CREATE) == DOCUMENTED


@pytest.mark.parametrize("code", REFUSED)
def test_refused_before_effect(code: int) -> None:
    assert submit_outcome(said(code)) == Rejected(str(code), "text", retry=False)


@pytest.mark.parametrize("code", REFUSED_FOR_NOW)
def test_refused_but_the_same_id_may_be_sent_again(code: int) -> None:
    assert submit_outcome(said(code)) == Rejected(str(code), "text", retry=True)


@pytest.mark.parametrize("code", UNKNOWN)
def test_f18_server_errors_are_unknown_and_not_rejections(code: int) -> None:
    assert isinstance(submit_outcome(said(code)), Unknown)
    assert isinstance(cancel_outcome(said(code)), Unknown)


def test_accepted_carries_the_venues_id() -> None:
    assert submit_outcome(said(0, orderId="abc")) == Accepted("abc")


def test_f17_a_duplicate_id_is_adopted() -> None:
    assert submit_outcome(said(110072)) == Accepted("")
    assert submit_outcome(said(131214), TRANSFER, "transferId") == Accepted("")


@given(st.integers(min_value=-10, max_value=10**7).filter(lambda code: code not in DOCUMENTED))
def test_f19_a_code_that_nobody_documented_is_unknown(code: int) -> None:
    assert isinstance(submit_outcome(said(code)), Unknown)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 502, 503, 504])
def test_http_failures_are_unknown(status: int) -> None:
    assert isinstance(submit_outcome(HttpFailure(status=status)), Unknown)


def test_429_is_refused_and_may_be_tried_again() -> None:
    assert submit_outcome(HttpFailure(status=429)) == Rejected("429", "HTTP 429: system protection", retry=True)


def test_no_answer_is_unknown() -> None:
    assert submit_outcome(NoAnswer(cause="ReadTimeout")) == Unknown("ReadTimeout")


def test_f24_cancelling_what_is_not_visible_yet_is_unknown() -> None:
    assert isinstance(cancel_outcome(said(110001)), Unknown)
    assert cancel_outcome(said(110008)) == Rejected("110008", "text")
    assert cancel_outcome(said(110010)) == Rejected("110010", "text")
    assert isinstance(submit_outcome(said(110001)), Unknown)  # of a create it is not documented


def test_loans_and_transfers_have_their_own_refusals() -> None:
    assert meaning(148029, REPAY) is Meaning.REFUSED
    assert meaning(148021, REPAY) is Meaning.REFUSED_FOR_NOW
    assert meaning(148999, REPAY) is Meaning.UNKNOWN
    assert meaning(131228, TRANSFER) is Meaning.REFUSED
    assert meaning(131228, CANCEL) is Meaning.UNKNOWN


@pytest.mark.parametrize("table", [CREATE, AMEND, CANCEL, TRANSFER, REPAY])
def test_every_table_knows_the_codes_that_any_request_may_meet(table: Mapping[int, Meaning]) -> None:
    assert table[0] is Meaning.ACCEPTED
    common = [code for code in REFUSED if code < 100_000 and code != 30228]
    assert {table[code] for code in common} == {Meaning.REFUSED}
    assert {table[code] for code in REFUSED_FOR_NOW} == {Meaning.REFUSED_FOR_NOW}
    assert {table[code] for code in UNKNOWN} == {Meaning.UNKNOWN}


def test_f32_an_amendment_is_three_valued() -> None:
    assert amend_outcome(said(0, orderId="o-1")) == Accepted("o-1")
    assert amend_outcome(said(110001)) == Rejected("110001", "text"), "no such order: nothing was changed"
    assert amend_outcome(said(110079)) == Rejected("110079", "text", retry=True)
    assert isinstance(amend_outcome(said(10016)), Unknown)
    assert isinstance(amend_outcome(NoAnswer(cause="lost")), Unknown)


@pytest.mark.parametrize("code", [110063, 110066])
def test_f10_a_cancel_that_meets_a_venue_at_rest_may_be_sent_again(code: int) -> None:
    assert cancel_outcome(said(code)) == Rejected(str(code), "text", retry=True)


def test_what_was_not_sent_may_be_sent_again() -> None:
    assert submit_outcome(NotSent(code="PACE", text="later")) == Rejected("PACE", "later", retry=True)


def test_trouble_of_the_venue_is_not_its_no() -> None:
    assert in_trouble(NoAnswer(cause="lost"))
    assert in_trouble(HttpFailure(status=503))
    assert in_trouble(said(10016))
    assert not in_trouble(said(110007))
    assert not in_trouble(said(10006))
    assert not in_trouble(NotSent(code="PACE", text="later"))
