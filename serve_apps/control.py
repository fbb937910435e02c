"""The control API: what the actors know, and the halt, which is on record before it takes effect."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Journal, JournalUnavailable, StaleEpoch
from hedgelock_actors.runtime.composition import service_parts
from hedgelock_actors.runtime.names import Kind
from hedgelock_actors.runtime.operator import Operator
from hedgelock_actors.runtime.trading import record_mode, recorded_state
from hedgelock_actors.runtime.wiring import CONTROL_TOKEN_FILE, read_config
from serve_apps import listing
from serve_apps.schemas import HttpError, ModeResponse, Reply, mode_request, reply
from serve_apps.security import Call, read_token, require_token, respond

_KEY = re.compile(r"^[A-Za-z0-9_.:-]{1,64}$")
Snapshot = Mapping[str, object]


class Actors(Protocol):
    """What the control API needs of the cluster (runtime.operator.Operator)."""

    async def actors(self) -> Snapshot: ...

    async def snapshots(self, kind: Kind) -> dict[str, Snapshot]: ...

    async def apply(self, state: TradingState) -> tuple[Sequence[str], Sequence[str]]: ...


class ControlService:
    """The routes, without HTTP."""

    def __init__(self, actors: Actors, journal: Journal, token: str, now_ms: Callable[[], int]) -> None:
        self._actors = actors
        self._journal = journal
        self._token = token
        self._now_ms = now_ms

    async def handle(self, call: Call) -> Reply:
        """Route a call; the path is without /v1."""
        match call.method, call.path:
            case "GET", "/status":
                return reply(await self.status())
            case "GET", "/loans":
                return reply(await self._listed("risk-calculator", "loans", listing.loans))
            case "GET", "/positions":
                return reply(await self._listed("position-keeper", "positions", listing.positions))
            case "GET", "/orders":
                return reply(await self._listed("order-router", "orders", listing.orders))
            case "GET", "/alerts":
                return reply(await self._listed("notifier", "alerts", listing.alerts))
            case "POST", "/halt":
                return await self._set_mode(call, TradingMode.HALTED)
            case "POST", "/resume":
                return await self._set_mode(call, TradingMode.ACTIVE)
            case _, "/status" | "/loans" | "/positions" | "/orders" | "/alerts" | "/halt" | "/resume":
                raise HttpError(405, "method_not_allowed", f"{call.method} is not offered here")
        raise HttpError(404, "not_found", "there are /v1/status, loans, positions, orders, alerts, halt and resume")

    async def status(self) -> dict[str, object]:
        """Everything at a glance."""
        try:
            state = await recorded_state(self._journal)
            trading: dict[str, object] = {"mode": state.mode.value, "epoch": state.epoch, "reason": state.reason}
        except JournalUnavailable as error:
            trading = {"error": f"the journal does not answer: {error}"}
        return {
            "ts_ms": self._now_ms(),
            "trading_state": trading,
            **await self._actors.actors(),
            "market": await self._actors.snapshots("market-feed"),
            "risk": await self._actors.snapshots("risk-calculator"),
            "accounts": await self._actors.snapshots("position-keeper"),
            "treasury": await self._actors.snapshots("treasury"),
        }

    async def _listed(self, kind: Kind, name: str, rows: listing.Rows) -> dict[str, object]:
        found = await self._actors.snapshots(kind)
        silent = {actor: snapshot["error"] for actor, snapshot in found.items() if "error" in snapshot}
        listed = [row for actor, snapshot in found.items() if actor not in silent for row in rows(snapshot)]
        return {"ts_ms": self._now_ms(), name: listed, "silent": silent}

    async def _set_mode(self, call: Call, mode: TradingMode) -> Reply:
        require_token(call, self._token)
        key = call.headers.get("idempotency-key", "")
        if key and not _KEY.match(key):
            raise HttpError(422, "invalid_input", "1 to 64 of A-Z a-z 0-9 _ . : -", "Idempotency-Key")
        reason = mode_request(call.body).reason.strip()
        if not reason:
            raise HttpError(422, "invalid_input", "say why the trading state is changed", "reason")
        now_ms = self._now_ms()
        try:
            state = await record_mode(self._journal, mode, reason, key, now_ms)
        except StaleEpoch:
            raise HttpError(409, "conflict", "another change was recorded at the same time; look and repeat") from None
        except JournalUnavailable as error:
            if mode is not TradingMode.HALTED:
                raise HttpError(503, "journal_unavailable", f"nothing was changed: {error}") from None
            return await self._halt_without_record(reason, now_ms)
        if state.mode is not mode:
            raise HttpError(422, "idempotency_conflict", f"this key recorded {state.mode} before", "Idempotency-Key")
        confirmed, missing = await self._actors.apply(state)
        return _mode_reply(state, confirmed, missing, now_ms, recorded=True)

    async def _halt_without_record(self, reason: str, now_ms: int) -> Reply:
        """A halt waits for no database: without one the latches are set, in an epoch above all that they know."""
        health = (await self._actors.actors()).get("actors", {})
        epochs = [int(one.get("epoch", 0)) for one in health.values()] if isinstance(health, dict) else []
        state = TradingState(TradingMode.HALTED, max(epochs, default=0) + 1, reason)
        confirmed, missing = await self._actors.apply(state)
        return _mode_reply(state, confirmed, missing, now_ms, recorded=False)


def _mode_reply(
    state: TradingState, confirmed: Sequence[str], missing: Sequence[str], now_ms: int, *, recorded: bool
) -> Reply:
    answer = ModeResponse(
        mode=state.mode.value,
        epoch=state.epoch,
        reason=state.reason,
        recorded=recorded,
        confirmed=not missing and bool(confirmed),
        routers_confirmed=list(confirmed),
        routers_not_confirmed=list(missing),
        ts_ms=now_ms,
    )
    return reply(answer, 200 if answer.confirmed else 202)


class Control:
    """The Serve deployment."""

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Called by Serve before the replica is ready."""
        state = Path(user_config["state_dir"])
        config = read_config(state)
        self._hosts = config.http.allowed_hosts
        parts = await service_parts(state, "control")
        token = read_token(state / CONTROL_TOKEN_FILE)
        self._service = ControlService(Operator(config), parts.journal, token, parts.clock.now_ms)

    async def __call__(self, request: Request) -> Response:
        return await respond(self._service.handle, request, self._hosts, prefix="/v1")


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application of configs/serve.yaml."""
    deployment = cast("serve.Deployment", serve.deployment(Control))  # typed as if it were still a decorator
    return deployment.options(
        num_replicas=1,
        max_ongoing_requests=100,
        ray_actor_options={"num_cpus": 0},
        user_config={"state_dir": args["state_dir"]},
    ).bind()
