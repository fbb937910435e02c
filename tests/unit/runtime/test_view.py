"""What a person sees: the same numbers on the screen and in plain lines, also when little is known yet."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from rich.console import Console, RenderableType

from hedgelock_actors.runtime.observe import Look, look
from hedgelock_actors.runtime.runfile import RunInfo
from hedgelock_actors.runtime.view import line, render

SPAN = (1_767_225_600_000, 1_767_236_400_000)
INFO = RunInfo(
    pid=1,
    control_url="http://127.0.0.1:8470/v1",
    sizing_url="http://127.0.0.1:8470",
    dashboard_url=None,
    exchange="http://127.0.0.1:9000",
    started_ms=0,
    speed="60",
)


class Operator:
    """Actors that have said something."""

    def __init__(self, **answers: Mapping[str, object]) -> None:
        self._answers = answers

    async def actors(self) -> Mapping[str, object]:
        return self._answers.get("supervisor", {})

    async def snapshots(self, kind: str) -> Mapping[str, object]:
        return self._answers.get(kind.replace("-", "_"), {})


FULL = Operator(
    supervisor={
        "actors": {"treasury": {"status": "ready"}, "notifier": {"status": "ready", "counters": {"alerts": 3}}},
        "recoveries": [{"actor": "treasury", "down_ms_wall": 1234}],
    },
    market_feed={"market-feed": {"BTCUSDT": {"last": "50000.5"}}},
    risk_calculator={
        "risk-calculator-0": {
            "demands": {
                "main": {
                    "lender_ltv": 0.41,
                    "net_ltv": 0.42,
                    "level": "CAUTION",
                    "debt": "200000",
                    "floor_qty": "1.5",
                }
            }
        }
    },
    order_router={
        "order-router-main": {
            "account": "main",
            "symbol": "BTCUSDT",
            "position_qty": "-1.6",
            "target_short_qty": "1.7",
            "entry_price": "59000",
        }
    },
    treasury={"treasury": {"main": {"sweeps": 2, "swept_usdt": "40000"}}},
    notifier={"notifier": {"alerts": [{"ts_ms": SPAN[0], "severity": "HIGH", "title": "Loan is DANGER"}]}},
)


def shown(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(what)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


async def test_everything_is_on_the_screen() -> None:
    seen = await look(FULL, {"venue_ms": 1_767_231_000_000, "state": "running"}, {"main": 240_000.0})  # type: ignore[arg-type]
    text = shown(render(seen, INFO, SPAN))
    for part in ("50,000.5", "0.4100", "0.4920", "0.4200", "CAUTION", "1.500", "1.700", "1.600", "40,000", "50%"):
        assert part in text, part
    for part in ("alerts (3)", "Loan is DANGER", "treasury was away for 1234 ms", "8470/v1/status", "9000"):
        assert part in text, part


async def test_every_figure_stands_under_its_own_heading() -> None:
    seen = await look(FULL, {"venue_ms": 1_767_231_000_000, "state": "running"}, {"main": 240_000.0})  # type: ignore[arg-type]
    lines = shown(render(seen, INFO, SPAN)).splitlines()
    heading = next(one for one in lines if "lender LTV" in one)
    row = next(one for one in lines if "50,000.5" in one)
    for title, figure in (
        ("lender LTV", "0.4100"),
        ("unprotected", "0.4920"),
        ("net LTV", "0.4200"),
        ("target", "1.700"),
    ):
        end = heading.index(title) + len(title)
        assert row[:end].endswith(figure), (title, heading, row)


async def test_a_plain_line_says_the_same() -> None:
    seen = await look(FULL, {"venue_ms": 1_767_231_000_000, "state": "running"}, {})  # type: ignore[arg-type]
    said = line(seen, SPAN)
    assert "2026-01-01 01:30:00" in said
    assert "lender 0.4100 net 0.4200 CAUTION short 1.600 of 1.700 sweeps 2 (40,000 USDT) | alerts 3" in said


@pytest.mark.parametrize("venue", [None, {"venue_ms": SPAN[1] + 5, "state": "ended"}])
async def test_little_known_is_shown_as_little_known(venue: Mapping[str, object] | None) -> None:
    seen = await look(Operator(), venue, {})  # type: ignore[arg-type]
    assert "waiting for the first price" in shown(render(seen, None, SPAN))
    assert "waiting for the first price" in line(seen, None)
    assert ("100%" in shown(render(seen, None, SPAN))) == (venue is not None)


def test_an_empty_look_is_fine() -> None:
    assert shown(render(Look(), None, None))
