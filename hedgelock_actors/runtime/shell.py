"""The Ray actor around a plain actor: it starts it, feeds it, and answers for it on a thread of its own.

`__init__` never raises (Ray does not retry it): a task builds the actor, lets it replay and reconcile, and only then
joins the venue's time. The `control` group is another thread and loop; it touches the latch and the last heartbeat,
which are replaced whole, and nothing else; then it wakes the actor's loop. What persons commanded is read from the
journal, too: it arrives although nobody is left to tell it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import ray

from hedgelock_actors.domain.messages import TradingStateChanged
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import JournalUnavailable
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.runtime.composition import Built, compose
from hedgelock_actors.runtime.direct import DirectMail, mailboxes
from hedgelock_actors.runtime.handles import Cluster
from hedgelock_actors.runtime.receiver import Receiver
from hedgelock_actors.runtime.trace import watched

LOG = logging.getLogger(__name__)

BEAT_S = 0.5
RETRY_MAX_S = 5.0
FOLLOW_S = 0.5


class ActorShell:
    """Runs the actor `name` of the configuration in `state_dir`."""

    def __init__(self, name: str, state_dir: str) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        self._name = name
        self._state = Path(state_dir)
        self._born_ms = time.time_ns() // 1_000_000
        self._latch = Latch()
        self._cluster = Cluster()
        self._mail = DirectMail(mailboxes(self._state), self._cluster.deliver)
        self._inbox = Receiver()
        self._built: Built | None = None
        self._stopped = False
        self._told_epoch = 0
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._trouble = ""
        self._ready_after_ms = 0
        self._beat: dict[str, object] = {"name": name, "status": "starting"}
        self._beat_at = time.monotonic()
        works = {"boot": self._boot(), "beat": self._keep_beating(), "follow": self._follow_record()}
        self._tasks = [self._loop.create_task(work, name=name) for name, work in works.items()]

    async def receive(self, batch: Sequence[bytes]) -> list[str]:
        """Messages of one sender; per message "" or why it was not taken in."""
        return await self._inbox.take(batch)

    async def snapshot(self) -> dict[str, object]:
        """What the actor knows, as JSON-able values."""
        return dict(self._built.actor.snapshot()) if self._built is not None else {}

    async def stop(self) -> None:
        """Stop the actor for good: no retries, no restart; the process may be killed afterwards."""
        self._stopped = True
        self._inbox.close()
        for task in self._tasks:
            task.cancel()
        if self._built is not None:
            await self._built.stop()
        await self._mail.close()

    @ray.method(concurrency_group="control")
    async def health(self) -> dict[str, object]:
        """The last heartbeat with its age; answered also while the actor is busy."""
        latch = self._latch.state()
        age_ms = round((time.monotonic() - self._beat_at) * 1_000)
        return {**self._beat, "beat_age_ms": age_ms, "mode": latch.mode.value, "epoch": latch.epoch}

    @ray.method(concurrency_group="control")
    async def set_trading_state(self, mode: str, epoch: int, reason: str) -> tuple[str, int]:
        """Halt, reduce or resume; the highest epoch wins. Returns what holds now."""
        state = self._latch.set(TradingState(mode=TradingMode(mode), epoch=epoch, reason=reason))
        self._loop.call_soon_threadsafe(self._wake.set)  # working orders are cancelled now, not with the next beat
        return state.mode.value, state.epoch

    async def _boot(self) -> None:
        began, wait_s = time.monotonic(), 0.2
        await self._mail.listen(self._name, self._inbox.take)
        while not self._stopped:
            try:
                built = await compose(self._name, self._state, self._born_ms, self._latch, self._mail.deliver)
                self._built = built
                await built.actor.start()
                await self._inbox.open(watched(self._name, built.actor.receive), built.clock.observe)
                await built.clock.start()
            except Exception as error:  # the edge: an actor that cannot start says so and tries again
                self._trouble = f"{type(error).__name__}: {error}"[:500]
                LOG.exception("shell.start_failed actor=%s", self._name)
                await self._discard()
                await asyncio.sleep(wait_s)
                wait_s = min(RETRY_MAX_S, wait_s * 2)
            else:
                self._trouble = ""
                self._ready_after_ms = max(1, round((time.monotonic() - began) * 1_000))  # 0: not ready
                self._take_beat()
                gc.collect()
                gc.freeze()  # code and what was replayed stay: no collection goes through them while an order waits
                return

    async def _discard(self) -> None:
        self._inbox.close()
        built, self._built = self._built, None
        if built is None:
            return
        try:
            await built.stop()
        except Exception:  # the edge: half-built things may not stop well; what matters is the next try
            LOG.exception("shell.discard_failed actor=%s", self._name)

    async def _keep_beating(self) -> None:
        while True:
            self._take_beat()
            self._wake.clear()
            await self._pass_trading_state_on()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # nothing was heard: the next beat

    async def _follow_record(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            built = self._built
            if built is None or not self._ready_after_ms:
                continue
            try:
                news = await built.feed.news(built.clock.now_ms())
                self._latch.set(built.feed.state)
                for message in news:
                    LOG.info("shell.from_record actor=%s kind=%s", self._name, message.kind)
                    await built.actor.receive(message)
            except JournalUnavailable as error:
                LOG.warning("shell.record_not_read actor=%s %s", self._name, error)
            except Exception:  # the edge: what could not be taken in is on record, and a restart reads it again
                LOG.exception("shell.record_not_taken actor=%s", self._name)

    async def _pass_trading_state_on(self) -> None:
        """What the control thread heard becomes a message, so that the actor hears it on its own loop too."""
        state, built = self._latch.state(), self._built
        if built is None or not self._ready_after_ms or state.epoch <= self._told_epoch:
            return
        now_ms = built.clock.now_ms()
        message = TradingStateChanged(mode=state.mode, epoch=state.epoch, ts_ms=now_ms, reason=state.reason)
        try:
            await built.actor.receive(message)
            self._told_epoch = state.epoch
        except Exception:  # the edge: the next beat tries again
            LOG.exception("shell.trading_state_not_taken actor=%s", self._name)

    def _take_beat(self) -> None:
        beat: dict[str, object] = {
            "name": self._name,
            "pid": os.getpid(),
            "born_ms": self._born_ms,
            "ready_after_ms": self._ready_after_ms,
            "status": "starting",
            "detail": self._trouble,
            "counters": {},
        }
        if self._built is not None and self._ready_after_ms:
            health = self._built.actor.health()
            beat |= {"status": str(health.status), "detail": health.detail}
            beat["counters"] = {**health.counters, **self._counters(self._built)}
        self._beat, self._beat_at = beat, time.monotonic()

    def _counters(self, built: Built) -> dict[str, float]:
        return {
            **{f"venue_{name}": value for meter in built.parts.meters for name, value in meter().items()},
            "inbox_taken": self._inbox.taken,
            "inbox_repeated": self._inbox.repeated,
            "inbox_failed": self._inbox.failed,
            "inbox_unreadable": self._inbox.unreadable,
            "transport_sent": built.transport.sent,
            "transport_queued": built.transport.queued,
            "transport_repeated": built.transport.repeated,
            "transport_dropped": built.transport.dropped,
        }
