"""The transport in memory: lock-step delivery, and everything remembered."""

from __future__ import annotations

import pytest

from hedgelock_actors.adapters.memory.channel import MemoryChannel
from hedgelock_actors.adapters.memory.transport import MemoryTransport, UnknownReceiver
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.messages import AlertRaised, AnyMessage, FeedStale
from hedgelock_actors.ports.channel import DeliveryFailed
from hedgelock_actors.ports.transport import Transport


def stale(ts_ms: int, symbol: str = "BTCUSDT") -> FeedStale:
    return FeedStale(symbol=symbol, ts_ms=ts_ms, reason="test")


def alert(number: int) -> AlertRaised:
    return AlertRaised(
        alert_id=str(number),
        dedup_key="k",
        account="a",
        ts_ms=number,
        severity=Severity.HIGH,
        title="title",
        body="body",
    )


class Recorder:
    """An actor that passes on what it takes in, and notes when it began and ended."""

    def __init__(self, name: str, transport: Transport, then: str | None = None) -> None:
        self.name, self.transport, self.then = name, transport, then
        self.notes: list[str] = []

    async def receive(self, message: AnyMessage) -> None:
        self.notes.append("begin")
        if self.then is not None:
            await self.transport.send(self.then, message)
        self.notes.append("end")


async def test_send_returns_when_everything_that_it_caused_is_done() -> None:
    transport = MemoryTransport(strict=True)
    last = Recorder("last", transport)
    middle = Recorder("middle", transport, then="last")
    first = Recorder("first", transport, then="middle")
    for actor in (first, middle, last):
        transport.register(actor.name, actor.receive)
    await transport.send("first", stale(1), conflate="c", cause="why")
    assert first.notes == middle.notes == last.notes == ["begin", "end"]
    assert [(one.to, one.conflate, one.cause) for one in transport.sent] == [
        ("first", "c", "why"),
        ("middle", None, ""),
        ("last", None, ""),
    ]


async def test_an_actor_may_send_to_itself_and_in_circles() -> None:
    transport = MemoryTransport()
    seen: list[int] = []

    async def count_down(message: AnyMessage) -> None:
        assert isinstance(message, FeedStale)
        seen.append(message.ts_ms)
        if message.ts_ms > 0:
            await transport.send("b" if message.ts_ms % 2 else "a", stale(message.ts_ms - 1))

    transport.register("a", count_down)
    transport.register("b", count_down)
    await transport.send("a", stale(5))
    assert seen == [5, 4, 3, 2, 1, 0]


async def test_what_the_receiver_raises_comes_out_of_send() -> None:
    transport = MemoryTransport()

    async def broken(message: AnyMessage) -> None:
        raise ZeroDivisionError("in the receiver")

    transport.register("a", broken)
    with pytest.raises(ZeroDivisionError, match="in the receiver"):
        await transport.send("a", stale(1))


async def test_a_message_to_nobody_is_remembered_or_refused() -> None:
    transport = MemoryTransport()
    await transport.send("nobody", stale(1))
    await transport.send("somebody", alert(2))
    assert transport.messages(FeedStale) == [stale(1)]
    assert transport.messages(FeedStale, to="somebody") == []
    transport.forget()
    assert transport.sent == []
    with pytest.raises(UnknownReceiver, match="nobody"):
        await MemoryTransport(strict=True).send("nobody", stale(1))


async def test_messages_can_be_lost_and_doubled() -> None:
    transport = MemoryTransport(deliver_twice=True)
    actor = Recorder("a", transport)
    transport.register("a", actor.receive)
    await transport.send("a", stale(1))
    assert actor.notes == ["begin", "end"] * 2
    transport.cut("a")
    await transport.send("a", stale(2))
    transport.mend("a")
    await transport.send("a", stale(3))
    assert actor.notes == ["begin", "end"] * 4
    transport.unregister("a")
    await transport.send("a", stale(4))
    assert len(actor.notes) == 8
    assert len(transport.messages(FeedStale, to="a")) == 4


async def test_a_channel_delivers_and_fails_when_told() -> None:
    channel = MemoryChannel("pager", fail_next=1)
    with pytest.raises(DeliveryFailed, match="pager"):
        await channel.deliver(alert(1))
    await channel.deliver(alert(2))
    assert channel.name == "pager"
    assert channel.delivered == [alert(2)]
