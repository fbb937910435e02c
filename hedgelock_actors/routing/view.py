"""The order router as people see it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from hedgelock_actors.routing.book import Tracked
from hedgelock_actors.routing.parts import RouterParts

TRADES = 50
"""Newest trades shown, ended ones included: whoever asked for one looks here for its report."""


def snapshot_of(parts: RouterParts) -> Mapping[str, object]:
    """Target, position, what is at work and why not more, and the newest orders."""
    state, fold, book, trading = parts.state, parts.ledger.fold, parts.book, parts.latch.state()
    working, live = book.working(), [one for one in book.unsettled() if not one.state.terminal]
    return {
        "account": state.account,
        "symbol": state.symbol,
        "target_short_qty": str(state.target.short_qty) if state.target else None,
        "target_version": state.target.version if state.target else 0,
        "trade_offset_qty": str(parts.trades.offset),
        "position_qty": str(fold.signed_qty),
        "entry_price": str(fold.entry_price),
        "fees_usdt": str(fold.fees),
        "funding_usdt": str(fold.funding),
        "working_sell_qty": str(working.sell_qty),
        "working_buy_qty": str(working.buy_qty),
        "reconciled": state.reconciled,
        "trading_mode": trading.mode.value,
        "trading_epoch": trading.epoch,
        "lease_held": parts.lease.held(),
        "waits_for": parts.guard.why_nothing(),
        "restrictions": dict(state.restrictions),
        "strategy": _strategy(parts),
        "in_flight": [_row(one) for one in live if not one.resting or one.unresolved],
        "resting": [_row(one) for one in live if one.resting and not one.unresolved],
        "trades": [
            one.report(state.quote.ts_ms if state.quote else 0).model_dump(mode="json")
            for one in islice(reversed(parts.trades.trades.values()), TRADES)
        ],
        "orders": book.summary(),
    }


def _strategy(parts: RouterParts) -> Mapping[str, object] | None:
    work = parts.conductor.work
    if work is None:
        return None
    goal = work.strategy.goal
    return {
        "mode": work.strategy.mode.value,
        "variant": work.choice.variant,
        "why": work.choice.why,
        "intent_id": goal.intent_id,
        "side": goal.side.value,
        "qty": str(goal.qty),
        "left_qty": str(work.left),
        "level": work.level.value,
        "stopping": work.stopped_ms is not None,
    }


def _row(tracked: Tracked) -> Mapping[str, object]:
    state = tracked.state
    return {
        "order_link_id": tracked.link,
        "side": state.request.side.value,
        "price": None if tracked.price is None else str(tracked.price),
        "may_fill_qty": str(state.worst_case_qty),
        "status": state.status.value,
        "sent_ms": tracked.sent_ms,
    }
