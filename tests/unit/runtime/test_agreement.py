"""No process of another build joins a run, and a replay reaches no real venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from hedgelock_actors.domain.messages import ENVELOPE
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.runtime import agreement, composition
from hedgelock_actors.runtime.agreement import Disagreement, build, check_agreement
from hedgelock_actors.runtime.composition import compose, service_parts
from hedgelock_actors.runtime.config import Config, ConfigError, load, parse
from hedgelock_actors.runtime.launch import Up, UpOptions, refuse_live_replay
from hedgelock_actors.runtime.wiring import Wiring, read_wiring, save

HERE = "http://127.0.0.1:1"


def live(tmp_path: Path, environment: str = "testnet") -> Config:
    keys = tmp_path / "keys.json"
    account = {"name": "main", "credentials_file": str(keys)}
    return parse({"venue": {"environment": environment, "accounts": [account]}})


def wired(state: Path, config: Config, *, replay: bool, venue_url: str | None) -> Wiring:
    wiring = Wiring(
        venue_url=venue_url, postgres_url="postgresql://u@h/d", redis_url="redis://h", accounts={}, replay=replay
    )
    save(state, config, wiring)
    return wiring


async def deliver(*_: object) -> list[str]:
    raise AssertionError("nothing is sent")


def test_f67_a_run_knows_the_build_that_started_it(tmp_path: Path) -> None:
    wired(tmp_path, load(env={}), replay=True, venue_url=HERE)
    assert read_wiring(tmp_path).build == build()
    check_agreement(load(env={}), run_build=build(), replay=True, venue_url=HERE)


@pytest.mark.parametrize("what", ["version", "words"])
async def test_f67_a_process_of_another_build_stays_out(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired(tmp_path, load(env={}), replay=True, venue_url=HERE)
    if what == "version":
        monkeypatch.setattr(agreement, "version", lambda _name: "99.0")
    else:
        monkeypatch.setattr(ENVELOPE, "json_schema", dict)
    monkeypatch.setattr(composition, "PostgresJournal", deliver)  # nothing may be opened before
    with pytest.raises(Disagreement, match="hedgelock down"):
        await compose("order-router-main", tmp_path, 1, Latch(), deliver)
    with pytest.raises(Disagreement, match="this process is"):
        await service_parts(tmp_path, "control")


@pytest.mark.parametrize(("environment", "url"), [("testnet", None), ("mainnet", None), ("local", None)])
async def test_f72_a_replay_is_not_composed_with_a_real_venue(
    environment: str, url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(env={}) if environment == "local" else live(tmp_path, environment)
    wired(tmp_path, config, replay=True, venue_url=url)
    monkeypatch.setattr(composition, "BybitVenue", deliver, raising=False)
    with pytest.raises(Disagreement, match="simulated exchanges only"):
        await compose("order-router-main", tmp_path, 1, Latch(), deliver)


def test_f72_a_simulated_exchange_is_not_traded_by_the_wall_clock() -> None:
    with pytest.raises(Disagreement, match="wall clock"):
        check_agreement(load(env={}), run_build=build(), replay=False, venue_url=HERE)


@pytest.mark.parametrize(
    "options",
    [UpOptions(prices=["a.parquet"]), UpOptions(funding=Path("f")), UpOptions(from_="2020-03-12"), UpOptions(to="x")],
)
async def test_f72_recorded_prices_are_refused_where_orders_would_be_real(options: UpOptions, tmp_path: Path) -> None:
    config = live(tmp_path).model_copy(update={"state_dir": tmp_path / "state"})
    with pytest.raises(ConfigError, match="testnet"):
        refuse_live_replay(config, options)
    run = Up(config, options, say=lambda _: None, arm=lambda: None)
    with pytest.raises(ConfigError, match="simulated exchange"):
        await run.start()
    assert not run.up
    assert not (tmp_path / "state").exists()


def test_f72_recorded_prices_are_taken_on_an_exchange_of_our_own_and_live_needs_none(tmp_path: Path) -> None:
    refuse_live_replay(load(env={}), UpOptions(prices=["a.parquet"], from_="2020-03-12"))
    refuse_live_replay(live(tmp_path), UpOptions())
    at = parse({"venue": {"url": HERE, "accounts": [{"name": "main", "credentials_file": str(tmp_path / "k")}]}})
    with pytest.raises(ConfigError, match="127"):
        refuse_live_replay(at, UpOptions(prices=["a.parquet"]))
