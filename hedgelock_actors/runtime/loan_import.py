"""`hedgelock loans import`, `export` and `show`: files in and out of the book, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan_rows import BadRow
from hedgelock_actors.runtime.loan_file import SCHEMA, Table, book_lock, chosen, read_book, replace_file, write_book
from hedgelock_actors.runtime.loan_read import LINE, Progress, Refused, read_loans


def import_loans(
    path: Path, state: Path, now_ms: int, progress: Progress, *, strict: bool, replace: bool
) -> dict[str, object]:
    """Take a file into the book: known loans are changed, new ones added (`replace`: the book becomes the file).

    With `strict` one bad row refuses the file. A row that is older than what the book holds is bad.

    Raises:
        InvalidInput: the file cannot be read at all.
    """
    with book_lock(state):
        rows, refused = read_loans(path, now_ms, progress)
        book = read_book(state) if not replace else SCHEMA.empty_table()
        rows = _not_older(rows, book, refused)
        changed = _known(rows, book)
        written = bool(rows.num_rows or replace) and not (strict and refused.rows)
        if written:
            left = book.filter(pc.invert(pc.is_in(book["loan_id"], rows["loan_id"].combine_chunks())))
            book = pa.concat_tables([left, rows.drop_columns([LINE])]).combine_chunks()
            write_book(state, book)
    return {
        "file": str(path),
        "written": written,
        "good": rows.num_rows,
        "new": rows.num_rows - changed,
        "changed": changed,
        "refused": refused.rows,
        "reasons": [asdict(one) for one in refused.reasons],
        "reasons_left_off": refused.rows > len({one.line for one in refused.reasons}),
        "loans": book.num_rows,
    }


def _known(rows: Table, book: Table) -> int:
    found = pc.sum(pc.is_in(rows["loan_id"], book["loan_id"].combine_chunks())).as_py()
    return int(found or 0)


def _not_older(rows: Table, book: Table, refused: Refused) -> Table:
    if not rows.num_rows or not book.num_rows:
        return rows
    at = pc.index_in(rows["loan_id"], book["loan_id"].combine_chunks()).combine_chunks()
    held = pc.fill_null(book["updated_ms"].combine_chunks().take(at), 0)
    older = pc.less(rows["updated_ms"].combine_chunks(), held)
    for line, since in zip(rows[LINE].filter(older).to_pylist(), held.filter(older).to_pylist(), strict=True):
        refused.add(BadRow(line, "updated_ms", f"is older than what the book holds of this loan ({since})"))
    refused.reasons.sort(key=lambda one: one.line)
    return rows.filter(pc.invert(older))


def export_loans(path: Path, state: Path, account: str | None) -> dict[str, object]:
    """Write the book, or an account's loans, to a CSV or Parquet file.

    Raises:
        InvalidInput: another ending, or no such account.
    """
    table = chosen(read_book(state), account=account)
    write_loans(path, table)
    return {"file": str(path), "loans": table.num_rows}


def write_loans(path: Path, table: Table) -> None:
    """Loans as a file that can be imported. Raises InvalidInput for another ending than .csv and .parquet."""
    writers = {".csv": pv.write_csv, ".parquet": pq.write_table}
    if path.suffix not in writers:
        raise InvalidInput(str(path), "must end in .csv or .parquet")
    replace_file(path, lambda out: writers[path.suffix](table, out))


def show_loans(
    state: Path, loan: str | None, account: str | None, limit: int, prices: Mapping[str, float]
) -> dict[str, object]:
    """What the book holds, by product and coin, and some of its loans; loan-to-value where a price is given."""
    table = chosen(read_book(state), loan=loan, account=account)
    sums = table.group_by(["product", "asset"]).aggregate(
        [("loan_id", "count"), ("account", "count_distinct"), ("collateral", "sum"), ("debt", "sum")]
    )
    groups = [
        {
            "product": row["product"],
            "asset": row["asset"],
            "loans": row["loan_id_count"],
            "accounts": row["account_count_distinct"],
            "collateral": row["collateral_sum"],
            "debt": row["debt_sum"],
            "ltv": _ltv(row["debt_sum"], row["collateral_sum"], prices.get(row["asset"])),
        }
        for row in sums.sort_by([("product", "ascending"), ("asset", "ascending")]).to_pylist()
    ]
    riskiest = np.argsort(-table["debt"].to_numpy() / table["collateral"].to_numpy(), kind="stable")[:limit]
    shown = [
        row | {"ltv": _ltv(row["debt"], row["collateral"], prices.get(row["asset"]))}
        for row in table.take(pa.array(riskiest)).to_pylist()
    ]
    return {"loans": table.num_rows, "groups": groups, "shown": shown}


def _ltv(debt: float, collateral: float, price: float | None) -> float | None:
    return debt / (collateral * price) if price is not None else None
