"""API keys that are about to end: without a key nobody can even shrink the hedge."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.keys import key_expires_ms
from hedgelock_actors.adapters.bybit.rest import RestClient
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret
from hedgelock_actors.domain.alert_rules import key_expires_soon
from hedgelock_actors.domain.messages import AlertRaised
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import VenueError
from hedgelock_actors.runtime.wiring import read_config, read_wiring

LOG = logging.getLogger(__name__)
WARN_DAYS = 14
DAY_MS = 86_400_000

Expiries = Mapping[str, Callable[[], Awaitable[int | None]]]
"""Account → asks when its key ends."""


async def keys_to_renew(expiries: Expiries, now_ms: int) -> list[AlertRaised]:
    """An alert for every key that ends within two weeks. A key that could not be asked after is none."""
    found = []
    for account, ask in expiries.items():
        try:
            expires_ms = await ask()
        except VenueError as error:
            LOG.warning("keys.not_asked account=%s %s", account, error)
            continue
        if expires_ms is not None and expires_ms - now_ms <= WARN_DAYS * DAY_MS:
            found.append(key_expires_soon(account, max(0, expires_ms - now_ms) / DAY_MS, now_ms))
    return found


def clients_of(state: Path, clock: Clock) -> Mapping[str, RestClient]:
    """One client per account of a run; none in a replay, whose keys are made for it."""
    config, wiring = read_config(state), read_wiring(state)
    if wiring.replay or not wiring.accounts:
        return {}
    endpoints = Endpoints.of(config.venue.environment, wiring.venue_url)
    return {
        account: RestClient(endpoints, Credentials(keys.api_key, Secret(keys.api_secret)), clock, workers=1)
        for account, keys in wiring.accounts.items()
    }


async def look_at_keys(state: Path, clock: Clock) -> list[AlertRaised]:
    """Ask the venue after every key of a run, and let go of it again."""
    clients = clients_of(state, clock)
    try:
        return await keys_to_renew({name: _asks(one) for name, one in clients.items()}, clock.now_ms())
    finally:
        for one in clients.values():
            one.close()


def _asks(rest: RestClient) -> Callable[[], Awaitable[int | None]]:
    async def ask() -> int | None:
        return await key_expires_ms(rest)

    return ask
