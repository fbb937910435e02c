"""The tokens of the people who may command, each in a file that only its owner can read."""

from __future__ import annotations

from pathlib import Path

from hedgelock_actors.runtime.config import Config, ConfigError, PersonConfig
from hedgelock_actors.runtime.wiring import CONTROL_TOKEN_FILE

TOKEN_MIN = 16


def read_token(path: Path) -> str:
    """Raises PermissionError when others may read it, OSError when nobody can."""
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} may be read by others; chmod 600 it")
    return path.read_text(encoding="utf-8").strip()


def check_people(config: Config) -> None:
    """Before anything starts: every token that is not made at the start is there. Raises ConfigError."""
    tokens = [_token_of(person) for person in config.control.people if person.token_file is not None]
    if len(set(tokens)) != len(tokens):
        raise ConfigError("control.people", "two people have the same token; give each their own")


def read_tokens(state: Path, config: Config) -> dict[str, str]:
    """Name → token. Raises PermissionError, OSError."""
    files = {person.name: person.token_file or state / CONTROL_TOKEN_FILE for person in config.control.people}
    return {name: read_token(file) for name, file in files.items()}


def _token_of(person: PersonConfig) -> str:
    where = f"control.people[{person.name}].token_file"
    path = person.token_file
    if path is None:
        raise ConfigError(where, "name a file of mode 0600 that holds the token")
    try:
        token = read_token(path)
    except PermissionError as error:
        raise ConfigError(where, str(error)) from None
    except OSError as error:
        raise ConfigError(where, f"{path} cannot be read ({error.strerror})") from None
    if len(token) < TOKEN_MIN:
        raise ConfigError(where, f"{path} holds fewer than {TOKEN_MIN} characters; `openssl rand -hex 32` makes one")
    return token
