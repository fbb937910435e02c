"""The other commands: what they compute here, and what they say when nothing runs or the request makes no sense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hedgelock_actors.cli import app
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.runfile import RunInfo, UpLock, read_run, write_run

INFO = RunInfo(
    pid=1,
    control_url="http://127.0.0.1:9/v1",
    sizing_url="http://127.0.0.1:9",
    dashboard_url=None,
    exchange=None,
    started_ms=0,
    speed="1",
)


def hedgelock(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hedgelock_actors.cli", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_size_computes_here_when_told_the_depth() -> None:
    done = CliRunner().invoke(app, ["size", "BTC", "200000", "--score", "0.5", "--depth-usd", "10000000", "--json"])
    answer = json.loads(done.stdout)
    assert answer["hedge_pct"] == pytest.approx(0.49332884097035046, rel=1e-9)
    assert answer["notional_usd"] == pytest.approx(200_000 * 0.49332884097035046, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["plan", "--collateral", "-1", "--debt", "1", "--price", "1"], "collateral"),
        (["size", "DOGE", "1", "--score", "0.5", "--depth-usd", "1"], "asset"),
        (["size", "BTC", "nan", "--score", "0.5", "--depth-usd", "1"], "amount_usd"),
        (["size", "BTC", "1", "--depth-usd", "1"], "score"),
        (["up", "--speed", "fast"], "--speed"),
        (["up", "--ltv", "40"], "--ltv"),
        (["up", "--collateral", "nan"], "--collateral"),
        (["up", "--prices", "none.parquet"], "--prices"),
        (["up", "--scenario", "none.yaml"], "--scenario"),
        (["up", "--from", "yesterday"], "--from"),
        (["up", "--from", "2026-01-02T00:00Z", "--to", "2026-01-01T00:00Z"], "--to"),
        (["up", "--from", "2020-01-01T00:00Z", "--to", "2020-01-02T00:00Z"], "--from"),
        (["status", "--config", "none.yaml"], "--config"),
    ],
)
def test_nonsense_is_refused_before_anything_starts(arguments: list[str], field: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, arguments, env={"HEDGELOCK__STATE_DIR": str(tmp_path)})
    assert isinstance(done.exception, InvalidInput), done.output
    assert done.exception.field == field
    assert done.exception.remedy
    assert list(tmp_path.iterdir()) == []


def test_nonsense_ends_with_2_and_no_traceback() -> None:
    done = hedgelock("plan", "--collateral", "-1", "--debt", "1", "--price", "1", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "collateral: must be greater than 0, not -1\n"


@pytest.mark.parametrize("command", ["status", "halt", "resume", "audit"])
def test_when_nothing_runs_it_says_what_to_do(command: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [command, "--state-dir", str(tmp_path)], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "hedgelock up" in done.stderr


def test_down_with_nothing_to_end_is_fine(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["down", "--state-dir", str(tmp_path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["ended"]) == (0, False)


def test_a_run_file_that_a_killed_run_left_counts_as_nothing(tmp_path: Path) -> None:
    lock = UpLock(tmp_path)
    write_run(tmp_path, INFO)
    assert read_run(tmp_path) == INFO
    lock.release()
    assert read_run(tmp_path) is None
    assert (tmp_path / "run.json").stat().st_mode & 0o077 == 0


def test_two_runs_cannot_share_a_state_directory(tmp_path: Path) -> None:
    lock = UpLock(tmp_path)
    write_run(tmp_path, INFO)
    with pytest.raises(ValueError, match=r"--state-dir: hedgelock up \(process 1\) runs there already"):
        UpLock(tmp_path)
    lock.release()
    UpLock(tmp_path).release()


def test_doctor_finds_a_healthy_default_and_an_unhealthy_configuration(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("levls: {}\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["doctor", "--config", str(bad), "--json"])
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["ok"]) == (1, False)
    assert "did you mean `levels`" in answer["checks"][0]["remedy"]
    good = CliRunner().invoke(app, ["doctor", "--state-dir", str(tmp_path), "--json"])
    names = {check["name"]: check["ok"] for check in json.loads(good.stdout)["checks"]}
    assert names["configuration"]
    assert names["sizing curve"]


def test_doctor_names_a_missing_key_file(tmp_path: Path) -> None:
    file = tmp_path / "real.yaml"
    file.write_text(
        "venue: {environment: testnet, accounts: [{name: a, credentials_file: none.json}]}\n", encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["doctor", "--config", str(file), "--state-dir", str(tmp_path), "--json"])
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert not checks["API key of a"]["ok"]
    assert "none.json" in checks["API key of a"]["remedy"]


def test_the_exchange_has_its_own_help() -> None:
    done = hedgelock("exchange", "--help")
    assert done.returncode == 0
    assert "--prices" in done.stdout


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    for command in ("up", "down", "status", "plan", "size", "exchange", "halt", "resume", "doctor", "audit"):
        assert f" {command} " in shown
