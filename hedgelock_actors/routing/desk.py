"""Where orders leave: journalled, approved at the last line, sent; amended; cancelled until they are closed.

Owned by one worker: nothing here runs twice at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hedgelock_actors.codec import amend_payload, outcome_payload
from hedgelock_actors.domain.limits import Approved, Limits, Refused, approve, approve_amend
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import (
    Accepted,
    AmendRequest,
    OrderRequest,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import JournalUnavailable, Json
from hedgelock_actors.ports.venue import Venue
from hedgelock_actors.routing.alerts import RouterAlerts
from hedgelock_actors.routing.book import RouterBook, Tracked
from hedgelock_actors.routing.gate import GateFacts
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.plan import Drop
from hedgelock_actors.routing.state import RouterState

DUPLICATE_ID = "110072"
NO_MARGIN = frozenset({"110004", "110007", "110012"})
"""The venue has not the money for the order: asking again changes nothing."""
NO_MARGIN_HOLD = "no margin"
HOLD_MAX_MS = 60_000


@dataclass(frozen=True, slots=True)
class NotSent:
    """Our own limits (or the journal) stopped it: nothing left us."""

    code: str
    detail: str


class OrderDesk:
    """See the module."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        facts: GateFacts,
        *,
        venue: Venue,
        notes: RouterNotes,
        alerts: RouterAlerts,
        clock: Clock,
        limits: Limits,
        counters: Counter[str],
    ) -> None:
        self._state, self._book, self._facts, self._limits = state, book, facts, limits
        self._venue, self._notes, self._alerts, self._clock = venue, notes, alerts, clock
        self._counters = counters
        self._failures = 0

    # ------------------------------------------------------------ sending

    async def send(self, request: OrderRequest, payload: Mapping[str, Json], instrument: Instrument) -> NotSent | None:
        """Send a new order; None when it was handed to the venue, whatever the venue said.

        What came of it is owed to the journal: `RouterNotes.settle` writes it.

        Raises:
            JournalUnavailable, StaleEpoch: nothing was sent.
        """
        epoch = self._facts.epoch
        self._book.decide(payload, self._clock.now_ms())
        first = self._approve(request, instrument, epoch, resend=False)
        if isinstance(first, Refused):
            return self._refused(first)
        link = request.order_link_id
        try:
            await self._notes.note("intent", f"intent:{link}:1", payload)
        except JournalUnavailable:
            # Perhaps it was written all the same: then it is on record, too, that it never left.
            self._notes.owe("absent", f"absent:{link}", {"order_link_id": link, "why": "the journal did not answer"})
            raise
        return await self._hand_over(request, instrument, epoch, resend=False)

    async def resend(self, request: OrderRequest, payload: Mapping[str, Json], instrument: Instrument) -> bool:
        """Send an order again under its own id; True when it was handed over. Raises as `send`."""
        link, epoch = request.order_link_id, self._facts.epoch
        first = self._approve(request, instrument, epoch, resend=True)
        if isinstance(first, Refused):
            self._refused(first)
            return False
        await self._notes.note("resend", f"resend:{link}:{self._book.orders[link].sends + 1}", payload)
        return await self._hand_over(request, instrument, epoch, resend=True) is None

    def _approve(
        self, request: OrderRequest, instrument: Instrument, epoch: int, *, resend: bool
    ) -> Approved[OrderRequest] | Refused[OrderRequest]:
        context = self._facts.context(instrument, request.intent_id, epoch=epoch, resend=resend)
        return approve(request, context, self._limits)

    async def _hand_over(
        self, request: OrderRequest, instrument: Instrument, epoch: int, *, resend: bool
    ) -> NotSent | None:
        # From here to the write nothing else runs: what the gate is told is what is true when the order leaves.
        verdict = self._approve(request, instrument, epoch, resend=resend)
        tracked = self._book.sending(request, self._clock.now_ms())
        if isinstance(verdict, Refused):
            self._not_sent(tracked, resend, str(verdict.code))
            return self._refused(verdict)
        self._counters["orders"] += 1
        self._answered(tracked, await self._place(verdict))
        return None

    async def _place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        try:
            return await self._venue.place(order)
        except Exception as error:
            # The port does not raise; if it does all the same, nobody knows what became of the order.
            self._counters["errors"] += 1
            return Unknown(f"{type(error).__name__}: {error}")

    def _not_sent(self, tracked: Tracked, resend: bool, why: str) -> None:
        """The gate closed between the journal and the write. A resend says nothing about the send before it."""
        if resend:
            tracked.answers = tracked.sends
            return
        self._book.absent(tracked.link, why)
        self._notes.owe("absent", f"absent:{tracked.link}", _absence(tracked.link, why))

    def _answered(self, tracked: Tracked, outcome: SubmitOutcome) -> None:
        """What came of a send is owed to the journal, so that one that fails now hides no order."""
        if isinstance(outcome, Rejected) and outcome.code == DUPLICATE_ID:
            # The venue has this very order from an earlier send: adopt it.
            outcome = Accepted("")
        self._book.answered(tracked.link, outcome)
        if not isinstance(outcome, Accepted):
            self._state.doubted_ms = self._clock.now_ms()
        if isinstance(outcome, Rejected):
            self.rejected(tracked.link, outcome.code, outcome.text, retry=outcome.retry)
        elif isinstance(outcome, Unknown):
            self._counters["unknown"] += 1
        payload = {"order_link_id": tracked.link, "send": tracked.sends, **outcome_payload(outcome)}
        self._notes.owe("outcome", f"outcome:{tracked.link}:{tracked.sends}", payload)

    async def drop(self, plan: Drop) -> None:
        """Put on record that an order never had an effect. Raises JournalUnavailable, StaleEpoch."""
        await self._notes.note("absent", f"absent:{plan.link}", _absence(plan.link, plan.why))
        self._book.absent(plan.link, plan.why)

    # ------------------------------------------------------------ amending

    async def amend(self, request: AmendRequest, instrument: Instrument) -> NotSent | None:
        """Ask for another price of a resting order; None when the venue was asked. Raises as `send`."""
        epoch = self._facts.epoch
        payload = amend_payload(request)
        await self._notes.note("amend", f"amend:{request.order_link_id}:{request.number}", payload)
        context = self._facts.context(instrument, request.intent_id, epoch=epoch)
        verdict = approve_amend(request, context, self._limits)
        self._book.amending(request.order_link_id, request.number, self._clock.now_ms())
        if isinstance(verdict, Refused):
            return self._refused(verdict)
        self._counters["amends"] += 1
        try:
            outcome = await self._venue.amend(verdict)
        except Exception as error:
            self._counters["errors"] += 1
            outcome = Unknown(f"{type(error).__name__}: {error}")
        if isinstance(outcome, Rejected):
            return NotSent(outcome.code, outcome.text)
        return None

    # ------------------------------------------------------------ when the answer is no

    def _refused(self, refused: Refused[OrderRequest] | Refused[AmendRequest]) -> NotSent:
        self._counters["refused"] += 1
        code = str(refused.code)
        self._alerts.once("refused", code, f"{code}: {refused.detail}", refused.request.order_link_id)
        return NotSent(code, refused.detail)

    def rejected(self, link: str, code: str, why: str, *, retry: bool = False) -> None:
        """The venue said no: back off, longer each time until something fills; say it once. `retry`: it may take the
        same order later.
        """
        self._counters["rejected"] += 1
        self._failures += 1
        wait_ms = min(HOLD_MAX_MS, 1_000 * 2 ** min(self._failures, 6))
        until_ms = self._clock.now_ms() + wait_ms
        if retry:
            self._state.slow(until_ms)
        else:
            self._state.hold(until_ms, f"{NO_MARGIN_HOLD}: {code}" if code in NO_MARGIN else f"{code}: {why}")
        self._alerts.once("rejected", code, f"{code}: {why}", link)

    def filled(self) -> None:
        """Something filled: the venue takes our orders."""
        self._failures = 0

    def means_changed(self) -> None:
        """Another target or more free margin: go on at once, also with what was refused for want of money."""
        self._state.rest_ms = 0
        if self._state.hold_why.startswith(NO_MARGIN_HOLD):
            self._state.release()
            self._failures = 0


def _absence(link: str, why: str) -> dict[str, Json]:
    return {"order_link_id": link, "why": why}
