"""Which messages a person is told of, and how loudly. Pure: the same message gives the same alerts, ids included."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import (
    AlertRaised,
    AnyMessage,
    FeedStale,
    HedgeDemand,
    OrderEvent,
    RiskStateChanged,
    SpreadReported,
    TargetOverridden,
    TradingStateChanged,
    TreasuryActed,
)
from hedgelock_actors.domain.trading_state import TradingMode


def alerts_for(message: AnyMessage) -> Sequence[AlertRaised]:
    """The alerts that a message asks for: none for most messages."""
    match message:
        case AlertRaised():
            return (message,)
        case RiskStateChanged():
            return (_risk(message),)
        case OrderEvent():
            return _order(message)
        case TreasuryActed():
            return (_treasury(message),)
        case TradingStateChanged():
            return (_trading(message),)
        case SpreadReported():
            return (_spread(message),)
        case TargetOverridden():
            return (_override(message),)
        case FeedStale():
            text = f"Nothing is decided on {message.symbol} until it is back: {message.reason}."
            return (_alert("", message.ts_ms, Severity.HIGH, f"feed:{message.symbol}", "Prices are stale", text),)
        case _:
            return ()


def override_below_floor(override: TargetOverridden, held_qty: Decimal, demand: HedgeDemand) -> AlertRaised:
    """That a person's word leaves the loans of an account with less protection (in coin) than they need."""
    return _alert(
        demand.account,
        demand.ts_ms,
        Severity.CRITICAL,
        f"override_below_floor:{override.override_id}",
        "An override holds the hedge below what the loans need",
        f"{demand.symbol}: {override.who} holds a short of {held_qty:f} ({override.reason}); the stress ladder asks "
        f"for {demand.floor_qty:f}: {demand.floor_qty - held_qty:f} of protection are missing.",
    )


def message_set_aside(sender: str, to: str, why: str, ts_ms: int) -> AlertRaised:
    """That a message could not be delivered and is not sent any more."""
    title, body = (
        "A message could not be delivered",
        f"{sender} → {to}: {why}. It was set aside; what follows it passes.",
    )
    return _alert("", ts_ms, Severity.HIGH, f"set_aside:{sender}:{to}", title, body)


def restarts_too_often(actor: str, most: int, within_s: float, ts_ms: int) -> AlertRaised:
    """That an actor dies again and again. Nothing is halted by it: while it is away it sends nothing anyhow."""
    title, body = f"{actor} is restarted again and again", f"More than {most} restarts within {within_s / 60:.0f} min."
    return _alert("", ts_ms, Severity.CRITICAL, f"restarts:{actor}", title, body)


def key_expires_soon(account: str, days: float, ts_ms: int) -> AlertRaised:
    """That the API key of an account ends in so many days; with it ends every order, also those that shrink."""
    title = f"The API key of {account} ends in {days:.0f} days" if days >= 1 else f"The API key of {account} ends"
    severity = Severity.HIGH if days >= 3 else Severity.CRITICAL
    body = "Make a new one with the same rights, put it into the credentials file, and start HedgeLock again."
    return _alert(account, ts_ms, severity, "key", title, body)


def disk_filling(place: str, used: float, ts_ms: int) -> AlertRaised:
    """That a disk (`used` as a share of it) is about to stop the journal, and with it every order."""
    title, body = (
        "The disk is filling up",
        f"{place}: {used:.0%} are used. Without room there is no record and no order.",
    )
    return _alert("", ts_ms, Severity.HIGH, f"disk:{place}", title, body)


def _override(message: TargetOverridden) -> AlertRaised:
    about = f"override:{message.override_id}:{message.version}"
    if message.target_short_qty is None:
        title, body = "A target is no longer overridden", "The policy decides again"
        return _alert(message.account, message.ts_ms, Severity.MEDIUM, f"{about}:ended", title,
                      f"{message.symbol}: {body}. {message.who}: {message.reason}.")  # fmt: skip
    minutes = max(0, message.expires_ms - message.ts_ms) // 60_000
    title = f"The target is overridden: a short of {message.target_short_qty:f}"
    body = f"{message.symbol}: {message.who}, for {minutes} min: {message.reason}."
    return _alert(message.account, message.ts_ms, Severity.HIGH, about, title, body)


def _risk(message: RiskStateChanged) -> AlertRaised:
    rising = message.level.rank > message.previous.rank
    severity = {
        RiskLevel.SAFE: Severity.LOW,
        RiskLevel.CAUTION: Severity.MEDIUM,
        RiskLevel.DANGER: Severity.HIGH,
        RiskLevel.CRITICAL: Severity.CRITICAL,
    }[message.level]
    return _alert(
        message.account,
        message.ts_ms,
        severity if rising else Severity.LOW,
        f"risk:{message.loan_id}:{message.level}",
        f"Loan {message.loan_id} is {message.level}"
        if rising
        else f"Loan {message.loan_id} is back to {message.level}",
        f"Lender LTV {message.lender_ltv:.4f}, net of the hedge {message.net_ltv:.4f}, at {message.price} "
        f"(was {message.previous}). The hedge it needs: {message.required_hedge}.",
    )


def _order(message: OrderEvent) -> Sequence[AlertRaised]:
    known = {
        "refused": (Severity.HIGH, "An order was refused by our limits"),
        "rejected": (Severity.HIGH, "An order was rejected by the venue"),
        "unresolved": (Severity.HIGH, "Nobody knows what became of an order"),
        "external_fill": (Severity.HIGH, "A fill that we did not order"),
        "liquidation": (Severity.CRITICAL, "The hedge was liquidated or taken over"),
        "restricted": (Severity.HIGH, "The hedge may only shrink at present"),
        "runaway": (Severity.CRITICAL, "Far too many decisions: the hedge may only shrink"),
    }.get(message.event)
    if known is None:
        return ()
    severity, title = known
    # Refusals repeat with every attempt: one alert per account and kind; the others are one per order.
    about = "" if message.event == "refused" else message.order_link_id
    key = f"order:{message.event}:{message.symbol}:{about}"
    return (_alert(message.account, message.ts_ms, severity, key, title, f"{message.symbol}: {message.detail}"),)


def _treasury(message: TreasuryActed) -> AlertRaised:
    severity, title = {
        "sweep": (Severity.MEDIUM, "Hedge profit was swept into repayment"),
        "sweep_short_of_cash": (Severity.CRITICAL, "Not enough cash for the sweep that is due"),
        "sweep_failed": (Severity.HIGH, "A sweep did not succeed"),
    }[message.action]
    missing = f" {message.shortfall_usdt} USDT are missing: repay them." if message.shortfall_usdt > 0 else ""
    return _alert(
        message.account,
        message.ts_ms,
        severity,
        f"treasury:{message.action}:{message.action_id if message.action == 'sweep' else ''}",
        title,
        f"{message.amount_usdt} USDT; lender LTV {message.lender_ltv_before:.4f} → {message.lender_ltv_after:.4f}."
        f"{missing} {message.detail}".rstrip(),
    )


def _trading(message: TradingStateChanged) -> AlertRaised:
    severity = Severity.MEDIUM if message.mode is TradingMode.ACTIVE else Severity.HIGH
    key, title = f"trading:{message.epoch}", f"Trading is {message.mode}"
    return _alert("", message.ts_ms, severity, key, title, f"Epoch {message.epoch}: {message.reason}.")


def _spread(message: SpreadReported) -> AlertRaised:
    severity = Severity.LOW if message.success else Severity.HIGH
    how = "taken back" if message.rolled_back else "not completed: what filled is kept"
    title = f"Spread {message.spread_id} is on" if message.success else f"Spread {message.spread_id} was {how}"
    body = f"{message.detail} {message.error}".strip()
    return _alert(message.account, message.ts_ms, severity, f"spread:{message.spread_id}", title, body)


def _alert(account: str, ts_ms: int, severity: Severity, about: str, title: str, body: str) -> AlertRaised:
    dedup_key = f"{account}/{about}"
    alert_id = hashlib.sha256(f"{dedup_key}\x1f{ts_ms}".encode()).hexdigest()[:24]
    return AlertRaised(
        alert_id=alert_id,
        dedup_key=dedup_key,
        account=account,
        ts_ms=ts_ms,
        severity=severity,
        title=title,
        body=body,
    )
