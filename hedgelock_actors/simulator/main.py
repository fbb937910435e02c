"""The exchange as a process: `hedgelock exchange`, or `python -m hedgelock_actors.simulator.main`.

Prints exactly one JSON line on stdout when it is ready, and stops cleanly on SIGTERM and SIGINT.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

import uvloop
from aiohttp import web

from hedgelock_actors.simulator.launch import BadOption, ExchangeOptions, Launched, build, loan_facts
from hedgelock_actors.simulator.ws_connection import encode

_HOST = "127.0.0.1"
_PARENT_POLL_S = 0.5
_SHUTDOWN_S = 1.0


def run_exchange(options: ExchangeOptions) -> int:
    """Run the exchange until a signal (or the parent's death) ends it; 0, or 2 when an option makes no sense."""
    try:
        launched = build(options)
    except BadOption as error:
        sys.stderr.write(f"hedgelock exchange: {error}\n")
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options, launched))


async def _serve(options: ExchangeOptions, launched: Launched) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(launched.server.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, options.port).start()
    except OSError as error:
        sys.stderr.write(f"hedgelock exchange: --port {options.port}: {error.strerror or error}\n")
        await runner.cleanup()
        return 2
    _announce(launched, runner.addresses[0][1])
    gc.collect()
    gc.freeze()  # prices and code live for ever: leave them out of every later collection
    driving: asyncio.Task[object] = asyncio.create_task(launched.gateway.driver.run())
    tasks = [driving, asyncio.create_task(stop.wait())]
    if options.die_with_parent:
        _watch_parent(loop, os.getppid(), stop)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await _close(launched, runner)
    for task in done:
        task.result()  # a crash of the driver ends the process with its trace
    return 0


async def _close(launched: Launched, runner: web.AppRunner) -> None:
    for connection in list(launched.gateway.hub.connections):
        try:
            async with asyncio.timeout(_SHUTDOWN_S):
                await connection.close()
        except TimeoutError:
            connection.abort()
    await runner.cleanup()


def _announce(launched: Launched, port: int) -> None:
    gateway = launched.gateway
    accounts = [
        {"uid": key.uid, "api_key": key.key, "api_secret": key.secret, "loan": loan_facts(gateway, key.uid)}
        for key in gateway.keys
    ]
    line = {"rest": f"http://{_HOST}:{port}", "ws": f"ws://{_HOST}:{port}", "accounts": accounts}
    sys.stdout.write(encode(line).decode() + "\n")
    sys.stdout.flush()


def _watch_parent(loop: asyncio.AbstractEventLoop, parent: int, stop: asyncio.Event) -> None:
    if os.getppid() != parent:
        stop.set()
    else:
        loop.call_later(_PARENT_POLL_S, _watch_parent, loop, parent, stop)


def _decimal(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number") from None


def _parser() -> argparse.ArgumentParser:
    defaults = ExchangeOptions()
    parser = argparse.ArgumentParser(
        prog="hedgelock exchange", description="A simulated Bybit v5 exchange on loopback."
    )
    parser.add_argument("--port", type=int, default=defaults.port, help="0 chooses a free one")
    parser.add_argument("--prices", nargs="+", default=[], metavar="FILE|SYMBOL=FILE", action="extend")
    parser.add_argument("--scenario", type=Path)
    parser.add_argument("--funding", type=Path)
    parser.add_argument("--from", dest="from_", metavar="TIME")
    parser.add_argument("--to", metavar="TIME")
    parser.add_argument("--speed", default=defaults.speed, metavar="K|max")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--ticks-per-minute", type=int, default=defaults.ticks_per_minute)
    parser.add_argument("--accounts", type=int, default=defaults.accounts)
    for name in ("collateral", "ltv", "reserve", "haircut"):
        parser.add_argument(f"--{name}", type=_decimal, default=getattr(defaults, name))
    parser.add_argument("--uid-base", type=int)
    parser.add_argument("--latency-ms", type=int, default=defaults.latency_ms)
    parser.add_argument("--ip-limit", type=int, default=defaults.ip_limit, help="requests per 5 s; 0 = none")
    parser.add_argument("--order-limit", type=int, help="order requests per s, account and endpoint [as published]")
    parser.add_argument("--pace-timeout-s", type=float, default=defaults.pace_timeout_s)
    parser.add_argument("--die-with-parent", action="store_true")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Entry with its own argument parser."""
    parsed = vars(_parser().parse_args(arguments))
    return run_exchange(ExchangeOptions(**{**parsed, "prices": tuple(parsed["prices"])}))


if __name__ == "__main__":
    sys.exit(main())
