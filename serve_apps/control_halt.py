"""The halt: on record first, but it waits for no database; and it answers in time, whoever is silent.

Journal, routers and their orders each get a fixed share of a second. A halt that could not be recorded in its share is
carried out all the same and recorded as soon as the journal answers, in the epoch in which it took effect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Record, StaleEpoch
from hedgelock_actors.runtime.control_log import Asked, ControlBook, ControlLog, entry_of
from hedgelock_actors.runtime.trading import KIND as TRADING_STATE
from hedgelock_actors.runtime.trading import state_of, state_payload
from serve_apps.control_effects import Actors, Effects, holds
from serve_apps.schemas import HttpError, Reply

LOG = logging.getLogger(__name__)
RECORD_S = 0.35
LOOK_S = 0.15
AGAIN_S = 1.0

Recording = asyncio.Task[Record]


class Halt:
    """`heard` is told every epoch that routers answer with."""

    def __init__(self, log: ControlLog, actors: Actors, effects: Effects, now_ms: Callable[[], int]) -> None:
        self._log, self._actors, self._effects, self._now_ms = log, actors, effects, now_ms
        self._later: set[asyncio.Task[None]] = set()

    async def carry_out(self, asked: Asked, recording: Recording, reason: str) -> Reply:
        """Halt with the record that is being made, or without it when that takes too long.

        Raises what `recording` raises when the request makes no sense.
        """
        began = time.monotonic()
        done, _ = await asyncio.wait({recording}, timeout=RECORD_S)
        if done and not _no_journal(recording):
            record = recording.result()
            return await self._effects.set_mode(state_of(record.entry.payload), recorded=True, began=began)
        return await self._without_record(asked, recording, reason, began)

    async def stop(self) -> None:
        """Give up what is still to be recorded."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _without_record(self, asked: Asked, recording: Recording, reason: str, began: float) -> Reply:
        epoch = max(self._log.book.state.epoch, await self.heard_epoch(LOOK_S)) + 1
        state = TradingState(TradingMode.HALTED, epoch, reason)
        held = await self._actors.apply(state)
        ahead = [one.epoch for one in held.values() if one is not None and not holds(one, state)]
        if ahead:  # a router knows a newer epoch than anybody else: it is told in one above that
            state = TradingState(TradingMode.HALTED, max(ahead) + 1, reason)
            held = await self._actors.apply(state)
        task = asyncio.create_task(self._record_later(asked, recording, state), name="record-halt")
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return await self._effects.mode_reply(state, held, recorded=False, began=began)

    async def heard_epoch(self, wait_s: float) -> int:
        """The highest epoch that the actors say they have heard, as far as the supervisor knows."""
        health = (await self._actors.actors(wait_s)).get("actors", {})
        rows = health.values() if isinstance(health, Mapping) else ()
        return max((int(str(row.get("epoch", 0))) for row in rows if isinstance(row, Mapping)), default=0)

    async def _record_later(self, asked: Asked, recording: Recording, state: TradingState) -> None:
        """In the epoch in which it took effect: a resume that was recorded meanwhile is in a higher one and stands."""
        await asyncio.wait({recording})
        effect = asked
        if recording.exception() is None:
            late = state_of(recording.result().entry.payload)
            if late.epoch >= state.epoch:
                await self._actors.apply(late)
                return
            effect = replace(asked, key=f"{asked.key}:effect")

        def decide(book: ControlBook) -> Entry | Record:
            known = book.known(effect)
            return known or entry_of(TRADING_STATE, effect, state_payload(state, book.state), self._now_ms())

        while True:
            try:
                await self._log.write(decide)
            except (JournalUnavailable, StaleEpoch) as error:
                LOG.warning("halt.not_recorded_yet epoch=%d %s", state.epoch, error)
                await asyncio.sleep(AGAIN_S)
            else:
                return


def _no_journal(recording: Recording) -> bool:
    """It failed, but not because the request makes no sense."""
    error = recording.exception()
    return isinstance(error, HttpError) and error.status in (409, 503)
