"""Names of actors, streams and places: the one spelling of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hedgelock_actors.actor import router_name as router_name  # one of the names that callers look for here
from hedgelock_actors.runtime.config import Config

NAMESPACE = "hedgelock"
SUPERVISOR = "supervisor"
CONTROL_STREAM = "control"
MARKET_FEED = "market-feed"
TREASURY = "treasury"
NOTIFIER = "notifier"

Kind = Literal["market-feed", "risk-calculator", "position-keeper", "order-router", "treasury", "notifier"]

STOP_ORDER: tuple[Kind, ...] = (
    "market-feed",
    "order-router",
    "position-keeper",
    "risk-calculator",
    "treasury",
    "notifier",
)
"""No new prices; then working orders are cancelled (the hedge stays); then those who only watch and tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One actor that must be alive: its kind, and the account or shard that it serves."""

    name: str
    kind: Kind
    account: str = ""
    shard: int = 0


def risk_name(shard: int) -> str:
    """The actor name of a risk shard."""
    return f"risk-calculator-{shard}"


def keeper_name(account: str) -> str:
    """The actor name of an account's position keeper."""
    return f"position-keeper-{account}"


def declare(config: Config) -> tuple[Declared, ...]:
    """All actors of a configuration, in starting order: those who are told before those who tell."""
    accounts = [account.name for account in config.venue.accounts]
    return (
        Declared(name=NOTIFIER, kind="notifier"),
        Declared(name=TREASURY, kind="treasury"),
        *(Declared(name=router_name(name), kind="order-router", account=name) for name in accounts),
        *(Declared(name=keeper_name(name), kind="position-keeper", account=name) for name in accounts),
        *(Declared(name=risk_name(n), kind="risk-calculator", shard=n) for n in range(config.risk.shards)),
        Declared(name=MARKET_FEED, kind="market-feed"),
    )


def in_stop_order(declared: Sequence[Declared]) -> list[Declared]:
    """The same actors in the order in which they are stopped."""
    return sorted(declared, key=lambda one: STOP_ORDER.index(one.kind))
