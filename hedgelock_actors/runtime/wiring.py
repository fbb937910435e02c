"""What one run has found or made: addresses, keys and tokens. Kept in files that only the owner can read.

Actors are given the state directory, never a secret: what Ray is told can be listed by whoever may ask Ray.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hedgelock_actors.runtime import agreement
from hedgelock_actors.runtime.config import Config

WIRING_FILE = "wiring.json"
CONFIG_FILE = "config.json"
CONTROL_TOKEN_FILE = "control.token"  # noqa: S105 - the name of a file


class AccountKeys(BaseModel):
    """The API key of one hedge account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: Annotated[str, Field(repr=False)]
    api_secret: Annotated[str, Field(repr=False)]


class Wiring(BaseModel):
    """Addresses and keys of one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue_url: str | None
    """REST address of a local exchange; None for the venue's known hosts."""
    postgres_url: Annotated[str, Field(repr=False)]
    redis_url: Annotated[str, Field(repr=False)]
    accounts: Annotated[dict[str, AccountKeys], Field(repr=False)]
    journal_scope: str = ""
    """Prefix of all journal streams: one simulated account each; "" where the account goes on."""
    replay: bool
    """True when time is the exchange's (`/sim/clock`), false for the wall clock."""
    build: str = Field(default_factory=agreement.build)
    """Which code started the run; no other takes part in it."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def scratch(state: Path) -> Path:
    """A directory of this run with a short path, for sockets: what it holds is worth nothing after the run.

    Raises PermissionError when somebody else has made one there.
    """
    name = hashlib.sha256(str(state).encode()).hexdigest()[:10]
    place = Path(tempfile.gettempdir()) / f"hedgelock-{name}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{place} is not ours alone; remove it")
    return place


def save(state: Path, config: Config, wiring: Wiring) -> None:
    """Leave configuration and wiring where the actors find them."""
    write_private(state / CONFIG_FILE, config.model_dump_json())
    write_private(state / WIRING_FILE, wiring.model_dump_json())


def read_config(state: Path) -> Config:
    """The configuration of this run."""
    return Config.model_validate_json((state / CONFIG_FILE).read_bytes())


def read_wiring(state: Path) -> Wiring:
    """The wiring of this run."""
    return Wiring.model_validate_json((state / WIRING_FILE).read_bytes())
