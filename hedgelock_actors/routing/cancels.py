"""Cancels: asked for again and again, ever less often, until the venue says that the order is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hedgelock_actors.domain.order import Accepted, CancelOutcome
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import Venue
from hedgelock_actors.routing.book import RouterBook

AGAIN_MS = 1_000
AGAIN_MAX_MS = 60_000
AGAIN_SHOWN_MAX_MS = 5_000
LOOK_AFTER_MS = 500
BATCH = 10


@dataclass(slots=True)
class _Wanted:
    due_ms: int
    tries: int = 0
    shown: bool = False
    """The venue has shown the order: from then on a cancel reaches it."""


class Canceller:
    """Of one account and symbol. Cancelling needs no journal and no permission: it is harmless and repeatable."""

    def __init__(self, book: RouterBook, symbol: str, venue: Venue, clock: Clock, counters: Counter[str]) -> None:
        self._book, self._symbol, self._venue, self._clock, self._counters = book, symbol, venue, clock, counters
        self._wanted: dict[str, _Wanted] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def want(self, links: Iterable[str], delay_ms: int = 0) -> None:
        """These orders are to be closed, if they are not by themselves after a delay."""
        due_ms = self._clock.now_ms() + delay_ms
        for link in links:
            wanted = self._wanted.setdefault(link, _Wanted(due_ms))
            if wanted.tries == 0:
                wanted.due_ms = min(wanted.due_ms, due_ms)

    def closed(self, link: str) -> None:
        """An order that is not in the book is closed."""
        self._wanted.pop(link, None)

    @property
    def links(self) -> Sequence[str]:
        """What is still to be closed."""
        return list(self._wanted)

    def next_ms(self) -> int | None:
        """When there is something to do."""
        return min((one.due_ms for one in self._wanted.values()), default=None)

    async def work(self) -> None:
        """Ask for what is due. Never raises: whatever went wrong, it is asked again."""
        if not self._wanted:
            return
        now_ms = self._clock.now_ms()
        for link in [one for one in self._wanted if self._is_closed(one)]:
            del self._wanted[link]
        self._notice_shown(now_ms)
        due = [link for link, one in self._wanted.items() if one.due_ms <= now_ms][:BATCH]
        if not due:
            return
        for link in due:
            wanted = self._wanted[link]
            wanted.tries += 1
            longest_ms = AGAIN_SHOWN_MAX_MS if wanted.shown else AGAIN_MAX_MS
            wanted.due_ms = now_ms + min(longest_ms, AGAIN_MS * 2 ** min(wanted.tries - 1, 6))
            tracked = self._book.orders.get(link)
            if tracked is not None:
                tracked.look_ms = min(tracked.look_ms, now_ms + LOOK_AFTER_MS)
        self._counters["cancels"] += len(due)
        if self._clock.paced:
            await self._ask(due)
        else:
            # Beside the worker: a cancel whose answer is lost must not hold up what protects.
            task = asyncio.create_task(self._ask(due), name="cancel")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def stop(self) -> None:
        """Wait for nothing any more."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _notice_shown(self, now_ms: int) -> None:
        for link, wanted in self._wanted.items():
            tracked = self._book.orders.get(link)
            if not wanted.shown and tracked is not None and not tracked.unresolved:
                wanted.shown = True
                if wanted.tries > 0:
                    wanted.tries, wanted.due_ms = 0, now_ms

    async def _ask(self, links: Sequence[str]) -> None:
        try:
            if len(links) == 1:
                outcomes = [await self._venue.cancel(self._symbol, links[0])]
            else:
                outcomes = list(await self._venue.cancel_many(self._symbol, links))
            self._answered(links, outcomes)
        except Exception:
            # The port does not raise; if it does all the same, the cancel is asked again like any unanswered one.
            self._counters["errors"] += 1

    def _answered(self, links: Sequence[str], outcomes: Sequence[CancelOutcome]) -> None:
        """Of an order that is not in the book only the venue's next list tells what became of it."""
        for link, outcome in zip(links, outcomes, strict=True):
            if isinstance(outcome, Accepted) and link not in self._book.orders and link in self._wanted:
                self._wanted[link].due_ms = self._clock.now_ms() + AGAIN_MAX_MS

    def _is_closed(self, link: str) -> bool:
        tracked = self._book.orders.get(link)
        return tracked is not None and tracked.state.terminal
