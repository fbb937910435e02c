"""Fixtures for every test: no Ray and no outside network unless asked for, and where the recorded data lies."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Recorded crash days and reference vectors are kept beside the repository, never in it.
SHARED = ROOT.parent / "shared"

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


class _Egress:
    """An audit hook cannot be removed, so one hook lives for the session and is switched per test."""

    def __init__(self) -> None:
        self.blocked = False
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, args: tuple[object, ...]) -> None:
        if event != "socket.connect" or not self.blocked:
            return
        address = args[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise PermissionError(f"a test tried to reach {address[0]}:{address[1]}; tests stay on loopback")


@pytest.fixture(scope="session")
def _egress() -> _Egress:
    return _Egress()


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, _egress: _Egress) -> Iterator[None]:
    """Nothing leaves the machine. Ray is let off: it asks the kernel for the machine's address by a connect."""
    _egress.blocked = request.node.get_closest_marker("ray") is None
    yield
    _egress.blocked = False


@pytest.fixture(autouse=True)
def _no_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test marked `ray` may start Ray: whatever decides must run without it."""
    if request.node.get_closest_marker("ray") is not None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("this test is not marked `ray`, so it may not start Ray")

    monkeypatch.setattr(ray, "init", refuse)


def _shared(relative: str) -> Path:
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{relative} is kept beside the repository (../shared) and is absent here")
    return path


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    """`shared_file("oracle.json")`: a file kept beside the repository, or a skip that says so."""
    return _shared


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("NAME.parquet")`: a recorded day, or a skip that says so."""
    return lambda name: _shared(f"data/{name}")
