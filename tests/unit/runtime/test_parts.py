"""The small parts that `hedgelock up` is made of."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.messages import AlertRaised
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode
from hedgelock_actors.ports.channel import DeliveryFailed
from hedgelock_actors.ports.journal import Entry
from hedgelock_actors.runtime.alert_file import AlertFile
from hedgelock_actors.runtime.cluster import SERVE_FILE, choose_ports, environment, free_port
from hedgelock_actors.runtime.config import AccountConfig, Config, ConfigError, HttpConfig, RayConfig, load
from hedgelock_actors.runtime.launch import UpOptions, exchange_arguments, read_keys
from hedgelock_actors.runtime.names import declare, in_stop_order
from hedgelock_actors.runtime.report import JournalCounts, build_report, count_journal
from hedgelock_actors.runtime.rules import policy_of
from hedgelock_actors.runtime.scoped_journal import ScopedJournal
from hedgelock_actors.runtime.span import parse_time, replay_span
from hedgelock_actors.runtime.trading import next_state, recorded_state, state_payload
from hedgelock_actors.runtime.up_options import overlaid, speed_of
from hedgelock_actors.runtime.wiring import AccountKeys, Wiring, read_config, read_wiring, save

SECRET = "canary-9f3a"


def entry(key: str, kind: str = "note", **payload: str) -> Entry:
    return Entry(kind=kind, key=key, ts_ms=1, account="main", payload=payload)


# ------------------------------------------------------------------ rules and names


def test_the_file_states_the_rules_of_the_domain() -> None:
    made, default = policy_of(load(env={})), Policy()
    assert (made.levels, made.rungs, made.target, made.sweep) == (
        default.levels,
        default.rungs,
        default.target,
        default.sweep,
    )
    assert (made.quote, made.execution, made.loan, made.sizing) == (
        default.quote,
        default.execution,
        default.loan,
        default.sizing,
    )


def test_a_rule_that_only_the_domain_can_judge_is_refused_by_it() -> None:
    config = Config.model_validate({"sweep": {"trigger_ltv": 0.6}})
    with pytest.raises(InvalidInput, match="trigger_ltv"):
        policy_of(config)


def test_who_is_started_and_in_which_order_they_stop() -> None:
    accounts = (AccountConfig(name="a"), AccountConfig(name="b", symbol="ETHUSDT"))
    config = Config.model_validate({"risk": {"shards": 2}, "venue": {"accounts": [a.model_dump() for a in accounts]}})
    declared = declare(config)
    assert {one.name for one in declared} == {
        "market-feed",
        "risk-calculator-0",
        "risk-calculator-1",
        "position-keeper-a",
        "position-keeper-b",
        "order-router-a",
        "order-router-b",
        "treasury",
        "notifier",
    }
    order = [one.kind for one in in_stop_order(declared)]
    assert order[0] == "market-feed"
    assert order.index("order-router") < order.index("position-keeper") < order.index("treasury")
    assert order[-1] == "notifier"


# ------------------------------------------------------------------ journal


async def test_scopes_do_not_see_each_other() -> None:
    base = MemoryJournal()
    one, other, all_of_it = ScopedJournal(base, "sim-1"), ScopedJournal(base, "sim-2"), ScopedJournal(base, "")
    epoch = await one.open("router")
    written = await one.append("router", epoch, [entry("k")])
    assert written[0].stream == "router"
    assert await one.streams() == ["router"]
    assert [record.entry.key async for record in one.read("router")] == ["k"]
    assert await one.verify("router") == 1
    assert await other.streams() == []
    assert [record async for record in other.read("router")] == []
    assert await all_of_it.streams() == ["sim-1/router"]


async def test_the_trading_state_is_what_was_recorded_last() -> None:
    journal = MemoryJournal()
    assert await recorded_state(journal) == INITIAL
    halted = next_state(INITIAL, TradingMode.HALTED, "drill")
    active = next_state(halted, TradingMode.ACTIVE, "over", heard_epoch=7)
    assert (halted.epoch, active.epoch) == (1, 8)
    epoch = await journal.open("control")
    for known, state in ((halted, active), (INITIAL, halted)):
        payload = state_payload(state, known)
        entry = Entry(kind="trading_state", key=str(state.epoch), ts_ms=5, account="", payload=payload)
        await journal.append("control", epoch, [entry])
    assert await recorded_state(journal) == active, "the highest epoch, whenever it was written"


async def test_the_journal_is_counted_and_verified() -> None:
    journal = MemoryJournal()
    epoch = await journal.open("order-router-main")
    await journal.append(
        "order-router-main",
        epoch,
        [
            entry("a", "execution", exec_type="Trade"),
            entry("b", "execution", exec_type="Funding"),
            entry("c", "intent"),
        ],
    )
    counts = await count_journal(journal)
    assert (counts.records, counts.executions, counts.broken) == (3, 1, [])
    assert counts.of("order-router", "execution") == 2


# ------------------------------------------------------------------ report


def venue_account(**more: object) -> dict[str, object]:
    return {
        "uid": "1",
        "max_lender_ltv": 0.45,
        "max_net_ltv": 0.43,
        "end_lender_ltv": 0.40,
        "loan_liquidated": False,
        "short_liquidated": False,
        "orders": 3,
        "fills": 4,
        "duplicate_orders": 0,
        "repaid_usdt": 10.0,
        "fees_usdt": 1.5,
        "funding_usdt": -0.5,
        "hedge_pnl_usdt": 20.0,
        "interest_usdt": 0.1,
        "traded_usdt": 100.0,
        "rejected": {},
        "positions": {"BTCUSDT": -1.0},
        "start_ms": 1,
        "venue_ms": 9,
        **more,
    }


def test_the_report_sums_money_and_takes_the_worst_ratio() -> None:
    venue: Mapping[str, Any] = {
        "accounts": {"1": venue_account(), "2": venue_account(uid="2", max_lender_ltv=0.6, loan_liquidated=True)},
        "server": {"ticks": 7, "pace_overruns": 0},
    }
    counts = JournalCounts(records=5, executions=8)
    counts.kinds["treasury", "repay_done"] = 2
    counts.kinds["notifier", "alert"] = 3
    actors = {"actors": {"order-router-a": {"counters": {"refused": 1}}}, "recoveries": [{"actor": "x"}]}
    timing = {"wall_s": 1.0, "ready_s": 2.0, "speed": "max"}
    report = build_report(venue=venue, counts=counts, actors=actors, timing=timing)
    assert (report["max_lender_ltv"], report["loan_liquidated"], report["short_liquidated"]) == (0.6, True, False)
    assert (report["orders"], report["fills"], report["swept_usdt"], report["fees_usdt"]) == (6, 8, 20.0, 3.0)
    assert (report["sweeps"], report["alerts"], report["refused"], report["ticks"]) == (2, 3, 1, 7)
    assert report["journal"] == {"records": 5, "executions": 8, "verified": True, "broken": []}
    assert report["recoveries"] == [{"actor": "x"}]


# ------------------------------------------------------------------ options, times, keys


def test_options_become_the_exchange_command_line() -> None:
    config = overlaid(
        load(env={}),
        {"speed": speed_of("max"), "ltv": 0.3, "collateral": 2.5, "reserve": None},
        state_dir=Path("/s"),
        dashboard=False,
    )
    assert (config.sample.speed, config.sample.ltv, config.sample.reserve) == ("max", 0.3, 0.35)
    assert (config.state, config.ray.dashboard) == (Path("/s"), False)
    arguments = exchange_arguments(config, UpOptions(prices=("a.parquet",), from_="2020-01-01"))
    pairs = dict(itertools.pairwise(arguments))
    assert (pairs["--speed"], pairs["--ltv"], pairs["--collateral"], pairs["--prices"]) == (
        "max",
        "0.3",
        "2.5",
        "a.parquet",
    )
    assert "--hold" in arguments
    assert "--scenario" not in arguments
    assert "--scenario" in exchange_arguments(config, UpOptions())


@pytest.mark.parametrize(("text", "speed"), [(None, None), ("max", "max"), ("60", 60.0)])
def test_speeds(text: str | None, speed: float | str | None) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "1e9"])
def test_a_speed_that_makes_no_sense_names_the_option(speed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overlaid(load(env={}), {"speed": speed_of(speed)}, state_dir=None, dashboard=True)
    assert caught.value.field == "--speed"


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_time("--from", "2020-03-12T00:00Z") == 1_583_971_200_000
    assert parse_time("--from", "2020-03-12T00:00") == 1_583_971_200_000
    assert parse_time("--from", "2020-03-12T01:00+01:00") == 1_583_971_200_000


def test_the_span_of_a_scenario(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("start_ms: 60000000\nwaypoints: [{minute: 10, price: 1}]\n", encoding="utf-8")
    assert replay_span((), file, None, None) == (60_000_000, 60_600_000)
    file.write_text("nothing: 1\n", encoding="utf-8")
    assert replay_span((), file, None, None) is None


def test_f68_keys_are_read_from_a_private_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    account = AccountConfig(name="a", credentials_file=file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(account)
    file.write_text(f'{{"api_key": "k", "api_secret": "{SECRET}"}}', encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keys(account)
    file.chmod(0o600)
    keys = read_keys(account)
    assert keys.api_secret == SECRET
    assert SECRET not in repr(keys)
    file.write_text(f'{{"key": "{SECRET}"}}', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_keys(account)
    assert SECRET not in str(caught.value)


def test_wiring_survives_a_file_that_only_we_can_read(tmp_path: Path) -> None:
    wiring = Wiring(
        venue_url="http://127.0.0.1:1",
        postgres_url=f"postgresql://u:{SECRET}@h/d",
        redis_url="redis://h",
        accounts={"main": AccountKeys(api_key="k", api_secret=SECRET)},
        replay=True,
    )
    save(tmp_path, load(env={}), wiring)
    assert read_wiring(tmp_path) == wiring
    assert read_config(tmp_path) == load(env={})
    assert SECRET not in repr(wiring)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


# ------------------------------------------------------------------ cluster


def test_the_cluster_demands_a_fresh_private_token(tmp_path: Path) -> None:
    first = environment(Config(), tmp_path)
    token = (tmp_path / "ray.token").read_text(encoding="utf-8")
    assert first["RAY_AUTH_MODE"] == "token"
    assert first["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "ray.token")
    assert (tmp_path / "ray.token").stat().st_mode & 0o777 == 0o600
    environment(Config(), tmp_path)
    assert (tmp_path / "ray.token").read_text(encoding="utf-8") != token
    assert token not in first.values()


def test_a_taken_http_port_is_refused_and_a_taken_dashboard_port_moves() -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError, match=r"http\.port: port .* is in use"):
            choose_ports(Config(http=HttpConfig(port=port)))
        ports = choose_ports(Config(http=HttpConfig(port=0), ray=RayConfig(dashboard_port=port)))
        assert ports.http not in (0, port)
        assert ports.dashboard not in (0, port)
    assert free_port() > 0


def test_the_serve_file_is_one_that_serve_accepts() -> None:
    from ray.serve.schema import ServeDeploySchema

    raw = yaml.safe_load(SERVE_FILE.read_text(encoding="utf-8"))
    parsed = ServeDeploySchema.model_validate(raw)
    assert parsed.http_options.host == "127.0.0.1"
    assert {application.route_prefix for application in parsed.applications} == {"/", "/v1"}


# ------------------------------------------------------------------ alerts


async def test_alerts_are_lines_of_a_file(tmp_path: Path) -> None:
    alert = AlertRaised(
        alert_id="1", dedup_key="k", account="main", ts_ms=1, severity="HIGH", title="t", body=str(Decimal(1))
    )
    channel = AlertFile(tmp_path / "alerts.jsonl")
    await channel.deliver(alert)
    await channel.deliver(alert)
    lines = (tmp_path / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [AlertRaised.model_validate_json(line) for line in lines] == [alert, alert]
    with pytest.raises(DeliveryFailed):
        await AlertFile(tmp_path / "none" / "alerts.jsonl").deliver(alert)
