"""A run of `hedgelock up` from the first word to the last: signals, the live view, the end of a replay, the report."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live

from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.launch import StartFailed, Up, UpOptions
from hedgelock_actors.runtime.observe import Look, look
from hedgelock_actors.runtime.report import build_report, count_journal
from hedgelock_actors.runtime.scoped_journal import ScopedJournal
from hedgelock_actors.runtime.span import check_files, replay_span
from hedgelock_actors.runtime.view import line, render

LOOK_S = 1.0
PLAIN_S = 5.0
END_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a run is shown and when it ends."""

    exit_at_end: bool
    report: Path | None
    plain: bool
    as_json: bool
    answer: TextIO
    """Where JSON goes: the real standard output."""


async def run_up(config: Config, options: UpOptions, session: SessionOptions, console: Console) -> int:
    """Run until the end or a signal. Returns the exit code: 0, or 1 when something failed.

    Raises:
        ConfigError, InvalidInput: what was asked for makes no sense; nothing runs.
    """
    check_files(options.prices, options.funding, config.sample.scenario)
    span = replay_span(options.prices, config.sample.scenario, options.from_, options.to)
    log = config.state / "logs" / "up.log"
    for directory in (config.state, log.parent):  # parents that mkdir makes by itself are open to everybody
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        # Ray prints errors of its own on our standard output; the screen, and JSON on it, are ours.
        return await _run(config, options, session, console, span)


async def _run(
    config: Config, options: UpOptions, session: SessionOptions, console: Console, span: tuple[int, int] | None
) -> int:
    def say(text: str) -> None:
        if not session.as_json:
            console.print(f"[dim]{text}[/dim]", highlight=False)

    stop = asyncio.Event()
    run = Up(config, options, say, lambda: _take_signals(stop))
    _take_signals(stop)
    try:
        if await _until(run.start(), stop):
            return await _watch(run, session, span, stop, console)
        return 130
    except StartFailed as error:
        console.print(str(error), style="red", highlight=False)
        console.print(f"[dim]logs: {run.state / 'logs'} and /tmp/ray/session_latest/logs[/dim]")
        return 1
    finally:
        if run.up:
            say("stopping")
        for trouble in await run.stop():
            console.print(f"[yellow]{trouble}[/yellow]")


async def _watch(
    run: Up, session: SessionOptions, span: tuple[int, int] | None, stop: asyncio.Event, console: Console
) -> int:
    if not session.as_json:
        console.print(f"ready after {run.ready_s:.1f} s")
    showing = asyncio.create_task(_show(run, session, span, console))
    try:
        while not stop.is_set():
            if await run.ended() and session.exit_at_end:
                break
            await _sleep_or(stop, END_S)
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    wanted = session.report is not None or session.as_json or session.exit_at_end
    if run.exchange is not None and wanted:
        await run.settle()
        report = await make_report(run)
        _deliver(report, session, console)
    return 0


async def make_report(run: Up) -> dict[str, object]:
    """The report of a run whose exchange still lives."""
    if run.exchange is None or run.operator is None or run.wiring is None:
        raise StartFailed("there is nothing to report: no exchange was started")
    venue = await run.exchange.report()
    journal = ScopedJournal(PostgresJournal(run.wiring.postgres_url), run.wiring.journal_scope)
    try:
        counts = await count_journal(journal)
    finally:
        await journal.close()
    wall_s = float(venue["server"]["wall_s"]) or time.monotonic() - run.started_at
    speed = run.config.sample.speed
    timing: Mapping[str, object] = {"wall_s": round(wall_s, 3), "ready_s": round(run.ready_s, 3), "speed": speed}
    return build_report(venue=venue, counts=counts, actors=await run.operator.actors(), timing=timing)


def _deliver(report: Mapping[str, object], session: SessionOptions, console: Console) -> None:
    text = json.dumps(report, indent=1)
    if session.report is not None:
        session.report.parent.mkdir(parents=True, exist_ok=True)
        session.report.write_text(text + "\n", encoding="utf-8")
    if session.as_json:
        session.answer.write(text + "\n")
        return
    keys = ("max_lender_ltv", "max_net_ltv", "end_lender_ltv", "loan_liquidated", "short_liquidated", "fills", "sweeps")
    console.print("  ".join(f"{key} {_short(report[key])}" for key in keys))
    if session.report is not None:
        console.print(f"report: {session.report}")


async def _show(run: Up, session: SessionOptions, span: tuple[int, int] | None, console: Console) -> None:
    plain = session.plain or not console.is_terminal
    with ExitStack() as stack:
        live = None if plain or session.as_json else stack.enter_context(_live(console))
        while True:
            seen = await _look(run)
            if live is not None:
                live.update(render(seen, run.info, span))
            elif not session.as_json:
                console.print(line(seen, span), highlight=False, soft_wrap=True)
            await asyncio.sleep(LOOK_S if live is not None else PLAIN_S)


def _live(console: Console) -> Live:
    return Live(console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False)


async def _look(run: Up) -> Look:
    if run.operator is None:
        return Look()
    venue: Mapping[str, Any] | None = await run.exchange.clock() if run.exchange is not None else None
    return await look(run.operator, venue, run.start_debts)


def _take_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if stop.is_set():  # a second Ctrl-C: somebody is in a hurry; what is embedded is found again next time
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)


async def _until(work: Any, stop: asyncio.Event) -> bool:  # noqa: ANN401 - any coroutine
    """True when the work was done, False when the signal came first (the work is then cancelled)."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def _sleep_or(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass  # nobody asked us to stop


def _short(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
