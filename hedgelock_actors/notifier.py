"""Who is told what: alerts from messages, repetitions folded, kept in the journal, delivered by the channels."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

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
        self._undelivered = 0

    async def start(self) -> None:
        """Take up what was told before, so that a restart repeats nothing."""
        await self._recover()

    async def stop(self) -> None:
        """Tell nothing any more."""
        self.mark_stopped()

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
            "undelivered": self._undelivered,
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
        delivered = False
        for channel in self._channels:
            delivered = await self._deliver(channel, alert) or delivered
        if self._channels and not delivered:
            self._undelivered += 1
            self.mark_degraded(f"alert {alert.alert_id} reached nobody")

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
            await self._stream.open()
            async for record in self._stream.read("alert"):
                self._remember(AlertRaised.model_validate(record.entry.payload))
        except JournalUnavailable as error:
            self.mark_degraded(f"journal: {error}")
            return
        self.mark_ready()

    async def _record(self, alert: AlertRaised) -> None:
        entry = Entry(
            kind="alert",
            key=f"alert:{alert.alert_id}",
            ts_ms=alert.ts_ms,
            account=alert.account,
            payload=alert.model_dump(mode="json"),
        )
        try:
            if self._stream.epoch == 0:
                await self._stream.open()
            await self._stream.append(entry)
        except JournalUnavailable as error:
            self.counters["journal_unavailable"] += 1
            self.mark_degraded(f"journal: {error}")
        except StaleEpoch:
            self.mark_stopped("a newer instance writes this journal stream")
