"""The sizing curve's file: `knots: [[score, pct], …]` in YAML. It is swapped whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from hedgelock_actors.domain.curve import SizingCurve, curve_version, parse_knots
from hedgelock_actors.domain.errors import InvalidInput

CODE_VERSION = "1"
"""Grows when the formula behind the curve changes."""


class CurveFile:
    """The curve in use. Raises InvalidInput on construction when the file holds none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.curve: SizingCurve
        self.version: str
        self.reload()

    def reload(self) -> str:
        """Read the file again; returns the version in use. Raises InvalidInput and keeps the old curve."""
        try:
            raw = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InvalidInput("knots_file", f"{self.path.name} cannot be read: {error}") from None
        knots = _parse(raw)
        curve, version = SizingCurve.from_knots(knots), curve_version(knots, CODE_VERSION)
        self.curve, self.version = curve, version
        return version


def _parse(raw: object) -> Sequence[tuple[float, float]]:
    # The largest share is `sizing.max_hedge_pct` of the configuration: one place for it.
    if not isinstance(raw, dict) or set(raw) != {"knots"}:
        raise InvalidInput("knots_file", "must hold `knots: [[score, pct], …]` and nothing else")
    return parse_knots(raw)[0]
