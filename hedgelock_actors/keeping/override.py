"""A person's word on a target: hold exactly this short until it expires or is lifted. Pure.

Overrides come from the control stream, one record for one command; the highest version of an account wins. While one
holds, the policy goes on deciding beside it, so that the end of the override is the policy's own target at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hedgelock_actors.codec import Payload
from hedgelock_actors.domain.messages import TargetOverridden
from hedgelock_actors.domain.money import round_to_step

CAUSE = "override:"
"""How the causation of a target begins that a person asked for."""


def holds(override: TargetOverridden, now_ms: int) -> bool:
    """Whether it decides the target at this venue time."""
    return override.target_short_qty is not None and now_ms < override.expires_ms


def overrides_in(payload: Payload) -> Sequence[TargetOverridden]:
    """The overrides of one record of the control stream: one per account that it is about."""
    found = payload.get("overrides")
    rows = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return [TargetOverridden.model_validate(row) for row in rows if isinstance(row, Mapping)]


def newer(known: TargetOverridden | None, heard: TargetOverridden) -> TargetOverridden:
    """Which of the two counts: any order of arrival, and any repetition, gives the same."""
    return heard if known is None or heard.version > known.version else known


def held_qty(override: TargetOverridden, qty_step: Decimal) -> Decimal:
    """The short that it asks for, on the lot grid; never more than was asked."""
    return round_to_step(override.target_short_qty or Decimal(0), qty_step, "down")


def reason_of(override: TargetOverridden) -> str:
    """Who holds the target, and why: shown wherever the target is."""
    return f"held by {override.who}: {override.reason}"


def expired(override: TargetOverridden, now_ms: int) -> TargetOverridden:
    """What is told when its time is over, as if it had been lifted then."""
    return override.model_copy(update={"target_short_qty": None, "ts_ms": now_ms, "reason": "its time is over"})
