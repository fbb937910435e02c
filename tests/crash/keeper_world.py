"""A keeper that dies while it books fills and sweeps and states targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AnyMessage,
    HedgeChanged,
    HedgeDemand,
    LoanTouched,
    SetTarget,
    TargetOverridden,
)
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.position_keeper import PositionKeeper
from tests.crash.fuse import Fuse, fused
from tests.crash.lives import Lives
from tests.crash.treasury_world import MatrixLoans
from tests.crash.venue import MatrixVenue
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL

KEEPER = f"position-keeper-{ACCOUNT}"
SWEPT = Decimal(5_000)


class KeeperWorld(Lives[PositionKeeper]):
    """A keeper with everything around it. Its router must hear journalled targets alone."""

    def __init__(self, lag_ms: int = 0, fuses: Sequence[int] = ()) -> None:
        super().__init__(fuses)
        self.venue = MatrixVenue(self.tape, self.clock.now_ms, lag_ms)
        self.loans = MatrixLoans(self.tape, self.clock.now_ms, lag_ms)
        self._floor: str | None = None
        self._swept: LoanTouched | None = None
        self._word: TargetOverridden | None = None

    def build(self, fuse: Fuse) -> PositionKeeper:
        self.transport.register("router", self._heard)
        return PositionKeeper(
            KEEPER,
            ACCOUNT,
            SYMBOL,
            venue=fused(self.venue, fuse, "venue"),
            loans=fused(self.loans, fuse, "loans"),
            journal=fused(self.journal, fuse, "journal"),
            transport=fused(self.transport, fuse, "transport"),
            cache=fused(MemoryCache(), fuse, "cache"),
            clock=self.clock,
            policy=Policy(),
            risk="risk",
            router="router",
            treasury="treasury",
            notifier="notifier",
        )

    def buried(self) -> None:
        self.venue.hang_up()

    async def greeted(self) -> None:
        await self.tell(self.venue.tick())
        if self._floor is not None:
            await self.tell(self._demand(self._floor))
        if self._swept is not None:
            await self.tell(self._swept)
        if self._word is not None:
            await self.tell(self._word)

    async def _heard(self, message: AnyMessage) -> None:
        if isinstance(message, SetTarget):
            kept = {one["version"] for one in self._records("target")}
            if message.version not in kept:
                self.wrong.append(f"the router heard of target {message.version} before the journal")

    def stated(self) -> list[SetTarget]:
        """What the router heard, in order."""
        return self.transport.messages(SetTarget, "router")

    def misstated(self) -> list[str]:
        """One meaning per version, and versions that only rise."""
        versions = [one.version for one in self.stated()]
        found = [] if versions == sorted(versions) else [f"versions stated: {versions}"]
        if len({(one.version, one.target_short_qty) for one in self.stated()}) != len(set(versions)):
            found.append("one version stated two targets")
        return found

    def _records(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(row.payload) for row in self.journal.rows(KEEPER) if row.kind == kind]

    async def _demanded(self, floor: str) -> None:
        self._floor = floor
        await self.tell(self._demand(floor))

    async def _fill(self, exec_id: str, qty: str) -> None:
        """The router sold; the venue tells."""
        self.venue.trade(f"hl-{exec_id}", Side.SELL, Decimal(qty), self.venue.mid)
        await self.live(self.venue.push)

    async def _seconds(self, count: int, step: int = 1) -> None:
        for _ in range(0, count, step):
            await self.live(lambda: self.clock.advance(step * 1_000))
            await self.live(self.venue.push)
            await self.tell(self.venue.tick())

    async def _until(self, what: str, true: Callable[[], bool], limit_s: int = 200) -> None:
        for _ in range(limit_s):
            if true():
                return
            await self._seconds(1)
        self.wrong.append(f"not within {limit_s} s: {what}")

    def _demand(self, floor: str) -> HedgeDemand:
        return HedgeDemand(
            account=ACCOUNT,
            symbol=SYMBOL,
            ts_ms=self.clock.now_ms(),
            price=self.venue.mid,
            floor_qty=Decimal(floor),
            neutral_qty=Decimal(4),
            collateral_qty=Decimal(10),
            debt=self.loans.debt,
            level=RiskLevel.CAUTION,
            lender_ltv=0.4,
            net_ltv=0.4,
        )


class DemandsPlay(KeeperWorld):
    """Demands rise, the hedge fills, a sweep is told."""

    async def play(self) -> None:
        """Demand 1.0, filled in two parts; demand 1.6; a sweep; demand stays."""
        await self.boot()
        await self._seconds(1)
        await self._demanded("1.0")
        await self._fill("a", "0.6")
        await self._fill("b", "0.4")
        await self._seconds(2)
        await self._demanded("1.6")
        await self._fill("c", "0.6")
        self.loans.debt -= SWEPT
        self._swept = LoanTouched(account=ACCOUNT, ts_ms=self.clock.now_ms(), action_id="sweep-1", swept_usdt=SWEPT)
        await self.tell(self._swept)
        await self._until("the sweep is booked", lambda: bool(self._records("sweep_booked")))
        await self._until("the fills are booked", lambda: len(self._records("booked")) >= len(self.venue.executed))
        self._swept = None
        await self._seconds(40, step=5)

    async def judged(self) -> list[str]:
        """The last demand is held. Fills and the sweep are booked once."""
        found, stated = [*self.wrong, *self.misstated()], self.stated()
        if not stated or stated[-1].target_short_qty != Decimal("1.6"):
            found.append(f"the last target stated is {stated[-1:]}")
        fills = sorted(one["exec_id"] for one in self._records("booked"))
        if fills != sorted(one.exec_id for one in self.venue.executed):
            found.append(f"fills journalled: {fills}")
        hedges = self.transport.messages(HedgeChanged, "risk")
        if not hedges or hedges[-1].short_qty != -self.venue.signed_qty:
            found.append(f"the last hedge told is {hedges[-1:]}")
        if len(self._records("sweep_booked")) != 1:
            found.append(f"sweeps booked: {self._records('sweep_booked')}")
        position = Decimal(str(self.actor.snapshot()["position_qty"]))
        if position != self.venue.signed_qty:
            found.append(f"the keeper counts {position}, the venue {self.venue.signed_qty}")
        return found


class OverridePlay(KeeperWorld):
    """A person holds the target for ten seconds; then the policy's stands again."""

    async def play(self) -> None:
        """Demand 1.0; an override to 2.0, on record before it is told; its end."""
        await self.boot()
        await self._seconds(1)
        await self._demanded("1.0")
        self._word = TargetOverridden(
            account=ACCOUNT,
            symbol=SYMBOL,
            override_id="o1",
            version=1,
            ts_ms=self.clock.now_ms(),
            target_short_qty=Decimal("2.0"),
            expires_ms=self.clock.now_ms() + 10_000,
            who="a person",
            reason="story",
        )
        await self.write("control", "override", "o1", {"overrides": [self._word.model_dump(mode="json")]})
        await self.tell(self._word)
        await self._seconds(6)
        if self.stated()[-1].target_short_qty != Decimal("2.0"):
            self.wrong.append(f"while the override held: {self.stated()[-1]}")
        await self._seconds(10)

    async def judged(self) -> list[str]:
        """The policy's target, then the person's, then the policy's: each change stated in that order, none twice."""
        quantities = [one.target_short_qty for one in self.stated()]
        changes = [qty for n, qty in enumerate(quantities) if n == 0 or qty != quantities[n - 1]]
        found = [*self.wrong, *self.misstated()]
        if changes != [Decimal("1.0"), Decimal("2.0"), Decimal("1.0")]:
            found.append(f"stated one after the other: {changes}")
        return found
