"""Which entries of the order table were taken, by the real fold, while runs went on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hedgelock_actors.domain.order import TRANSITIONS, OrderState, OrderStatus

Pair = tuple[OrderStatus, OrderStatus]
ALL: tuple[Pair, ...] = tuple(
    (before, after) for before in OrderStatus for after in OrderStatus if after in TRANSITIONS[before]
)
_FOLDS = ("apply_outcome", "apply_view", "apply_execution", "prove_absent")


@contextmanager
def watched(taken: Counter[Pair]) -> Iterator[None]:
    """Count every change of an order's status into `taken`. A pair that the table lacks is counted as well."""
    before = {name: getattr(OrderState, name) for name in _FOLDS}
    for name, fold in before.items():
        setattr(OrderState, name, _counting(fold, taken))
    try:
        yield
    finally:
        for name, fold in before.items():
            setattr(OrderState, name, fold)


def _counting(fold: Callable[..., OrderState], taken: Counter[Pair]) -> Callable[..., OrderState]:
    def counted(state: OrderState, *args: Any) -> OrderState:
        after = fold(state, *args)
        if after is not state:
            one, other = state.status, after.status
            # The venue's word outweighs a refusal or an absence that rested on our own evidence alone: that is a change
            # of evidence, of which the table does not speak.
            outweighed = state.from_view is None and other not in TRANSITIONS[one]
            if one is not other and not outweighed:
                taken[one, other] += 1
        return after

    return counted


def missing(taken: Counter[Pair]) -> list[str]:
    """Entries of the table that were not taken."""
    return [shown(pair) for pair in ALL if not taken[pair]]


def forbidden(taken: Counter[Pair]) -> list[str]:
    """Changes that the table does not allow."""
    return [shown(pair) for pair in taken if pair[1] not in TRANSITIONS[pair[0]]]


def shown(pair: Pair) -> str:
    """For people."""
    return f"{pair[0].value}→{pair[1].value}"
