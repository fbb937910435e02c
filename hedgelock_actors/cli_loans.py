"""`hedgelock loans …`: loans into the book and out of it; `hedgelock stress`: what would become of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hedgelock_actors.cli_common import ConfigOption, JsonFlag, StateOption, answer, config_of
from hedgelock_actors.domain.errors import InvalidInput, positive
from hedgelock_actors.runtime import loan_tables

if TYPE_CHECKING:
    from hedgelock_actors.runtime.loan_read import Progress as Told

loans = typer.Typer(no_args_is_help=True, help="Loans from files: import, export, show, and generate for tests.")

File = Annotated[Path, typer.Argument(help="FILE.csv or FILE.parquet.")]
AccountOption = Annotated[str | None, typer.Option(help="Only this account's loans.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(loans, name="loans")
    app.command()(stress)


@loans.command("import")
def import_(
    file: File,
    strict: Annotated[bool, typer.Option("--strict", help="One bad row refuses the whole file.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="The book becomes this file.")] = False,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take a file into the book: asset, account, loan_id, collateral, debt and, if there, product and updated_ms."""
    from hedgelock_actors.runtime.loan_import import import_loans

    state, now_ms = config_of(config, state_dir).state, time.time_ns() // 1_000_000
    with _bar(file.name, quiet=as_json) as told:
        done = import_loans(file, state, now_ms, told, strict=strict, replace=replace)
    answer(done, as_json, loan_tables.imported)
    if strict and done["refused"]:
        raise typer.Exit(1)


@loans.command()
def export(
    file: File,
    account: AccountOption = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the book to a file."""
    from hedgelock_actors.runtime.loan_import import export_loans

    answer(export_loans(file, config_of(config, state_dir).state, account), as_json, loan_tables.exported)


@loans.command()
def show(
    loan: Annotated[str | None, typer.Option(help="Only this loan.")] = None,
    account: AccountOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many loans to list.")] = 20,
    price: Annotated[list[str] | None, typer.Option(help="COIN=USDT for loan-to-values; may be repeated.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What the book holds."""
    from hedgelock_actors.runtime.loan_import import show_loans

    prices = dict(parse_price(one) for one in price or ())
    answer(show_loans(config_of(config, state_dir).state, loan, account, limit, prices), as_json, loan_tables.shown)


@loans.command()
def generate(
    file: File,
    count: Annotated[int, typer.Option(help="How many loans.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same loans.")] = 1,
    accounts: Annotated[int | None, typer.Option(min=1, help="Of how many accounts [a thousandth].")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make loans up, for tests and demonstrations."""
    from hedgelock_actors.runtime.loan_generate import generate_loans

    answer(generate_loans(file, count, seed, accounts), as_json, loan_tables.exported)


def stress(
    loan: Annotated[str | None, typer.Option(help="A loan of the book.")] = None,
    account: Annotated[str | None, typer.Option(help="An account's loans of the book.")] = None,
    collateral: Annotated[float | None, typer.Option(help="A loan as stated here: coins pledged.")] = None,
    debt: Annotated[float | None, typer.Option(help="USDT owed, interest included.")] = None,
    price: Annotated[list[str] | None, typer.Option(help="USDT per coin, or COIN=USDT; may be repeated.")] = None,
    haircut: Annotated[float, typer.Option(help="What the lender counts of the collateral's value.")] = 1.0,
    short: Annotated[str | None, typer.Option(help="The short held, QTY@ENTRY [what the ladder requires].")] = None,
    margin: Annotated[float | None, typer.Option(help="USDT dedicated to the short [for the policy's rally].")] = None,
    rung: Annotated[list[str] | None, typer.Option(help="DROP:TARGET of the stress ladder; may be repeated.")] = None,
    sigma: Annotated[float, typer.Option(help="Volatility per square root of a year.")] = 0.8,
    horizon_days: Annotated[float, typer.Option(help="Of the probabilities.")] = 30.0,
    gap: Annotated[float, typer.Option(help="A fall in which nothing can be swept.")] = 0.30,
    funding_cap: Annotated[float, typer.Option(help="Most that a short pays at one settlement.")] = 0.005,
    funding_days: Annotated[float, typer.Option(min=0, help="For how long.")] = 3.0,
    divergence: Annotated[float, typer.Option(help="Index below the last price.")] = 0.05,
    haircut_cut: Annotated[float, typer.Option(help="The lender counts this much less.")] = 0.10,
    usdt: Annotated[float, typer.Option(help="What a USDT is worth, USD.")] = 0.95,
    outage_minutes: Annotated[float, typer.Option(help="The venue does not answer for so long.")] = 60.0,
    points: Annotated[int, typer.Option(min=2, max=10_000, help="Prices of the curve.")] = 96,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The book, an account or a loan after falls, rallies, gaps, outages and the rest, on both sides."""
    from hedgelock_actors.domain.stress import ShockSizes, standard_shocks
    from hedgelock_actors.runtime import stress_tables
    from hedgelock_actors.runtime.loan_plan import parse_rung, parse_short
    from hedgelock_actors.runtime.stress import StressInput, rules_of, stress_loan, stress_state

    full = config_of(config, state_dir)
    rules = rules_of(full, [parse_rung(one) for one in rung or ()], sigma, horizon_days)
    sizes = ShockSizes(
        gap=gap,
        funding_cap=funding_cap,
        funding_days=funding_days,
        divergence=divergence,
        haircut_cut=haircut_cut,
        usdt=usdt,
        outage_minutes=outage_minutes,
        outage_move=full.sweep.worst_move,
    )
    given = StressInput(
        shocks=standard_shocks(sizes, rules),
        rules=rules,
        haircut=haircut,
        short=parse_short(short) if short is not None else None,
        margin=margin,
        points=points,
    )
    prices = dict(parse_price(one) for one in price or ())
    if collateral is None and debt is None:
        found = stress_state(full.state, prices, given, loan_id=loan, account=account)
    elif collateral is None or debt is None or "" not in prices or loan is not None or account is not None:
        raise InvalidInput(
            "--collateral/--debt/--price", "a loan as stated needs all three, and no --loan or --account"
        )
    else:
        found = stress_loan(collateral, debt, prices[""], given)
    answer(found, as_json, stress_tables.stress)


def parse_price(text: str) -> tuple[str, float]:
    """COIN=USDT, or a number alone for the only coin there is (""). Raises InvalidInput."""
    coin, _, price = text.rpartition("=")
    try:
        return coin.upper(), positive("--price", float(price))
    except ValueError:
        raise InvalidInput("--price", f"must be like BTC=60000, not {text!r}") from None


@contextmanager
def _bar(name: str, *, quiet: bool) -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=quiet) as progress:
        task = progress.add_task(f"reading {name}", total=1.0)
        yield lambda part: progress.update(task, completed=min(1.0, part))
