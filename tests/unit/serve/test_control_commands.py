"""Commands: one record each, told to whom they are for; the same key is the same command, and two are two people."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.messages import ForeignActivityAcknowledged, HedgeTrade, TargetOverridden
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.trading_state import TradingMode
from serve_apps import control_effects
from tests.unit.serve.control_rig import NOW_MS, Rig, auth

OVERRIDE = {"account": "a", "short": "3.2", "for_s": 7_200, "reason": "desk drill"}
COMMANDS: Mapping[str, Mapping[str, object]] = {
    "/halt": {"reason": "drill"},
    "/reduce-only": {"reason": "drill"},
    "/resume": {"reason": "drill"},
    "/flatten": {"reason": "drill", "account": "a", "for_s": 600},
    "/override": OVERRIDE,
    "/acknowledge": {"reason": "seen", "account": "a"},
    "/trades": {"account": "a", "side": "sell", "qty": "0.5", "reason": "basis"},
}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(control_effects, "TRADE_WAIT_S", 0.1)
    return Rig()


def said(answer: httpx.Response) -> str:
    """All but how long it took."""
    return str({key: value for key, value in answer.json().items() if key != "took_ms"})


def told(rig: Rig, kind: type[Any]) -> list[Any]:
    return [message for _, message in rig.cluster.got if isinstance(message, kind)]


# ------------------------------------------------------------ what each does


async def test_an_override_is_on_record_with_its_person_and_told_to_the_keeper(rig: Rig) -> None:
    answer = await rig.post("/override", OVERRIDE)
    assert answer.status_code == 200
    [(to, message)] = rig.cluster.got
    assert to == "position-keeper-a"
    assert isinstance(message, TargetOverridden)
    assert (message.target_short_qty, message.expires_ms) == (Decimal("3.2"), NOW_MS + 7_200_000)
    assert (message.version, message.who, message.reason) == (1, "ada", "desk drill")
    assert answer.json()["taken_by"] == ["position-keeper-a"]
    [record] = (await rig.get("/audit"))["records"]  # type: ignore[misc]
    assert record["kind"] == "override"
    assert record["payload"]["request"]["who"] == "ada"
    assert record["payload"]["request"]["origin"] == "127.0.0.1"
    assert (await rig.get("/control"))["records"] == [record]


async def test_the_next_override_says_what_was_before_and_a_lift_ends_it(rig: Rig) -> None:
    await rig.post("/override", OVERRIDE)
    await rig.post("/override", {**OVERRIDE, "short": "1"}, who="bob")
    lifted = await rig.post("/override/lift", {"reason": "over"})
    again = await rig.post("/override/lift", {"reason": "over"})
    assert [one.version for one in told(rig, TargetOverridden)] == [1, 2, 3]
    assert [one.target_short_qty for one in told(rig, TargetOverridden)] == [Decimal("3.2"), Decimal(1), None]
    assert lifted.status_code == 200
    assert (again.status_code, again.json()["error"]) == (409, "nothing_to_lift")
    records: Any = (await rig.get("/audit"))["records"]
    assert [[one["who"] for one in record["payload"]["before"]] for record in records] == [["bob"], ["ada"], []]
    assert (await rig.get("/overrides"))["overrides"] == []


async def test_flatten_is_an_override_to_nothing_of_all_accounts_that_ends(rig: Rig) -> None:
    await rig.post("/flatten", {"reason": "drill", "for_s": 60})
    assert sorted((to, message.target_short_qty) for to, message in rig.cluster.got) == [  # type: ignore[union-attr]
        ("position-keeper-a", Decimal(0)),
        ("position-keeper-b", Decimal(0)),
    ]
    assert rig.kinds() == ["override"], "one command, one record"
    assert len((await rig.get("/overrides"))["overrides"]) == 2  # type: ignore[arg-type]
    rig.now_ms += 60_000
    assert (await rig.get("/overrides"))["overrides"] == []


async def test_an_acknowledgement_reaches_the_router(rig: Rig) -> None:
    await rig.post("/acknowledge", {"reason": "it was me", "account": "b"})
    [(to, message)] = rig.cluster.got
    assert to == "order-router-b"
    assert isinstance(message, ForeignActivityAcknowledged)
    assert (message.who, message.reason, message.ts_ms) == ("ada", "it was me", NOW_MS)
    assert message.order_link_id == ""


async def test_f42_what_a_person_found_out_about_an_order_reaches_the_router(rig: Rig) -> None:
    said = {"reason": "support says it never arrived", "account": "b", "order_link_id": "hl-1"}
    await rig.post("/acknowledge", said)
    [(_, message)] = rig.cluster.got
    assert isinstance(message, ForeignActivityAcknowledged)
    assert (message.order_link_id, message.who) == ("hl-1", "ada")


async def test_a_trade_is_told_to_the_router_and_answered_with_its_report(rig: Rig) -> None:
    first = await rig.post("/trades", COMMANDS["/trades"], key="k")
    [trade] = told(rig, HedgeTrade)
    assert (trade.side, trade.qty, trade.account, trade.symbol) == (Side.SELL, Decimal("0.5"), "a", "BTCUSDT")
    assert (trade.reason, trade.expires_ms) == ("ada: basis", NOW_MS + 60_000)
    assert first.status_code == 202, "nobody has reported yet"
    report = {"trade_id": trade.trade_id, "final": True, "success": True, "filled_qty": "0.5"}
    rig.cluster.trades = [{"trade_id": "other", "final": True}, report]
    again = await rig.post("/trades", COMMANDS["/trades"], key="k")
    assert (again.status_code, again.json()["detail"]) == (200, report)
    assert told(rig, HedgeTrade) == [trade, trade], "the very same trade, which a router carries out once"
    assert (await rig.get("/trades"))["trades"] == rig.cluster.trades


async def test_a_command_whose_actor_is_away_is_on_record_and_says_so(rig: Rig) -> None:
    rig.cluster.silent = {"position-keeper-a"}
    answer = await rig.post("/override", OVERRIDE)
    assert (answer.status_code, answer.json()["recorded"], answer.json()["taken"]) == (202, True, False)
    assert answer.json()["not_taken_by"] == ["position-keeper-a: no answer"]


async def test_an_override_while_halted_says_that_no_order_is_sent(rig: Rig) -> None:
    await rig.post("/halt", {"reason": "drill"})
    answer = await rig.post("/flatten", {"reason": "drill"})
    assert (answer.status_code, answer.json()["taken"]) == (200, True)
    assert "halted (drill)" in answer.json()["note"]


async def test_nothing_is_traded_while_halted(rig: Rig) -> None:
    await rig.post("/halt", {"reason": "drill"})
    answer = await rig.post("/trades", COMMANDS["/trades"])
    assert (answer.status_code, answer.json()["error"]) == (409, "trading_halted")
    assert rig.kinds() == ["trading_state"]


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        ("/override", {"short": "-1"}, "short"),
        ("/override", {"short": "NaN"}, "short"),
        ("/override", {"short": "1e999"}, "short"),
        ("/override", {"short": 3.2}, "short"),
        ("/override", {"short": "51"}, "short"),
        ("/override", {"account": "c"}, "account"),
        ("/override", {"account": None}, "account"),
        ("/override", {"for_s": 0}, "for_s"),
        ("/override", {"for_s": 604_801}, "for_s"),
        ("/override", {"reason": ""}, "reason"),
        ("/override", {"until": 3}, "until"),
        ("/flatten", {"account": "c"}, "account"),
        ("/trades", {"side": "hold"}, "side"),
        ("/trades", {"qty": "0"}, "qty"),
        ("/trades", {"qty": ""}, "qty"),
        ("/trades", {"strategy": "luck"}, "strategy"),
        ("/trades", {"limit_price": "0"}, "limit_price"),
        ("/trades", {"expires_s": 86_400}, "expires_s"),
        ("/acknowledge", {"account": "c"}, "account"),
    ],
)
async def test_nonsense_is_refused_by_field_and_leaves_nothing(
    rig: Rig, path: str, change: dict[str, object], field: str
) -> None:
    answer = await rig.post(path, {**COMMANDS[path], **change})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert rig.kinds() == []
    assert rig.cluster.got == []


# ------------------------------------------------------------ idempotency


@pytest.mark.parametrize("path", COMMANDS)
async def test_f69_the_same_key_and_body_is_the_same_command(rig: Rig, path: str) -> None:
    answers = [await rig.post(path, COMMANDS[path], key="k1") for _ in range(3)]
    rig.again()
    answers.append(await rig.post(path, COMMANDS[path], key="k1"))
    assert len(rig.kinds()) == 1
    assert len({said(answer) for answer in answers}) == 1
    assert len({message.model_dump_json() for _, message in rig.cluster.got}) <= 1


@pytest.mark.parametrize("path", COMMANDS)
@pytest.mark.parametrize("other", COMMANDS)
async def test_the_same_key_with_another_body_is_refused(rig: Rig, path: str, other: str) -> None:
    await rig.post(path, COMMANDS[path], key="k1")
    before = len(rig.cluster.got), len(rig.cluster.applied)
    answer = await rig.post(other, {**COMMANDS[other], "reason": "something else"}, key="k1")
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_conflict")
    assert len(rig.kinds()) == 1
    assert (len(rig.cluster.got), len(rig.cluster.applied)) == before


async def test_a_key_belongs_to_its_person_and_without_a_key_every_request_is_a_new_one(rig: Rig) -> None:
    await rig.post("/halt", {"reason": "x"}, key="k1")
    other = await rig.post("/halt", {"reason": "y"}, key="k1", who="bob")
    assert (other.status_code, other.json()["epoch"]) == (200, 2)
    await rig.post("/halt", {"reason": "x"})
    await rig.post("/halt", {"reason": "x"})
    assert len(rig.kinds()) == 4


async def test_f69_two_at_once_with_one_key_are_one(rig: Rig) -> None:
    import asyncio

    async with rig.http() as http:
        send = [http.post("/override", headers=auth(key="k"), json=OVERRIDE) for _ in range(5)]
        answers = await asyncio.gather(*send)
    assert {answer.status_code for answer in answers} == {200}
    assert rig.kinds() == ["override"]


@pytest.mark.parametrize("key", ["a b", "ü", "x" * 65])
async def test_a_key_that_is_none(rig: Rig, key: str) -> None:
    async with rig.http() as http:
        answer = await http.post("/halt", headers={**auth(), "idempotency-key": key.encode()})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


# ------------------------------------------------------------ two persons


def two(**more: object) -> Rig:
    return Rig(two_person=["resume", "flatten", "override"], **more)


TWO = {path: COMMANDS[path] for path in ("/resume", "/flatten", "/override")}


@pytest.mark.parametrize("path", TWO)
@pytest.mark.parametrize("by_repeating", [True, False], ids=["repeats the request", "approves the id"])
async def test_a_second_person_makes_it_happen_exactly_once(path: str, by_repeating: bool) -> None:
    rig = two()
    waits = await rig.post(path, TWO[path], key="k")
    assert waits.status_code == 202
    assert waits.json()["state"] == "waiting"
    assert (rig.cluster.got, rig.cluster.applied) == ([], []), "nothing has happened yet"
    approval_id = waits.json()["approval_id"]

    async def approve(who: str) -> Any:
        if by_repeating:
            return await rig.post(path, {**TWO[path], "approval_id": approval_id}, who=who)
        return await rig.post(f"/approvals/{approval_id}/approve", who=who)

    own = await approve("ada")
    assert (own.status_code, own.json()["error"]) == (403, "same_person")
    assert (rig.cluster.got, rig.cluster.applied) == ([], [])
    done = await approve("bob")
    assert done.status_code == 200
    again = await approve("bob")
    assert said(again) == said(done)
    assert rig.kinds().count("approval_requested") == 1
    assert len(rig.kinds()) == 2, "one request, one effect"
    first = await rig.post(path, TWO[path], key="k")
    assert (first.json()["approval_id"], first.json()["state"]) == (approval_id, "approved")
    [row] = (await rig.get("/approvals"))["approvals"]  # type: ignore[misc]
    assert (row["requested_by"], row["approved_by"], row["state"]) == ("ada", "bob", "approved")


async def test_both_names_stand_on_an_approved_override() -> None:
    rig = two()
    waits = await rig.post("/override", OVERRIDE)
    rig.now_ms += 5_000
    await rig.post(f"/approvals/{waits.json()['approval_id']}/approve", who="bob")
    [override] = told(rig, TargetOverridden)
    assert override.who == "ada and bob"
    assert override.expires_ms == rig.now_ms + 7_200_000, "its time begins when it begins"


async def test_a_request_that_waited_too_long_is_asked_for_again() -> None:
    rig = two()
    waits = await rig.post("/resume", {"reason": "x"})
    rig.now_ms += 600_000
    late = await rig.post(f"/approvals/{waits.json()['approval_id']}/approve", who="bob")
    assert (late.status_code, late.json()["error"]) == (409, "approval_expired")
    assert rig.cluster.applied == []
    [row] = (await rig.get("/approvals"))["approvals"]  # type: ignore[misc]
    assert row["state"] == "expired"
    assert (await rig.get("/status"))["approvals_waiting"] == []


async def test_only_what_was_asked_for_is_approved() -> None:
    rig = two()
    waits = await rig.post("/override", OVERRIDE)
    approval_id = waits.json()["approval_id"]
    other = await rig.post("/override", {**OVERRIDE, "short": "9", "approval_id": approval_id}, who="bob")
    unknown = await rig.post("/approvals/abcdef/approve", who="bob")
    assert (other.status_code, other.json()["error"]) == (422, "approval_differs")
    assert unknown.status_code == 404
    assert rig.cluster.got == []


async def test_an_approval_key_is_a_key_like_any_other() -> None:
    rig = two()
    ids = [(await rig.post("/resume", {"reason": name})).json()["approval_id"] for name in "xy"]
    first = await rig.post(f"/approvals/{ids[0]}/approve", who="bob", key="k")
    again = await rig.post(f"/approvals/{ids[0]}/approve", who="bob", key="k")
    other = await rig.post(f"/approvals/{ids[1]}/approve", who="bob", key="k")
    assert said(first) == said(again)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_conflict")


async def test_nobody_waits_to_halt_nor_to_reduce_but_from_halted_to_reducing_is_a_resume() -> None:
    rig = two()
    reduce = await rig.post("/reduce-only", {"reason": "x"})
    halt = await rig.post("/halt", {"reason": "x"})
    loosen = await rig.post("/reduce-only", {"reason": "x"})
    lift = await rig.post("/override/lift", {"reason": "x"})
    assert [reduce.status_code, halt.status_code, loosen.status_code] == [200, 200, 202]
    assert loosen.json()["state"] == "waiting"
    assert lift.status_code == 409
    assert [state.mode for state in rig.cluster.applied] == [TradingMode.REDUCE_ONLY, TradingMode.HALTED]
    done = await rig.post(f"/approvals/{loosen.json()['approval_id']}/approve", who="bob")
    assert (done.json()["mode"], done.json()["confirmed"]) == ("REDUCE_ONLY", True)


async def test_what_makes_no_sense_does_not_wait_for_anybody() -> None:
    rig = two()
    answer = await rig.post("/override", {**OVERRIDE, "short": "51"})
    assert answer.status_code == 422
    assert isinstance(rig.journal, MemoryJournal)
    assert rig.kinds() == []
