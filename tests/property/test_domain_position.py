"""The position fold commutes, dedups, and balances against a ledger kept another way."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution, PositionFold
from tests.unit.domain.make import execution

D = Decimal
EMPTY = PositionFold("BTCUSDT")
KINDS = ["Trade", "Trade", "Trade", "Funding", "BustTrade", "AdlTrade"]

executions = st.lists(
    st.builds(
        execution,
        st.integers(0, 10**6).map(lambda n: f"e{n}"),
        st.sampled_from(list(Side)),
        st.integers(1, 5_000).map(lambda n: str(D(n) / 1000)),
        st.integers(10_000, 900_000).map(lambda n: str(D(n) / 10)),
        fee=st.integers(-500, 5_000).map(lambda n: str(D(n) / 100)),
        ts_ms=st.integers(0, 3),
        exec_type=st.sampled_from(KINDS),
    ),
    max_size=12,
    unique_by=lambda made: made.exec_id,
)


@given(st.lists(st.sampled_from(list(Side)), min_size=1, max_size=5), st.data())
def test_all_permutations_of_a_few_fills_give_one_position(sides: list[Side], data: st.DataObject) -> None:
    made = [
        execution(f"e{n}", side, str(n + 1), str(data.draw(st.integers(100, 900))), fee="0.1", ts_ms=n // 2)
        for n, side in enumerate(sides)
    ]
    results = {EMPTY.apply_all(order) for order in itertools.permutations(made)}
    assert len(results) == 1


@given(executions, st.data())
def test_order_batches_and_repetitions_do_not_matter(made: list[Execution], data: st.DataObject) -> None:
    repeated = data.draw(st.permutations(made + made))
    one_by_one = EMPTY
    for item in repeated:
        one_by_one = one_by_one.apply(item)
    assert one_by_one == EMPTY.apply_all(made)


@given(executions)
def test_the_ledger_balances_exactly(made: list[Execution]) -> None:
    """Cash moved plus the value of what is held equals net profit realised and unrealised, at any mark."""
    fold = EMPTY.apply_all(made)
    cash = Fraction(0)
    held = Fraction(0)
    for item in made:
        cash -= Fraction(item.fee)
        if not item.is_funding:
            signed = item.side.sign * Fraction(item.qty)
            cash -= signed * Fraction(item.price)
            held += signed
    mark = Fraction(50_000)
    assert Fraction(fold.signed_qty) == held
    profit = Fraction(fold.realised_pnl) + Fraction(fold.unrealised(D(50_000)))
    # Average prices are rounded at 28 digits: equal far below a millionth of a cent.
    assert abs(cash + held * mark - profit) < Fraction(1, 10**12)


@given(executions)
def test_entry_lies_between_the_prices_and_is_zero_when_flat(made: list[Execution]) -> None:
    fold = EMPTY.apply_all(made)
    trades = [item.price for item in made if not item.is_funding]
    if fold.signed_qty == 0:
        assert fold.entry_price == 0
    else:
        slack = D("1e-15")
        assert min(trades) - slack <= fold.entry_price <= max(trades) + slack
