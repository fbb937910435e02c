"""Messages over sockets of the host: the same promises as through Ray, and Ray where there is no socket."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
import uvloop

from hedgelock_actors.runtime.direct import DirectMail, mailboxes
from hedgelock_actors.runtime.transport import ReceiverDied, Undelivered


class ThroughRay:
    """The other way: notes what went over it."""

    def __init__(self) -> None:
        self.went: list[tuple[str, list[bytes]]] = []

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        self.went.append((to, list(batch)))
        return [""] * len(batch)


class Receiver:
    """Takes batches in, slowly if told to."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.has, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def take(self, batch: Sequence[bytes]) -> list[str]:
        self.taken += batch
        self.has.set()
        await self.open.wait()
        return ["" if one != b"bad" else "no good" for one in batch]


@pytest.fixture
def ray() -> ThroughRay:
    return ThroughRay()


async def test_messages_go_straight_and_answers_come_back(tmp_path: Path, ray: ThroughRay) -> None:
    receiver, here, there = Receiver(), DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)
    assert await there.listen("router", receiver.take)
    assert await here.deliver("router", [b"a", b"bad"], 1.0) == ["", "no good"]
    large = os.urandom(3_000_000)
    assert await here.deliver("router", [large], 5.0) == [""]
    assert receiver.taken == [b"a", b"bad", large]
    assert ray.went == []
    assert stat.S_IMODE((tmp_path / "router.sock").stat().st_mode) == 0o600
    await here.close()
    await there.close()


async def test_without_a_socket_it_goes_through_ray(tmp_path: Path, ray: ThroughRay) -> None:
    here = DirectMail(tmp_path, ray.deliver)
    assert await here.deliver("router", [b"a"], 1.0) == [""]
    (tmp_path / "router.sock").touch()  # what a dead process has left
    assert await here.deliver("router", [b"b"], 1.0) == [""]
    assert ray.went == [("router", [b"a"]), ("router", [b"b"])]


async def test_a_path_that_is_too_long_goes_through_ray(tmp_path: Path, ray: ThroughRay) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    mail = DirectMail(deep, ray.deliver)
    assert not await mail.listen("router", Receiver().take)
    assert not await DirectMail(tmp_path / "missing", ray.deliver).listen("router", Receiver().take)
    assert await mail.deliver("router", [b"a"], 1.0) == [""]
    assert len(ray.went) == 1


async def test_an_answer_that_does_not_come_is_undelivered_and_comes_to_nobody_later(
    tmp_path: Path, ray: ThroughRay
) -> None:
    receiver, here, there = Receiver(), DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)
    await there.listen("router", receiver.take)
    receiver.open.clear()
    with pytest.raises(Undelivered, match=r"no answer in 0\.05 s"):
        await here.deliver("router", [b"slow"], 0.05)
    receiver.open.set()
    assert await here.deliver("router", [b"bad"], 1.0) == ["no good"]
    await here.close()
    await there.close()


async def test_batches_are_taken_in_beside_each_other(tmp_path: Path, ray: ThroughRay) -> None:
    """In lock-step A waits for B while B asks A: neither may wait for the other's answer to be read."""
    a, b = DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)

    async def take_a(batch: Sequence[bytes]) -> list[str]:
        return ["from a"] * len(batch)

    async def take_b(batch: Sequence[bytes]) -> list[str]:
        return list(await b.deliver("a", batch, 1.0))

    await a.listen("a", take_a)
    await b.listen("b", take_b)
    answers = await asyncio.gather(*(a.deliver("b", [b"x"], 1.0) for _ in range(50)))
    assert answers == [["from a"]] * 50
    await a.close()
    await b.close()


async def test_the_receiver_s_death_is_undelivered_and_its_successor_is_found(tmp_path: Path, ray: ThroughRay) -> None:
    first, second, here = Receiver(), Receiver(), DirectMail(tmp_path, ray.deliver)
    old = DirectMail(tmp_path, ray.deliver)
    await old.listen("router", first.take)
    first.open.clear()
    waiting = asyncio.ensure_future(here.deliver("router", [b"a"], 5.0))
    await first.has.wait()
    await old.close()
    with pytest.raises(ReceiverDied, match="hung up"):
        await waiting
    first.open.set()
    new = DirectMail(tmp_path, ray.deliver)
    await new.listen("router", second.take)
    assert await here.deliver("router", [b"b"], 1.0) == [""]
    assert (first.taken, second.taken) == ([b"a"], [b"b"])
    assert ray.went == []
    await here.close()
    await new.close()


async def test_a_frozen_predecessor_gets_nothing_any_more(tmp_path: Path, ray: ThroughRay) -> None:
    frozen, fresh, here = Receiver(), Receiver(), DirectMail(tmp_path, ray.deliver)
    old, new = DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)
    await old.listen("router", frozen.take)
    await here.deliver("router", [b"a"], 1.0)
    await new.listen("router", fresh.take)  # the old one still listens, and its connection is still up
    await here.deliver("router", [b"b"], 1.0)
    assert (frozen.taken, fresh.taken) == ([b"a"], [b"b"])
    for mail in (here, old, new):
        await mail.close()


async def test_two_first_messages_at_once_share_one_connection(tmp_path: Path, ray: ThroughRay) -> None:
    receiver, here, there = Receiver(), DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)
    await there.listen("router", receiver.take)
    await asyncio.gather(*(here.deliver("router", [b"x"], 1.0) for _ in range(5)))
    await asyncio.sleep(0.05)
    assert len(there._serving) == 1
    await here.close()
    await there.close()


async def test_a_frame_beyond_the_bound_ends_the_connection(tmp_path: Path, ray: ThroughRay) -> None:
    there = DirectMail(tmp_path, ray.deliver)
    await there.listen("router", Receiver().take)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "router.sock"))
    writer.write(b"\xff\xff\xff\xff")
    assert await reader.read() == b""
    writer.close()
    await there.close()


async def test_a_place_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, ray: ThroughRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    place = mailboxes(tmp_path / "state")
    assert place is not None
    assert place == mailboxes(tmp_path / "state") != mailboxes(tmp_path / "other")
    place.chmod(0o777)
    assert mailboxes(tmp_path / "state") is None
    mail = DirectMail(None, ray.deliver)
    assert not await mail.listen("router", Receiver().take)
    assert await mail.deliver("router", [b"a"], 1.0) == [""]
    assert ray.went == [("router", [b"a"])]


def test_it_works_on_the_loop_that_ray_gives_to_its_actors(tmp_path: Path, ray: ThroughRay) -> None:
    async def talk() -> list[str]:
        here, there = DirectMail(tmp_path, ray.deliver), DirectMail(tmp_path, ray.deliver)
        await there.listen("router", Receiver().take)
        answers = await here.deliver("router", [b"a", b"bad"], 1.0)
        await here.close()
        await there.close()
        return list(answers)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(talk()) == ["", "no good"]
    assert ray.went == []
