"""`hedgelock loans generate`: made-up loans for tests and demonstrations, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.loan_file import SCHEMA, Table
from hedgelock_actors.runtime.loan_import import write_loans

COINS = (("BTC", 60_000.0, 0.6), ("ETH", 3_000.0, 0.25), ("LTC", 80.0, 0.05), ("XRP", 0.6, 0.10))
"""Name, price that the loan-to-values are made for, share of the loans."""
BEGIN_MS = 1_700_000_000_000


def generate_loans(path: Path, count: int, seed: int, accounts: int | None = None) -> dict[str, object]:
    """Write `count` loans: USDT values spread over three decades, loan-to-value 0.05 … 0.50 with its peak at 0.30."""
    if count < 1:
        raise InvalidInput("--count", "at least one loan")
    write_loans(path, made_up(count, seed, accounts or max(1, count // 1000)))
    return {"file": str(path), "loans": count, "seed": seed}


def made_up(count: int, seed: int, accounts: int) -> Table:
    """The same as a table."""
    rng = np.random.default_rng(seed)
    coin = rng.choice(len(COINS), count, p=[share for _, _, share in COINS])
    price = np.array([price for _, price, _ in COINS])[coin]
    value = rng.lognormal(10.0, 1.5, count)
    collateral = np.maximum(np.round(value / price, 8), 1e-8)
    debt = np.round(rng.triangular(0.05, 0.30, 0.50, count) * collateral * price, 2)
    columns = {
        "product": pa.repeat(pa.scalar("flexible"), count),
        "asset": pa.array([name for name, _, _ in COINS]).take(pa.array(coin)),
        "account": _numbered("A", rng.integers(1, accounts + 1, count), 6),
        "loan_id": _numbered("L", np.arange(1, count + 1), 9),
        "collateral": pa.array(collateral),
        "debt": pa.array(debt),
        "updated_ms": pa.array(np.full(count, BEGIN_MS)),
    }
    return pa.table(columns).cast(SCHEMA)


def _numbered(letter: str, numbers: np.ndarray, width: int) -> pa.Array:
    padded = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(letter, padded, "")
