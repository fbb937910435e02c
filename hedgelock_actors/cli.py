"""`hedgelock`: what a person types. Thin: every command asks runtime and shows the answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hedgelock_actors.cli_bench import bench
from hedgelock_actors.cli_common import ConfigOption, JsonFlag, StateOption, err
from hedgelock_actors.cli_common import answer as _answer
from hedgelock_actors.cli_common import config_of as _config
from hedgelock_actors.cli_common import run as _run
from hedgelock_actors.cli_control import register as register_control
from hedgelock_actors.cli_execution import execution_report
from hedgelock_actors.cli_loans import register as register_loans
from hedgelock_actors.cli_spread import register as register_spread
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime import tables
from hedgelock_actors.runtime.config import load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keeps crypto-backed loans from being liquidated: watches LTV, holds the short, sweeps its profit.",
)
app.command("execution-report")(execution_report)
app.add_typer(bench, name="bench")
register_control(app)
register_spread(app)
register_loans(app)


@app.command()
def up(
    prices: Annotated[
        list[str] | None, typer.Option(help="Recorded 1-minute prices: FILE.parquet or SYMBOL=FILE.")
    ] = None,
    funding: Annotated[Path | None, typer.Option(help="Recorded funding rates: FILE.parquet.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Begin of the replay, e.g. 2020-03-12T00:00Z.")] = None,
    to: Annotated[str | None, typer.Option(help="End of the replay.")] = None,
    speed: Annotated[str | None, typer.Option(help="Times faster than the wall, or max (lock-step).")] = None,
    ltv: Annotated[float | None, typer.Option(help="Loan-to-value at the start, a ratio.")] = None,
    collateral: Annotated[float | None, typer.Option(help="Collateral in coins.")] = None,
    reserve: Annotated[float | None, typer.Option(help="Hedge margin in USDT as a fraction of the debt.")] = None,
    haircut: Annotated[float | None, typer.Option(help="What the lender counts of the collateral's value.")] = None,
    scenario: Annotated[Path | None, typer.Option(help="Waypoints in YAML, when no prices are given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the path and of the exchange.")] = None,
    exit_at_end: Annotated[bool, typer.Option("--exit-at-end", help="Stop when the prices end.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report here at the end.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Start Ray without its dashboard.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start everything and protect the loans; Ctrl-C ends it cleanly."""
    from hedgelock_actors.runtime.launch import UpOptions
    from hedgelock_actors.runtime.session import SessionOptions, run_up
    from hedgelock_actors.runtime.up_options import overlaid, speed_of

    sample = {
        "speed": speed_of(speed),
        "ltv": ltv,
        "collateral": collateral,
        "reserve": reserve,
        "haircut": haircut,
        "scenario": str(scenario) if scenario is not None else None,
        "seed": seed,
    }
    full = overlaid(load(config), sample, state_dir=state_dir, dashboard=not no_dashboard)
    options = UpOptions(prices=tuple(prices or ()), funding=funding, from_=from_, to=to)
    session = SessionOptions(exit_at_end=exit_at_end, report=report, plain=plain, as_json=as_json, answer=sys.stdout)
    screen = Console(file=sys.stderr if as_json else sys.stdout)
    code = asyncio.run(run_up(full, options, session, screen))
    if code:
        raise typer.Exit(code)


@app.command()
def down(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """End a running `hedgelock up` cleanly, or clear away what a killed one left behind."""
    from hedgelock_actors.runtime.client import end_run

    _answer(_run(end_run(_config(config, state_dir).state)), as_json, tables.down)


@app.command()
def status(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """How the loans, the hedges and the actors are."""
    from hedgelock_actors.runtime.client import ask

    _answer(_run(ask(_config(config, state_dir).state, "GET", "/status")), as_json, tables.status)


@app.command()
def plan(
    collateral: Annotated[float, typer.Option(help="Coins pledged.")],
    debt: Annotated[float, typer.Option(help="USDT owed, interest included.")],
    price: Annotated[float, typer.Option(help="USDT per coin.")],
    haircut: Annotated[float, typer.Option(help="What the lender counts of the collateral's value.")] = 1.0,
    liquidation_ltv: Annotated[float, typer.Option(help="Where the lender liquidates.")] = 0.95,
    rung: Annotated[list[str] | None, typer.Option(help="DROP:TARGET of the stress ladder; may be repeated.")] = None,
    short: Annotated[str | None, typer.Option(help="The short held now, QTY@ENTRY.")] = None,
    swept: Annotated[float, typer.Option(help="Realised hedge profit not yet used for repayment, USDT.")] = 0.0,
    margin: Annotated[float | None, typer.Option(help="USDT dedicated to the short.")] = None,
    maintenance: Annotated[float, typer.Option(help="Maintenance-margin rate of the perpetual.")] = 0.005,
    taker_fee: Annotated[float, typer.Option(help="Taker fee.")] = 0.00055,
    rally: Annotated[float, typer.Option(help="The rally that the margin shall survive.")] = 0.5,
    reserve: Annotated[float | None, typer.Option(help="USDT there is for repayment and margin [unlimited].")] = None,
    reserve_costs: Annotated[
        str | None, typer.Option(help="REPAY:HEDGE, cost per USDT repaid and per coin short.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What a loan needs: hedge, margin, repayment. Computes; touches nothing."""
    from hedgelock_actors.runtime import loan_plan

    rules = load(config)
    ladder = [f"{one.drop}:{one.target_ltv}" for one in rules.hedge.ladder]
    held = loan_plan.parse_short(short) if short is not None else (None, None)
    given = loan_plan.PlanInput(
        collateral=collateral,
        debt=debt,
        price=price,
        haircut=haircut,
        liquidation_ltv=liquidation_ltv,
        rungs=[loan_plan.parse_rung(one) for one in rung or ladder],
        short_qty=held[0],
        short_entry=held[1],
        unswept=swept,
        margin=margin,
        maintenance=maintenance,
        taker_fee=taker_fee,
        rally=rally,
        reserve=reserve,
        costs=loan_plan.parse_costs(reserve_costs) if reserve_costs is not None else None,
        sweep_trigger=rules.sweep.trigger_ltv,
        sweep_target=rules.sweep.target_ltv,
        worst_move=rules.sweep.worst_move,
    )
    made = loan_plan.make_plan(given)
    _answer(made.as_json(), as_json, lambda _: tables.plan(given, made))


@app.command()
def size(
    asset: Annotated[str, typer.Argument(help="BTC, ETH, LTC or XRP.")],
    amount_usd: Annotated[float, typer.Argument(help="Exposure in USD.")],
    score: Annotated[float | None, typer.Option(help="Score 0…1 instead of the live one.")] = None,
    depth_usd: Annotated[
        float | None, typer.Option(help="Compute here with this book depth, asking no service.")
    ] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """How much of an exposure to hedge, by the curve: asked of the running service, or computed with --depth-usd."""
    from hedgelock_actors.runtime.client import ask_size
    from hedgelock_actors.runtime.sizing import size_here

    full = _config(config, state_dir)
    if depth_usd is not None:
        answer = size_here(full, asset, amount_usd, score, depth_usd)
    else:
        answer = _run(ask_size(full.state, asset, amount_usd, score))
    _answer(answer, as_json, tables.size)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    help="Run the simulated exchange: a Bybit v5 on loopback. `hedgelock exchange --help` lists its options.",
)
def exchange(context: typer.Context) -> None:
    """Everything after the command's name goes to the exchange."""
    from hedgelock_actors.simulator.main import main as exchange_main

    raise typer.Exit(exchange_main(context.args))


@app.command()
def doctor(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Check configuration, ports, keys, clock and services, and say what to do."""
    from hedgelock_actors.runtime.doctor import examine

    answer = asyncio.run(examine(config, state_dir))
    _answer(answer, as_json, tables.doctor)
    if not answer["ok"]:
        raise typer.Exit(1)


@app.command()
def audit(config: ConfigOption = None, state_dir: StateOption = None, as_json: JsonFlag = False) -> None:
    """Recompute every hash chain of the journal."""
    from hedgelock_actors.runtime.auditing import audit_journal

    answer = _run(audit_journal(_config(config, state_dir)))
    _answer(answer, as_json, tables.audit)
    if not answer["ok"]:
        raise typer.Exit(1)


def main() -> None:
    """The console script. Nonsense is refused with the field and the remedy, exit code 2."""
    try:
        app()
    except InvalidInput as error:
        err.print(f"{error.field}: {error.remedy}", style="red", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
