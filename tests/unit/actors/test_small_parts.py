"""The inbox, the latch, and orders as journal payloads."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from hedgelock_actors.codec import request_from, request_payload
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.inbox import Inbox, InboxFull
from hedgelock_actors.ports.latch import Latch
from tests.unit.domain.make import request


async def test_events_come_out_in_order_and_the_latest_of_a_key_in_its_first_place() -> None:
    inbox: Inbox[str] = Inbox()
    waiters = [inbox.put("a1", "a"), inbox.put("x"), inbox.put("a2", "a"), inbox.put("y")]
    out = []
    for _ in range(3):
        slot = await inbox.get()
        out.append(slot.event)
        slot.done()
    assert out == ["a2", "x", "y"]
    assert all(waiter.done() for waiter in waiters)
    assert len(inbox) == 0


async def test_f11_a_full_inbox_says_so_but_takes_what_replaces() -> None:
    inbox: Inbox[int] = Inbox(2)
    inbox.put(1, "key")
    inbox.put(2)
    with pytest.raises(InboxFull):
        inbox.put(3)
    inbox.put(4, "key")
    assert (await inbox.get()).event == 4


async def test_closing_releases_everybody() -> None:
    inbox: Inbox[int] = Inbox()
    before = inbox.put(1)
    inbox.close()
    await asyncio.wait_for(before, 1)
    await asyncio.wait_for(inbox.put(2), 1)
    assert len(inbox) == 0


def test_the_highest_epoch_wins_whatever_the_order_and_the_thread() -> None:
    latch = Latch()
    states = [TradingState(TradingMode.HALTED, epoch, "h") for epoch in range(1, 40)]
    states += [TradingState(TradingMode.ACTIVE, epoch, "a") for epoch in range(1, 40)]
    threads = [
        threading.Thread(target=lambda mine: [latch.set(one) for one in mine], args=(states[n::4],)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert latch.state() == TradingState(TradingMode.HALTED, 39, "h")
    latch.set(TradingState(TradingMode.ACTIVE, 38, "late"))
    assert latch.state().mode is TradingMode.HALTED
    assert latch.set(TradingState(TradingMode.ACTIVE, 40, "resume")).mode is TradingMode.ACTIVE


@pytest.mark.parametrize("price", ["59940.1", None])
def test_an_order_comes_back_from_the_journal_as_it_was_written(price: str | None) -> None:
    sent = request("1.500", price=price, attempt=3)
    payload = json.loads(json.dumps(request_payload(sent)))
    assert request_from(payload) == sent
