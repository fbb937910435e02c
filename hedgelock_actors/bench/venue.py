"""An exchange for a benchmark, and a configuration that makes every price step a new target."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hedgelock_actors.runtime.config import Config, load
from hedgelock_actors.runtime.processes import Exchange
from hedgelock_actors.runtime.wiring import write_private

START_MS = 1_767_225_600_000
PRICE = 60_000.0
SWING = 0.01
"""The price goes to and fro by this much every minute."""
VOLUME = 4_000.0
"""Coins a minute: a book deep enough that every order fills at once."""


def name_of(account: int) -> str:
    """The name of the n-th hedge account."""
    return f"bench-{account}"


def write_scenario(file: Path, minutes: int, swing: float = SWING) -> Path:
    """To and fro by `swing`; within a minute the replay adds its own small steps, so that no two prices are equal."""
    points = [
        {"minute": minute, "price": PRICE * (1 + swing * (minute % 2) + swing * 0.1 * ((minute // 2) % 3))}
        for minute in range(1, minutes + 1)
    ]
    content = {
        "name": "to and fro",
        "description": "every step of the price asks for another hedge",
        "start_ms": START_MS,
        "start_price": PRICE,
        "noise": 0.0,
        "volume": VOLUME,
        "waypoints": points,
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


async def start_exchange(
    place: Path, *, accounts: int, minutes: int, ticks_per_minute: int, speed: str = "1", more: Sequence[str] = ()
) -> Exchange:
    """An exchange of our own, with time already running unless `more` says --hold."""
    scenario = write_scenario(place / "scenario.yaml", minutes)
    arguments = ["--port", "0", "--speed", speed, "--seed", "7", "--accounts", str(accounts), "--ip-limit", "0"]
    arguments += ["--scenario", str(scenario), "--ticks-per-minute", str(ticks_per_minute), *more]
    return await Exchange.start(arguments, place / "exchange.log")


def configured(place: Path, exchange: Exchange, accounts: int, changes: Mapping[str, Any]) -> Config:
    """The standard configuration against that exchange, its first accounts as hedge accounts, with `changes`."""
    named = []
    for number, account in enumerate(exchange.accounts[:accounts]):
        file = place / f"{name_of(number)}.json"
        write_private(file, json.dumps({"api_key": account.api_key, "api_secret": account.api_secret}))
        named.append({"name": name_of(number), "symbol": "BTCUSDT", "credentials_file": str(file)})
    ours = {
        "state_dir": str(place / "state"),
        "venue": {"environment": "local", "url": exchange.rest, "accounts": named},
        "http": {"port": 0},
        "ray": {"dashboard": False},
    }
    plain = load().model_dump(mode="json")
    return Config.model_validate(merged(merged(plain, ours), changes))


EVERY_STEP: Mapping[str, Any] = {
    "hedge": {"dead_band": 0.0, "down_dwell_s": 0},
    "levels": {"caution": 0.05, "danger": 0.10, "critical": 0.15, "ceiling": 0.95, "dwell_s": 0},
    "sweep": {"trigger_ltv": 0.93, "target_ltv": 0.92},
    "limits": {
        "orders_per_minute": 600,
        "critical_orders_per_minute": 600,
        "notional_per_minute_usdt": 1_000_000_000,
        "critical_notional_per_minute_usdt": 1_000_000_000,
        "max_daily_fees_usdt": 1_000_000_000,
        "max_daily_loss_usdt": 1_000_000_000,
    },
}
"""No dead band and no dwell: the target follows every step. The level is CRITICAL: every order shall fill at once."""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section."""
    found = copy.deepcopy(dict(base))
    for key, value in over.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return found
