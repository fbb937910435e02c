"""`hedgelock bench book`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hedgelock_actors.cli_common import JsonFlag, fail, out


def book(
    loans: Annotated[int, typer.Option(min=1_000, help="How many loans.")] = 1_000_000,
    prices: Annotated[Path | None, typer.Option(help="Recorded 1-minute prices: FILE.parquet [made up].")] = None,
    checked_ticks: Annotated[int, typer.Option(min=2, help="Ticks compared with looking at every loan.")] = 40,
    seed: Annotated[int, typer.Option(help="Of the loans, and of made-up prices.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Millions of loans on one core: ticks, requirements, changes, against looking at every loan, in the same run."""
    from hedgelock_actors.bench.book import BookOptions, bench_book
    from hedgelock_actors.bench.book_table import as_table
    from hedgelock_actors.simulator.price_files import BadPriceFile

    console = Console(file=sys.stderr, quiet=as_json)
    options = BookOptions(loans=loans, seed=seed, prices=prices, checked_ticks=checked_ticks)
    try:
        found = bench_book(options, lambda text: console.print(f"[dim]{text}[/dim]", highlight=False))
    except (BadPriceFile, FileNotFoundError) as error:
        fail(str(error), 2)
    if as_json:
        typer.echo(json.dumps(found.as_values(), indent=1, allow_nan=False))
    else:
        out.print(as_table(found))
    if not all(kept for name, kept in found.kept.items() if "goal" not in name):
        raise typer.Exit(1)
