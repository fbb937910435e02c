"""`hedgelock doctor`: looks at everything a run needs and says what to do about what is wrong. It changes nothing."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
import redis.asyncio
from sqlalchemy.engine import make_url

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.cluster import taken
from hedgelock_actors.runtime.config import Config, load
from hedgelock_actors.runtime.curve_file import CurveFile
from hedgelock_actors.runtime.launch import read_keys
from hedgelock_actors.runtime.people import check_people
from hedgelock_actors.runtime.rules import policy_of
from hedgelock_actors.runtime.runfile import read_run

MEMORY_MIN = 2_500_000_000
DISK_MIN = 1_000_000_000
SKEW_MAX_MS = 1_000
HOSTS = {
    "mainnet": "https://api.bybit.com",
    "testnet": "https://api-testnet.bybit.com",
    "demo": "https://api-demo.bybit.com",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


async def examine(file: Path | None, state_dir: Path | None) -> Mapping[str, object]:
    """All checks; `ok` when none failed."""
    try:
        config = load(file)
        policy_of(config)
    except InvalidInput as error:
        return _answer([Check("configuration", False, error.field, error.remedy)])
    if state_dir is not None:
        config = config.model_copy(update={"state_dir": state_dir})
    running = read_run(config.state) is not None
    checks = [
        Check(
            "configuration", True, f"environment {config.venue.environment}, {len(config.venue.accounts)} account(s)"
        ),
        Check("python", sys.version_info >= (3, 11), sys.version.split()[0], "use Python 3.11 or newer"),
        _curve(config),
        _state(config),
        _memory(),
        _ports(config, running),
        *_keys(config),
        _people(config),
        await _postgres(config),
        await _redis(config),
        await _venue(config),
    ]
    return _answer(checks)


def _answer(checks: list[Check]) -> Mapping[str, object]:
    shown = [asdict(check) | {"remedy": "" if check.ok else check.remedy} for check in checks]
    return {"ok": all(check.ok for check in checks), "checks": shown}


def _curve(config: Config) -> Check:
    try:
        curve = CurveFile(config.sizing.knots_file)
    except InvalidInput as error:
        return Check("sizing curve", False, error.field, error.remedy)
    return Check("sizing curve", True, f"{config.sizing.knots_file.name}, version {curve.version}")


def _state(config: Config) -> Check:
    existing = next(path for path in (config.state, *config.state.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{config.state}, {free / 1e9:.1f} GB free"
    return Check("state directory", free > DISK_MIN, found, "free at least 1 GB there, or give another --state-dir")


def _memory() -> Check:
    free = psutil.virtual_memory().available
    return Check(
        "memory", free > MEMORY_MIN, f"{free / 1e9:.1f} GB available", "Ray, Serve and seven actors need 2.5 GB"
    )


def _ports(config: Config, running: bool) -> Check:
    port = config.http.port
    if port == 0 or running:
        return Check("HTTP port", True, "in use by our own run" if running else "a free one is taken")
    return Check("HTTP port", not taken(port), str(port), f"port {port} is in use; set http.port to another, or to 0")


def _keys(config: Config) -> list[Check]:
    if config.venue.environment == "local" and config.venue.url is None:
        return [Check("API keys", True, "the simulated exchange issues them")]
    checks = []
    for account in config.venue.accounts:
        try:
            read_keys(account)
            checks.append(Check(f"API key of {account.name}", True, str(account.credentials_file)))
        except InvalidInput as error:
            checks.append(Check(f"API key of {account.name}", False, error.field, error.remedy))
    return checks


def _people(config: Config) -> Check:
    names = ", ".join(person.name for person in config.control.people)
    try:
        check_people(config)
    except InvalidInput as error:
        return Check("people", False, error.field, error.remedy)
    two = f"; two for {', '.join(config.control.two_person)}" if config.control.two_person else ""
    return Check("people", True, f"{names}{two}")


async def _postgres(config: Config) -> Check:
    url = config.services.postgres_url
    if url is None:
        server = EmbeddedPostgres(config.state)
        return Check("Postgres", True, "embedded, running" if server.pid() else "embedded, started by `hedgelock up`")
    try:
        parsed = make_url(url).set(drivername="postgresql")
        connection = await asyncpg.connect(parsed.render_as_string(hide_password=False), timeout=5)
        version = await connection.fetchval("SHOW server_version")
        await connection.close()
    except Exception as error:  # the edge: any driver error means the same to a person
        return Check(
            "Postgres", False, type(error).__name__, "check services.postgres_url, the server and its password"
        )
    return Check("Postgres", True, f"answers, version {version}")


async def _redis(config: Config) -> Check:
    url = config.services.redis_url
    if url is None:
        server = EmbeddedRedis(config.state)
        return Check("Redis", True, "embedded, running" if server.pid() else "embedded, started by `hedgelock up`")
    try:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
        await client.get("hedgelock:doctor")
        await client.aclose()
    except (redis.RedisError, OSError, TimeoutError) as error:
        return Check("Redis", False, type(error).__name__, "check services.redis_url, the server and its password")
    return Check("Redis", True, "answers")


async def _venue(config: Config) -> Check:
    base = config.venue.url or HOSTS.get(config.venue.environment)
    if base is None:
        return Check("venue clock", True, "the simulated exchange is started by `hedgelock up`")
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=True) as client:
            before = time.time_ns() // 1_000_000
            answer = await client.get(f"{base}/v5/market/time")
            after = time.time_ns() // 1_000_000
            venue_ms = int(answer.json()["time"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Check("venue clock", False, f"{base}: {type(error).__name__}", "check the network and venue.environment")
    if config.venue.url is not None:
        return Check("venue clock", True, f"{base} answers; a replay has a time of its own")
    skew = venue_ms - (before + after) // 2
    return Check(
        "venue clock", abs(skew) < SKEW_MAX_MS, f"{skew:+d} ms from ours", "synchronise this machine's clock (NTP)"
    )
