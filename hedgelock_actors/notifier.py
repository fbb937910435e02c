"""Who is told what: alerts from messages, repetitions folded, kept in the journal, delivered by the channels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from hedgelock_actors.actor import Actor, JournalStream
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import alerts_for
from hedgelock_actors.domain.messages import AlertRaised, AnyMessage
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.ports.channel import Channel, DeliveryFailed
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Journal, JournalUnavailable, StaleEpoch

KEPT = 200
DEDUP_MS = 300_000
DEDUP_KEYS = 5_000
OWED_MAX = 1_000
"""Alerts that could not be written yet; beyond that the oldest are left out, and counted."""
SETTLE_S = 5.0


class Notifier(Actor):
    """See the module. A person is told even when the journal cannot be written: the alert matters more than its row."""

    def __init__(
        self,
        name: str,
        channels: Sequence[Channel],
        *,
        journal: Journal,
        clock: Clock,
        policy: Policy | None = None,
        dedup_ms: int = DEDUP_MS,
    ) -> None:
        super().__init__(name, clock)
        self._channels = tuple(channels)
        self._stream = JournalStream(journal, name)
        self._policy = policy or Policy()
        self._dedup_ms = dedup_ms
        self._recent: deque[AlertRaised] = deque(maxlen=KEPT)
        self._told: dict[str, tuple[int, Severity]] = {}
        self._unheard: deque[AlertRaised] = deque(maxlen=KEPT)
        """What reached nobody yet; it is told again until it does."""
        self._owed: dict[str, Entry] = {}
        self._away = self._taken_up = False
        self._cancel: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Take up what was told before, so that a restart repeats nothing."""
        await self._recover()
        self._cancel = self.clock.every(SETTLE_S, self._settle)

    async def stop(self) -> None:
        """Tell nothing any more."""
        self.mark_stopped()
        self._cancel()

    async def receive(self, message: AnyMessage) -> None:
        """Any message; most ask for no alert."""
        if self.stopped:
            return
        for alert in alerts_for(message):
            if not self._repeats(alert):
                await self._raise(alert)

    def snapshot(self) -> Mapping[str, object]:
        """The last 200 alerts, newest first."""
        return {
            "alerts": [alert.model_dump(mode="json") for alert in reversed(self._recent)],
            "undelivered": len(self._unheard),
        }

    def _repeats(self, alert: AlertRaised) -> bool:
        """Told within the window, and not louder now."""
        told = self._told.get(alert.dedup_key)
        if told is None or alert.ts_ms - told[0] >= self._dedup_ms or alert.severity.rank > told[1].rank:
            return False
        self.counters["repeated"] += 1
        return True

    async def _raise(self, alert: AlertRaised) -> None:
        self._remember(alert)
        self.counters["alerts"] += 1
        self.counters[f"alerts_{alert.severity.value.lower()}"] += 1
        await self._record(alert)
        if not await self._tell_anybody(alert):
            self._unheard.append(alert)
            self.mark_degraded(f"alert {alert.alert_id} reached nobody")

    async def _tell_anybody(self, alert: AlertRaised) -> bool:
        """By every channel; False when all of them failed."""
        delivered = [await self._deliver(channel, alert) for channel in self._channels]
        return any(delivered) or not delivered

    async def _tell_again(self) -> None:
        while self._unheard:
            alert = self._unheard.popleft()
            if not await self._tell_anybody(alert):
                self._unheard.appendleft(alert)
                return
        if not self._away:
            self.mark_ready()

    async def _deliver(self, channel: Channel, alert: AlertRaised) -> bool:
        try:
            await channel.deliver(alert)
        except DeliveryFailed:
            self.counters[f"failed_{channel.name}"] += 1
            return False
        self.counters[f"delivered_{channel.name}"] += 1
        return True

    def _remember(self, alert: AlertRaised) -> None:
        self._recent.append(alert)
        self._told.pop(alert.dedup_key, None)
        self._told[alert.dedup_key] = (alert.ts_ms, alert.severity)
        while len(self._told) > DEDUP_KEYS:
            self._told.pop(next(iter(self._told)))

    async def _recover(self) -> None:
        try:
            await self._take_up()
        except JournalUnavailable as error:
            self._journal_lost(error)
            return
        self.mark_ready()

    async def _take_up(self) -> None:
        """Raises JournalUnavailable."""
        await self._stream.open()
        told_since = list(self._recent)
        async for record in self._stream.read("alert"):
            self._remember(AlertRaised.model_validate(record.entry.payload))
        for alert in told_since:
            self._remember(alert)
        self._taken_up = True

    async def _record(self, alert: AlertRaised) -> None:
        key = f"alert:{alert.alert_id}"
        self._owed[key] = Entry(
            kind="alert",
            key=key,
            ts_ms=alert.ts_ms,
            account=alert.account,
            payload=alert.model_dump(mode="json"),
        )
        while len(self._owed) > OWED_MAX:
            self._owed.pop(next(iter(self._owed)))
            self.counters["unrecorded"] += 1
        await self._write()

    async def _settle(self) -> None:
        """What could not be written is written as soon as the journal is back, and what nobody heard is told again."""
        if not self.stopped and (self._away or self._owed):
            await self._write()
        if not self.stopped and self._unheard:
            await self._tell_again()

    async def _write(self) -> None:
        owed = dict(self._owed)
        try:
            if not self._taken_up:
                await self._take_up()
            await self._stream.append(*owed.values())
        except JournalUnavailable as error:
            self._journal_lost(error)
        except StaleEpoch:
            self.mark_stopped("a newer instance writes this journal stream")
        else:
            for key in owed:
                self._owed.pop(key, None)
            if self._away:
                self._away = False
                self._journal_back()

    def _journal_lost(self, error: JournalUnavailable) -> None:
        self._away = True
        self.counters["journal_unavailable"] += 1
        self.mark_degraded(f"journal: {error}")

    def _journal_back(self) -> None:
        """An alert that reached nobody stays to be shown."""
        if self.health().detail.startswith("journal: "):
            self.mark_ready()
