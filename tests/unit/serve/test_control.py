"""The control API: halts are on record before they take effect, and the answer says who confirmed them, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Record
from hedgelock_actors.runtime.config import Config, ConfigError
from hedgelock_actors.runtime.people import check_people, read_token, read_tokens
from hedgelock_actors.runtime.trading import recorded_state
from serve_apps.control_service import ControlService
from serve_apps.security import People
from tests.unit.serve.control_rig import NOW_MS, ROUTERS, TOKENS, Rig, auth

ANY = {"reason": "drill"}


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_halt_is_recorded_then_applied_then_confirmed(rig: Rig) -> None:
    answer = await rig.post("/halt", ANY)
    assert answer.status_code == 200
    said = answer.json()
    assert 0 <= said.pop("took_ms") < 1_000
    assert said == {
        "mode": "HALTED",
        "epoch": 1,
        "reason": "drill",
        "recorded": True,
        "confirmed": True,
        "routers_confirmed": list(ROUTERS),
        "routers_not_confirmed": [],
        "orders_in_flight": [
            {"account": "a", "order_link_id": "y", "status": "UNRESOLVED"},
            {"account": "a", "order_link_id": "x", "status": "NEW"},
        ],
        "in_flight_unknown": ["order-router-b"],
        "ts_ms": NOW_MS,
    }
    assert rig.cluster.on_record == rig.cluster.applied == [TradingState(TradingMode.HALTED, 1, "drill")]


async def test_who_does_not_answer_is_named(rig: Rig) -> None:
    rig.cluster.silent = {"order-router-b"}
    answer = await rig.post("/halt", ANY)
    assert answer.status_code == 202
    assert answer.json()["confirmed"] is False
    assert answer.json()["routers_not_confirmed"] == ["order-router-b"]


async def test_a_router_that_holds_a_newer_command_does_not_confirm_an_older_one(rig: Rig) -> None:
    rig.cluster.held["order-router-a"] = TradingState(TradingMode.ACTIVE, 9, "newer")
    answer = await rig.post("/halt", ANY)
    assert answer.json()["routers_not_confirmed"] == ["order-router-a"]


async def test_every_change_takes_the_next_epoch_above_all_that_was_heard(rig: Rig) -> None:
    answers = [await rig.post(f"/{path}", ANY) for path in ("halt", "resume", "reduce-only", "halt")]
    assert [answer.json()["epoch"] for answer in answers] == [1, 5, 6, 7], "the actors had heard of epoch 4"
    assert answers[2].json()["mode"] == "REDUCE_ONLY"
    assert await recorded_state(rig.journal) == TradingState(TradingMode.HALTED, 7, "drill")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKENS["ada"]}])
@pytest.mark.parametrize(
    "path",
    [
        "halt",
        "resume",
        "reduce-only",
        "flatten",
        "override",
        "override/lift",
        "acknowledge",
        "trades",
        "approvals/ab/approve",
    ],
)
async def test_without_the_token_nothing_happens(rig: Rig, path: str, headers: dict[str, str]) -> None:
    async with rig.http() as http:
        answer = await http.post(f"/{path}", headers=headers)
        other = await http.post("/halt", headers={"authorization": "Bearer other"})
    assert answer.status_code == 401
    assert answer.text == other.text, "the same words for every cause"
    assert rig.cluster.applied == []
    assert rig.cluster.got == []
    assert rig.kinds() == []


@pytest.mark.parametrize(
    "body", ['{"reason": ""}', '{"reason": "  "}', '{"why": "x"}', '{"reason": 3}', "{", "[" * 9_000]
)
async def test_a_halt_says_why_or_nothing(rig: Rig, body: str) -> None:
    async with rig.http() as http:
        answer = await http.post("/halt", headers=auth(), content=body)
    assert answer.status_code == 422
    assert rig.cluster.applied == []


# ------------------------------------------------------------ without a journal, and with a slow one


async def test_a_halt_waits_for_no_database_but_a_resume_does(rig: Rig) -> None:
    assert isinstance(rig.journal, MemoryJournal)
    rig.journal.available = False
    halt = await rig.post("/halt", ANY)
    others = [
        await rig.post("/resume", ANY),
        await rig.post("/flatten", ANY),
        await rig.post("/override", {**ANY, "account": "a", "short": "1", "for_s": 60}),
        await rig.post("/trades", {**ANY, "account": "a", "side": "sell", "qty": "1"}),
        await rig.post("/acknowledge", ANY),
    ]
    assert (halt.json()["recorded"], halt.json()["mode"], halt.json()["epoch"]) == (False, "HALTED", 5)
    assert halt.json()["confirmed"] is True
    assert [answer.status_code for answer in others] == [503] * 5
    assert [state.mode for state in rig.cluster.applied] == [TradingMode.HALTED]
    assert rig.cluster.got == []


async def test_f59_a_halt_without_a_record_is_recorded_when_the_journal_is_back_and_a_resume_is_above_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_apps.control_halt.AGAIN_S", 0.01)
    assert isinstance(rig.journal, MemoryJournal)
    async with rig.http() as http:
        rig.journal.available = False
        await http.post("/halt", headers=auth(), json=ANY)
        await asyncio.sleep(0.05)
        rig.journal.available = True
        for _ in range(200):
            if rig.kinds():
                break
            await asyncio.sleep(0.01)
        assert await recorded_state(rig.journal) == TradingState(TradingMode.HALTED, 5, "drill")
        rig.cluster.epoch = 5
        resumed = await http.post("/resume", headers=auth(), json=ANY)
    assert (resumed.json()["epoch"], resumed.json()["confirmed"]) == (6, True)
    assert len(rig.kinds()) == 2


async def test_a_router_that_is_further_than_anybody_knew_is_halted_above_that(rig: Rig) -> None:
    assert isinstance(rig.journal, MemoryJournal)
    rig.journal.available = False
    rig.cluster.held["order-router-a"] = TradingState(TradingMode.ACTIVE, 11, "from before")
    answer = await rig.post("/halt", ANY)
    assert (answer.json()["epoch"], answer.json()["confirmed"]) == (12, True)


class SlowJournal(MemoryJournal):
    """Answers, but later than a halt can wait."""

    async def open(self, stream: str) -> int:
        await asyncio.sleep(0.6)
        return await super().open(stream)


async def test_a_slow_journal_delays_a_halt_by_its_share_of_a_second_only() -> None:
    rig = Rig(SlowJournal())
    began = time.monotonic()
    async with rig.http() as http:
        answer = await http.post("/halt", headers=auth(), json=ANY)
        took = time.monotonic() - began
        await asyncio.sleep(1.6)  # the record that came too late has a lower epoch: another one says what took effect
        assert await recorded_state(rig.journal) == TradingState(TradingMode.HALTED, 5, "drill")
    assert answer.json()["recorded"] is False
    assert answer.json()["confirmed"] is True
    assert took < 0.6
    assert [state.epoch for state in rig.cluster.applied] == [5]


async def test_a_record_that_comes_late_in_the_same_epoch_is_the_record_of_what_took_effect() -> None:
    rig = Rig(SlowJournal())
    rig.cluster.epoch = 0
    async with rig.http() as http:
        answer = await http.post("/halt", headers=auth(), json=ANY)
        assert (answer.json()["recorded"], answer.json()["epoch"]) == (False, 1)
        for _ in range(200):
            if rig.kinds():
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    assert rig.kinds() == ["trading_state"]
    assert rig.cluster.applied == [TradingState(TradingMode.HALTED, 1, "drill")] * 2, "told again from the record"


class ContestedJournal(MemoryJournal):
    """Another writer comes in between every time."""

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        await super().open(stream)
        return await super().append(stream, epoch, entries)


async def test_when_others_write_all_the_time_a_resume_is_told_so_and_a_halt_halts() -> None:
    rig = Rig(ContestedJournal())
    resume, halt = await rig.post("/resume", ANY), await rig.post("/halt", ANY)
    assert (resume.status_code, resume.json()["error"]) == (409, "conflict")
    assert (halt.json()["recorded"], halt.json()["confirmed"]) == (False, True)


# ------------------------------------------------------------ crash between record and effect


class DiesAfterTheRecord(MemoryJournal):
    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        await super().append(stream, epoch, entries)
        raise JournalUnavailable("the process died here")


async def test_a_resume_that_died_after_its_record_is_the_same_resume_when_it_is_asked_again() -> None:
    rig = Rig(DiesAfterTheRecord())
    died = await rig.post("/resume", ANY, key="k")
    assert died.status_code == 503
    assert rig.cluster.applied == []
    rig.again()
    again = await rig.post("/resume", ANY, key="k")
    assert (again.status_code, again.json()["epoch"]) == (200, 5)
    assert rig.kinds() == ["trading_state"]


# ------------------------------------------------------------ looking


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
    ],
)
async def test_reading(rig: Rig, path: str, rows: list[dict[str, object]]) -> None:
    assert await rig.get(f"/{path}") == {"ts_ms": NOW_MS, path: rows, "silent": {"b": "no answer"}}


async def test_alerts_are_listed(rig: Rig) -> None:
    assert await rig.get("/alerts") == {"ts_ms": NOW_MS, "alerts": [{"title": "t"}], "silent": {}}


@pytest.mark.parametrize("undelivered", [1, None], ids=["alerts reach nobody", "the notifier is silent"])
async def test_f70_nobody_resumes_into_silence_without_saying_so(rig: Rig, undelivered: int | None) -> None:
    rig.cluster.undelivered = undelivered
    halt, resume = await rig.post("/halt", ANY), await rig.post("/resume", ANY)
    assert halt.status_code == 200
    assert (resume.status_code, resume.json()["error"]) == (409, "alerts_unheard")
    assert (await rig.get("/status"))["alerts_unheard"] == {"notifier": undelivered}
    said = await rig.post("/resume", {**ANY, "unheard": True})
    assert (said.status_code, said.json()["mode"]) == (200, "ACTIVE")
    [record, _] = (await rig.get("/audit"))["records"]  # type: ignore[misc]
    assert record["payload"]["request"]["action"] == "resume"


async def test_status_shows_mode_overrides_and_restrictions(rig: Rig) -> None:
    await rig.post("/override", {"account": "a", "short": "1", "for_s": 60, "reason": "drill"})
    answer = await rig.get("/status")
    assert answer["trading_state"] == {"mode": "ACTIVE", "epoch": 0, "reason": "start"}
    assert answer["restrictions"] == {"order-router-a": ["foreign activity: Sell 1 at 5"], "order-router-b": []}
    overrides = answer["overrides"]
    assert isinstance(overrides, list)
    assert [one["account"] for one in overrides] == ["a"]
    actors = answer["actors"]
    assert isinstance(actors, Mapping)
    assert actors["order-router-a"]["status"] == "ready"


async def test_without_a_journal_status_still_answers_and_lists_from_it_say_why_not(rig: Rig) -> None:
    assert isinstance(rig.journal, MemoryJournal)
    rig.journal.available = False
    assert "error" in str((await rig.get("/status"))["trading_state"])
    async with rig.http() as http:
        assert (await http.get("/overrides")).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/status", 405),
        ("GET", "/halt", 405),
        ("GET", "/approvals/ab/approve", 405),
        ("POST", "/audit", 405),
        ("GET", "/nothing", 404),
        ("POST", "/approvals/../approve", 404),
        ("PUT", "/override", 405),
    ],
)
async def test_what_is_not_offered(rig: Rig, method: str, path: str, status: int) -> None:
    async with rig.http() as http:
        assert (await http.request(method, path, headers=auth())).status_code == status


# ------------------------------------------------------------ people


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "control.token"
    file.write_text("t" * 64 + "\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(PermissionError):
        read_token(file)
    file.chmod(0o600)
    assert read_token(file) == "t" * 64


def test_everybody_has_a_token_of_their_own(tmp_path: Path) -> None:
    for name in ("control", "bob"):
        (tmp_path / f"{name}.token").write_text("t" * 64, encoding="utf-8")
        (tmp_path / f"{name}.token").chmod(0o600)
    people = [{"name": "operator"}, {"name": "bob", "token_file": str(tmp_path / "bob.token")}]
    config = Config.model_validate({"control": {"people": people}})
    with pytest.raises(ValueError, match="same token"):
        People(read_tokens(tmp_path, config))
    with pytest.raises(ValueError, match="fewer than"):
        People({"ada": "short"})


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "cannot be read"),
        ("short", 0o600, "fewer than"),
        ("t" * 64, 0o644, "may be read by others"),
        ("t" * 64, 0o600, ""),
    ],
)
def test_a_token_that_is_no_good_is_told_before_anything_starts(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    file = tmp_path / "bob.token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
        file.chmod(mode)
    people = [{"name": "operator"}, {"name": "bob", "token_file": str(file)}]
    config = Config.model_validate({"control": {"people": people, "two_person": ["resume"]}})
    if not says:
        check_people(config)
        return
    with pytest.raises(ConfigError, match=says) as found:
        check_people(config)
    assert found.value.field == "control.people[bob].token_file"


@pytest.mark.parametrize(
    "control",
    [
        {"people": [{"name": "a"}, {"name": "a", "token_file": "x"}]},
        {"people": [{"name": "a"}, {"name": "b"}]},
        {"two_person": ["resume"]},
        {"two_person": ["halt"]},
        {"people": []},
    ],
)
def test_people_who_could_not_be_told_apart_are_refused(control: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="control"):
        Config.model_validate({"control": control})


async def test_the_service_of_the_default_configuration_knows_its_one_operator(tmp_path: Path) -> None:
    token = tmp_path / "control.token"
    token.write_text("z" * 64, encoding="utf-8")
    token.chmod(0o600)
    rig, config = Rig(), Config()
    people = People(read_tokens(tmp_path, config))
    rig.service = ControlService(rig.cluster, rig.journal, people, config, lambda: NOW_MS)
    async with rig.http() as http:
        answer = await http.post("/halt", headers={"authorization": "Bearer " + "z" * 64})
    assert answer.status_code == 200
