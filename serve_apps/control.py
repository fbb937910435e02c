"""The control API as a Serve deployment: see `control_service` for what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from hedgelock_actors.runtime.composition import service_parts
from hedgelock_actors.runtime.operator import Operator
from hedgelock_actors.runtime.people import read_tokens
from hedgelock_actors.runtime.wiring import read_config
from serve_apps.control_service import ControlService
from serve_apps.security import People, respond


class Control:
    """The Serve deployment."""

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Called by Serve before the replica is ready."""
        state = Path(user_config["state_dir"])
        config = read_config(state)
        self._hosts = config.http.allowed_hosts
        parts = await service_parts(state, "control")
        people = People(read_tokens(state, config))
        self._service = ControlService(Operator(config), parts.journal, people, config, parts.clock.now_ms)

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
