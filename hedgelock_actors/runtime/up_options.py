"""The command line of `hedgelock up` laid over the configuration, so that both are checked by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hedgelock_actors.runtime.config import Config, ConfigError, parse

_OPTION_OF = {
    "sample.ltv": "--ltv",
    "sample.collateral": "--collateral",
    "sample.reserve": "--reserve",
    "sample.haircut": "--haircut",
    "sample.seed": "--seed",
    "sample.speed": "--speed",
}


def overlaid(config: Config, sample: Mapping[str, object], *, state_dir: Path | None, dashboard: bool) -> Config:
    """The configuration with the options that were given (None: not given). Raises ConfigError naming the option."""
    raw = config.model_dump(mode="json")
    raw["sample"] |= {key: value for key, value in sample.items() if value is not None}
    if state_dir is not None:
        raw["state_dir"] = str(state_dir)
    if not dashboard:
        raw["ray"]["dashboard"] = False
    try:
        return parse(raw)
    except ConfigError as error:
        field = ".".join(error.field.split(".")[:2])
        raise ConfigError(_OPTION_OF.get(field, error.field), error.remedy) from None


def speed_of(text: str | None) -> float | str | None:
    """`60`, `max` or nothing. Raises ConfigError."""
    if text is None or text == "max":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError("--speed", f"write a number such as 60, or max for lock-step; not {text!r}") from None
