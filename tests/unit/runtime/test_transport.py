"""The transport keeps order, conflates what may be conflated, repeats what was not answered, and drops nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.messages import ENVELOPE, AnyMessage, FeedStale, LoanTouched
from hedgelock_actors.ports.transport import QueueFull
from hedgelock_actors.runtime.receiver import Receiver
from hedgelock_actors.runtime.transport import RayTransport, ReceiverDied, TransportLimits, Undelivered

QUICK = TransportLimits(queue_max=5, first_wait_s=0.01, backoff_s=0.001, backoff_max_s=0.002, give_up_s=1.0)


def touched(n: int) -> LoanTouched:
    return LoanTouched(account="main", ts_ms=n, action_id=f"a{n}", swept_usdt=Decimal(n))


def stale(n: int) -> FeedStale:
    return FeedStale(symbol="BTCUSDT", ts_ms=n, reason=f"r{n}")


class Far:
    """A receiver that can be slow, silent or failing."""

    def __init__(self) -> None:
        self.got: list[AnyMessage] = []
        self.receiver = Receiver()
        self.silent = 0
        self.lose_answer = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = 0
        self.errors: list[Exception] = []

    async def start(self) -> None:
        await self.receiver.open(self.receive)

    async def receive(self, message: AnyMessage) -> None:
        if self.errors:
            raise self.errors.pop()
        self.got.append(message)

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        self.calls += 1
        await self.gate.wait()
        if self.silent:
            self.silent -= 1
            raise Undelivered("down")
        answer = await self.receiver.take(batch)
        if self.lose_answer:
            self.lose_answer -= 1
            raise Undelivered("the answer was lost")
        return answer


async def pair(*, paced: bool, epoch: int = 1) -> tuple[RayTransport, Far]:
    far = Far()
    await far.start()
    return RayTransport("me", epoch, ManualClock(paced=paced), far.deliver, QUICK), far


async def settled(transport: RayTransport) -> None:
    await asyncio.wait_for(transport.close(), 30)


async def test_order_is_kept_and_everything_arrives_once() -> None:
    transport, far = await pair(paced=False)
    for n in range(5):
        await transport.send("far", touched(n))
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [0, 1, 2, 3, 4]


async def test_f11_the_latest_of_a_key_replaces_what_waits() -> None:
    transport, far = await pair(paced=False)
    far.gate.clear()
    for n in range(100):
        await transport.send("far", stale(n), conflate="stale")
    far.gate.set()
    await settled(transport)
    assert far.got[-1].ts_ms == 99
    assert len(far.got) <= 2
    assert transport.conflated >= 98


async def test_f52_a_full_queue_is_an_error_and_not_a_loss() -> None:
    transport, far = await pair(paced=False)
    far.gate.clear()
    await transport.send("far", touched(0))
    await asyncio.sleep(0)  # the first is under way and no longer waits
    for n in range(1, 6):
        await transport.send("far", touched(n))
    with pytest.raises(QueueFull, match="far"):
        await transport.send("far", touched(6))
    far.gate.set()
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("paced", [True, False])
async def test_f49_what_was_not_answered_is_repeated_and_taken_in_once(paced: bool) -> None:
    transport, far = await pair(paced=paced)
    far.silent, far.lose_answer = 2, 1
    await transport.send("far", touched(1))
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [1]
    assert far.receiver.repeated == 1
    assert transport.repeated == 3


@pytest.mark.parametrize("paced", [True, False])
async def test_an_error_of_the_receiver_is_repeated_and_seen(paced: bool) -> None:
    transport, far = await pair(paced=paced)
    far.errors = [RuntimeError("no database")]
    await transport.send("far", touched(1))
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [1]
    assert "no database" in transport.last_error
    assert far.receiver.failed == 1


async def test_f53_a_message_that_always_fails_is_given_up_and_counted() -> None:
    transport, far = await pair(paced=True)
    far.errors = [RuntimeError("always")] * 50
    await transport.send("far", touched(1))
    assert transport.dropped == 1
    assert far.receiver.failed == QUICK.error_tries


@pytest.mark.parametrize("paced", [True, False])
async def test_f53_a_message_that_kills_whoever_reads_it_is_set_aside_and_the_others_pass(paced: bool) -> None:
    far, set_aside = Far(), list[tuple[str, bytes, str]]()
    await far.start()
    deaths = [0]

    async def deliver(to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        if any(b'"a2"' in raw for raw in batch):
            deaths[0] += 1
            raise ReceiverDied("the receiver hung up")
        return await far.deliver(to, batch, wait_s)

    transport = RayTransport(
        "me", 1, ManualClock(paced=paced), deliver, QUICK, given_up=lambda *one: set_aside.append(one)
    )
    for n in range(5):
        await transport.send("far", touched(n))
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [0, 1, 3, 4]
    [(to, raw, why)] = set_aside
    assert (to, ENVELOPE.validate_json(raw).body) == ("far", touched(2))
    assert "alone" in why
    assert deaths[0] == 2 * QUICK.death_tries
    assert transport.dropped == 1


async def test_f53_a_receiver_that_dies_for_its_own_reasons_loses_no_message() -> None:
    far = Far()
    await far.start()
    deaths = [5]

    async def deliver(to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        if deaths[0]:
            deaths[0] -= 1
            raise ReceiverDied("the receiver hung up")
        return await far.deliver(to, batch, wait_s)

    transport = RayTransport("me", 1, ManualClock(paced=False), deliver, QUICK)
    for n in range(5):
        await transport.send("far", touched(n))
    await settled(transport)
    assert [message.ts_ms for message in far.got] == [0, 1, 2, 3, 4]
    assert transport.dropped == 0


async def test_in_lock_step_the_message_is_taken_in_when_send_returns() -> None:
    transport, far = await pair(paced=True)
    await transport.send("far", touched(7), conflate="k")
    assert [message.ts_ms for message in far.got] == [7]


async def test_in_lock_step_a_dead_receiver_is_waited_for_but_not_for_ever() -> None:
    transport, far = await pair(paced=True)
    far.silent = 10_000
    await asyncio.wait_for(transport.send("far", touched(1)), 30)
    assert transport.dropped == 1
    assert "down" in transport.last_error


async def test_the_envelope_says_who_and_why() -> None:
    seen: list[bytes] = []

    async def deliver(to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        seen.extend(batch)
        return [""] * len(batch)

    transport = RayTransport("me", 42, ManualClock(1_000), deliver, QUICK)
    await transport.send("far", touched(5), cause="because")
    envelope = ENVELOPE.validate_json(seen[0])
    assert (envelope.sender, envelope.epoch, envelope.seq, envelope.event_id) == ("me", 42, 1, "me:42:1")
    assert (envelope.causation_id, envelope.trace_id, envelope.ts_event) == ("because", "because", 5)
    assert envelope.body == touched(5)
