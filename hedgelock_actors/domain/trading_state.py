"""Whether orders may be sent at all. A state carries an epoch; the highest epoch wins, wherever it is heard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput


class TradingMode(StrEnum):
    """ACTIVE: all. REDUCE_ONLY: only orders that shrink a position. HALTED: none; working orders are cancelled.

    Halting keeps the hedge: it forbids new orders and flattens nothing.
    """

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"

    @property
    def strictness(self) -> int:
        """0 for ACTIVE … 2 for HALTED."""
        return list(TradingMode).index(self)


@dataclass(frozen=True, slots=True)
class TradingState:
    """A mode, the epoch in which it was set, and why."""

    mode: TradingMode
    epoch: int
    reason: str = ""

    def __post_init__(self) -> None:
        if self.epoch < 0:
            raise InvalidInput("epoch", f"must be 0 or more, not {self.epoch}")


INITIAL = TradingState(TradingMode.ACTIVE, 0, "start")


def merge(current: TradingState, heard: TradingState) -> TradingState:
    """The state that holds after hearing another: higher epoch wins; within one epoch the stricter mode wins.

    Commutative, associative and idempotent, so any order of arrival gives the same state.
    """

    def key(state: TradingState) -> tuple[int, int, str]:
        return (state.epoch, state.mode.strictness, state.reason)

    return max(current, heard, key=key)


def transition(current: TradingState, mode: TradingMode, reason: str) -> TradingState:
    """A new state decided now, in the next epoch. `reason` must say why (it is shown to people).

    Raises:
        InvalidInput: no reason was given.
    """
    if not reason.strip():
        raise InvalidInput("reason", "say why the trading state is changed")
    return TradingState(mode, current.epoch + 1, reason)
