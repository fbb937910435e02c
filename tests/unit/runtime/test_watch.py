"""A restart is told from a late answer by the process that answers, not by the silence."""

from __future__ import annotations

from hedgelock_actors.runtime.names import Declared
from hedgelock_actors.runtime.watch import Watched


def watched() -> Watched:
    one = Watched(Declared(kind="treasury", name="treasury"))
    assert one.heard(answer(born_ms=1), 10.0) is None
    return one


def answer(*, born_ms: int, status: str = "ready") -> dict[str, object]:
    return {"born_ms": born_ms, "status": status, "ready_after_ms": 50 if status == "ready" else 0}


def test_a_late_answer_of_the_same_process_is_no_restart() -> None:
    one = watched()
    assert one.silent()
    assert not one.silent()
    ended = one.heard(answer(born_ms=1), 12.5)
    assert ended is not None
    assert (ended.restarted, ended.wall_s) == (False, 2.5)
    assert one.down_since is None


def test_another_process_is_a_restart_that_ends_when_it_is_ready() -> None:
    one = watched()
    assert one.silent()
    assert one.heard(answer(born_ms=2, status="starting"), 11.0) is None
    ended = one.heard(answer(born_ms=2), 13.0)
    assert ended is not None
    assert (ended.restarted, ended.wall_s) == (True, 3.0)
    assert one.heard(answer(born_ms=2), 14.0) is None


def test_a_restart_between_two_looks_is_seen() -> None:
    ended = watched().heard(answer(born_ms=2), 10.5)
    assert ended is not None
    assert ended.restarted
    assert ended.wall_s == 0.5


def test_an_actor_that_was_never_ready_is_not_down() -> None:
    one = Watched(Declared(kind="treasury", name="treasury"))
    assert not one.silent()
    assert one.heard(answer(born_ms=1), 1.0) is None


def test_f52_restarts_beyond_the_budget_are_too_many_and_old_ones_are_forgotten() -> None:
    one = watched()
    assert [one.too_often(float(at)) for at in range(6)] == [False] * 5 + [True]
    assert not one.too_often(602.0)
    assert not one.too_often(1_201.0)
