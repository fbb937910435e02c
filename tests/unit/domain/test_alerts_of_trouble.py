"""What people are told of messages set aside, dying actors, ending keys, full disks, and spreads."""

from __future__ import annotations

import pytest

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import (
    alerts_for,
    disk_filling,
    key_expires_soon,
    message_set_aside,
    restarts_too_often,
)
from hedgelock_actors.domain.messages import SpreadReported


def test_each_says_what_happened_and_where() -> None:
    aside = message_set_aside("treasury", "notifier", "it died of it", 1)
    assert (aside.severity, "treasury → notifier: it died of it" in aside.body) == (Severity.HIGH, True)
    again = restarts_too_often("market-feed", 5, 600.0, 1)
    assert (again.severity, "More than 5 restarts within 10 min" in again.body) == (Severity.CRITICAL, True)
    disk = disk_filling("/journal", 0.83, 1)
    assert (disk.severity, "/journal: 83% are used" in disk.body) == (Severity.HIGH, True)


@pytest.mark.parametrize(
    ("days", "severity", "title"),
    [
        (13.0, Severity.HIGH, "The API key of main ends in 13 days"),
        (2.0, Severity.CRITICAL, "The API key of main ends in 2 days"),
        (0.2, Severity.CRITICAL, "The API key of main ends"),
    ],
)
def test_a_key_that_ends_is_told_louder_and_louder(days: float, severity: Severity, title: str) -> None:
    told = key_expires_soon("main", days, 1)
    assert (told.severity, told.title) == (severity, title)


@pytest.mark.parametrize(
    ("success", "rolled_back", "severity", "title"),
    [
        (True, False, Severity.LOW, "Spread s1 is on"),
        (False, True, Severity.HIGH, "Spread s1 was taken back"),
        (False, False, Severity.HIGH, "Spread s1 was not completed: what filled is kept"),
    ],
)
def test_a_spreads_end_is_told(success: bool, rolled_back: bool, severity: Severity, title: str) -> None:
    report = SpreadReported(
        account="main",
        spread_id="s1",
        ts_ms=1,
        success=success,
        trigger="",
        rolled_back=rolled_back,
        detail="main: 1 of 1",
        error="",
    )
    [told] = alerts_for(report)
    assert (told.severity, told.title, told.body) == (severity, title, "main: 1 of 1")
