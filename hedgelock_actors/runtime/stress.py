"""`hedgelock stress`: a loan as it is stated or as the book has it, an account, or the book, under every shock."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from hedgelock_actors.domain import hedge, loan, margin
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.loan_book import LoanBook, Product
from hedgelock_actors.domain.probability import first_passage
from hedgelock_actors.domain.stress import Outcome, Shock, Standing, StressRules, apply, breaches
from hedgelock_actors.domain.stress_book import BookCurve, book_curve
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.loan_file import Table, chosen, read_book
from hedgelock_actors.runtime.rules import policy_of

LOW, HIGH = 0.1, 2.0
"""Of the price: the ends of the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StressInput:
    """The shocks, the rules, and the hedge if it is known; else the one that the plan asks for, with its margin."""

    shocks: Sequence[Shock]
    rules: StressRules
    haircut: float = 1.0
    short: tuple[float, float] | None = None
    """Coins, price of entry."""
    margin: float | None = None
    points: int = 96


def rules_of(config: Config, rungs: Sequence[Rung], sigma: float, horizon_days: float) -> StressRules:
    """The configured policy; other rungs when some are given."""
    policy, sweep = policy_of(config), config.sweep
    return StressRules(
        levels=policy.levels,
        rungs=tuple(rungs) or policy.rungs,
        liquidation_ltv=config.loan.liquidation_ltv,
        margin_call_ltv=config.loan.margin_call_ltv,
        maintenance=sweep.maintenance,
        taker_fee=sweep.taker_fee,
        rally=sweep.rally,
        sigma=sigma,
        horizon_days=horizon_days,
    )


def stress_loan(collateral: float, debt: float, price: float, given: StressInput) -> dict[str, object]:
    """One loan. Raises InvalidInput."""
    standing = _with_hedge(Standing(debt=debt, collateral=collateral, price=price, haircut=given.haircut), given)
    rules = given.rules
    now = apply(standing, Shock(name="now"), rules)
    prices = _grid(price, given.points)
    moves = [Shock(name="", loan_move=at / price - 1.0, perp_move=at / price - 1.0) for at in prices.tolist()]
    curve = [apply(standing, move, rules) for move in moves]
    found = breaches(standing, rules)
    return _of("loan", given) | {
        "price": price,
        "collateral": collateral,
        "debt": debt,
        "ltv": loan.ltv(debt, collateral, price, given.haircut),
        "net_ltv": now.loan.net_ltv,
        "level": now.loan.level.value,
        "hedge": {"short": standing.short, "entry": standing.entered, "margin": standing.margin}
        | {"assumed": given.short is None},
        "required_hedge": now.loan.required_hedge,
        "breaches": [dataclasses.asdict(one) for one in found],
        "first_breach": dataclasses.asdict(found[0]) if found else None,
        "scenarios": [_told(apply(standing, shock, rules)) for shock in given.shocks],
        "curve": {
            "prices": prices.tolist(),
            "ltv_unswept": [loan.ltv(debt, collateral, at, given.haircut) for at in prices.tolist()],
            "net_ltv": [one.loan.net_ltv for one in curve],
            "required_hedge": [one.loan.required_hedge for one in curve],
            "shortfall_usdt": [one.loan.shortfall.usdt for one in curve],
            "hedge_equity": [one.hedge.equity for one in curve],
        },
    }


def stress_state(
    state: Path, prices: Mapping[str, float], given: StressInput, *, loan_id: str | None, account: str | None
) -> dict[str, object]:
    """A loan, an account's loans or all loans of the book; prices by coin ("" is the price of the only coin).

    Raises:
        InvalidInput: no loans, no such loan or account, or a coin without a price.
    """
    # Names are most of a large book: those that nothing asks for are left on the disk.
    names = [
        name for name, asked in (("loan_id", loan_id), ("account", account if loan_id is None else loan_id)) if asked
    ]
    table = chosen(read_book(state, ("product", "asset", *names, "collateral", "debt")), loan=loan_id, account=account)
    if not table.num_rows:
        raise InvalidInput("stress", "the book holds no loans: import some, or give --collateral, --debt and --price")
    if loan_id is not None:
        row = table.to_pylist()[0]
        price = _price_of(row["asset"], prices, alone=True)
        answer = stress_loan(row["collateral"], row["debt"], price, given)
        return answer | {"loan_id": loan_id, "account": row["account"], "asset": row["asset"]}
    if given.short is not None:
        raise InvalidInput("--short", "is of one loan: give --loan, or --collateral, --debt and --price")
    pairs = sorted({(one["product"], one["asset"]) for one in _kinds(table)})
    alone = len({asset for _, asset in pairs}) == 1
    groups = [_group(table, product, asset, _price_of(asset, prices, alone=alone), given) for product, asset in pairs]
    return _of("account" if account is not None else "book", given) | {"account": account, "groups": groups}


def _with_hedge(bare: Standing, given: StressInput) -> Standing:
    rules = given.rules
    if given.short is not None:
        short, entry = given.short
    else:
        short = hedge.required_short(bare.debt, bare.collateral, bare.price, bare.haircut, rules.rungs)
        entry = bare.price
    put = given.margin
    if put is None:
        put = margin.margin_for_rally(short, entry, rules.rally, rules.maintenance, rules.taker_fee)
    return dataclasses.replace(bare, short=short, entry=entry, margin=put)


def _grid(price: float, points: int) -> np.ndarray:
    return price * np.linspace(LOW, HIGH, max(2, points))


def _of(subject: str, given: StressInput) -> dict[str, object]:
    return {"subject": subject, "sigma": given.rules.sigma, "horizon_days": given.rules.horizon_days}


def _told(outcome: Outcome) -> dict[str, object]:
    one, account = outcome.loan, outcome.hedge
    return {
        "name": outcome.shock.name,
        "swept": outcome.shock.swept,
        "loan": {
            "price": one.price,
            "ltv": _finite(one.ltv),
            "net_ltv": _finite(one.net_ltv),
            "level": one.level.value,
            "margin_called": one.margin_called,
            "liquidated": one.liquidated,
            "required_hedge": one.required_hedge,
            "shortfall_usdt": one.shortfall.usdt,
            "shortfall_coin": one.shortfall.coin,
        },
        "hedge": dataclasses.asdict(account),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# ---------------------------------------------------------------- the book


def _kinds(table: Table) -> list[dict[str, str]]:
    found: list[dict[str, str]] = table.group_by(["product", "asset"]).aggregate([]).to_pylist()
    return found


def _price_of(asset: str, prices: Mapping[str, float], *, alone: bool) -> float:
    found = prices.get(asset, prices.get("") if alone else None)
    if found is None:
        raise InvalidInput("--price", f"the price of {asset} is missing: add --price {asset}=USDT")
    return found


def book_of(table: Table, product: Product) -> LoanBook:
    """A book for questions: the rows' numbers are the ids, accounts are not told apart."""
    book = LoanBook(product)
    book.numbers_of(["all"])
    count = table.num_rows
    collateral, debt = table["collateral"].to_numpy(), table["debt"].to_numpy()
    book.put(np.arange(count), np.zeros(count, dtype=np.int32), collateral, debt)
    return book


def _group(table: Table, product: str, asset: str, price: float, given: StressInput) -> dict[str, object]:
    rules = given.rules
    rows = table.filter(pc.and_(pc.equal(table["product"], product), pc.equal(table["asset"], asset)))
    kind = Product(asset=asset, haircut=given.haircut, levels=rules.levels, rungs=rules.rungs)
    book = book_of(rows, kind)
    collateral, debt = float(np.sum(rows["collateral"].to_numpy())), float(np.sum(rows["debt"].to_numpy()))
    short = book.requirement(price)
    put = given.margin
    if put is None:
        put = margin.margin_for_rally(short, price, rules.rally, rules.maintenance, rules.taker_fee)
    account = Standing(debt=debt, collateral=collateral, price=price, haircut=given.haircut, short=short, margin=put)
    first = book.riskiest / (given.haircut * rules.liquidation_ltv)
    curve = _curve(book, _grid(price, given.points), given)
    return {
        "product": product,
        "asset": asset,
        "price": price,
        "loans": rows.num_rows,
        "collateral": collateral,
        "debt": debt,
        "ltv": loan.ltv(debt, collateral, price, given.haircut),
        "required_hedge": short,
        "hedge": {"short": short, "entry": price, "margin": put, "assumed": True},
        "first_breach": {
            "what": "the first loan: liquidated, nothing swept",
            "price": first,
            "move": first / price - 1.0,
            "probability": first_passage(price, first, rules.sigma, rules.years),
        },
        "scenarios": [_book_shock(book, account, shock, given) for shock in given.shocks],
        "curve": {
            "prices": curve.prices.tolist(),
            "required_hedge": curve.required_hedge.tolist(),
            "liquidated": curve.liquidated.tolist(),
            "liquidated_debt": curve.liquidated_debt.tolist(),
            "shortfall_usdt": curve.shortfall_usdt.tolist(),
        },
    }


def _curve(book: LoanBook, prices: np.ndarray, given: StressInput, haircut: float | None = None) -> BookCurve:
    return book_curve(book, prices, given.rules.margin_call_ltv, given.rules.liquidation_ltv, haircut)


def _book_shock(book: LoanBook, account: Standing, shock: Shock, given: StressInput) -> dict[str, object]:
    """The loans as they are, nothing swept (whose loan gets the profit is not known); the short as one account's."""
    price = account.price * (1.0 + shock.loan_move)
    haircut = given.haircut * (1.0 - shock.haircut_cut)
    at = _curve(book, np.array([price]), given, haircut)
    held = apply(account, dataclasses.replace(shock, swept=False), given.rules).hedge
    required, rules = float(at.required_hedge[0]), given.rules
    needed = margin.margin_for_rally(required, held.price, rules.rally, rules.maintenance, rules.taker_fee)
    counts = {level.value: count for level, count in at.counts(0).items()}
    return {
        "name": shock.name,
        "loan": {
            "price": price,
            "levels": {"SAFE": len(book) - sum(counts.values())} | counts,
            "margin_called": int(at.margin_called[0]),
            "liquidated": int(at.liquidated[0]),
            "liquidated_debt": float(at.liquidated_debt[0]),
            "required_hedge": required,
            "shortfall_usdt": float(at.shortfall_usdt[0]),
            "shortfall_coin": float(at.shortfall_coin[0]),
            "uncovered": float(at.uncovered[0]),
        },
        "hedge": dataclasses.asdict(held)
        | {"margin_needed": needed, "margin_shortfall": max(0.0, needed - held.equity)},
    }
