"""`cluster.yaml` is accepted by Ray's own validation, offline, and never starts Ray without a token."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def validate(config: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.autoscaler._private.util import prepare_config, validate_config
    validate_config(prepare_config(copy.deepcopy(config)))


def test_ray_accepts_the_cluster_file() -> None:
    validate(CLUSTER)


def test_ray_refuses_a_misspelt_key() -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="head_start_ray_comands"):
        validate({**CLUSTER, "head_start_ray_comands": []})


def starts() -> list[str]:
    commands = CLUSTER["head_start_ray_commands"] + CLUSTER["worker_start_ray_commands"]
    return [command for command in commands if "ray start" in command]


def test_every_start_of_ray_demands_the_token() -> None:
    assert len(starts()) == 2
    for command in starts():
        assert command.startswith("RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/opt/hedgelock/"), command


def test_every_command_names_its_programs_by_absolute_path() -> None:
    for command in starts():
        assert " /opt/hedgelock/release/.venv/bin/ray start " in command


def test_the_dashboard_stays_on_loopback() -> None:
    head = next(command for command in starts() if "--head" in command)
    assert "--dashboard-host=127.0.0.1" in head
