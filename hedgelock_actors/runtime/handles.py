"""Typed ways to reach an actor of the cluster by name. Handles are looked up again after every failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from hedgelock_actors.runtime.names import NAMESPACE
from hedgelock_actors.runtime.transport import Undelivered


class Unreachable(Exception):
    """The actor did not answer."""


class Cluster:
    """All actors of the namespace, by name. One per process and event loop."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        self._namespace = namespace
        self._handles: dict[str, ActorHandle[Any]] = {}

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        """A `runtime.transport.Deliver`."""
        try:
            return cast("Sequence[str]", await self.call(to, "receive", list(batch), wait_s=wait_s))
        except Unreachable as error:
            raise Undelivered(str(error)) from error

    async def call(self, to: str, method: str, *args: object, wait_s: float) -> object:
        """Call a method of the actor named `to`. Raises Unreachable: it may or may not have run."""
        try:
            reference = getattr(self._handle(to), method).remote(*args)
            # Not wait_for: it would cancel the task, and the receiver may be in the middle of an effect.
            answer = asyncio.ensure_future(_result(reference))
            done, _ = await asyncio.wait({answer}, timeout=wait_s)
        except (RayError, ValueError) as error:
            self._handles.pop(to, None)
            raise Unreachable(f"{to}.{method}: {_short(error)}") from error
        if not done:
            self._handles.pop(to, None)
            answer.add_done_callback(_swallow)
            raise Unreachable(f"{to}.{method}: no answer in {wait_s:g} s")
        try:
            return answer.result()
        except RayError as error:
            self._handles.pop(to, None)
            raise Unreachable(f"{to}.{method}: {_short(error)}") from error

    async def health(self, to: str, wait_s: float = 1.0) -> Mapping[str, object]:
        """The actor's own word about itself, from its control thread."""
        return cast("Mapping[str, object]", await self.call(to, "health", wait_s=wait_s))

    async def snapshot(self, to: str, wait_s: float = 3.0) -> Mapping[str, object]:
        """What the actor knows, as JSON-able values."""
        return cast("Mapping[str, object]", await self.call(to, "snapshot", wait_s=wait_s))

    def kill(self, name: str) -> None:
        """End an actor for good; one that is not there is fine."""
        try:
            ray.kill(ray.get_actor(name, namespace=self._namespace), no_restart=True)
        except ValueError:
            pass  # nobody has that name
        self._handles.pop(name, None)

    def _handle(self, name: str) -> ActorHandle[Any]:
        handle = self._handles.get(name)
        if handle is None:
            handle = self._handles[name] = ray.get_actor(name, namespace=self._namespace)
        return handle


async def _result(reference: Any) -> object:  # noqa: ANN401 - an ObjectRef is awaitable, which its stub does not say
    return await reference


def _swallow(late: asyncio.Future[object]) -> None:
    if not late.cancelled():
        late.exception()  # an answer that comes too late is nobody's error


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]
