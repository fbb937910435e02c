"""The section `execution`: its defaults are the domain's, and what cannot be is refused with the key and the remedy."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from hedgelock_actors.domain.execution_policy import ExecutionPolicy, Mode
from hedgelock_actors.runtime.config import Config, ConfigError, load, parse
from hedgelock_actors.runtime.config_execution import ExecutionConfig
from hedgelock_actors.runtime.config_section import Section
from hedgelock_actors.runtime.rules import policy_of

FILE = Path(__file__).resolve().parents[3] / "configs" / "hedgelock.yaml"


def test_the_file_the_program_and_the_domain_agree_on_the_defaults() -> None:
    assert load(FILE, {}).execution == Config().execution
    assert policy_of(Config()).execution == ExecutionPolicy()


def test_the_file_shows_every_key() -> None:
    def keys(section: type[Section]) -> dict[str, object]:
        inner = {name: field.annotation for name, field in section.model_fields.items()}
        return {
            name: keys(kind) if isinstance(kind, type) and issubclass(kind, Section) else None
            for name, kind in inner.items()
        }

    def shown(value: object) -> object:
        return {key: shown(inner) for key, inner in value.items()} if isinstance(value, dict) else None

    assert shown(yaml.safe_load(FILE.read_text(encoding="utf-8"))["execution"]) == keys(ExecutionConfig)


def test_one_key_can_be_set_without_the_others() -> None:
    config = load(FILE, {"HEDGELOCK__EXECUTION__PASSIVE__PATIENCE_S": "7.5"})
    assert policy_of(config).execution.passive.patience_ms == 7_500
    by_level = parse({"execution": {"reduce_by_level": {"safe": "twap"}}}).execution.reduce_by_level
    assert (by_level.safe, by_level.caution) == (Mode.TWAP, Mode.LIMIT_CHASE)


def test_an_experiment_is_read() -> None:
    arm = {"name": "wide", "share": 0.3, "set": {"passive.better_bps": 8}}
    policy = policy_of(parse({"execution": {"experiment": {"name": "distance", "variants": [arm]}}})).execution
    assert policy.experiment is not None
    assert policy.experiment.variants[0].overrides == (("passive.better_bps", "8"),)
    assert policy.experiment.variants[0].share == Decimal("0.3")


@pytest.mark.parametrize(
    ("section", "key", "remedy"),
    [
        ({"by_level": {"safe": "pasive"}}, "execution.by_level.safe", "'passive'"),
        ({"by_level": {"critical": "twap"}}, "by_level", "too slow for CRITICAL"),
        ({"passive": {"shar": 1}}, "execution.passive.shar", "did you mean `share`"),
        ({"passive": {"share": 50}}, "execution.passive.share", "less than or equal to 1"),
        ({"through_bps": 10}, "execution.through_bps", "known keys of execution"),
        ({"iceberg": {"shown_min": 0.5}}, "execution.iceberg.shown_max", "must be 0.5 to 1"),
        ({"aggressive": {"limit_attempts": 0, "market_attempts": 0}}, "limit_attempts", "at least one attempt"),
        ({"feedback": {"window_s": 1}}, "execution.feedback", "window_s must not be shorter than markout_s"),
        (
            {"experiment": {"name": "x", "variants": [{"name": "a", "share": 1, "set": {"passive.bettr": 8}}]}},
            "passive.bettr",
            "no such parameter",
        ),
        (
            {"experiment": {"name": "x", "variants": [{"name": "a", "share": 1, "set": {"twap.max_slices": 0}}]}},
            "execution.twap.max_slices",
            "must be 1 to 1000",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_the_remedy(
    section: dict[str, object], key: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"execution": section})
    assert key in str(caught.value)
    assert remedy in str(caught.value)
