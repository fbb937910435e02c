"""The sizing service: how much of an exposure to hedge, from a score, the book's depth and the curve.

A request touches no actor, no database and no network: scores and depth are pushed into a hot snapshot, the curve is in
memory. A changed knots file is loaded at once; a bad one is refused and the curve in use stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from watchfiles import awatch

from hedgelock_actors.domain.curve import size
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.composition import service_parts
from hedgelock_actors.runtime.config import SizingConfig
from hedgelock_actors.runtime.curve_file import CurveFile
from hedgelock_actors.runtime.wiring import read_config
from serve_apps.schemas import HedgeResponse, HttpError, Reply, hedge_request, reply
from serve_apps.security import Call, respond
from serve_apps.snapshot import HotSnapshot

LOG = logging.getLogger(__name__)
_MICRO = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05)


class Metrics:
    """Prometheus counters of one replica."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("hedgelock_sizing_requests", "Sizing requests", ["outcome"], registry=self.registry)
        self.seconds = Histogram("hedgelock_sizing_seconds", "Wall s", buckets=_MICRO, registry=self.registry)
        self.reloads = Counter("hedgelock_curve_reloads", "Curve loads", ["outcome"], registry=self.registry)
        self.age = Gauge("hedgelock_input_age_seconds", "Venue s", ["input", "asset"], registry=self.registry)


class SizingService:
    """The routes, without HTTP: `handle` takes a checked call and gives an answer, or raises HttpError."""

    def __init__(
        self, curve: CurveFile, snapshot: HotSnapshot, settings: SizingConfig, now_ms: Callable[[], int]
    ) -> None:
        self._curve = curve
        self._snapshot = snapshot
        self._settings = settings
        self._now_ms = now_ms
        self._metrics = Metrics()

    async def handle(self, call: Call) -> Reply:
        """Route a call."""
        match call.method, call.path:
            case "POST", "/hedge":
                return self._measured(call.body)
            case "GET" | "HEAD", "/healthz":
                return self._healthz()
            case "GET", "/metrics":
                return self._exposition()
            case "POST", "/curve/reload":
                return reply({"version": self.reload(), "ts_ms": self._now_ms()})
            case _, "/hedge" | "/healthz" | "/metrics" | "/curve/reload":
                raise HttpError(405, "method_not_allowed", f"{call.method} is not offered here")
        raise HttpError(404, "not_found", "there are /hedge, /healthz, /metrics and /curve/reload")

    def hedge(self, body: bytes) -> HedgeResponse:
        """POST /hedge. Raises HttpError 422 for bad input and 503 for stale or missing inputs."""
        request, now_ms = hedge_request(body), self._now_ms()
        settings = self._settings
        if request.override_score is None:
            score = self._snapshot.score(request.asset, now_ms, settings.score_max_age_s)
            value, confidence = score.value, score.confidence
        else:
            value, confidence = request.override_score, 1.0
        depth = self._snapshot.depth(request.asset, now_ms, settings.depth_max_age_s)
        try:
            sized = size(
                request.asset,
                request.amount_usd,
                value,
                depth.value,
                confidence,
                self._curve.curve,
                settings.max_hedge_pct,
            )
        except InvalidInput as error:
            raise HttpError(422, "invalid_input", error.remedy, error.field) from None
        return HedgeResponse(
            hedge_pct=sized.hedge_pct,
            notional_usd=sized.notional_usd,
            confidence=sized.confidence,
            version=self._curve.version,
            ts_ms=now_ms,
        )

    def reload(self) -> str:
        """Load the knots file again. Raises HttpError 422, and the curve in use stays."""
        try:
            version = self._curve.reload()
        except InvalidInput as error:
            self._metrics.reloads.labels("refused").inc()
            detail = f"{error.remedy}; the curve in use stays {self._curve.version}"
            raise HttpError(422, "invalid_curve", detail, error.field) from None
        self._metrics.reloads.labels("loaded").inc()
        return version

    def _measured(self, body: bytes) -> Reply:
        began = time.perf_counter()
        try:
            answer = reply(self.hedge(body))
        except HttpError as error:
            self._metrics.requests.labels(error.body.error).inc()
            raise
        self._metrics.requests.labels("ok").inc()
        self._metrics.seconds.observe(time.perf_counter() - began)
        return answer

    def _healthz(self) -> Reply:
        status = "ok" if self._snapshot.connected else "degraded"
        return reply({"status": status, "version": self._curve.version, "ts_ms": self._now_ms()})

    def _exposition(self) -> Reply:
        now_ms = self._now_ms()
        for name, store in (("score", self._snapshot.scores), ("depth", self._snapshot.depths)):
            for asset, found in store.items():
                self._metrics.age.labels(name, asset).set((now_ms - found.ts_ms) / 1_000)
        return Reply(status=200, body=generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST)


async def watch(service: SizingService, path: Path, stop: asyncio.Event | None = None) -> None:
    """Reload whenever the knots file changes. The directory is watched: editors replace files."""
    async for changes in awatch(path.parent, stop_event=stop, recursive=False):
        if any(Path(changed).name == path.name for _, changed in changes):
            try:
                LOG.info("curve.reloaded version=%s", service.reload())
            except HttpError as error:
                LOG.warning("curve.refused %s", error.body.detail)


class Sizing:
    """The Serve deployment: builds the service when Serve hands over the state directory, before the first request."""

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Called by Serve before the replica is ready."""
        state = Path(user_config["state_dir"])
        config = read_config(state)
        self._hosts = config.http.allowed_hosts
        parts = await service_parts(state, "sizing")
        snapshot = HotSnapshot()
        self._service = SizingService(CurveFile(config.sizing.knots_file), snapshot, config.sizing, parts.clock.now_ms)
        await snapshot.seed(parts.cache)
        self._tasks = [
            asyncio.create_task(snapshot.follow(parts.cache)),
            asyncio.create_task(watch(self._service, config.sizing.knots_file)),
        ]

    async def __call__(self, request: Request) -> Response:
        return await respond(self._service.handle, request, self._hosts)


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application of configs/serve.yaml."""
    deployment = cast("serve.Deployment", serve.deployment(Sizing))  # typed as if it were still a decorator
    return deployment.options(
        num_replicas=1,
        max_ongoing_requests=100,
        ray_actor_options={"num_cpus": 0},
        user_config={"state_dir": args["state_dir"]},
    ).bind()
