"""The pace: whatever the jitter of the line, the venue never counts more than its limit, and cancels never starve."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit.pace import Allowance, Kind, Lane, Pace, Ticket
from hedgelock_actors.simulator.rate_limit import Quota, RollingWindow

NOW = 1_700_000_000_000


@dataclass
class VenueSide:
    """A rolling window as the venue keeps it, over arrivals in any order of sending."""

    window: RollingWindow = field(default_factory=lambda: RollingWindow(Quota(10)))
    refused: int = 0

    def arrive(self, units: int, at_ms: int) -> None:
        for _ in range(units):
            self.refused += not self.window.take(at_ms).allowed


requests = st.lists(
    st.tuples(
        st.integers(0, 400),  # ms since the request before
        st.integers(0, 300),  # ms on the way there
        st.integers(0, 300),  # ms on the way back
        st.integers(1, 10),  # orders in it
    ),
    min_size=1,
    max_size=120,
)


@settings(max_examples=300)
@given(requests)
def test_f20_the_venue_never_counts_more_than_its_limit_whatever_the_jitter(
    made: list[tuple[int, int, int, int]],
) -> None:
    lane, venue, now = Lane(10), VenueSide(), NOW
    happening: list[tuple[int, int, str, int, Ticket]] = []
    sent = 0
    for number, (pause, there, back, units) in enumerate(made):
        now += pause
        _let_happen(happening, now, lane, venue)
        ticket = lane.take(units, now)
        if ticket is None:
            assert lane.ready_ms(units, now) >= now
            continue
        sent += 1
        heapq.heappush(happening, (now + there, 2 * number, "arrives", units, ticket))
        heapq.heappush(happening, (now + there + back, 2 * number + 1, "answered", units, ticket))
    _let_happen(happening, now + 10_000, lane, venue)
    assert sent > 0
    assert venue.refused == 0


def _let_happen(
    happening: list[tuple[int, int, str, int, Ticket]], until_ms: int, lane: Lane, venue: VenueSide
) -> None:
    while happening and happening[0][0] <= until_ms:
        at_ms, _, what, units, ticket = heapq.heappop(happening)
        if what == "arrives":
            venue.arrive(units, at_ms)
        else:
            lane.settle(ticket, at_ms)


@given(requests)
def test_a_lane_is_never_stuck_and_full_speed_is_reached(made: list[tuple[int, int, int, int]]) -> None:
    """Whoever waits for `ready_ms`, again and again, gets his turn within a window of the last answer."""
    lane, now = Lane(10), NOW
    for pause, there, back, units in made:
        now += pause
        tries = 0
        while (ticket := lane.take(units, now)) is None:
            ready = lane.ready_ms(units, now)
            assert now < ready <= now + 1_700
            now, tries = ready, tries + 1
            assert tries <= 11
        lane.settle(ticket, now + there + back)


def test_ten_a_second_go_through_when_answers_are_quick() -> None:
    lane, now, sent = Lane(10), NOW, 0
    while now < NOW + 10_000:
        ticket = lane.take(1, now)
        if ticket is not None:
            sent += 1
            lane.settle(ticket, now + 5)
        now += 1
    assert 95 <= sent <= 100


@given(st.lists(st.sampled_from([Kind.CREATE, Kind.AMEND]), max_size=200))
def test_f20_cancels_have_their_room_whatever_else_is_asked(asked: list[Kind]) -> None:
    pace = Pace()
    for kind in asked:
        pace.lanes[kind].take(1, NOW)
    taken = [pace.lanes[Kind.CANCEL].take(1, NOW) for _ in range(10)]
    assert None not in taken
    assert pace.lanes[Kind.CANCEL].take(1, NOW) is None


def test_a_batch_takes_a_unit_for_each_order_and_waits_for_enough_room() -> None:
    lane = Lane(10)
    first = lane.take(7, NOW)
    assert first is not None
    assert lane.take(4, NOW) is None
    lane.settle(first, NOW + 20)
    assert lane.take(4, NOW + 1_019) is None
    assert lane.ready_ms(4, NOW + 30) == NOW + 1_025
    assert lane.take(4, NOW + 1_025) is not None


def test_what_was_not_sent_is_given_back_and_a_ticket_counts_once() -> None:
    lane = Lane(1)
    ticket = lane.take(1, NOW)
    assert ticket is not None
    lane.forget(ticket)
    lane.forget(ticket)
    lane.settle(ticket, NOW)
    assert lane.take(1, NOW) is not None
    assert lane.take(1, NOW) is None


def test_the_venues_own_limit_is_learnt_and_so_is_that_somebody_else_uses_it() -> None:
    lane = Lane(10)
    ticket = lane.take(1, NOW)
    assert ticket is not None
    lane.settle(ticket, NOW, 0, Allowance(20, 12, NOW))
    assert (lane.limit, lane.foreign) == (20, 7)
    assert lane.take(13, NOW) is None
    assert lane.take(12, NOW) is not None


@pytest.mark.parametrize("said", [Allowance(0, 0, 0), Allowance(10, 11, 0), Allowance(10, -1, 0)])
def test_nonsense_about_the_limit_is_not_learnt(said: Allowance) -> None:
    lane = Lane(10)
    ticket = lane.take(1, NOW)
    assert ticket is not None
    lane.settle(ticket, NOW, 0, said)
    assert (lane.limit, lane.foreign) == (10, 0)


def test_a_fixed_pace_learns_nothing() -> None:
    pace = Pace(300)
    lane = pace.lanes[Kind.CREATE]
    ticket = lane.take(1, NOW)
    assert ticket is not None
    lane.settle(ticket, NOW, 0, Allowance(10, 0, NOW + 1_000))
    lane.refused(NOW + 1_000, NOW)
    assert lane.limit == 300
    assert lane.take(299, NOW) is not None
    assert pace.foreign == 0


@pytest.mark.parametrize(("reset", "until"), [(400, 405), (-5_000, 1_005), (10**9, 60_005)])
def test_f20_the_reset_of_a_refusal_is_honoured(reset: int, until: int) -> None:
    lane = Lane(10)
    lane.refused(NOW + reset, NOW)
    assert lane.take(1, NOW + until - 1) is None
    assert lane.ready_ms(1, NOW) == NOW + until
    assert lane.take(1, NOW + until) is not None


def test_a_block_holds_every_kind() -> None:
    pace = Pace()
    pace.block(NOW + 1_000)
    assert [pace.lanes[kind].take(1, NOW + 999) for kind in Kind] == [None, None, None]
    assert None not in [pace.lanes[kind].take(1, NOW + 1_000) for kind in Kind]


def test_the_venues_time_in_an_answer_counts_when_it_is_a_little_ahead() -> None:
    lane = Lane(1)
    ahead = lane.take(1, NOW)
    assert ahead is not None
    lane.settle(ahead, NOW, NOW + 100)
    assert lane.ready_ms(1, NOW) == NOW + 1_105
    far = Lane(1)
    wrong = far.take(1, NOW)
    assert wrong is not None
    far.settle(wrong, NOW, NOW + 10**9)
    assert far.ready_ms(1, NOW) == NOW + 1_255


def test_some_room_can_be_left_for_others() -> None:
    lane = Lane(10)
    taken: deque[object] = deque(lane.take(1, NOW, spare=3) for _ in range(8))
    assert taken.pop() is None
    assert None not in taken
    assert lane.ready_ms(1, NOW, spare=3) > NOW
    assert lane.take(3, NOW) is not None
    lane.force(5)
    assert lane.take(1, NOW) is None
