"""Sizing in this process, asking no service: the same curve file and the same function."""

from __future__ import annotations

from collections.abc import Mapping

from hedgelock_actors.domain.curve import size
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.curve_file import CurveFile


def size_here(
    config: Config, asset: str, amount_usd: float, score: float | None, depth_usd: float
) -> Mapping[str, object]:
    """Raises InvalidInput naming the field."""
    if score is None:
        raise InvalidInput("score", "with --depth-usd give --score too, 0 to 1: nothing is asked of a service")
    curve = CurveFile(config.sizing.knots_file)
    sized = size(asset, amount_usd, score, depth_usd, 1.0, curve.curve, config.sizing.max_hedge_pct)
    return {
        "hedge_pct": sized.hedge_pct,
        "notional_usd": sized.notional_usd,
        "confidence": sized.confidence,
        "version": curve.version,
    }
