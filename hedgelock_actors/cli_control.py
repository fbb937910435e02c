"""What a person commands: halt, reduce-only, resume, flatten, overrides, trades, approvals, and what was commanded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from hedgelock_actors.cli_common import ConfigOption, JsonFlag, StateOption, answer, config_of, err, run
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime import control_tables as tables
from hedgelock_actors.runtime.config import Config

HALT_S = 2.0
"""How long a halt waits for HTTP before it goes another way; the service answers within one second or not at all."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

ReasonOption = Annotated[str, typer.Option(help="Why, for the record.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Hedge account; all, or the only one.")]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="HEDGELOCK_TOKEN_FILE", help="Whose word it is [control.token of the state]."),
]
KeyOption = Annotated[str, typer.Option("--key", help="Idempotency key: the same key is the same command.")]
Show = Callable[[Mapping[str, object]], object]

override_app = typer.Typer(invoke_without_command=True, help="Hold a target by hand, with a reason and an end.")


def register(app: typer.Typer) -> None:
    """Put the commands on the command line."""
    for command in (
        halt,
        reduce_only,
        resume,
        flatten,
        acknowledge,
        trade,
        trades,
        overrides,
        approvals,
        approve,
        commands,
        raise_limits,
    ):
        app.command(command.__name__.replace("_", "-"))(command)
    app.add_typer(override_app, name="override")


def halt(
    reason: ReasonOption = "by an operator",
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Forbid new orders and cancel working ones. The hedge stays on. Works without HTTP, too."""
    full = config_of(config, state_dir)
    _mode(run(_halt(full, reason, token_file, key)), as_json)


async def _halt(config: Config, reason: str, token_file: Path | None, key: str) -> Mapping[str, object]:
    from hedgelock_actors.runtime.client import Caller, HttpSilent, ask
    from hedgelock_actors.runtime.local_halt import halt_locally
    from hedgelock_actors.runtime.runfile import NotRunning, read_run

    try:
        caller = Caller(token_file=token_file, key=key)
        return await ask(config.state, "POST", "/halt", {"reason": reason}, caller, HALT_S)
    except HttpSilent as error:
        err.print(f"{error}\nhalting without HTTP", style="yellow", highlight=False, soft_wrap=True)
    except NotRunning:
        if read_run(config.state, check=False) is None:
            raise
        err.print("`hedgelock up` is gone; halting what it may have left", style="yellow", highlight=False)
    return await halt_locally(config.state.absolute(), reason)


def resume(
    reason: ReasonOption = "by an operator",
    unheard: Annotated[bool, typer.Option("--unheard", help="Although alerts reach nobody.")] = False,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Allow all orders again."""
    body = _body(reason=reason, unheard=unheard or None)
    _mode(posted(config_of(config, state_dir), "/resume", body, token_file, key), as_json)


def reduce_only(
    reason: ReasonOption = "by an operator",
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Allow only orders that shrink a position."""
    _mode(posted(config_of(config, state_dir), "/reduce-only", {"reason": reason}, token_file, key), as_json)


def flatten(
    reason: ReasonOption,
    account: AccountOption = None,
    for_: Annotated[str, typer.Option("--for", help="How long no short is held: 90s, 45m, 2h, 1d.")] = "1h",
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Close the hedge and hold none until the time is over or it is lifted. The loans are unprotected meanwhile."""
    body = _body(reason=reason, account=account, for_s=parse_duration(for_, "--for"))
    taken(posted(config_of(config, state_dir), "/flatten", body, token_file, key), as_json)


@override_app.callback()
def override(
    context: typer.Context,
    account: AccountOption = None,
    short: Annotated[str | None, typer.Option(help="Hold exactly this short, in coins.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="How long: 90s, 45m, 2h, 1d.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Hold exactly this short until its time is over, or until `override lift`."""
    if context.invoked_subcommand is not None:
        return
    for field, value in (("--short", short), ("--for", for_), ("--reason", reason)):
        if value is None:
            raise InvalidInput(field, "an override says how much, for how long, and why")
    body = _body(reason=reason, account=account, short=short, for_s=parse_duration(for_ or "", "--for"))
    taken(posted(config_of(config, state_dir), "/override", body, token_file, key), as_json)


@override_app.command()
def lift(
    reason: ReasonOption = "by an operator",
    account: AccountOption = None,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let the policy decide the target again, at once."""
    body = _body(reason=reason, account=account)
    taken(posted(config_of(config, state_dir), "/override/lift", body, token_file, key), as_json)


def acknowledge(
    reason: ReasonOption,
    account: AccountOption = None,
    order: Annotated[
        str | None, typer.Option(help="Instead: this order, of which the venue says nothing, never came to be.")
    ] = None,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say that fills which were not ours are known: positions may be opened again."""
    body = _body(reason=reason, account=account, order_link_id=order)
    taken(posted(config_of(config, state_dir), "/acknowledge", body, token_file, key), as_json)


def trade(
    side: Annotated[str, typer.Argument(help="sell (more short) or buy (takes back what trades have sold).")],
    qty: Annotated[str, typer.Argument(help="In coins.")],
    reason: ReasonOption,
    account: AccountOption = None,
    strategy: Annotated[str | None, typer.Option(help="Instead of the one that would be chosen.")] = None,
    limit_price: Annotated[str | None, typer.Option(help="USDT per coin, not worse.")] = None,
    within: Annotated[str, typer.Option(help="Not begun any more after this.")] = "60s",
    wait_s: Annotated[float, typer.Option(help="How long its end is waited for.")] = 30.0,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Trade this much beside the target, once."""
    body = _body(
        side=side,
        qty=qty,
        reason=reason,
        account=account,
        strategy=strategy,
        limit_price=limit_price,
        expires_s=parse_duration(within, "--within"),
    )
    full = config_of(config, state_dir)
    found = run(_followed(full, posted(full, "/trades", body, token_file, key), wait_s))
    answer(found, as_json, tables.trade)
    report = found.get("detail")
    if "approval_id" not in found and not (isinstance(report, Mapping) and report.get("success")):
        raise typer.Exit(1)


async def _followed(config: Config, found: Mapping[str, object], wait_s: float) -> Mapping[str, object]:
    from hedgelock_actors.runtime.client import follow_trade

    report = found.get("detail")
    if not isinstance(report, Mapping) or report.get("final") or not report.get("trade_id"):
        return found
    later = await follow_trade(config.state, str(report["trade_id"]), wait_s)
    return {**found, "detail": later or report}


def trades(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Trades that were asked for, and what became of them."""
    listed("/trades", tables.trades, config_of(config, state_dir), as_json)


def overrides(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Targets that people hold now."""
    listed("/overrides", tables.overrides, config_of(config, state_dir), as_json)


def approvals(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Commands that wait or waited for a second person."""
    listed("/approvals", tables.approvals, config_of(config, state_dir), as_json)


def approve(
    approval_id: Annotated[str, typer.Argument(help="As `hedgelock approvals` shows it.")],
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Be the second person: the command is carried out."""
    if not re.fullmatch(r"[0-9a-f]{1,64}", approval_id):
        raise InvalidInput("APPROVAL_ID", "give the id that `hedgelock approvals` shows")
    path = f"/approvals/{approval_id}/approve"
    answer(posted(config_of(config, state_dir), path, {}, token_file, key), as_json, tables.carried_out)


def commands(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """The newest commands on record: who, when, from where, what."""
    listed("/audit", tables.commands, config_of(config, state_dir), as_json)


def raise_limits(
    reason: ReasonOption,
    token_file: TokenOption = None,
    key: KeyOption = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask that the next start may have the limits of this configuration. Changes nothing of what runs."""
    full = config_of(config, state_dir)
    body = {"reason": reason, "limits": full.limits.model_dump(mode="json")}
    taken(posted(full, "/limits", body, token_file, key), as_json)


def parse_duration(text: str, field: str) -> int:
    """`90s`, `45m`, `2h`, `1d` in seconds. Raises InvalidInput."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise InvalidInput(field, f"give a time like 90s, 45m, 2h or 1d, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def _body(**given: object) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


def posted(
    config: Config, path: str, body: Mapping[str, object], token_file: Path | None, key: str
) -> Mapping[str, object]:
    """What the control API answers to a command."""
    from hedgelock_actors.runtime.client import Caller, ask

    return run(ask(config.state, "POST", path, body, Caller(token_file=token_file, key=key)))


def listed(path: str, show: Show, config: Config, as_json: bool) -> None:
    """Print what the control API lists under a path."""
    from hedgelock_actors.runtime.client import ask

    answer(run(ask(config.state, "GET", path)), as_json, show)


def _mode(found: Mapping[str, object], as_json: bool) -> None:
    answer(found, as_json, tables.mode)
    if "approval_id" not in found and not found.get("confirmed"):
        raise typer.Exit(1)


def taken(found: Mapping[str, object], as_json: bool) -> None:
    """Print what became of a command; exit code 1 when an actor has not taken it in."""
    answer(found, as_json, tables.taken)
    if "approval_id" not in found and not found.get("taken"):
        raise typer.Exit(1)
