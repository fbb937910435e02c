"""The report of a replay: the venue's own truth first, then what we did, recorded and recovered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hedgelock_actors.ports.journal import ChainBroken, Entry, Journal


@dataclass(slots=True)
class JournalCounts:
    """What the journal holds, and whether every chain of it verifies."""

    records: int = 0
    executions: int = 0
    """Trades of the order routers, each recorded once."""
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def of(self, stream_prefix: str, *kinds: str) -> int:
        """Records of some kinds in the streams that begin with a prefix."""
        return sum(
            count for (stream, kind), count in self.kinds.items() if stream.startswith(stream_prefix) and kind in kinds
        )


async def count_journal(journal: Journal) -> JournalCounts:
    """Read everything and verify every chain."""
    counts = JournalCounts()
    for stream in await journal.streams():
        try:
            counts.records += await journal.verify(stream)
        except ChainBroken as error:
            counts.broken.append(str(error))
        async for record in journal.read(stream):
            counts.kinds[stream, record.entry.kind] += 1
            counts.executions += stream.startswith("order-router") and _is_trade(record.entry)
    return counts


def _is_trade(entry: Entry) -> bool:
    return entry.kind == "execution" and entry.payload.get("exec_type") == "Trade"


def build_report(
    *,
    venue: Mapping[str, Any],
    counts: JournalCounts,
    actors: Mapping[str, Any],
    timing: Mapping[str, object],
) -> dict[str, object]:
    """OUT.json. Money in USDT, ratios as ratios; sums and maxima over all accounts."""
    accounts: list[Mapping[str, Any]] = list(venue["accounts"].values())
    server = venue["server"]

    def total(key: str) -> float:
        return float(sum(one[key] for one in accounts))

    return {
        "max_lender_ltv": max(one["max_lender_ltv"] for one in accounts),
        "max_net_ltv": max(one["max_net_ltv"] for one in accounts),
        "end_lender_ltv": max((one["end_lender_ltv"] or 0.0) for one in accounts),
        "loan_liquidated": any(one["loan_liquidated"] for one in accounts),
        "short_liquidated": any(one["short_liquidated"] for one in accounts),
        "orders": int(total("orders")),
        "fills": int(total("fills")),
        "duplicate_orders": int(total("duplicate_orders")),
        "sweeps": counts.of("treasury", "repay_done"),
        "swept_usdt": total("repaid_usdt"),
        "fees_usdt": total("fees_usdt"),
        "funding_usdt": total("funding_usdt"),
        "hedge_pnl_usdt": total("hedge_pnl_usdt"),
        "refused": _refused(actors),
        "alerts": counts.of("notifier", "alert"),
        "ticks": int(server["ticks"]),
        "wall_s": timing["wall_s"],
        "recoveries": list(actors.get("recoveries", [])),
        "journal": {
            "records": counts.records,
            "executions": counts.executions,
            "verified": not counts.broken,
            "broken": counts.broken,
        },
        "ready_s": timing["ready_s"],
        "speed": timing["speed"],
        "clock": {
            "paced": timing["speed"] == "max",
            "pace_overruns": server["pace_overruns"],
            "start_ms": min(one["start_ms"] for one in accounts),
            "end_ms": max(one["venue_ms"] for one in accounts),
        },
        "interest_usdt": total("interest_usdt"),
        "traded_usdt": total("traded_usdt"),
        "rejected": {one["uid"]: one["rejected"] for one in accounts},
        "positions": {one["uid"]: one["positions"] for one in accounts},
    }


def _refused(actors: Mapping[str, Any]) -> int:
    """Orders that our own limits refused, as the routers count them since their last start."""
    routers = [health for name, health in actors.get("actors", {}).items() if name.startswith("order-router")]
    return sum(int(health.get("counters", {}).get("refused", 0)) for health in routers)
