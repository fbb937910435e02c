"""One schedule of deaths: run, judged, and written down so that it can be run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Protocol

from tests.crash.fuse import Fuse, Tape
from tests.crash.keeper_world import DemandsPlay, OverridePlay
from tests.crash.quick_loop import QuickLoop, kill_tasks
from tests.crash.stories import STORIES as ROUTER_STORIES
from tests.crash.stories import RouterPlay
from tests.crash.treasury_world import SilentTreasuryPlay, TreasuryPlay

LAGS_MS = (0, 3_000, 25_000)


class Play(Protocol):
    """A world in which one actor dies and comes back."""

    deaths: list[str]
    """Where each life that ended ended."""
    fuse: Fuse
    """That of the last life."""
    tape: Tape

    async def play(self) -> None:
        """The story, to its end."""
        ...

    async def judged(self) -> list[str]:
        """Everything that is wrong with how it ended."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """A story, how late the venue shows things, and the points at which the first lives end."""

    story: str
    lag_ms: int = 0
    fuses: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        """What replays it."""
        fuses = f" --fuses {','.join(map(str, self.fuses))}" if self.fuses else ""
        return f".venv/bin/python -m tests.crash.matrix --story {self.story} --lag-ms {self.lag_ms}{fuses}"


@dataclass(slots=True)
class Run:
    """What came of a schedule."""

    schedule: Schedule
    deaths: list[str]
    points: int
    """Points that the last life passed …"""
    passed: list[str]
    """… and their names."""
    apart: list[int]
    """Those of them that a successor can tell apart."""
    wrong: list[str]
    trail: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """A story and the lags under which it is told."""

    play: Callable[[int, Sequence[int]], Play]
    lags_ms: tuple[int, ...]


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        **{name: Part(partial(RouterPlay, story), LAGS_MS) for name, story in ROUTER_STORIES.items()},
        "unleased": Part(partial(RouterPlay, ROUTER_STORIES["unleased"]), (0,)),
        "trade": Part(partial(RouterPlay, ROUTER_STORIES["trade"]), (0, 3_000)),
        "vanished": Part(partial(RouterPlay, ROUTER_STORIES["vanished"]), (0,)),
        "wide": Part(partial(RouterPlay, ROUTER_STORIES["wide"]), (0,)),
        "sweep": Part(TreasuryPlay, LAGS_MS),
        "sweep-silence": Part(SilentTreasuryPlay, (0, 3_000)),
        "targets": Part(DemandsPlay, (0,)),
        "override": Part(OverridePlay, (0,)),
    }
)


def run(schedule: Schedule, loop: QuickLoop) -> Run:
    """Run it to its end; whatever goes wrong is in the answer."""
    loop.unasked.clear()
    return loop.run(_run(schedule, loop))


async def _run(schedule: Schedule, loop: QuickLoop) -> Run:
    play = PARTS[schedule.story].play(schedule.lag_ms, schedule.fuses)
    try:
        await play.play()
        wrong = await play.judged()
    except Exception as error:
        # A run that cannot go on is a finding like any other, and the next schedule is not to suffer from it.
        wrong = [f"{type(error).__name__}: {error}"]
    await kill_tasks()
    wrong += [f"nobody asked: {type(error).__name__}: {error}" for error in loop.unasked]
    trail = [
        f"{one.ms - play.tape.happened[0].ms:>7} ms  life {one.life}  {one.what} {one.link}"
        for one in play.tape.happened
    ]
    return Run(schedule, play.deaths, play.fuse.points, play.fuse.passed, play.fuse.apart, wrong, trail)


def schedules_from(first: Schedule, loop: QuickLoop, deaths: int, *, every: bool = True) -> Iterator[Run]:
    """This schedule, and every one that differs from it by up to so many more deaths after its last.

    A successor knows nothing but the world that it finds. So of the points between which the world did not change one
    is enough; with `every`, a first death is tried at each of them all the same (and a second after one of them).
    """
    here = run(first, loop)
    yield here
    if deaths <= 0 or len(here.deaths) < len(first.fuses):
        return
    apart = set(here.apart)
    for at in range(here.points) if every and not first.fuses else here.apart:
        further = Schedule(first.story, first.lag_ms, (*first.fuses, at))
        yield from schedules_from(further, loop, deaths - 1 if at in apart else 0)
