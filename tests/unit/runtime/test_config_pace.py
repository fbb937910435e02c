"""Our own order rate may exceed the published one only where the venue's word allows it."""

from __future__ import annotations

import pytest

from hedgelock_actors.runtime.config import ConfigError, parse

ACCOUNT = {"name": "a", "credentials_file": "keys.json"}


def test_the_local_exchange_may_be_tried_beyond_it() -> None:
    assert parse({"limits": {"orders_per_second": 1_000}}).limits.orders_per_second == 1_000


def test_another_venue_may_not_unless_it_said_so() -> None:
    venue = {"environment": "testnet", "accounts": [ACCOUNT]}
    with pytest.raises(ConfigError, match=r"limits\.orders_per_second: at most 10"):
        parse({"venue": venue, "limits": {"orders_per_second": 11}})
    granted = parse({"venue": {**venue, "order_pace": 50}, "limits": {"orders_per_second": 50}})
    assert granted.limits.orders_per_second == 50
