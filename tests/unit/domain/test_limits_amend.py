"""The gate for amendments: another price is held to every limit that a price or a right can break."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.gate_checks import AMEND_CHECKS
from hedgelock_actors.domain.limits import (
    Approved,
    GateContext,
    Intent,
    Limits,
    OpenOrder,
    Refused,
    Working,
    approve_amend,
)
from hedgelock_actors.domain.order import AmendRequest, Side
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from tests.unit.domain.make import NOW, gate, quote

D = Decimal
C = RefusalCode
LIMITS = Limits(max_quote_age_ms=5_000)
LINK = "hl-resting"


def amend(price: str = "60010", side: Side = Side.SELL, **changes: object) -> AmendRequest:
    plain = AmendRequest(
        account="main", symbol="BTCUSDT", side=side, order_link_id=LINK, intent_id="intent-1", price=D(price), number=1
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def resting(side: Side = Side.SELL, price: str | None = "60020", link: str = LINK, qty: str = "2") -> OpenOrder:
    return OpenOrder(order_link_id=link, side=side, price=None if price is None else D(price), qty=D(qty))


def at(*others: OpenOrder, side: Side = Side.SELL, **changes: object) -> GateContext:
    """A sell of 2 rests; it is in the worst case already, which is full to the brim."""
    intent = Intent(side=side, qty=D(2), committed_qty=D(2), attempts=frozenset({0}))
    given: dict[str, object] = {
        "open_orders": (resting(side), *others),
        "position_qty": D(-48),
        "working": Working(sell_qty=D(2), count=20) if side is Side.SELL else Working(buy_qty=D(2), count=1),
        **changes,
    }
    return gate(("intent-1", intent), **given)


def mode(which: TradingMode, epoch: int = 0) -> TradingState:
    return TradingState(which, epoch, "drill")


CASES: dict[RefusalCode, tuple[AmendRequest, GateContext, Limits]] = {
    C.UNKNOWN_ORDER: (amend(), at(open_orders=()), LIMITS),
    C.WRONG_ENVIRONMENT: (amend(), at(environment="mainnet"), LIMITS),
    C.SYMBOL_NOT_ALLOWED: (amend(symbol="DOGEUSDT"), at(), LIMITS),
    C.WRONG_ACCOUNT: (amend(account="other"), at(), LIMITS),
    C.NOT_THE_WRITER: (amend(), at(writer=False), LIMITS),
    C.HALTED: (amend(), at(trading=mode(TradingMode.HALTED)), LIMITS),
    C.REDUCE_ONLY: (amend(), at(restrictions=("maintenance in 4 minutes",)), LIMITS),
    C.OLD_EPOCH: (amend(), at(trading=mode(TradingMode.ACTIVE, 3), epoch=2), LIMITS),
    C.NOT_RECONCILED: (amend(), at(reconciled=False), LIMITS),
    C.QUOTE_MISSING: (amend(), at(quote=None), LIMITS),
    C.QUOTE_STALE: (amend(), at(quote=quote(ts_ms=NOW - 5_001)), LIMITS),
    C.POSITION_STALE: (amend(), at(position_ms=NOW - 120_001), LIMITS),
    C.UNKNOWN_INTENT: (amend(intent_id="nobody"), at(), LIMITS),
    C.QUOTE_AHEAD: (amend(), at(quote=quote(ts_ms=NOW + 5_001)), LIMITS),
    C.AWAY_FROM_TARGET: (amend(), at(target_short_qty=D("49.9")), LIMITS),
    C.SELF_TRADE: (amend(), at(resting(Side.BUY, "60010", "hl-other")), LIMITS),
    C.TICK_SIZE: (amend("60010.05"), at(), LIMITS),
    C.ORDER_NOTIONAL: (amend(), at(), replace(LIMITS, max_order_notional_usdt=D(120_019))),
    C.SLIPPAGE: (amend("59699.9"), at(), LIMITS),
    C.PRICE_BAND_MARK: (amend("63000.1"), at(), LIMITS),
    C.PRICE_BAND_LAST_GOOD: (amend(), at(last_good_price=D(63_200)), LIMITS),
    C.AMENDS_PER_SECOND: (amend(), at(recent_amend_ms=(NOW - 999,) * 10), LIMITS),
    C.AMENDS_PER_MINUTE: (amend(), at(recent_amend_ms=(NOW - 59_999,) * 60), LIMITS),
}


def code_of(request: AmendRequest, ctx: GateContext, limits: Limits = LIMITS) -> RefusalCode | None:
    found = approve_amend(request, ctx, limits)
    return found.code if isinstance(found, Refused) else None


def test_another_price_is_approved_and_adds_nothing_to_the_worst_case() -> None:
    found = approve_amend(amend(), at(epoch=4, recent_order_ms=(NOW,) * 20), LIMITS)
    assert isinstance(found, Approved)
    assert (found.request, found.approved_ms, found.epoch) == (amend(), NOW, 4)


@pytest.mark.parametrize("code", list(CASES))
def test_every_limit_of_an_amendment_refuses_with_its_code(code: RefusalCode) -> None:
    found = approve_amend(*CASES[code])
    assert isinstance(found, Refused)
    assert (found.code, bool(found.detail)) == (code, True)


def test_every_check_of_an_amendment_has_a_case() -> None:
    assert {*(code for code, _ in AMEND_CHECKS), C.UNKNOWN_ORDER} == set(CASES)


def test_only_an_order_that_rests_at_a_price_on_that_side_can_be_amended() -> None:
    assert code_of(amend(), at(open_orders=(resting(link="hl-other"),))) is C.UNKNOWN_ORDER
    assert code_of(amend(), at(open_orders=(resting(Side.BUY),))) is C.UNKNOWN_ORDER
    assert code_of(amend(), at(open_orders=(resting(price=None),))) is C.UNKNOWN_ORDER


def test_an_amended_buy_shrinks_the_hedge_and_may_move_while_nothing_may_be_opened() -> None:
    ctx = at(side=Side.BUY, restrictions=("foreign fills",), reconciled=False)
    assert code_of(amend("59990", Side.BUY), ctx) is None
    assert code_of(amend("59990", Side.BUY), replace(ctx, trading=mode(TradingMode.HALTED))) is C.HALTED


def test_limits_on_amendments_limit() -> None:
    assert code_of(amend(), at(recent_amend_ms=(NOW - 1_000,) * 59)) is None
    with pytest.raises(InvalidInput):
        Limits(amends_per_second=0)
