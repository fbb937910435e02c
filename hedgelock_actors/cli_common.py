"""What every command has in common: the options that all take, how an answer is shown, and how a failure is told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

from hedgelock_actors.runtime.config import Config, load

T = TypeVar("T")
out, err = Console(), Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file [configs/hedgelock.yaml].")]
StateOption = Annotated[Path | None, typer.Option("--state-dir", help="Where databases, tokens and run.json live.")]


def config_of(config: Path | None, state_dir: Path | None) -> Config:
    """The configuration, in the state directory asked for."""
    loaded = load(config)
    return loaded if state_dir is None else loaded.model_copy(update={"state_dir": state_dir})


def answer(value: Mapping[str, object], as_json: bool, show: Callable[[Mapping[str, object]], object]) -> None:
    """Show an answer, for people or for programs."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")
    else:
        out.print(show(value))


def run(work: Coroutine[object, object, T]) -> T:
    """Run to the end; what it cannot do is told without a trace, exit code 1."""
    from hedgelock_actors.runtime.client import ControlFailed
    from hedgelock_actors.runtime.runfile import NotRunning

    try:
        return asyncio.run(work)
    except (NotRunning, ControlFailed) as error:
        fail(str(error))


def fail(text: str, code: int = 1) -> NoReturn:
    """Say it in red and end."""
    err.print(text, style="red", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
