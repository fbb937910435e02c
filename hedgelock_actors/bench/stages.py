"""From stamps to latencies: each order's way from the price that it follows from, step by step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hedgelock_actors.reporting.execution_quality import percentile

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A distribution of times in ms."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


def spread(values_ms: Iterable[float]) -> Spread | None:
    """None of nothing."""
    ordered = sorted(values_ms)
    if not ordered:
        return None
    at = {share: percentile(ordered, share) or 0.0 for share in (0.5, 0.9, 0.99)}
    return Spread(count=len(ordered), p50_ms=at[0.5], p90_ms=at[0.9], p99_ms=at[0.99], max_ms=ordered[-1])


@dataclass(slots=True)
class Stamps:
    """All stamps by stage and key, ns of CLOCK_MONOTONIC. Of several at one stage the first counts."""

    by_stage: dict[str, dict[str, int]] = field(default_factory=dict)

    def note(self, stage: str, key: str, at_ns: int) -> None:
        """Take one in."""
        keys = self.by_stage.setdefault(stage, {})
        keys[key] = min(at_ns, keys.get(key, at_ns))

    def read(self, lines: Iterable[str]) -> None:
        """Lines as `runtime.trace` writes them; a torn last line is left out."""
        for line in lines:
            parts = line.split()
            if len(parts) == 3 and parts[2].isdigit():
                self.note(parts[0], parts[1], int(parts[2]))

    def at(self, stage: str, key: str) -> int | None:
        """When, None when nobody stamped it."""
        return self.by_stage.get(stage, {}).get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One order that was the first of its intent: which account's, after which price."""

    account: str
    link: str
    price_ms: int
    """Venue time of the price that the target was decided on."""


STAGES: tuple[tuple[str, str, str], ...] = (
    # from, to, what lies between
    ("published", "frame", "the venue's socket to the feed's event loop"),
    ("frame", "tick:risk", "feed: checks, conflation, one hop"),
    ("tick:risk", "demand", "risk: the book's requirement, one hop"),
    ("demand", "target", "keeper: the target, journalled; one hop"),
    ("target", "place", "router: intent journalled, gate"),
    ("place", "arrived", "adapter: the frame written, read by the venue"),
    ("arrived", "fill", "the venue's match and push, heard by the router"),
)
ENDS: Mapping[str, tuple[str, str]] = {
    "tick received → order handed to the socket": ("frame", "place"),
    "price published → order read by the venue": ("published", "arrived"),
    "tick received → filled": ("frame", "fill"),
}


def way_of(order: Sent, stamps: Stamps) -> dict[str, int]:
    """Stage → ns, as far as the order's way was stamped."""
    price, account = str(order.price_ms), order.account
    named = {
        "published": ("published", price),
        "frame": ("frame", price),
        "tick:risk": ("tick:risk", price),
        "demand": (f"demand:{account}", price),
        "target": (f"target:{account}", price),
        "place": ("place", order.link),
        "arrived": ("arrived", order.link),
        "fill": ("fill", order.link),
    }
    return {name: at for name, (stage, key) in named.items() if (at := stamps.at(stage, key)) is not None}


def between(ways: Sequence[Mapping[str, int]], first: str, last: str) -> Spread | None:
    """How long from one stage to the other, over the orders that have both."""
    return spread((way[last] - way[first]) / NS_PER_MS for way in ways if first in way and last in way)
