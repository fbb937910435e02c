"""The clock of a simulated exchange: a multiple of the wall clock, or, in lock-step, the time of the last market step.

In lock-step the exchange sends a tick per market step and waits for the answer. On a tick this clock moves its time,
wakes those who slept until then, runs the jobs that are due, and answers when all of that has come to rest: each has
ended or sleeps again on this clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

import aiohttp

from hedgelock_actors.adapters.venue_clock.jobs import next_due, period_of, run_guarded
from hedgelock_actors.adapters.venue_clock.mapping import ReplayState, TimeMapping, parse
from hedgelock_actors.ports.clock import Job

_log = logging.getLogger(__name__)

_TURNS = 4
# Wall seconds for which the venue waits for one who woke up and then waits for something that is not venue time.
_WOKEN_GRACE_S = 0.2
_JOB_GRACE_S = 120.0
_BACKOFF_S = (0.05, 2.0)
_HTTP_TIMEOUT_S = 10.0

# Who is at work: a job and everything it starts are one owner, anything else is its own task.
_owner: contextvars.ContextVar[object | None] = contextvars.ContextVar("clock_owner", default=None)


class ClockUnavailable(Exception):
    """The exchange does not tell its time."""


@dataclass(slots=True, eq=False)
class _Sleeper:
    until_ms: float
    owner: object
    task: asyncio.Task[object] | None
    future: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Repeating:
    period_ms: int
    due_ms: int
    job: Job
    number: int
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class ReplayClock:
    """Implements Clock by `/sim/clock` of the exchange at `base_url`; `name` is who takes part in lock-step.

    While the exchange is held or has ended, and in lock-step before `start`, venue time stands still; `sleep` then
    passes on the wall clock, so that what must be tried again can be. Jobs never run while time stands still.
    """

    def __init__(self, base_url: str, name: str) -> None:
        self.job_failures = 0
        self.late_sleepers = 0
        """Lock-step: how often one who woke up was not waited for any longer."""
        self.connects = 0
        self._base_url = base_url.rstrip("/")
        self._name = name
        self._mapping: TimeMapping | None = None
        self._latest_ms = 0
        self._sleepers: set[_Sleeper] = set()
        self._jobs: list[_Repeating] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._joined = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopped = False
        self._reader: asyncio.Task[None] | None = None
        self._drivers: set[asyncio.Task[None]] = set()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    # ------------------------------------------------------------------ the port

    @property
    def paced(self) -> bool:
        """True in lock-step."""
        return self._known().paced

    @property
    def speed(self) -> float:
        """Venue ms per wall ms, now; 0 while time stands still by itself."""
        return self._known().speed

    @property
    def state(self) -> ReplayState:
        """Held, running or ended."""
        return self._known().state

    def now_ms(self) -> int:
        """Venue time in ms. Never runs backwards. Raises ClockUnavailable before `prepare`."""
        self._latest_ms = max(self._latest_ms, self._known().at(time.monotonic_ns()))
        return self._latest_ms

    def observe(self, venue_ms: int) -> None:
        """In lock-step: the venue's data may come before its tick. Otherwise the mapping is exact."""
        if self._known().paced:
            self._latest_ms = max(self._latest_ms, venue_ms)

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of venue time (of wall time while venue time stands still)."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        left_ms = seconds * 1000
        while left_ms > 0:
            began_ms, began_s, standing = self.now_ms(), time.monotonic(), self._standing
            rate = 1.0 if standing else self._known().speed
            await self._pause(began_ms + left_ms, left_ms / rate / 1000 if rate > 0 else None)
            passed_s = time.monotonic() - began_s
            left_ms -= passed_s * 1000 if standing else self.now_ms() - began_ms

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        """Run `job` every `seconds` of venue time, first after one period; returns what cancels it."""
        period_ms = period_of(seconds)
        repeating = _Repeating(period_ms, self.now_ms() + period_ms, job, next(self._numbers))
        self._jobs.append(repeating)
        driver: asyncio.Task[None] | None = None
        if not self._known().paced:
            driver = asyncio.create_task(self._drive(repeating), name=f"every-{seconds}s")
            self._drivers.add(driver)
            driver.add_done_callback(self._drivers.discard)
        return lambda: self._cancel(repeating, driver)

    async def prepare(self) -> None:
        """Learn the venue's time without joining it. Raises ClockUnavailable."""
        timeout = aiohttp.ClientTimeout(total=_HTTP_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self._base_url}/sim/clock") as answer,
            ):
                answer.raise_for_status()
                fields = await answer.json()
            self._remap(parse(fields))
        except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError) as error:
            raise ClockUnavailable(f"{self._base_url}/sim/clock: {type(error).__name__}: {error}") from error

    async def start(self) -> None:
        """Join: in lock-step the venue waits for us from now on. Returns when it has told its time."""
        if self._mapping is None:
            await self.prepare()
        if self._reader is None:
            self._reader = asyncio.create_task(self._stay_joined(), name=f"clock-{self._name}")
        await self._joined.wait()

    async def stop(self) -> None:
        """Say bye, leave, and cancel all jobs. Whoever still sleeps goes on by the wall clock."""
        self._stopped = True
        await self._say({"op": "bye"})
        here = asyncio.current_task()
        tasks = [self._reader, *self._drivers, *(repeating.task for repeating in self._jobs)]
        self._jobs.clear()
        running = [task for task in tasks if task is not None and task is not here]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._wake(self._sleepers)

    async def wait_ended(self) -> None:
        """Returns when the exchange has no more prices."""
        await self._ended.wait()

    # ------------------------------------------------------------------ time

    def _known(self) -> TimeMapping:
        if self._mapping is None:
            raise ClockUnavailable("the venue's time is not known yet: call prepare() first")
        return self._mapping

    @property
    def _standing(self) -> bool:
        """Venue time stands still, and will not move by itself nor by a tick that we shall hear of."""
        mapping = self._known()
        if self._stopped or mapping.state is not ReplayState.RUNNING:
            return True
        return mapping.paced and not self._joined.is_set()

    def _remap(self, mapping: TimeMapping) -> None:
        if self._mapping is not None:
            self.now_ms()
        self._mapping = mapping
        if mapping.state is ReplayState.ENDED:
            self._ended.set()
        self._wake(self._sleepers)

    def _wake(self, sleepers: Iterable[_Sleeper]) -> None:
        for sleeper in list(sleepers):
            if not sleeper.future.done():
                sleeper.future.set_result(None)

    async def _pause(self, until_ms: float, timeout_s: float | None) -> None:
        """Until a tick at or after `until_ms`, a change of the mapping, or the timeout."""
        task = asyncio.current_task()
        owner = _owner.get() or task
        sleeper = _Sleeper(until_ms, owner, task, asyncio.get_running_loop().create_future())
        self._sleepers.add(sleeper)
        self._changed.set()
        try:
            # Not wait_for: on Python 3.11 it drops a cancel that comes together with the result.
            async with asyncio.timeout(timeout_s):
                await sleeper.future
        except TimeoutError:
            pass  # the time is up by the mapping
        finally:
            self._sleepers.discard(sleeper)

    # ------------------------------------------------------------------ jobs

    async def _drive(self, repeating: _Repeating) -> None:
        """Un-paced: run a job on its own grid of venue time."""
        while repeating in self._jobs:
            while (left_ms := repeating.due_ms - self.now_ms()) > 0:
                mapping = self._known()
                await self._pause(repeating.due_ms, left_ms / mapping.speed / 1000 if mapping.flows else None)
            self.job_failures += not await run_guarded(repeating.job)
            repeating.due_ms = next_due(repeating.due_ms, repeating.period_ms, self.now_ms())

    def _cancel(self, repeating: _Repeating, driver: asyncio.Task[None] | None) -> None:
        if repeating in self._jobs:
            self._jobs.remove(repeating)
        if driver is not None and driver is not asyncio.current_task():
            driver.cancel()  # a job that cancels itself ends this run first

    async def _tick(self, number: int, venue_ms: int) -> None:
        """Lock-step: one market step of the venue."""
        self._latest_ms = max(self._latest_ms, venue_ms)
        due = [sleeper for sleeper in self._sleepers if sleeper.until_ms <= self._latest_ms]
        self._wake(due)
        if due and not await self._rest([(s.owner, s.task) for s in due], _WOKEN_GRACE_S):
            self.late_sleepers += 1
        for repeating in sorted(self._jobs, key=lambda one: (one.due_ms, one.number)):
            if repeating.due_ms <= self._latest_ms and repeating in self._jobs:
                await self._run(repeating)
        await self._say({"op": "ack", "n": number})

    async def _run(self, repeating: _Repeating) -> None:
        repeating.due_ms = next_due(repeating.due_ms, repeating.period_ms, self._latest_ms)
        if repeating.running:
            return
        owner, context = object(), contextvars.copy_context()
        context.run(_owner.set, owner)
        repeating.task = asyncio.create_task(self._count(repeating.job), context=context)
        if not await self._rest([(owner, repeating.task)], _JOB_GRACE_S):
            _log.error("a periodic job has not come to rest within %s s of wall time", _JOB_GRACE_S)

    async def _count(self, job: Job) -> None:
        self.job_failures += not await run_guarded(job)

    async def _rest(self, working: list[tuple[object, asyncio.Task[object] | None]], grace_s: float) -> bool:
        """Wait until each of `working` has ended or sleeps on this clock; False when the grace was too short."""
        deadline = time.monotonic() + grace_s
        while True:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._changed.clear()
            asleep = {sleeper.owner for sleeper in self._sleepers if not sleeper.future.done()}
            tasks = {task for owner, task in working if task and not task.done() and owner not in asleep}
            if not tasks:
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({*tasks, changed}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    # ------------------------------------------------------------------ the socket

    async def _stay_joined(self) -> None:
        delay_s = _BACKOFF_S[0]
        async with aiohttp.ClientSession() as session:
            while not self._stopped:
                try:
                    async with self._connected(session) as socket:
                        delay_s = _BACKOFF_S[0]
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.TEXT:
                                await self._hear(message.json())
                except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                    _log.warning("clock socket: %s: %s", type(error).__name__, error)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))
                delay_s = min(delay_s * 2, _BACKOFF_S[1])

    @contextlib.asynccontextmanager
    async def _connected(self, session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        url = f"{self._base_url}/sim/clock"
        async with session.ws_connect(url, params={"name": self._name}) as socket:
            self.connects += 1
            self._socket = socket
            try:
                yield socket
            finally:
                self._socket = None

    async def _hear(self, frame: Mapping[str, object]) -> None:
        match frame:
            case {"op": "clock"}:
                # Joined first: those who slept by the wall look again, and then sleep by ticks.
                self._joined.set()
                self._remap(parse(frame))
            case {"op": "tick", "n": int(number), "venue_ms": int(venue_ms)}:
                await self._tick(number, venue_ms)
            case {"op": "end"}:
                self._ended.set()
            case _:
                _log.warning("clock socket: unknown frame %s", str(frame)[:200])

    async def _say(self, frame: Mapping[str, object]) -> None:
        socket = self._socket
        if socket is None or socket.closed:
            return
        try:
            await socket.send_json(frame)
        except (aiohttp.ClientError, ConnectionError):
            pass  # the reader sees the loss, connects again, and the venue repeats what it still waits for
