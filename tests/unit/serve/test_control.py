"""The control API: halts are on record before they take effect, and the answer says who confirmed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import JournalUnavailable
from hedgelock_actors.runtime.trading import recorded_state
from serve_apps.control import ControlService
from serve_apps.security import read_token

TOKEN = "t" * 64
AUTH = {"authorization": f"Bearer {TOKEN}"}


SNAPSHOTS: Mapping[str, Mapping[str, object]] = {
    "risk-calculator": {
        "loans": [{"kind": "loan_changed", "account": "a", "debt": "9", "level": "SAFE"}],
        "demands": {"a": {"net_ltv": 0.3, "floor_qty": "1", "neutral_qty": "2", "price": "5", "debt": "9"}},
    },
    "position-keeper": {"account": "a", "position_qty": "-1", "loan": {"debt": "9"}},
    "order-router": {"account": "a", "symbol": "BTCUSDT", "orders": [{"order_link_id": "x"}]},
    "notifier": {"alerts": [{"title": "t"}], "undelivered": 0},
}


class Actors:
    """A cluster of two routers, of which one may be silent."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.applied: list[TradingState] = []
        self.silent: list[str] = []
        self.on_record: list[TradingState] = []
        self._journal = journal

    async def actors(self) -> Mapping[str, object]:
        return {"actors": {"order-router-a": {"status": "ready", "epoch": 4}}, "recoveries": []}

    async def snapshots(self, kind: str) -> dict[str, Mapping[str, object]]:
        return {"a": SNAPSHOTS.get(kind, {}), "b": {"error": "no answer"}}

    async def apply(self, state: TradingState) -> tuple[Sequence[str], Sequence[str]]:
        self.applied.append(state)
        self.on_record.append(await recorded_state(self._journal))
        routers = ["order-router-a", "order-router-b"]
        return [name for name in routers if name not in self.silent], self.silent


class Rig:
    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.actors = Actors(self.journal)
        self.service = ControlService(self.actors, self.journal, TOKEN, lambda: 77)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_halt_is_recorded_then_applied_then_confirmed(client: Callable[..., Any], rig: Rig) -> None:
    async with client(rig.service.handle, "/v1") as http:
        answer = await http.post("/v1/halt", headers=AUTH, json={"reason": "drill"})
    assert answer.status_code == 200
    assert answer.json() == {
        "mode": "HALTED",
        "epoch": 1,
        "reason": "drill",
        "recorded": True,
        "confirmed": True,
        "routers_confirmed": ["order-router-a", "order-router-b"],
        "routers_not_confirmed": [],
        "ts_ms": 77,
    }
    assert rig.actors.on_record == rig.actors.applied == [TradingState(TradingMode.HALTED, 1, "drill")]


async def test_who_does_not_answer_is_named(client: Callable[..., Any], rig: Rig) -> None:
    rig.actors.silent = ["order-router-b"]
    async with client(rig.service.handle, "/v1") as http:
        answer = await http.post("/v1/halt", headers=AUTH)
    assert answer.status_code == 202
    assert answer.json()["confirmed"] is False
    assert answer.json()["routers_not_confirmed"] == ["order-router-b"]


async def test_every_change_takes_the_next_epoch(client: Callable[..., Any], rig: Rig) -> None:
    async with client(rig.service.handle, "/v1") as http:
        for path, epoch in (("halt", 1), ("resume", 2), ("halt", 3)):
            answer = await http.post(f"/v1/{path}", headers=AUTH, json={"reason": "x"})
            assert answer.json()["epoch"] == epoch
    assert await recorded_state(rig.journal) == TradingState(TradingMode.HALTED, 3, "x")


async def test_the_same_key_changes_nothing_again(client: Callable[..., Any], rig: Rig) -> None:
    headers = {**AUTH, "idempotency-key": "k1"}
    async with client(rig.service.handle, "/v1") as http:
        first = await http.post("/v1/halt", headers=headers, json={"reason": "x"})
        again = await http.post("/v1/halt", headers=headers, json={"reason": "x"})
        other = await http.post("/v1/resume", headers=headers, json={"reason": "x"})
        bad = await http.post("/v1/halt", headers={**AUTH, "idempotency-key": "a b"})
    assert first.json()["epoch"] == again.json()["epoch"] == 1
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_conflict")
    assert bad.status_code == 422
    assert (await recorded_state(rig.journal)).mode is TradingMode.HALTED


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}])
async def test_without_the_token_nothing_happens(client: Callable[..., Any], rig: Rig, headers: dict[str, str]) -> None:
    async with client(rig.service.handle, "/v1") as http:
        answers = [await http.post(f"/v1/{path}", headers=headers) for path in ("halt", "resume")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert rig.actors.applied == []
    assert await rig.journal.streams() == []


@pytest.mark.parametrize("body", ['{"reason": ""}', '{"reason": "  "}', '{"why": "x"}', '{"reason": 3}', "{"])
async def test_a_halt_says_why_or_nothing(client: Callable[..., Any], rig: Rig, body: str) -> None:
    async with client(rig.service.handle, "/v1") as http:
        answer = await http.post("/v1/halt", headers=AUTH, content=body)
    assert answer.status_code == 422
    assert rig.actors.applied == []


class NoJournal(MemoryJournal):
    async def open(self, stream: str) -> int:
        raise JournalUnavailable("no database")


async def test_a_halt_waits_for_no_database_but_a_resume_does(client: Callable[..., Any], rig: Rig) -> None:
    service = ControlService(rig.actors, NoJournal(), TOKEN, lambda: 77)
    async with client(service.handle, "/v1") as http:
        halt = await http.post("/v1/halt", headers=AUTH)
        resume = await http.post("/v1/resume", headers=AUTH)
    assert (halt.json()["recorded"], halt.json()["mode"], halt.json()["epoch"]) == (False, "HALTED", 5)
    assert resume.status_code == 503
    assert [state.mode for state in rig.actors.applied] == [TradingMode.HALTED]


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        (
            "loans",
            [
                {
                    "account": "a",
                    "debt": "9",
                    "level": "SAFE",
                    "net_ltv": 0.3,
                    "floor_qty": "1",
                    "neutral_qty": "2",
                    "price": "5",
                }
            ],
        ),
        ("positions", [{"account": "a", "position_qty": "-1"}]),
        ("orders", [{"account": "a", "symbol": "BTCUSDT", "order_link_id": "x"}]),
        ("alerts", [{"title": "t"}]),
    ],
)
async def test_reading(client: Callable[..., Any], rig: Rig, path: str, rows: list[dict[str, object]]) -> None:
    async with client(rig.service.handle, "/v1") as http:
        answer = await http.get(f"/v1/{path}")
    assert answer.status_code == 200
    assert answer.json() == {"ts_ms": 77, path: rows, "silent": {"b": "no answer"}}


async def test_status(client: Callable[..., Any], rig: Rig) -> None:
    async with client(rig.service.handle, "/v1") as http:
        answer = (await http.get("/v1/status")).json()
        assert (await http.post("/v1/status")).status_code == 405
        assert (await http.get("/v1/nothing")).status_code == 404
    assert answer["trading_state"] == {"mode": "ACTIVE", "epoch": 0, "reason": "start"}
    assert answer["actors"]["order-router-a"]["status"] == "ready"


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "control.token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(PermissionError):
        read_token(file)
    file.chmod(0o600)
    assert read_token(file) == TOKEN
