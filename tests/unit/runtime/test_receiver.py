"""The receiving end: once each, in order; nothing of a predecessor; full states are kept until the start."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hedgelock_actors.domain.messages import ENVELOPE, AnyMessage, Envelope, FeedStale, LoanTouched
from hedgelock_actors.runtime.receiver import Receiver


def raw(message: AnyMessage, seq: int, epoch: int = 1, sender: str = "a") -> bytes:
    return ENVELOPE.dump_json(
        Envelope(
            event_id=f"{sender}:{epoch}:{seq}",
            sender=sender,
            epoch=epoch,
            seq=seq,
            trace_id="",
            causation_id="",
            ts_event=0,
            ts_received=0,
            body=message,
        )
    )


def touched(n: int) -> LoanTouched:
    return LoanTouched(account="main", ts_ms=n, action_id=str(n), swept_usdt=Decimal(0))


def stale(n: int, symbol: str = "BTCUSDT") -> FeedStale:
    return FeedStale(symbol=symbol, ts_ms=n, reason="")


class Log:
    def __init__(self) -> None:
        self.got: list[int] = []

    async def receive(self, message: AnyMessage) -> None:
        self.got.append(message.ts_ms)


async def opened() -> tuple[Receiver, Log]:
    receiver, log = Receiver(), Log()
    await receiver.open(log.receive)
    return receiver, log


async def test_a_repetition_changes_nothing() -> None:
    receiver, log = await opened()
    assert await receiver.take([raw(touched(1), 1), raw(touched(2), 2)]) == ["", ""]
    assert await receiver.take([raw(touched(1), 1), raw(touched(2), 2)]) == ["", ""]
    assert log.got == [1, 2]
    assert receiver.repeated == 2


async def test_two_senders_do_not_shadow_each_other() -> None:
    receiver, log = await opened()
    await receiver.take([raw(touched(1), 1, sender="a")])
    await receiver.take([raw(touched(2), 1, sender="b")])
    assert log.got == [1, 2]


async def test_a_new_life_of_the_sender_is_heard_and_its_old_one_no_more() -> None:
    receiver, log = await opened()
    await receiver.take([raw(touched(1), 1, epoch=1)])
    await receiver.take([raw(touched(2), 1, epoch=2)])
    assert await receiver.take([raw(touched(3), 2, epoch=1)]) == [""]
    assert log.got == [1, 2]


async def test_a_repetition_of_what_is_still_being_taken_in_waits_for_it() -> None:
    receiver = Receiver()
    gate, got = asyncio.Event(), []

    async def slow(message: AnyMessage) -> None:
        await gate.wait()
        got.append(message.ts_ms)

    await receiver.open(slow)
    first = asyncio.create_task(receiver.take([raw(touched(1), 1)]))
    second = asyncio.create_task(receiver.take([raw(touched(1), 1)]))
    await asyncio.sleep(0.01)
    assert not first.done()
    assert not second.done()
    gate.set()
    assert await first == await second == [""]
    assert got == [1]


async def test_before_the_start_full_states_are_kept_and_the_latest_wins() -> None:
    receiver, log = Receiver(), Log()
    assert await receiver.take([raw(stale(1), 1), raw(stale(2, "ETHUSDT"), 2), raw(stale(3), 3)]) == ["", "", ""]
    assert log.got == []
    await receiver.open(log.receive)
    assert log.got == [2, 3]


async def test_before_the_start_anything_else_waits() -> None:
    receiver, log = Receiver(), Log()
    waiting = asyncio.create_task(receiver.take([raw(touched(1), 1)]))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await receiver.open(log.receive)
    assert await waiting == [""]
    assert log.got == [1]


async def test_f53_what_cannot_be_read_is_counted_and_blocks_nothing() -> None:
    receiver, log = await opened()
    assert await receiver.take([b"\x80pickle", b'{"kind": "tick"}', raw(touched(4), 1)]) == ["", "", ""]
    assert log.got == [4]
    assert receiver.unreadable == 2


async def test_f52_memory_is_bounded() -> None:
    receiver, log = await opened()
    for n in range(5_000):
        await receiver.take([raw(touched(n), n)])
    assert len(log.got) == 5_000
    assert len(receiver._seen["a"][1]) <= 4_096


async def test_the_clock_hears_when_each_message_was_sent() -> None:
    receiver, log, heard = Receiver(), Log(), list[int]()
    await receiver.open(log.receive, heard.append)
    sent = ENVELOPE.validate_json(raw(touched(1), 1)).model_copy(update={"ts_received": 1_234})
    assert await receiver.take([ENVELOPE.dump_json(sent)]) == [""]
    assert heard == [1_234]
