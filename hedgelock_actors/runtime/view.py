"""The live view of `hedgelock up`, as Rich renderables, and the same as plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hedgelock_actors.runtime.observe import AccountView, Look
from hedgelock_actors.runtime.runfile import RunInfo

LEVEL_STYLE = {"SAFE": "green", "CAUTION": "yellow", "DANGER": "dark_orange", "CRITICAL": "bold red"}
DANGEROUS = 0.85
"""Around here lenders call for margin."""
SEVERITY_STYLE = {"LOW": "dim", "MEDIUM": "", "HIGH": "yellow", "CRITICAL": "bold red"}


def render(look: Look, info: RunInfo | None, span: tuple[int, int] | None) -> RenderableType:
    """The whole screen."""
    parts: list[RenderableType] = [_accounts(look.accounts), _progress(look, span)]
    if look.alerts:
        parts.append(_alerts(look))
    parts.append(_actors(look))
    if info is not None:
        parts.append(_where(info))
    return Panel(Group(*parts), title="HedgeLock", subtitle="Ctrl-C ends it cleanly", border_style="blue")


def line(look: Look, span: tuple[int, int] | None) -> str:
    """One plain line."""
    done = f"{_share(look, span):4.0%} " if span is not None and look.venue_ms is not None else ""
    shown = " | ".join(
        f"{one.symbol} {_number(one.price, ',.1f')} lender {_ratio(one.lender_ltv)} net {_ratio(one.net_ltv)} "
        f"{one.level} short {_number(one.short)} of {_number(one.target)} "
        f"sweeps {one.sweeps} ({one.swept_usdt:,.0f} USDT)"
        for one in look.accounts
    )
    return f"{_time(look.venue_ms)} {done}{shown or 'waiting for the first price'} | alerts {look.alert_count}"


def _accounts(accounts: Sequence[AccountView]) -> Table:
    table = Table(expand=True, box=None, header_style="bold", pad_edge=False)
    for title in (
        "account",
        "price",
        "lender LTV",
        "unprotected",
        "net LTV",
        "level",
        "must hold",
        "target",
        "short",
        "sweeps",
        "swept",
    ):
        table.add_column(title, justify="left" if title in ("account", "level") else "right")
    for one in accounts:
        table.add_row(
            f"{one.account} {one.symbol}",
            _number(one.price, ",.1f"),
            Text(_ratio(one.lender_ltv), style=LEVEL_STYLE.get(one.level, "")),
            Text(_ratio(one.bare_ltv), style="dim" if (one.bare_ltv or 0.0) < DANGEROUS else "red"),
            _ratio(one.net_ltv),
            Text(one.level, style=LEVEL_STYLE.get(one.level, "")),
            _number(one.floor),
            _number(one.target),
            Text(_number(one.short), style="cyan"),
            str(one.sweeps),
            f"{one.swept_usdt:,.0f}",
        )
    if not accounts:
        table.add_row("waiting for the first price", *[""] * 10)
    return table


def _progress(look: Look, span: tuple[int, int] | None) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    if span is None or look.venue_ms is None:
        grid.add_row(f"venue time {_time(look.venue_ms)}", "", "")
        return Padding(grid, (1, 0))
    share = _share(look, span)
    ended = "" if look.state != "ended" else "  the replay has ended; the system stays up"
    grid.add_row(f"replay {_time(look.venue_ms)}", ProgressBar(total=1.0, completed=share), f"{share:.0%}{ended}")
    return Padding(grid, (1, 0))


def _alerts(look: Look) -> Table:
    table = Table(
        box=None, show_header=False, title=f"alerts ({look.alert_count})", title_justify="left", pad_edge=False
    )
    for alert in look.alerts:
        severity = str(alert.get("severity", ""))
        table.add_row(
            _time(int(alert.get("ts_ms", 0))),
            Text(severity, style=SEVERITY_STYLE.get(severity, "")),
            str(alert.get("title", "")),
        )
    return table


def _actors(look: Look) -> Text:
    text = Text("\nactors ", style="bold")
    for name, status in look.actors.items():
        style = {"ready": "green", "down": "bold red"}.get(status, "yellow")
        text.append(f"{name} ", style=style).append(f"{status}  " if status != "ready" else "", style=style)
    for recovery in look.recoveries[-3:]:
        text.append(f"\n  {recovery['actor']} was away for {recovery['down_ms_wall']} ms and is back", style="yellow")
    return text


def _where(info: RunInfo) -> Text:
    text = Text("\n")
    for title, url in (
        ("control", f"{info.control_url}/status"),
        ("sizing", f"{info.sizing_url}/healthz"),
        ("Ray", info.dashboard_url),
        ("exchange", info.exchange),
    ):
        if url:
            text.append(f"{title} ", style="dim").append(f"{url}   ", style="blue")
    return text


def _share(look: Look, span: tuple[int, int] | None) -> float:
    if span is None or look.venue_ms is None:
        return 0.0
    return min(1.0, max(0.0, (look.venue_ms - span[0]) / (span[1] - span[0])))


def _time(ms: int | None) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S") if ms else "-"


def _ratio(value: float | None) -> str:
    return f"{value:.4f}" if value is not None else "-"


def _number(value: float | None, form: str = ",.3f") -> str:
    return format(value, form) if value is not None else "-"
