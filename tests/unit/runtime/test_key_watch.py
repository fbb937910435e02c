"""A key that is about to end is told two weeks before, whoever could not be asked is asked again later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.adapters.bybit.keys import key_expires_ms
from hedgelock_actors.adapters.bybit.outcome import Answer
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.ports.venue import VenueError
from hedgelock_actors.runtime import key_watch
from hedgelock_actors.runtime.config import load, parse
from hedgelock_actors.runtime.key_watch import DAY_MS, clients_of, keys_to_renew, look_at_keys
from hedgelock_actors.runtime.wiring import AccountKeys, Wiring, save

NOW = 1_790_000_000_000


class Says:
    def __init__(self, **result: object) -> None:
        self.result = result

    async def query(self, method: str) -> Answer:
        assert method == "get_api_key_information"
        return Answer(code=0, text="OK", time_ms=NOW, result=self.result)


def in_days(days: float | None) -> Callable[[], Awaitable[int | None]]:
    async def ask() -> int | None:
        return None if days is None else NOW + round(days * DAY_MS)

    return ask


async def not_today() -> int | None:
    raise VenueError("no answer")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"expiredAt": "2026-09-21T14:53:20Z"}, 1_790_002_400_000),
        ({"expiredAt": "1970-01-01T00:00:00Z", "deadlineDay": -2}, None),
        ({"expiredAt": ""}, None),
        ({}, None),
    ],
)
async def test_the_end_of_a_key_is_read(said: dict[str, object], expected: int | None) -> None:
    assert await key_expires_ms(Says(**said)) == expected


async def test_an_end_that_is_no_time_is_refused() -> None:
    with pytest.raises(BadData, match="expiredAt"):
        await key_expires_ms(Says(expiredAt="soon"))


async def test_f71_a_key_that_ends_within_two_weeks_is_told_before_it_ends() -> None:
    asked = {
        "far": in_days(14.1),
        "never": in_days(None),
        "away": not_today,
        "near": in_days(13.9),
        "over": in_days(-1),
    }
    near, over = await keys_to_renew(asked, NOW)
    assert (near.account, near.severity) == ("near", Severity.HIGH)
    assert "14 days" in near.title
    assert (over.account, over.severity) == ("over", Severity.CRITICAL)


async def test_f71_every_account_of_a_run_is_asked_after_and_none_of_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [{"name": name, "credentials_file": str(tmp_path / name)} for name in ("a", "b")]
    keys = {name: AccountKeys(api_key=name, api_secret="s") for name in ("a", "b")}
    config = parse({"venue": {"environment": "demo", "accounts": accounts}})

    def wired(*, replay: bool) -> Path:
        wiring = Wiring(venue_url=None, postgres_url="p", redis_url="r", accounts=keys, replay=replay)
        save(tmp_path, config if not replay else load(env={}), wiring)
        return tmp_path

    async def soon(_rest: object) -> int:
        return NOW + DAY_MS

    monkeypatch.setattr(key_watch, "key_expires_ms", soon)
    clock = ManualClock(NOW)
    assert [one.account for one in await look_at_keys(wired(replay=False), clock)] == ["a", "b"]
    assert clients_of(wired(replay=True), clock) == {}
    assert await look_at_keys(tmp_path, clock) == []
