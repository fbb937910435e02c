"""Spreads over several accounts from the command line: begin one, stop its resting, list them."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from hedgelock_actors.cli_common import ConfigOption, JsonFlag, StateOption, config_of
from hedgelock_actors.cli_control import KeyOption, ReasonOption, TokenOption, listed, parse_duration, posted, taken
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime import control_tables as tables

_LEG = re.compile(
    r"(?P<account>[a-z0-9-]+):(?P<side>sell|buy):(?P<qty>[0-9.]+)@(?P<limit_price>[0-9.]+)(?:x(?P<multiplier>[0-9.]+))?"
)

spread_app = typer.Typer(invoke_without_command=True, help="Trade several legs as one: the first fill decides.")


def register(app: typer.Typer) -> None:
    """Put the commands on the command line."""
    app.add_typer(spread_app, name="spread")
    app.command("spreads")(spreads)


def parse_leg(text: str) -> dict[str, str]:
    """`main:sell:0.5@60000` (account, side, coins, price), with `x0.001` behind for contracts of other than one coin.

    Raises:
        InvalidInput: it reads otherwise.
    """
    found = _LEG.fullmatch(text)
    if found is None:
        raise InvalidInput("--leg", f"{text!r} does not read like ACCOUNT:sell:QTY@PRICE, e.g. main:sell:0.5@60000")
    return {name: value for name, value in found.groupdict().items() if value is not None}


@spread_app.callback()
def spread(
    context: typer.Context,
    leg: Annotated[list[str] | None, typer.Option(help="ACCOUNT:SIDE:QTY@PRICE[xMULTIPLIER]; two or more.")] = None,
    reason: ReasonOption = "",
    window: Annotated[str, typer.Option(help="How long the legs may rest.")] = "60s",
    rollback: Annotated[bool, typer.Option("--rollback", help="Take all back when a leg cannot follow.")] = False,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let the legs rest; the first to fill triggers, and the others are brought to what it stands for."""
    if context.invoked_subcommand is not None:
        return
    if not leg or len(leg) < 2:
        raise InvalidInput(
            "--leg", "a spread has two or more legs: --leg main:sell:0.5@60000 --leg other:sell:0.5@60000"
        )
    if not reason:
        raise InvalidInput("--reason", "say why, for the record")
    body = {
        "legs": [parse_leg(one) for one in leg],
        "reason": reason,
        "window_s": parse_duration(window, "--window"),
        "rollback_on_partial": rollback,
    }
    taken(posted(config_of(config, state_dir), "/spreads", body, token_file, key), as_json)


@spread_app.command("stop")
def stop(
    spread_id: Annotated[str, typer.Argument(help="As `hedgelock spreads` shows it.")],
    reason: ReasonOption = "by an operator",
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let its legs rest no longer. What filled is still followed by the other legs."""
    body = {"spread_id": spread_id, "reason": reason}
    taken(posted(config_of(config, state_dir), "/spreads/stop", body, token_file, key), as_json)


def spreads(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Spreads at work, and what became of the others."""
    listed("/spreads", tables.spreads, config_of(config, state_dir), as_json)
