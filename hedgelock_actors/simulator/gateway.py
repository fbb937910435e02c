"""What every endpoint and socket of the server works on: the exchange behind its driver, keys, limits, streams,
logs.
"""

import random
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hedgelock_actors.simulator.api import (
    Ack,
    AckItem,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    ExchangeApi,
    PlaceOrder,
)
from hedgelock_actors.simulator.auth import ApiKey, Clocks, KeyRing
from hedgelock_actors.simulator.clock import RUNNING, Driver
from hedgelock_actors.simulator.dcp import DisconnectProtection
from hedgelock_actors.simulator.faults import ServerFaults
from hedgelock_actors.simulator.maintenance import MaintenancePlan
from hedgelock_actors.simulator.rate_limit import AccountLimiter, AddressLimiter, Verdict
from hedgelock_actors.simulator.ws_hub import Hub

_ARRIVALS_MAX = 200_000
_PUBLISHED_MAX = 200_000
Logged = PlaceOrder | AmendOrder | CancelOrder | CancelAll


class ArrivalLog:
    """Every order request as it reached the venue, oldest first; the newest 200,000 are kept."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, object]] = deque(maxlen=_ARRIVALS_MAX)

    def record(
        self, ts_ms: int, uid: str, via: str, op: str, command: object, outcome: Ack | AckItem, monotonic_ns: int = 0
    ) -> None:
        """Note one request and what was answered; `monotonic_ns`: CLOCK_MONOTONIC when it was read, 0 unknown."""
        row: dict[str, object] = {"ts_ms": ts_ms, "uid": uid, "via": via, "op": op, "retCode": outcome.ret_code}
        row["monotonic_ns"] = monotonic_ns
        for name in ("symbol", "side", "order_type", "qty", "price", "time_in_force", "reduce_only", "order_link_id"):
            value = getattr(command, name, None)
            row[name] = value if value is None or isinstance(value, str | bool) else str(value)
        given = outcome.order_id if isinstance(outcome, AckItem) else str(outcome.result.get("orderId", ""))
        row["order_id"] = given or getattr(command, "order_id", "")
        self._rows.append(row)

    def of(self, uid: str | None) -> list[dict[str, object]]:
        """Rows of one account, or all."""
        return [row for row in self._rows if uid is None or row["uid"] == uid]


@dataclass(slots=True)
class Gateway:
    """The server's state. `latency_s` is wall time before a socket answers (0 in lock-step)."""

    exchange: ExchangeApi
    driver: Driver
    hub: Hub
    keys: tuple[ApiKey, ...]
    addresses: AddressLimiter
    latency_s: float
    rng: random.Random
    faults: ServerFaults
    dcp: DisconnectProtection
    limits: AccountLimiter = field(default_factory=AccountLimiter)
    arrivals: ArrivalLog = field(default_factory=ArrivalLog)
    published: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_PUBLISHED_MAX))
    """(venue ms, CLOCK_MONOTONIC ns) of the newest price steps, when their frames were about to be queued."""
    maintenance: MaintenancePlan = field(default_factory=MaintenancePlan)
    counters: dict[str, int] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    coins: tuple[str, ...] = ()
    ring: KeyRing = field(init=False)

    def __post_init__(self) -> None:
        self.ring = KeyRing(self.keys)
        instruments = self.exchange.instruments()
        self.symbols = tuple(item.symbol for item in instruments)
        self.coins = tuple(dict.fromkeys([*(item.base_coin for item in instruments), "USDT"]))

    def now_ms(self) -> int:
        """Venue time."""
        return self.driver.now_ms()

    def clocks(self) -> Clocks:
        """What a caller's timestamp is held against."""
        return Clocks(self.now_ms(), time.time_ns() // 1_000_000, self.driver.step_ms)

    def limit_ms(self) -> int:
        """The time that limits roll by: venue time while it moves, else wall time, so that nobody is limited for
        ever.
        """
        if self.driver.clock.state == RUNNING:
            return self.now_ms()
        return time.monotonic_ns() // 1_000_000

    def spend(self, uid: str, path: str, category: str, units: int = 1) -> tuple[int, Verdict]:
        """Spend `units` of a quota: how many were granted, and the verdict for the headers (reset in venue time)."""
        now, granted = self.limit_ms(), 0
        verdict = self.limits.take(uid, path, category, now)
        granted += verdict.allowed
        for _ in range(units - 1):
            verdict = self.limits.take(uid, path, category, now)
            granted += verdict.allowed
        return granted, Verdict(
            verdict.allowed, verdict.limit, verdict.remaining, self.now_ms() + verdict.reset_ms - now
        )

    async def command(self, uid: str, command: Command) -> Ack:
        """Hand a command to the exchange and return its answer when it leaves the venue."""
        return await self.driver.call(uid, command)

    def key_of(self, uid: str) -> ApiKey:
        """The credentials of an account."""
        return next(key for key in self.keys if key.uid == uid)

    def new_id(self) -> str:
        """A fresh id in the venue's UUID form."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def count(self, name: str) -> None:
        """Count something for the report."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def uids(self) -> Sequence[str]:
        """All accounts."""
        return [key.uid for key in self.keys]
