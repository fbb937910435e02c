"""What money to move: sweeping hedge profit into repayment, so that the lender's own LTV falls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.domain.errors import InvalidInput, fraction
from hedgelock_actors.domain.margin import margin_for_rally
from hedgelock_actors.domain.money import ZERO, dec, round_to_step
from hedgelock_actors.domain.sweep import cash_to_reach, sweep_ltv

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPolicy:
    """When to sweep, how far, and what must stay with the short."""

    trigger_ltv: float = 0.45
    target_ltv: float = 0.42
    rally: float = 0.30
    """The rally that the margin left behind must survive."""
    maintenance: float = 0.005
    taker_fee: float = 0.00055
    worst_move: float = 0.10
    """The worst adverse move, as a ratio, while a sweep is under way."""
    min_operation_usdt: Decimal = Decimal(10)
    """Less than this is not worth moving."""
    max_operation_usdt: Decimal = Decimal(1_000_000)
    max_daily_usdt: Decimal = Decimal(5_000_000)

    def __post_init__(self) -> None:
        fraction("sweep.trigger_ltv", self.trigger_ltv)
        fraction("sweep.target_ltv", self.target_ltv)
        if self.target_ltv >= self.trigger_ltv:
            raise InvalidInput("sweep.target_ltv", "must be below the trigger, or every sweep is followed by another")
        if self.min_operation_usdt <= ZERO or self.max_operation_usdt < self.min_operation_usdt:
            raise InvalidInput("sweep.max_operation_usdt", "must be at least min_operation_usdt, which is above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValues:
    """One hedge account and its loan as they stand. Money in USDT, quantities in coin."""

    debt: Decimal
    collateral: Decimal
    haircut: float
    price: Decimal
    """What the lender values the collateral at."""
    lender_ltv: float
    liquidation_ltv: float
    equity: Decimal
    """Of the unified account, unrealised profit included."""
    transferable: Decimal
    """What may leave the unified account now."""
    funding_wallet: Decimal
    """The buffer that repays first."""
    short_qty: Decimal
    entry_price: Decimal
    mark: Decimal
    qty_step: Decimal
    swept_today: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """One sweep. Repay `repay` in all: `from_wallet` lies in the Funding wallet, `cash` is to be transferred first."""

    cash: Decimal
    """To transfer from the unified account now."""
    from_wallet: Decimal
    realise_qty: Decimal
    """Of the short, to be closed and re-opened so that more profit becomes cash; a later sweep moves it."""
    shortfall: Decimal
    """What is missing after all of that; > 0 must be told to people."""
    reason: str

    @property
    def repay(self) -> Decimal:
        """What can be repaid now."""
        return self.cash + self.from_wallet


def plan_sweep(values: AccountValues, policy: SweepPolicy) -> SweepPlan | None:
    """The sweep that is due, or None.

    It is due when λ ≥ λ_sweep. It brings λ to the policy's target: from the Funding wallet first, then from cash that
    may leave the unified account, and never touches the margin with which the short survives `rally`:
    spendable = min(transferable, equity − hFρ(g)). Profit beyond what is cash is first made cash by closing and
    re-opening part of the short, at the cost of two taker fees.
    """
    trigger = sweep_ltv(policy.trigger_ltv, values.liquidation_ltv, policy.worst_move)
    if values.lender_ltv < trigger or values.debt <= ZERO:
        return None
    needed = _needed(values, policy)
    allowed = min(needed, policy.max_operation_usdt, policy.max_daily_usdt - values.swept_today)
    if allowed < policy.min_operation_usdt:
        return _nothing(needed, "the daily bound of sweeps is reached") if needed > allowed else None
    from_wallet = _down(min(allowed, max(ZERO, values.funding_wallet)))
    rest = allowed - from_wallet
    spare = _down(max(ZERO, values.equity - _kept_margin(values, policy)))
    cash = min(rest, spare, _down(max(ZERO, values.transferable)))
    wanted_more = min(rest, spare) - cash
    realise = _realise_qty(values, wanted_more, policy) if wanted_more >= policy.min_operation_usdt else ZERO
    to_come = wanted_more if realise > ZERO else ZERO
    if from_wallet + cash < policy.min_operation_usdt:
        from_wallet, cash = ZERO, ZERO
    return SweepPlan(
        cash=cash,
        from_wallet=from_wallet,
        realise_qty=realise,
        shortfall=max(ZERO, min(needed, policy.max_operation_usdt) - from_wallet - cash - to_come),
        reason=f"lender LTV {values.lender_ltv:.4f} has reached {trigger:.4f}; {needed} USDT bring it to "
        f"{policy.target_ltv:.4f}",
    )


def transfer_id(action_id: str) -> str:
    """The UUID of a transfer: a pure function of the action, so that asking twice moves money once.

    Raises:
        InvalidInput: an empty action id.
    """
    if not action_id:
        raise InvalidInput("action_id", "must not be empty")
    raw = bytearray(hashlib.sha256(f"hedgelock-transfer\x1f{action_id}".encode()).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80  # version 8: content of our own making (RFC 9562)
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _needed(values: AccountValues, policy: SweepPolicy) -> Decimal:
    ours = cash_to_reach(
        float(values.debt), policy.target_ltv, values.haircut, float(values.collateral), float(values.price)
    )
    # The lender's own number may be the worse one (its price is older or lower): T/λ of the debt may stay.
    theirs = float(values.debt) * (1.0 - policy.target_ltv / values.lender_ltv)
    # Noise of the floating point below a millionth must not cost a cent.
    return min(values.debt, round_to_step(dec(round(max(ours, theirs), 6)), CENT, "up"))


def _kept_margin(values: AccountValues, policy: SweepPolicy) -> Decimal:
    if values.short_qty <= ZERO:
        return ZERO
    return dec(
        margin_for_rally(
            float(values.short_qty), float(values.mark), policy.rally, policy.maintenance, policy.taker_fee
        )
    )


def _realise_qty(values: AccountValues, cash: Decimal, policy: SweepPolicy) -> Decimal:
    earned = values.entry_price - values.mark * (1 + 2 * dec(policy.taker_fee))
    if earned <= ZERO:
        return ZERO
    whole = round_to_step(values.short_qty, values.qty_step, "down")
    return min(whole, round_to_step(cash / earned, values.qty_step, "up"))


def _nothing(needed: Decimal, reason: str) -> SweepPlan:
    return SweepPlan(cash=ZERO, from_wallet=ZERO, realise_qty=ZERO, shortfall=needed, reason=reason)


def _down(amount: Decimal) -> Decimal:
    return round_to_step(amount, CENT, "down")
