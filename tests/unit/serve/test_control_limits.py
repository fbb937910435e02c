"""Limits are on record at every start; where it takes two persons to raise one, a start alone cannot."""

from __future__ import annotations

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.runtime.config import Config, LimitsConfig
from hedgelock_actors.runtime.limits_record import LimitsRaised, limits_payload, loosened, put_limits_on_record
from tests.unit.serve.control_rig import NOW_MS, Rig


def config(rig: Rig, **limits: object) -> Config:
    return rig.config.model_copy(update={"limits": LimitsConfig.model_validate(limits)})


def body(**limits: object) -> dict[str, object]:
    return {"reason": "more volume", "limits": LimitsConfig.model_validate(limits).model_dump(mode="json")}


async def start(rig: Rig, **limits: object) -> bool:
    return await put_limits_on_record(rig.journal, config(rig, **limits), NOW_MS) is not None


@pytest.mark.parametrize(
    ("change", "looser"),
    [
        ({"max_order_qty": 11}, True),
        ({"max_order_qty": 9}, False),
        ({"price_band_bps": 600}, True),
        ({"initial_margin": "0.05"}, True),
        ({"initial_margin": "0.2"}, False),
        ({"duplicate_window_s": 0.5}, True),
        ({}, False),
    ],
)
def test_what_allows_more(change: dict[str, object], looser: bool) -> None:
    before, now = LimitsConfig(), LimitsConfig.model_validate(change)
    found = loosened(before.model_dump(mode="json"), now.model_dump(mode="json"))
    assert bool(found) is looser
    assert all(name in found[0] for name in (change if looser else ()))


async def test_f66_every_start_with_other_limits_is_on_record_with_their_hash() -> None:
    rig = Rig()
    assert [await start(rig), await start(rig), await start(rig, max_order_qty=20), await start(rig)] == [
        True,
        False,
        True,
        True,
    ]
    assert isinstance(rig.journal, MemoryJournal)
    records = [record async for record in rig.journal.read("control")]
    hashes = [record.entry.payload["hash"] for record in records]
    assert hashes[0] == hashes[2] == limits_payload(LimitsConfig())["hash"] != hashes[1]
    assert records[1].entry.payload["loosened"] == ["limits.max_order_qty from 10 to 20"]
    assert records[1].entry.payload["before"] == hashes[0]


async def test_f66_where_it_takes_two_persons_one_start_raises_nothing_and_lowers_what_it_likes() -> None:
    rig = Rig(two_person=["raise_limit"])
    await start(rig)
    with pytest.raises(LimitsRaised, match=r"max_order_qty from 10 to 20.*two persons"):
        await start(rig, max_order_qty=20)
    assert rig.kinds() == ["limits"]
    assert await start(rig, max_order_qty=5)


async def test_two_persons_raise_a_limit_for_the_next_start() -> None:
    rig = Rig(two_person=["raise_limit"])
    await start(rig)
    waits = await rig.post("/limits", body(max_order_qty=20))
    assert waits.json()["state"] == "waiting"
    with pytest.raises(LimitsRaised):
        await start(rig, max_order_qty=20)
    own = await rig.post(f"/approvals/{waits.json()['approval_id']}/approve")
    assert own.status_code == 403
    done = await rig.post(f"/approvals/{waits.json()['approval_id']}/approve", who="bob")
    assert (done.status_code, done.json()["action"]) == (200, "raise_limit")
    with pytest.raises(LimitsRaised):
        await start(rig, max_order_qty=21)
    assert await start(rig, max_order_qty=20)
    assert rig.cluster.got == []


async def test_limits_that_make_no_sense_are_named() -> None:
    rig = Rig()
    answer = await rig.post("/limits", {"reason": "x", "limits": {"max_order_qty": "-1"}})
    other = await rig.post("/limits", {"reason": "x", "limits": {"max_oder_qty": "1"}})
    assert [(one.status_code, one.json()["field"]) for one in (answer, other)] == [
        (422, "limits.max_order_qty"),
        (422, "limits.max_oder_qty"),
    ]
