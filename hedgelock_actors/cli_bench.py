"""`hedgelock bench …`: measured on this machine, against a simulated exchange, through the real actors on Ray."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console

from hedgelock_actors.cli_bench_book import book
from hedgelock_actors.cli_common import JsonFlag, fail, out

bench = typer.Typer(no_args_is_help=True, help="Measure latency, throughput and recovery on this machine.")
bench.command()(book)


class Outcome(Protocol):
    """What every benchmark returns."""

    @property
    def kept(self) -> Mapping[str, bool]: ...

    def as_values(self) -> dict[str, object]: ...


R = TypeVar("R", bound=Outcome)


@bench.command()
def order(
    orders: Annotated[int, typer.Option(min=10, help="How many orders to measure.")] = 300,
    rate: Annotated[
        int | None, typer.Option(min=1, max=100, help="Price steps, so orders, a second and account [4; lifted: 20].")
    ] = None,
    accounts: Annotated[int | None, typer.Option(min=1, max=8, help="Hedge accounts [1; lifted: 4].")] = None,
    lifted: Annotated[bool, typer.Option("--lifted", help="Without limits, the venue's and ours: throughput.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """From a price to the order on the wire and to the fill, against the floor of a bare loop in one process."""
    from hedgelock_actors.bench.order_bench import BenchOptions, bench_order
    from hedgelock_actors.bench.order_table import as_table

    options = BenchOptions(
        orders=orders, rate=rate or (20 if lifted else 4), accounts=accounts or (4 if lifted else 1), lifted=lifted
    )
    _finish(_quietly(bench_order(options, _teller(as_json))), as_json, as_table)


@bench.command()
def kills(
    kills: Annotated[int, typer.Option(min=1, help="How many kill -9.")] = 200,
    speed: Annotated[float, typer.Option(min=0.1, help="Venue time per wall time.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the prices, and of who is killed when.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Kill order router and position keeper during a replay: nothing lost, nothing doubled, how soon they are back."""
    from hedgelock_actors.bench.kill_table import as_table
    from hedgelock_actors.bench.kills import KillOptions, bench_kills

    options = KillOptions(kills=kills, speed=speed, seed=seed)
    _finish(_quietly(bench_kills(options, _teller(as_json))), as_json, as_table)


def _teller(as_json: bool) -> Any:  # noqa: ANN401 - a function of one text
    console = Console(file=sys.stderr, quiet=as_json)
    return lambda text: console.print(f"[dim]{text}[/dim]", highlight=False)


def _quietly(work: Coroutine[object, object, R]) -> R:
    """Ray prints on our standard output: JSON on it, and the screen, are ours."""
    from hedgelock_actors.bench.order_bench import BenchFailed
    from hedgelock_actors.runtime.launch import StartFailed

    try:
        with (
            Path("/dev/null").open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            return asyncio.run(work)
    except (BenchFailed, StartFailed) as error:
        fail(str(error))


def _finish(found: R, as_json: bool, table: Any) -> None:  # noqa: ANN401 - what draws an R
    if as_json:
        typer.echo(json.dumps(found.as_values(), indent=1, allow_nan=False))
    else:
        out.print(table(found))
    if not all(kept for name, kept in found.kept.items() if "goal" not in name):
        raise typer.Exit(1)
