"""What cannot be delivered is kept where people can read it, and people are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.messages import AlertRaised, AnyMessage
from hedgelock_actors.runtime import quarantine as module
from hedgelock_actors.runtime.quarantine import QUARANTINE_FILE, Quarantine


class Told:
    def __init__(self) -> None:
        self.got: list[tuple[str, AnyMessage]] = []
        self.failing = False

    async def tell(self, to: str, message: AnyMessage) -> None:
        if self.failing:
            raise OSError("nobody there")
        self.got.append((to, message))


def kept(state: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (state / QUARANTINE_FILE).read_text(encoding="utf-8").splitlines()]


async def test_f53_what_is_set_aside_is_kept_in_a_private_file_and_told(tmp_path: Path) -> None:
    told, quarantine = Told(), Quarantine(tmp_path, "treasury", ManualClock(7_000))
    quarantine.tell = told.tell
    quarantine.put("order-router-main", b'{"a":1}', "died")
    quarantine.put("order-router-main", b"\xff", "died")
    await asyncio.sleep(0)
    assert [(one["ts_ms"], one["sender"], one["to"], one["why"]) for one in kept(tmp_path)] == [
        (7_000, "treasury", "order-router-main", "died")
    ] * 2
    assert kept(tmp_path)[0]["message"] == '{"a":1}'
    assert (tmp_path / QUARANTINE_FILE).stat().st_mode & 0o777 == 0o600
    to, alert = told.got[0]
    assert isinstance(alert, AlertRaised)
    assert (to, alert.severity) == ("notifier", Severity.HIGH)
    assert "treasury → order-router-main: died" in alert.body
    assert told.got[1][1] == alert, "the same again is one alert"


async def test_f53_nothing_about_setting_aside_stops_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, quarantine = Told(), Quarantine(tmp_path / "missing", "treasury", ManualClock())
    quarantine.put("far", b"{}", "before there is a transport")
    quarantine.tell, told.failing = told.tell, True
    quarantine.put("far", b"{}", "died")
    await asyncio.sleep(0)
    told.failing = False
    quarantine.put("notifier", b"{}", "an alert about an alert goes in circles")
    await asyncio.sleep(0)
    assert told.got == []
    monkeypatch.setattr(module, "BYTES_MAX", 100)
    small = Quarantine(tmp_path, "treasury", ManualClock())
    for _ in range(5):
        small.put("far", b"{}" * 30, "died")
    assert len(kept(tmp_path)) == 1
