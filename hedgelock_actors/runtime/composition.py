"""Builds one actor with its adapters from configuration and wiring: the only place that knows both."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hedgelock_actors.actor import Health
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.loans import BybitLoans
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret
from hedgelock_actors.adapters.bybit.venue import BybitVenue, OrderRules
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.adapters.redis.cache import RedisCache
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.adapters.venue_clock.wall import WallClock
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.market_feed import MarketFeed
from hedgelock_actors.notifier import Notifier
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Journal
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.lease import Lease
from hedgelock_actors.position_keeper import PositionKeeper
from hedgelock_actors.risk_calculator import RiskCalculator
from hedgelock_actors.runtime import trace
from hedgelock_actors.runtime.agreement import check_agreement
from hedgelock_actors.runtime.alert_file import ALERTS_FILE, AlertFile
from hedgelock_actors.runtime.config import AccountConfig, Config
from hedgelock_actors.runtime.control_feed import ControlFeed
from hedgelock_actors.runtime.curve_file import CurveFile
from hedgelock_actors.runtime.lease import trading_lease
from hedgelock_actors.runtime.names import NOTIFIER, TREASURY, Declared, declare, keeper_name, risk_name, router_name
from hedgelock_actors.runtime.quarantine import Quarantine
from hedgelock_actors.runtime.rules import policy_of
from hedgelock_actors.runtime.scoped_journal import ScopedJournal
from hedgelock_actors.runtime.trading import recorded_state
from hedgelock_actors.runtime.transport import Deliver, RayTransport
from hedgelock_actors.runtime.wiring import Wiring, read_config, read_wiring
from hedgelock_actors.treasury import Treasury

LOG = logging.getLogger(__name__)
Closer = Callable[[], Awaitable[None]]


class PlainActor(Protocol):
    """What the six actors have in common."""

    async def start(self) -> None: ...

    async def receive(self, message: AnyMessage) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Health: ...

    def snapshot(self) -> Mapping[str, object]: ...


@dataclass(slots=True, kw_only=True)
class Parts:
    """What every process needs, and how it is given back."""

    state: Path
    config: Config
    wiring: Wiring
    policy: Policy
    clock: Clock
    journal: Journal
    cache: RedisCache
    closers: list[Closer] = field(default_factory=list)
    meters: list[Callable[[], Mapping[str, float]]] = field(default_factory=list)
    """Counters of what an actor stands on, for its health."""

    async def close(self) -> None:
        """Give everything back; one that fails does not keep the others."""
        for closer in reversed(self.closers):
            try:
                await closer()
            except Exception:  # the edge: closing is best effort
                LOG.exception("parts.close_failed")


@dataclass(slots=True, kw_only=True)
class Built:
    """An actor with its transport and clock."""

    actor: PlainActor
    transport: RayTransport
    clock: Clock
    parts: Parts
    feed: ControlFeed

    async def stop(self) -> None:
        """Stop the actor, then what it stands on."""
        try:
            await self.actor.stop()
            await self.transport.close()
        finally:
            await self.parts.close()


async def service_parts(state: Path, name: str) -> Parts:
    """Clock, journal and cache of a process that is not an actor."""
    parts = await _parts(state, name)
    await parts.clock.start()
    return parts


async def compose(name: str, state: Path, epoch: int, latch: Latch, deliver: Deliver) -> Built:
    """Build the actor `name`. Nothing of it has started; the latch holds what is on record."""
    parts = await _parts(state, name)
    try:
        latch.set(await recorded_state(parts.journal))
        quarantine = Quarantine(state, name, parts.clock)
        transport = RayTransport(name, epoch, parts.clock, deliver, given_up=quarantine.put)
        quarantine.tell = transport.send
        declared = next(one for one in declare(parts.config) if one.name == name)
        actor = _actor(declared, parts, transport, latch)
    except BaseException:
        await parts.close()
        raise
    feed = ControlFeed(parts.journal, declared)
    return Built(actor=actor, transport=transport, clock=parts.clock, parts=parts, feed=feed)


async def _parts(state: Path, name: str) -> Parts:
    config, wiring = read_config(state), read_wiring(state)
    check_agreement(config, run_build=wiring.build, replay=wiring.replay, venue_url=wiring.venue_url)
    journal = ScopedJournal(PostgresJournal(wiring.postgres_url), wiring.journal_scope)
    cache = RedisCache(wiring.redis_url)
    parts = Parts(
        state=state,
        config=config,
        wiring=wiring,
        policy=policy_of(config),
        clock=WallClock(),
        journal=journal,
        cache=cache,
    )
    parts.closers += [journal.close, cache.close]
    if wiring.replay and wiring.venue_url is not None:
        clock = ReplayClock(wiring.venue_url, name)
        await clock.prepare()
        parts.clock = clock
    parts.closers.append(parts.clock.stop)
    return parts


def _actor(declared: Declared, parts: Parts, transport: RayTransport, latch: Latch) -> PlainActor:
    match declared.kind:
        case "market-feed":
            return _market_feed(declared, parts, transport)
        case "risk-calculator":
            return _risk_calculator(declared, parts, transport)
        case "position-keeper":
            return _position_keeper(declared, parts, transport)
        case "order-router":
            return _order_router(declared, parts, transport, latch)
        case "treasury":
            return _treasury(declared, parts, transport)
        case "notifier":
            channel = AlertFile(parts.state / ALERTS_FILE)
            return Notifier(declared.name, [channel], journal=parts.journal, clock=parts.clock, policy=parts.policy)


def _market_feed(declared: Declared, parts: Parts, transport: RayTransport) -> PlainActor:
    accounts = parts.config.venue.accounts
    symbols = sorted({account.symbol for account in accounts})
    subscribers = [
        *(risk_name(n) for n in range(parts.config.risk.shards)),
        *(keeper_name(account.name) for account in accounts),
        *(router_name(account.name) for account in accounts),
    ]
    market = trace.market_data()(_endpoints(parts), parts.clock, _pace(declared, parts))
    return MarketFeed(
        declared.name,
        symbols,
        market=market,
        clock=parts.clock,
        transport=transport,
        cache=parts.cache,
        subscribers=subscribers,
        policy=parts.policy,
        notifier=NOTIFIER,
    )


def _risk_calculator(declared: Declared, parts: Parts, transport: RayTransport) -> PlainActor:
    keepers = {account.name: keeper_name(account.name) for account in parts.config.venue.accounts}
    return RiskCalculator(
        declared.name,
        journal=parts.journal,
        clock=parts.clock,
        transport=transport,
        policy=parts.policy,
        keepers=keepers,
        notifier=NOTIFIER,
    )


def _position_keeper(declared: Declared, parts: Parts, transport: RayTransport) -> PlainActor:
    account = _account(declared, parts)
    return PositionKeeper(
        declared.name,
        account.name,
        account.symbol,
        venue=_venue(declared, account, parts, orders=False),
        loans=_loans(account, parts),
        journal=parts.journal,
        clock=parts.clock,
        transport=transport,
        cache=parts.cache,
        policy=parts.policy,
        risk=risk_name(_shard(account.name, parts.config.risk.shards)),
        router=router_name(account.name),
        treasury=TREASURY,
        notifier=NOTIFIER,
        curve=CurveFile(parts.config.sizing.knots_file).curve,
    )


def _order_router(declared: Declared, parts: Parts, transport: RayTransport, latch: Latch) -> PlainActor:
    account = _account(declared, parts)
    return OrderRouter(
        declared.name,
        account.name,
        account.symbol,
        venue=_venue(declared, account, parts),
        journal=parts.journal,
        clock=parts.clock,
        transport=transport,
        policy=parts.policy,
        latch=latch,
        lease=_lease(declared, account, parts),
        notifier=NOTIFIER,
        keeper=keeper_name(account.name),
        environment=parts.config.venue.environment,
    )


def _treasury(declared: Declared, parts: Parts, transport: RayTransport) -> PlainActor:
    accounts = {
        account.name: (_loans(account, parts), keeper_name(account.name)) for account in parts.config.venue.accounts
    }
    return Treasury(
        declared.name,
        accounts=accounts,
        journal=parts.journal,
        clock=parts.clock,
        transport=transport,
        policy=parts.policy,
        notifier=NOTIFIER,
    )


def _account(declared: Declared, parts: Parts) -> AccountConfig:
    return next(one for one in parts.config.venue.accounts if one.name == declared.account)


def _endpoints(parts: Parts) -> Endpoints:
    return Endpoints.of(parts.config.venue.environment, parts.wiring.venue_url)


def _credentials(account: AccountConfig, parts: Parts) -> Credentials:
    keys = parts.wiring.accounts[account.name]
    return Credentials(keys.api_key, Secret(keys.api_secret))


def _pace(declared: Declared, parts: Parts) -> str | None:
    return declared.name if parts.wiring.replay else None


def _venue(declared: Declared, account: AccountConfig, parts: Parts, *, orders: bool = True) -> BybitVenue:
    """The account on the venue; who sends no `orders` needs no socket for them."""
    config = parts.config.venue
    rules = OrderRules(
        per_second=config.order_pace,
        wait_ms=config.order_wait_ms,
        clock_offset_max_ms=config.clock_offset_max_ms,
        socket=orders,
    )
    pace, credentials = _pace(declared, parts), _credentials(account, parts)
    venue = trace.venue()(_endpoints(parts), credentials, account.name, parts.clock, pace, rules=rules)
    parts.meters.append(venue.counters)
    return venue


def _lease(declared: Declared, account: AccountConfig, parts: Parts) -> Lease:
    store = PostgresLeases(parts.wiring.postgres_url)
    parts.closers.append(store.close)
    scope, paced = parts.wiring.journal_scope, parts.clock.paced
    return trading_lease(store, account.name, declared.name, scope=scope, paced=paced)


def _loans(account: AccountConfig, parts: Parts) -> BybitLoans:
    loans = BybitLoans(_endpoints(parts), _credentials(account, parts), parts.clock, account.name)
    parts.closers.append(_closing(loans))
    return loans


def _closing(loans: BybitLoans) -> Closer:
    async def close() -> None:
        loans.close()

    return close


def _shard(account: str, shards: int) -> int:
    """The shard of an account: all loans of an account must meet in one place."""
    return sum(account.encode()) % shards


def participants(config: Config) -> Sequence[str]:
    """Who must have taken a market step in before the next one, in lock-step."""
    return [one.name for one in declare(config)]
