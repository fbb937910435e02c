"""The configuration file is complete, its defaults are the issue's rules, and a mistake is named with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hedgelock_actors.runtime.config import DEFAULT_FILE, Config, ConfigError, load, parse


def keys(value: object, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return {found for key, inner in value.items() for found in keys(inner, f"{prefix}.{key}".strip("."))}
    return {prefix}


def test_the_file_holds_every_key_with_its_default() -> None:
    raw = yaml.safe_load(DEFAULT_FILE.read_text(encoding="utf-8"))
    assert parse(raw) == Config()
    assert keys(raw) == keys(Config().model_dump(mode="json"))


def test_every_key_of_the_file_is_commented_where_it_stands_or_by_its_section() -> None:
    lines = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    sections = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(sections) == len(Config.model_fields)


def test_the_starting_rules() -> None:
    config = load(env={})
    levels = config.levels
    assert (levels.caution, levels.danger, levels.critical, levels.ceiling) == (0.40, 0.45, 0.48, 0.50)
    assert [(rung.drop, rung.target_ltv) for rung in config.hedge.ladder] == [(0.30, 0.50)]
    assert config.hedge.dead_band == 0.05
    assert (config.sweep.trigger_ltv, config.sweep.target_ltv, config.sweep.rally) == (0.45, 0.42, 0.30)


@pytest.mark.parametrize(
    ("raw", "field", "remedy"),
    [
        ({"levls": {}}, "levls", "did you mean `levels`?"),
        ({"levels": {"cautoin": 0.4}}, "levels.cautoin", "did you mean `caution`?"),
        ({"hedge": {"ladder": [{"drop": 0.3, "target_ltv": 0.5, "tgt": 1}]}}, "hedge.ladder.0.tgt", "target_ltv"),
        ({"levels": {"caution": 0.46}}, "levels", "caution < danger"),
        ({"levels": {"caution": float("nan")}}, "levels.caution", "finite"),
        ({"sweep": {"target_ltv": 0.45}}, "sweep", "below trigger_ltv"),
        ({"hedge": {"dead_band": -1}}, "hedge.dead_band", "greater than or equal to 0"),
        ({"venue": {"environment": "mainet"}}, "venue.environment", "mainnet"),
        ({"venue": {"environment": "mainnet"}}, "venue", "credentials_file"),
        ({"venue": {"environment": "testnet", "url": "http://x"}}, "venue", "only environment `local`"),
        ({"http": {"host": "0.0.0.0"}}, "http.host", "127.0.0.1"),
        ({"venue": {"accounts": [{"name": "a"}, {"name": "a"}]}}, "venue", "name of its own"),
    ],
)
def test_f66_a_mistake_is_named_with_its_remedy(raw: dict[str, object], field: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    assert caught.value.field == field
    assert remedy in caught.value.remedy


def test_the_environment_overrides_and_is_checked_too() -> None:
    config = load(env={"HEDGELOCK__HTTP__PORT": "0", "HEDGELOCK__SAMPLE__SPEED": "max", "HOME": "/x"})
    assert (config.http.port, config.sample.speed) == (0, "max")
    with pytest.raises(ConfigError, match=r"http\.prot: unknown key; did you mean `port`"):
        load(env={"HEDGELOCK__HTTP__PROT": "0"})


@pytest.mark.parametrize(
    ("text", "remedy"), [("- 1", "sections"), ("a: [", "not YAML"), ("a: !!python/object:os.system {}", "not YAML")]
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, remedy: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=remedy):
        load(file, env={})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        load(tmp_path / "none.yaml", env={})


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("sizing: {knots_file: k.yaml}\n", encoding="utf-8")
    assert load(file, env={}).sizing.knots_file == tmp_path / "k.yaml"


def test_the_state_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Config().state == tmp_path / "hedgelock"
    assert Config(state_dir=Path("/elsewhere")).state == Path("/elsewhere")
