"""`hedgelock up`: brings everything up in order, waits for the end or for Ctrl-C, and takes it down in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hedgelock_actors.adapters.postgres.embedded import EmbeddedPostgres
from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis
from hedgelock_actors.ports.journal import JournalUnavailable, StaleEpoch
from hedgelock_actors.runtime import cluster
from hedgelock_actors.runtime.composition import participants
from hedgelock_actors.runtime.config import AccountConfig, Config, ConfigError
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.limits_record import LimitsRaised, put_limits_on_record
from hedgelock_actors.runtime.names import SUPERVISOR
from hedgelock_actors.runtime.operator import Operator
from hedgelock_actors.runtime.people import check_people
from hedgelock_actors.runtime.processes import Exchange
from hedgelock_actors.runtime.rules import policy_of
from hedgelock_actors.runtime.runfile import RunInfo, UpLock, remove_run, write_run
from hedgelock_actors.runtime.scoped_journal import ScopedJournal
from hedgelock_actors.runtime.supervisor import RECOVERIES_FILE
from hedgelock_actors.runtime.wiring import CONTROL_TOKEN_FILE, AccountKeys, Wiring, save, write_private

READY_S = 120.0
POLL_S = 0.25
Say = Callable[[str], None]


class StartFailed(Exception):
    """Something did not come up; the message says what, and what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What a person asked for on the command line, beside the configuration."""

    prices: Sequence[str] = ()
    funding: Path | None = None
    from_: str | None = None
    to: str | None = None


@dataclass(slots=True)
class Up:
    """One run. `start`, then `wait`, then always `stop`."""

    config: Config
    options: UpOptions
    say: Say
    arm: Callable[[], None]
    """Takes the signals (again): Ray's core puts a handler of its own on SIGTERM, which ends the process at once."""
    state: Path = field(init=False)
    info: RunInfo | None = None
    exchange: Exchange | None = None
    operator: Operator | None = None
    wiring: Wiring | None = None
    ready_s: float = 0.0
    began: float = field(default_factory=time.monotonic)
    started_at: float = 0.0
    _undo: list[tuple[str, Callable[[], Awaitable[object]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.config.state.absolute()

    async def start(self) -> None:
        """Bring everything up; time begins to run when all actors are ready.

        Raises:
            ConfigError, InvalidInput: something was asked for that makes no sense.
            StartFailed: something did not come up. Call `stop` in any case.
        """
        policy_of(self.config)  # a rule that makes no sense is told before anything starts
        refuse_live_replay(self.config, self.options)
        check_people(self.config)
        self._take_lock()
        ports = cluster.choose_ports(self.config)
        (self.state / RECOVERIES_FILE).unlink(missing_ok=True)
        write_private(self.state / CONTROL_TOKEN_FILE, secrets.token_hex(32))
        await self._start_below(ports)
        await self._start_actors(ports)
        self.ready_s = time.monotonic() - self.began
        if self.exchange is not None:
            await self.exchange.begin(participants(self.config))
        self.started_at = time.monotonic()
        self._tell_others(ports)

    @property
    def start_debts(self) -> dict[str, float]:
        """USDT that each account of our own exchange owed at the start."""
        if self.exchange is None:
            return {}
        pairs = zip(self.config.venue.accounts, self.exchange.accounts, strict=True)
        return {mine.name: float(its.loan["debt"]) for mine, its in pairs}

    @property
    def up(self) -> bool:
        """True while there is anything to take down."""
        return bool(self._undo)

    async def ended(self) -> bool:
        """True when the replay has no more prices. Raises StartFailed when the exchange is gone."""
        if self.exchange is None:
            return False
        if not self.exchange.alive:
            raise StartFailed(f"the exchange ended by itself; see {self.state / 'logs' / 'exchange.log'}")
        return str((await self.exchange.clock())["state"]) == "ended"

    async def settle(self, patience_s: float = 20.0) -> None:
        """After the last price: wait until no actor has anything left to send or to take in."""
        deadline, before = time.monotonic() + patience_s, ""
        while time.monotonic() < deadline and self.operator is not None:
            await asyncio.sleep(1.2)
            actors = (await self.operator.actors()).get("actors", {})
            now = json.dumps({name: _moving(health) for name, health in _items(actors)}, sort_keys=True)
            if now == before:
                return
            before = now

    async def stop(self) -> list[str]:
        """Take everything down in order, as far as it came up. Returns what did not go well."""
        trouble = []
        while self._undo:
            what, undo = self._undo.pop()
            try:
                left = await undo()
                trouble += [str(one) for one in left] if isinstance(left, list) else []
            except Exception as error:  # the edge: what cannot be stopped must not keep the rest running
                trouble.append(f"{what}: {type(error).__name__}: {error}")
        return trouble

    def _take_lock(self) -> None:
        lock = UpLock(self.state)

        async def release() -> None:
            remove_run(self.state)
            lock.release()

        self._undo.append(("lock", release))
        remove_run(self.state)  # of a run that was killed

    async def _start_below(self, ports: cluster.Ports) -> None:
        """Databases, exchange and Ray at the same time: each mostly waits for itself."""
        self._tell("starting Postgres, Redis, the exchange and Ray")
        self._undo.append(("Ray", _in_thread(cluster.stop_ray)))
        began = [
            asyncio.create_task(self._postgres()),
            asyncio.create_task(self._redis()),
            asyncio.create_task(self._exchange()),
            asyncio.create_task(asyncio.to_thread(cluster.start_ray, self.config, self.state, ports)),
        ]
        try:
            results = await asyncio.shield(asyncio.gather(*began, return_exceptions=True))
        except asyncio.CancelledError:
            await asyncio.wait(began, timeout=READY_S)  # what is half started cannot be stopped
            raise
        self.arm()
        for failed in (result for result in results if isinstance(result, BaseException)):
            raise failed if isinstance(failed, ConfigError) else StartFailed(str(failed)) from failed
        postgres_url, redis_url, account_keys, _ = results
        self.wiring = Wiring(
            venue_url=self.exchange.rest if self.exchange is not None else self.config.venue.url,
            postgres_url=str(postgres_url),
            redis_url=str(redis_url),
            accounts=_keys(account_keys),
            journal_scope=_scope(self.exchange),
            replay=self.exchange is not None or self.config.venue.url is not None,
        )
        save(self.state, self.config, self.wiring)
        await self._record_limits(self.wiring)

    async def _record_limits(self, wiring: Wiring) -> None:
        journal = ScopedJournal(PostgresJournal(wiring.postgres_url), wiring.journal_scope)
        try:
            await put_limits_on_record(journal, self.config, time.time_ns() // 1_000_000)
        except LimitsRaised as error:
            raise StartFailed(str(error)) from None
        except (JournalUnavailable, StaleEpoch) as error:
            raise StartFailed(f"the limits could not be put on record: {error}") from error
        finally:
            await journal.close()

    async def _postgres(self) -> str:
        if self.config.services.postgres_url is not None:
            return self.config.services.postgres_url
        server = EmbeddedPostgres(self.state)
        self._undo.insert(1, ("Postgres", server.stop))
        await server.start()
        return server.app_dsn

    async def _redis(self) -> str:
        if self.config.services.redis_url is not None:
            return self.config.services.redis_url
        server = EmbeddedRedis(self.state)
        self._undo.insert(1, ("Redis", server.stop))
        await server.start()
        return server.url

    async def _exchange(self) -> dict[str, AccountKeys]:
        venue = self.config.venue
        if venue.environment != "local" or venue.url is not None:
            return {account.name: read_keys(account) for account in venue.accounts}
        self.exchange = await Exchange.start(
            exchange_arguments(self.config, self.options), self.state / "logs" / "exchange.log"
        )
        self._undo.insert(1, ("exchange", self.exchange.stop))
        pairs = zip(venue.accounts, self.exchange.accounts, strict=True)
        return {mine.name: AccountKeys(api_key=its.api_key, api_secret=its.api_secret) for mine, its in pairs}

    async def _start_actors(self, ports: cluster.Ports) -> None:
        self._tell("starting the actors and HTTP")
        cluster.start_supervisor(self.state)
        reach = Cluster()
        self.operator = Operator(self.config, reach)
        self._undo.append(("Serve", _in_thread(cluster.stop_serve)))
        self._undo.append(("actors", _stopping(reach)))
        serving = asyncio.create_task(asyncio.to_thread(cluster.start_serve, self.config, self.state, ports.http))
        try:
            await self._all_ready(reach)
            self._tell("actors are ready; waiting for HTTP")
            await serving
        except cluster.ServeFailed as error:
            raise StartFailed(str(error)) from error
        finally:
            if not serving.done():
                await asyncio.wait({serving}, timeout=READY_S)

    def _tell(self, text: str) -> None:
        self.say(f"{time.monotonic() - self.began:5.1f} s  {text}")

    async def _all_ready(self, reach: Cluster) -> None:
        deadline, waiting = time.monotonic() + READY_S, ["the supervisor does not answer"]
        while time.monotonic() < deadline:
            with contextlib.suppress(Unreachable):
                answer = await reach.call(SUPERVISOR, "ready", wait_s=3.0)
                waiting = list(answer) if isinstance(answer, list) else waiting
                if not waiting:
                    return
            await asyncio.sleep(POLL_S)
        raise StartFailed("not ready: " + "; ".join(waiting))

    def _tell_others(self, ports: cluster.Ports) -> None:
        base = f"http://{self.config.http.host}:{ports.http}"
        dashboard = f"http://127.0.0.1:{ports.dashboard}" if self.config.ray.dashboard else None
        self.info = RunInfo(
            pid=os.getpid(),
            control_url=f"{base}/v1",
            sizing_url=base,
            dashboard_url=dashboard,
            exchange=self.exchange.rest if self.exchange is not None else self.config.venue.url,
            started_ms=time.time_ns() // 1_000_000,
            speed=str(self.config.sample.speed),
            ray_address=cluster.address(),
        )
        write_run(self.state, self.info)


def refuse_live_replay(config: Config, options: UpOptions) -> None:
    """Recorded prices are for an exchange of our own: with another venue they would be ignored, and orders would be
    real. Raises ConfigError.
    """
    given = {"--prices": options.prices, "--funding": options.funding, "--from": options.from_, "--to": options.to}
    asked = [name for name, value in given.items() if value]
    venue = config.venue
    if asked and (venue.environment != "local" or venue.url is not None):
        raise ConfigError(
            asked[0],
            f"a replay needs the simulated exchange, and the configuration says {venue.url or venue.environment}; "
            "use venue.environment local without a url",
        )


def exchange_arguments(config: Config, options: UpOptions) -> list[str]:
    """The command line of the simulated exchange."""
    sample = config.sample
    speed = "max" if sample.speed == "max" else f"{sample.speed:g}"
    arguments = ["--port", "0", "--hold", "--speed", speed, "--seed", str(sample.seed)]
    arguments += ["--accounts", str(len(config.venue.accounts)), "--ltv", f"{sample.ltv:.10g}"]
    arguments += ["--collateral", f"{sample.collateral:.10g}", "--reserve", f"{sample.reserve:.10g}"]
    arguments += ["--haircut", f"{sample.haircut:.10g}"]
    for price in options.prices:
        arguments += ["--prices", price]
    if not options.prices:
        arguments += ["--scenario", str(sample.scenario)]
    for flag, value in (("--funding", options.funding), ("--from", options.from_), ("--to", options.to)):
        arguments += [flag, str(value)] if value is not None else []
    return arguments


def read_keys(account: AccountConfig) -> AccountKeys:
    """The keys of a credentials file. Raises ConfigError that names the account and never the content."""
    path, field_name = account.credentials_file, f"venue.accounts[{account.name}].credentials_file"
    if path is None:
        raise ConfigError(field_name, "name a JSON file with api_key and api_secret, mode 0600")
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise ConfigError(field_name, f"{path} cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise ConfigError(field_name, f"{path} may be read by others; chmod 600 it")
    try:
        return AccountKeys.model_validate_json(content)
    except ValueError:
        raise ConfigError(field_name, f'{path} must hold {{"api_key": "…", "api_secret": "…"}}') from None


def _scope(exchange: Exchange | None) -> str:
    return f"sim-{exchange.accounts[0].uid}" if exchange is not None else ""


def _keys(found: object) -> dict[str, AccountKeys]:
    return dict(found) if isinstance(found, dict) else {}


def _items(actors: object) -> list[tuple[str, dict[str, Any]]]:
    return list(actors.items()) if isinstance(actors, dict) else []


def _moving(health: dict[str, Any]) -> dict[str, Any]:
    counters = health.get("counters", {})
    return {key: value for key, value in counters.items() if key.startswith(("inbox_taken", "transport_queued"))}


def _in_thread(work: Callable[[], None]) -> Callable[[], Awaitable[object]]:
    return lambda: asyncio.to_thread(work)


def _stopping(reach: Cluster) -> Callable[[], Awaitable[object]]:
    async def stop() -> object:
        left = await reach.call(SUPERVISOR, "stop", wait_s=60.0)
        reach.kill(SUPERVISOR)
        return left

    return stop
