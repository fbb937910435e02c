"""Which mid belongs to which time after a fill."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.markouts import HORIZONS_MS, MID_MAX_AGE_MS, WAITING_MAX, Markout, MarkoutMeter

D = Decimal


def walk(meter: MarkoutMeter, *mids: tuple[int, str]) -> list[Markout]:
    return [done for at, mid in mids for done in meter.mid(at, D(mid))]


def test_the_last_mid_at_or_before_the_time_counts() -> None:
    meter = MarkoutMeter()
    meter.mid(0, D(100))
    meter.fill("a", 500)
    found = walk(
        meter,
        (1_400, "101"),  # the last before 1.5 s
        (1_501, "102"),
        (10_500, "103"),  # exactly at 10.5 s
        (10_500, "104"),  # a later word at the same time
        (50_000, "105"),
        (60_500, "106"),  # exactly at 60.5 s: there may be another one
        (60_501, "107"),
    )
    assert found == [Markout(exec_id="a", ts_ms=500, mids={1_000: D(101), 10_000: D(104), 60_000: D(106)})]
    assert walk(meter, (200_000, "1")) == []


def test_a_mid_that_is_too_old_says_nothing() -> None:
    meter = MarkoutMeter()
    meter.fill("a", 0)
    found = walk(meter, (1_000, "1"), (1_001, "2"), (10_000 + MID_MAX_AGE_MS, "3"), (60_001 + MID_MAX_AGE_MS, "4"))
    assert [dict(one.mids) for one in found] == [{1_000: D(1), 10_000: D(2)}]


def test_a_fill_that_is_heard_of_late_misses_the_first_horizons() -> None:
    meter = MarkoutMeter()
    meter.mid(30_000, D(1))
    meter.fill("late", 0)
    found = walk(meter, (45_000, "2"), (60_000, "3"), (61_000, "4"))
    assert [dict(one.mids) for one in found] == [{60_000: D(3)}]


def test_each_fill_waits_on_its_own_and_a_mid_from_the_past_is_ignored() -> None:
    meter = MarkoutMeter()
    meter.fill("a", 0)
    meter.fill("b", 5_000)
    assert walk(meter, (59_000, "1"), (58_000, "9"), (60_001, "2"))[0].exec_id == "a"
    found = walk(meter, (65_001, "3"))
    assert [(one.exec_id, one.mids[60_000]) for one in found] == [("b", D(2))]


def test_only_so_many_wait() -> None:
    meter = MarkoutMeter()
    for n in range(WAITING_MAX + 1):
        meter.fill(str(n), n)
    found = walk(meter, (0, "1"), (10**9, "2"))
    assert len(found) == WAITING_MAX
    assert found[0].exec_id == "1"
    assert set(HORIZONS_MS) == {1_000, 10_000, 60_000}
