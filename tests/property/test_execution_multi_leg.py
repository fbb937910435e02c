"""Whatever the legs' routers report, in whatever order: a spread ends, and nobody holds more than the trigger asks."""

from __future__ import annotations

import random
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.messages import CancelTrade, HedgeTrade, TradeReported
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.multi_leg import Leg, Part, Phase, Plan, Step, step, trade_id

STEP = Decimal("0.001")


class Routers:
    """Carry trades out once each, as far as chance lets them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.told: dict[str, HedgeTrade] = {}
        self.reports: dict[str, TradeReported] = {}

    def hear(self, message: HedgeTrade | CancelTrade) -> None:
        if isinstance(message, CancelTrade):
            known = self.reports.get(message.trade_id)
            if known is None:
                never = HedgeTrade(
                    **message.model_dump(exclude={"kind"}), side=Side.SELL, qty=STEP, reason="", reply_to=""
                )
                self.report(never, Decimal(0), final=True)
            elif not known.final:
                self.report(self.told[message.trade_id], self.more(known), final=True)
            return
        before = self.told.setdefault(message.trade_id, message)
        assert (before.qty, before.side) == (message.qty, message.side), "the same trade, asked for differently"
        if message.trade_id not in self.reports:
            self.report(message, Decimal(0), final=False)

    def more(self, known: TradeReported) -> Decimal:
        left = int((known.qty - known.filled_qty) / STEP)
        return known.filled_qty + self.rng.randint(0, left) * STEP

    def move(self) -> None:
        for trade in self.told.values():
            known = self.reports.get(trade.trade_id)
            if known is None or known.final or self.rng.random() < 0.4:
                continue
            filled = self.more(known)
            self.report(trade, filled, final=filled == trade.qty or self.rng.random() < 0.2)

    def report(self, trade: HedgeTrade, filled: Decimal, *, final: bool) -> None:
        self.reports[trade.trade_id] = TradeReported(
            account=trade.account,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            ts_ms=0,
            final=final,
            success=final and filled == trade.qty,
            side=trade.side,
            qty=trade.qty,
            filled_qty=filled,
            average_price=Decimal(100) if filled else None,
            mode="limit_chase",
            maker_qty=Decimal(0),
            taker_qty=filled,
            retries=0,
            error="",
        )


def drive(plan: Plan, seed: int) -> tuple[Step, Routers]:
    """Run it to the end; memory is lost at random, all but the trigger on record."""
    rng = random.Random(seed)
    routers = Routers(rng)
    known: dict[str, TradeReported] = {}
    trigger = ""
    for turn in range(400):
        now = step(plan, trigger, known, plan.begun_ms + turn * 1_000, "keeper", stop=rng.random() < 0.01)
        assert not trigger or now.trigger == trigger, "a trigger on record never changes"
        trigger = now.trigger
        if now.phase is Phase.DONE:
            return now, routers
        for message in now.tell:
            if rng.random() < 0.8:
                routers.hear(message)
        routers.move()
        known |= {key: one for key, one in routers.reports.items() if rng.random() < 0.7}
        if rng.random() < 0.1:
            # The same trade told again brings its report again: nothing that was told is forgotten by its router.
            known = {}
            for key, one in routers.reports.items():
                known[key] = one
    raise AssertionError("the spread did not end")


@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.tuples(st.integers(1, 50), st.sampled_from(["0.5", "1", "2", "10"])), min_size=2, max_size=4),
    rollback=st.booleans(),
)
def test_it_ends_and_nobody_is_asked_for_more_than_the_trigger_stands_for(
    seed: int, sizes: list[tuple[int, str]], rollback: bool
) -> None:
    legs = tuple(
        Leg(
            account=f"a{number}",
            symbol="BTCUSDT",
            side=Side.SELL,
            qty=lots * STEP,
            limit_price=Decimal(100),
            qty_step=STEP,
            min_qty=STEP,
            multiplier=Decimal(multiplier),
        )
        for number, (lots, multiplier) in enumerate(sizes)
    )
    plan = Plan(spread_id="s", legs=legs, begun_ms=0, window_ms=20_000, rollback_on_partial=rollback)
    end, routers = drive(plan, seed)
    assert end.result is not None
    for leg, told in zip(legs, end.result.legs, strict=True):
        rested, hedged, back = (
            one.filled_qty if (one := routers.reports.get(trade_id(plan, leg, part))) else Decimal(0) for part in Part
        )
        assert told.filled_qty == rested + hedged - back
        hedge = routers.told.get(trade_id(plan, leg, Part.HEDGE))
        if hedge is not None:
            assert leg.name != end.trigger
            assert rested + hedge.qty == told.target_qty
        if end.result.success:
            assert told.missing_qty < leg.min_qty
        if end.result.rolled_back:
            assert told.filled_qty == 0
    if not end.trigger:
        assert not any(one.filled_qty for one in routers.reports.values())
