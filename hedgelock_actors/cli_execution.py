"""`hedgelock execution-report`: how well orders were carried out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hedgelock_actors.cli_common import ConfigOption, StateOption, config_of, err, out, run
from hedgelock_actors.domain.errors import InvalidInput

STDOUT = Path("-")


def execution_report(
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers here as JSON; - is standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here; it loads nothing.")] = None,
    journal: Annotated[str | None, typer.Option(help="URL of a journal's Postgres instead of the state's.")] = None,
    account: Annotated[str | None, typer.Option(help="One hedge account only.")] = None,
    since: Annotated[str | None, typer.Option(help="Decisions from this venue time on: 2020-03-12T00:00Z.")] = None,
    every_run: Annotated[bool, typer.Option("--every-run", help="Also of earlier runs in that place.")] = False,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Fill rate, implementation shortfall, slippage, markouts, maker share and fees, per strategy and variant."""
    from hedgelock_actors.reporting.execution_table import as_table, as_values
    from hedgelock_actors.runtime.execution_report import Asked, execution_report

    asked = Asked(journal_url=journal, account=account, since_ms=since_ms(since), every_run=every_run)
    found = run(execution_report(config_of(config, state_dir), asked))
    text = json.dumps(as_values(found.quality, found.comparisons), indent=1, allow_nan=False)
    if html is not None:
        _write(html, found.page())
    if json_file == STDOUT:
        typer.echo(text)
        return
    if json_file is not None:
        _write(json_file, text)
    out.print(as_table(found.quality, found.comparisons))


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content + "\n", encoding="utf-8")
    err.print(f"written: {file}", highlight=False, soft_wrap=True)


def since_ms(written: str | None) -> int | None:
    """ISO 8601 (UTC when it names no zone) in ms. Raises InvalidInput."""
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise InvalidInput("--since", f"give a time like 2020-03-12T00:00Z, not {written!r}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
