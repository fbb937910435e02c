"""The commands of control: what they ask of the API, what they show, and how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.cli import app
from hedgelock_actors.cli_control import parse_duration
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.runtime import client, local_halt
from hedgelock_actors.runtime.runfile import RunInfo, UpLock, write_run
from hedgelock_actors.runtime.trading import recorded_state
from hedgelock_actors.runtime.wiring import Wiring, save, write_private
from serve_apps import control_effects
from tests.unit.serve.control_rig import TOKENS, Rig

INFO = RunInfo(
    pid=1,
    control_url="http://127.0.0.1:8470/v1",
    sizing_url="http://127.0.0.1:8470",
    dashboard_url=None,
    exchange=None,
    started_ms=0,
    speed="1",
    ray_address="127.0.0.1:1",
)


class Desk:
    """A state directory in which something seems to run; its HTTP is a service in this process, or dead."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self.rig = state, Rig(two_person=["resume"])
        self.http_lives = True
        self.lock = UpLock(state)
        write_run(state, INFO)
        for name, token in TOKENS.items():
            write_private(state / f"{name}.token", token)
        wiring = Wiring(venue_url=None, postgres_url="postgresql://x", redis_url="r", accounts={}, replay=False)
        save(state, self.rig.config, wiring)
        faked = SimpleNamespace(AsyncClient=self._client, HTTPError=httpx.HTTPError)
        monkeypatch.setattr(client, "httpx", faked)
        monkeypatch.setattr(control_effects, "TRADE_WAIT_S", 0.0)

    def _client(self, **_options: object) -> object:
        if self.http_lives:
            return self.rig.http()

        def refuse(_request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nothing listens")

        return httpx.AsyncClient(transport=httpx.MockTransport(refuse))

    def do(self, *arguments: str, who: str = "ada", code: int = 0) -> str:
        token = str(self.state / f"{who}.token")
        env = {"HEDGELOCK__STATE_DIR": str(self.state), "HEDGELOCK_TOKEN_FILE": token, "COLUMNS": "200"}
        done = CliRunner().invoke(app, list(arguments), env=env)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout + done.stderr

    def ask(self, *arguments: str, who: str = "ada", code: int = 0) -> Mapping[str, Any]:
        found = json.loads(self.do(*arguments, "--json", who=who, code=code))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path, monkeypatch)
    yield desk
    desk.lock.release()


def test_a_halt_shows_where_it_is_latched_and_what_is_in_flight(desk: Desk) -> None:
    shown = desk.do("halt", "--reason", "drill")
    assert "HALTED in epoch 1: recorded; latched in the process of every order router" in shown
    assert "in flight: a y UNRESOLVED" in shown
    assert "not known of order-router-b" in shown


def test_a_halt_that_a_router_did_not_confirm_says_so_and_ends_with_1(desk: Desk) -> None:
    desk.rig.cluster.silent = {"order-router-b"}
    assert "NOT CONFIRMED by order-router-b" in desk.do("halt", code=1)


def test_two_people_resume(desk: Desk) -> None:
    desk.do("halt")
    waits = desk.ask("resume", "--reason", "over")
    assert "waits for a second person" in desk.do("resume", "--reason", "over again")
    assert "waiting" in desk.do("approvals")
    refused = desk.do("approve", waits["approval_id"], code=1)
    assert "same_person" in refused
    assert "ACTIVE in epoch 5" in desk.do("approve", waits["approval_id"], who="bob")
    assert "resume" in desk.do("status")


def test_an_override_from_its_beginning_to_its_end(desk: Desk) -> None:
    desk.do("override", "--account", "a", "--short", "3.2", "--for", "2h", "--reason", "drill")
    shown = desk.do("overrides")
    assert "3.2" in shown
    assert "ada" in shown
    assert "Overrides" in desk.do("status")
    desk.do("override", "lift", "--reason", "over")
    assert "no target is overridden" in desk.do("overrides")
    assert "nothing_to_lift" in desk.do("override", "lift", code=1)


def test_flatten_acknowledge_and_reduce_only(desk: Desk) -> None:
    assert "taken in by position-keeper-a, position-keeper-b" in desk.do("flatten", "--reason", "x", "--for", "10m")
    assert "taken in by order-router-a" in desk.do("acknowledge", "--reason", "x", "--account", "a")
    assert "taken in by order-router-a" in desk.do("acknowledge", "--reason", "x", "--account", "a", "--order", "hl-1")
    assert "REDUCE_ONLY" in desk.do("reduce-only")
    shown = desk.do("commands")
    assert shown.index("trading_state") < shown.index("acknowledged") < shown.index("override")


def test_a_command_that_an_actor_did_not_take_ends_with_1(desk: Desk) -> None:
    desk.rig.cluster.silent = {"order-router-a"}
    assert "repeat it" in desk.do("acknowledge", "--reason", "x", "--account", "a", code=1)


def test_a_trade_is_followed_to_its_report(desk: Desk) -> None:
    trade = ("trade", "sell", "0.5", "--account", "a", "--reason", "basis", "--key", "k", "--wait-s", "0")
    going = desk.ask(*trade, code=1)
    report = {
        "trade_id": going["detail"]["trade_id"],
        "final": True,
        "success": True,
        "side": "Sell",
        "qty": "0.5",
        "filled_qty": "0.5",
        "average_price": "60000",
        "mode": "aggressive",
    }
    desk.rig.cluster.trades = [report]
    assert "Sell 0.5 of 0.5 at 60000 by aggressive" in desk.do(*trade)
    assert "60000" in desk.do("trades")
    desk.rig.cluster.trades = [{**report, "success": False, "error": "EXPIRED"}]
    assert "EXPIRED" in desk.do(*trade, code=1)


def test_limits_are_asked_for_in_advance(desk: Desk) -> None:
    assert desk.ask("raise-limits", "--reason", "volume")["action"] == "raise_limit"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["override", "--short", "1", "--for", "2h"], "--reason"),
        (["override", "--short", "1", "--reason", "x"], "--for"),
        (["override", "--for", "2h", "--reason", "x"], "--short"),
        (["override", "--short", "1", "--for", "2 hours", "--reason", "x"], "--for"),
        (["override", "--account", "a", "--short", "-1", "--for", "2h", "--reason", "x"], "short"),
        (["flatten", "--reason", "x", "--for", "0s"], "--for"),
        (["trade", "hold", "1", "--reason", "x"], "side"),
        (["trade", "sell", "1", "--reason", "x", "--account", "zz"], "account"),
        (["approve", "../halt"], "APPROVAL_ID"),
        (["resume", "--token-file", "/nowhere"], "--token-file"),
    ],
)
def test_nonsense_is_refused_by_field(desk: Desk, arguments: list[str], field: str) -> None:
    done = CliRunner().invoke(
        app,
        arguments,
        env={"HEDGELOCK__STATE_DIR": str(desk.state), "HEDGELOCK_TOKEN_FILE": str(desk.state / "ada.token")},
    )
    assert isinstance(done.exception, InvalidInput), done.output
    assert done.exception.field == field
    assert desk.rig.kinds() == []


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("45m", 2_700), ("2h", 7_200), (" 1d ", 86_400)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text, "--for") == seconds


# ------------------------------------------------------------ without HTTP


class LocalWays:
    """The ways to a halt that remain when HTTP is dead: the journal, and the routers through Ray."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal = MemoryJournal()
        self.held: dict[str, TradingState | None] = {"order-router-a": TradingState(TradingMode.ACTIVE, 0)}
        self.ray = True
        self.told: list[TradingState] = []
        monkeypatch.setattr(local_halt, "PostgresJournal", lambda _url: self.journal)
        monkeypatch.setattr(local_halt, "Operator", lambda _config: self)
        monkeypatch.setattr(local_halt.cluster, "join_ray", self._join)
        monkeypatch.setattr(local_halt.cluster, "stop_ray", lambda: None)

    def _join(self, _state: Path, _where: str) -> None:
        if not self.ray:
            raise ConnectionRefusedError

    async def snapshots(self, _kind: str, wait_s: float) -> dict[str, dict[str, object]]:
        return {name: {"account": "a", "in_flight": [{"order_link_id": "y"}]} for name, one in self.held.items() if one}

    async def apply(self, state: TradingState, wait_s: float) -> dict[str, TradingState | None]:
        self.told.append(state)
        for name, one in self.held.items():
            if one is not None and one.epoch < state.epoch:
                self.held[name] = state
        return dict(self.held)


@pytest.fixture
def ways(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> LocalWays:
    desk.http_lives = False
    return LocalWays(monkeypatch)


def test_with_http_dead_a_halt_goes_by_record_and_ray(desk: Desk, ways: LocalWays) -> None:
    shown = desk.do("halt", "--reason", "drill")
    assert "halting without HTTP" in shown
    assert "HALTED in epoch 1: recorded; latched in the process of every order router" in shown
    assert "in flight: a y" in shown
    assert asyncio.run(recorded_state(ways.journal)) == TradingState(TradingMode.HALTED, 1, "drill")
    assert ways.told == [TradingState(TradingMode.HALTED, 1, "drill")]


def test_with_ray_dead_too_the_record_halts_and_it_says_not_confirmed(desk: Desk, ways: LocalWays) -> None:
    ways.ray = False
    assert "recorded; NOT CONFIRMED by any router" in desk.do("halt", code=1)
    assert asyncio.run(recorded_state(ways.journal)).mode is TradingMode.HALTED


def test_with_the_journal_dead_the_routers_are_told_in_an_epoch_above_theirs(desk: Desk, ways: LocalWays) -> None:
    ways.journal.available = False
    ways.held = {"order-router-a": TradingState(TradingMode.ACTIVE, 7), "order-router-b": None}
    shown = desk.do("halt", code=1)
    assert "HALTED in epoch 8: NOT on record yet (no journal); NOT CONFIRMED by order-router-b" in shown


def test_with_everything_dead_it_says_what_is_left(desk: Desk, ways: LocalWays) -> None:
    ways.journal.available, ways.ray = False, False
    assert "hedgelock down" in desk.do("halt", code=1)


def test_a_halt_after_hedgelock_up_was_killed(desk: Desk, ways: LocalWays) -> None:
    desk.lock.release()
    assert "recorded" in desk.do("halt")
    assert "nothing runs" in desk.do("resume", code=1)


def test_only_a_halt_goes_without_http(desk: Desk, ways: LocalWays) -> None:
    assert "does not answer" in desk.do("resume", code=1)
    assert ways.told == []
