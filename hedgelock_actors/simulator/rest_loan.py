"""Crypto-loan endpoints: common and flexible. The fixed, legacy and institutional products are refused honestly."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.simulator import render
from hedgelock_actors.simulator.api import AdjustLtv, Borrow, CollateralTier, DebtView, Repay, RepayCollateral
from hedgelock_actors.simulator.rest_core import (
    PARAMETER_ERROR,
    Answer,
    Call,
    Refusal,
    Route,
    from_ack,
    page,
    parse_decimal,
)

_OK = "ok"
_UNLIMITED = "99999999999"
_HOURS_PER_YEAR = 24 * 365
REFUSED_PRODUCTS = ("/v5/crypto-loan-fixed/", "/v5/crypto-loan/", "/v5/ins-loan/")


async def _position(call: Call) -> Answer:
    loan = call.gateway.exchange.loan(call.uid)
    return Answer(
        {
            "borrowList": [_debt_row(debt) for debt in loan.debts],
            "collateralList": [
                {
                    "amount": render.text(item.amount),
                    "amountUSD": render.text(round(item.amount_usd, 2)),
                    "currency": item.currency,
                }
                for item in loan.collaterals
            ],
            "ltv": _ltv(loan.ltv),
            "supplyList": [],
            "totalCollateral": render.text(round(loan.total_collateral, 2)),
            "totalDebt": render.text(round(loan.total_debt, 2)),
            "totalSupply": "0",
            "colRes": loan.col_res,
        },
        ret_msg=_OK,
    )


def _debt_row(debt: DebtView) -> dict[str, object]:
    return {
        "fixedTotalDebt": "0",
        "fixedTotalDebtUSD": "0",
        "flexibleHourlyInterestRate": render.rate(debt.hourly_rate),
        "flexibleTotalDebt": render.text(debt.total),
        "flexibleTotalDebtUSD": render.text(round(debt.total_usd, 2)),
        "loanCurrency": debt.currency,
    }


def _ltv(value: Decimal | None) -> str:
    return "" if value is None else render.text(round(value, 6))


async def _adjust(call: Call) -> Answer:
    direction = call.text("direction")
    if direction not in ("0", "1"):
        raise Refusal(PARAMETER_ERROR, "params error: direction invalid")
    command = AdjustLtv(currency=call.text("currency"), amount=call.decimal("amount"), direction=direction)
    return from_ack(await call.gateway.command(call.uid, command), _OK)


async def _adjustments(call: Call) -> Answer:
    rows, wanted = call.gateway.exchange.adjust_history(call.uid), call.integer("adjustId", 0)
    currency = call.text("collateralCurrency", "")
    rows = [row for row in rows if wanted in (0, row.adjust_id) and currency in ("", row.currency)]
    kept, cursor = page(call, rows, default=10)
    shown = [
        {
            "adjustId": row.adjust_id,
            "adjustTime": row.adjust_ms,
            "afterLTV": _ltv(row.after_ltv),
            "amount": render.text(row.amount),
            "collateralCurrency": row.currency,
            "direction": row.direction,
            "preLTV": _ltv(row.pre_ltv),
            "status": row.status,
        }
        for row in kept
    ]
    return Answer({"list": shown, "nextPageCursor": cursor}, ret_msg=_OK)


async def _collateral_data(call: Call) -> Answer:
    wanted = call.text("currency", "")
    tiers = {coin: rows for coin, rows in call.gateway.exchange.collateral_tiers().items() if wanted in ("", coin)}
    configs = [
        {"collateralRatioList": [_tier(row) for row in rows], "currencies": coin} for coin, rows in tiers.items()
    ]
    order = [{"currency": coin, "liquidationOrder": number} for number, coin in enumerate(tiers, start=1)]
    return Answer({"collateralRatioConfigList": configs, "currencyLiquidationList": order}, ret_msg=_OK)


def _tier(row: CollateralTier) -> dict[str, object]:
    return {
        "collateralRatio": render.text(row.ratio),
        "maxValue": render.text(row.max_value, _UNLIMITED),
        "minValue": render.text(row.min_value),
    }


async def _loanable_data(call: Call) -> Answer:
    terms, wanted = call.gateway.exchange.spec.loan, call.text("currency", "")
    yearly = render.rate(terms.hourly_rate * _HOURS_PER_YEAR)
    rows = [
        {
            "currency": coin,
            "fixedBorrowable": False,
            "fixedBorrowingAccuracy": 6,
            "flexibleBorrowable": True,
            "flexibleBorrowingAccuracy": 4,
            "maxBorrowingAmount": "10000000",
            "minFixedBorrowingAmount": "",
            "minFlexibleBorrowingAmount": "1",
            "vipLevel": call.text("vipLevel", "VIP0"),
            **{f"annualizedInterestRate{days}D": "" for days in (14, 180, 30, 60, 7, 90)},
            "flexibleAnnualizedInterestRate": yearly,
        }
        for coin in ("USDT",)
        if wanted in ("", coin)
    ]
    return Answer({"list": rows}, ret_msg=_OK)


async def _max_loan(call: Call) -> Answer:
    currency = call.text("currency")
    amount = call.gateway.exchange.max_loan(call.uid, currency, _collateral_list(call))
    return Answer(
        {
            "currency": currency,
            "maxLoan": render.text(amount),
            "notionalUsd": render.text(round(amount, 2)),
            "remainingQuota": "10000000",
        },
        ret_msg=_OK,
    )


def _collateral_list(call: Call) -> tuple[tuple[str, Decimal], ...]:
    rows = call.args.get("collateralList") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refusal(PARAMETER_ERROR, "params error: collateralList invalid")
    return tuple(
        (str(row.get("currency", row.get("ccy", ""))), parse_decimal("amount", str(row.get("amount", ""))))
        for row in rows
    )


async def _max_reduction(call: Call) -> Answer:
    amount = call.gateway.exchange.max_collateral_reduction(call.uid, call.text("currency"))
    return Answer({"maxCollateralAmount": render.text(amount)}, ret_msg=_OK)


async def _borrow(call: Call) -> Answer:
    command = Borrow(
        loan_currency=call.text("loanCurrency"),
        loan_amount=call.decimal("loanAmount"),
        collateral=_collateral_list(call),
    )
    return from_ack(await call.gateway.command(call.uid, command), _OK)


async def _borrow_history(call: Call) -> Answer:
    rows, wanted = call.gateway.exchange.borrow_history(call.uid), call.text("orderId", "")
    currency = call.text("loanCurrency", "")
    rows = [row for row in rows if wanted in ("", row.order_id) and currency in ("", row.loan_currency)]
    kept, cursor = page(call, rows, default=10)
    shown = [
        {
            "borrowTime": row.borrow_ms,
            "initialLoanAmount": render.text(row.initial_amount),
            "loanCurrency": row.loan_currency,
            "orderId": row.order_id,
            "status": row.status,
        }
        for row in kept
    ]
    return Answer({"list": shown, "nextPageCursor": cursor}, ret_msg=_OK)


async def _repay(call: Call) -> Answer:
    command = Repay(loan_currency=call.text("loanCurrency"), amount=call.decimal("amount"))
    return from_ack(await call.gateway.command(call.uid, command), _OK)


async def _repay_collateral(call: Call) -> Answer:
    command = RepayCollateral(
        loan_currency=call.text("loanCurrency"),
        collateral_coin=call.text("collateralCoin"),
        amount=call.decimal("amount"),
    )
    answer = from_ack(await call.gateway.command(call.uid, command), _OK)
    return Answer(ret_code=answer.ret_code, ret_msg=answer.ret_msg)


async def _repay_history(call: Call) -> Answer:
    rows, wanted = call.gateway.exchange.repay_history(call.uid), call.text("repayId", "")
    currency = call.text("loanCurrency", "")
    rows = [row for row in rows if wanted in ("", row.repay_id) and currency in ("", row.loan_currency)]
    kept, cursor = page(call, rows, default=10)
    shown = [
        {
            "loanCurrency": row.loan_currency,
            "repayAmount": render.text(row.amount),
            "repayId": row.repay_id,
            "repayStatus": row.status,
            "repayTime": row.repay_ms,
            "repayType": row.repay_type,
        }
        for row in kept
    ]
    return Answer({"list": shown, "nextPageCursor": cursor}, ret_msg=_OK)


async def _ongoing(call: Call) -> Answer:
    wanted = call.text("loanCurrency", "")
    rows = [
        {
            "hourlyInterestRate": render.rate(debt.hourly_rate),
            "loanCurrency": debt.currency,
            "totalDebt": render.text(debt.total),
            "unpaidAmount": render.text(debt.principal),
            "unpaidInterest": render.text(debt.interest),
        }
        for debt in call.gateway.exchange.loan(call.uid).debts
        if wanted in ("", debt.currency)
    ]
    return Answer({"list": rows}, ret_msg=_OK)


async def refused_product(call: Call) -> Answer:
    """Fixed, legacy and institutional loans."""
    del call
    raise Refusal(
        PARAMETER_ERROR, "this loan product is not offered by this simulated exchange: use the flexible crypto loan"
    )


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("POST", "/v5/crypto-loan-common/adjust-ltv"): Route(_adjust),
        ("GET", "/v5/crypto-loan-common/collateral-data"): Route(_collateral_data, signed=False),
        ("GET", "/v5/crypto-loan-common/position"): Route(_position),
        ("GET", "/v5/crypto-loan-common/loanable-data"): Route(_loanable_data, signed=False),
        ("GET", "/v5/crypto-loan-common/adjustment-history"): Route(_adjustments),
        ("POST", "/v5/crypto-loan-common/max-loan"): Route(_max_loan),
        ("GET", "/v5/crypto-loan-common/max-collateral-amount"): Route(_max_reduction),
        ("POST", "/v5/crypto-loan-flexible/borrow"): Route(_borrow),
        ("GET", "/v5/crypto-loan-flexible/borrow-history"): Route(_borrow_history),
        ("POST", "/v5/crypto-loan-flexible/repay"): Route(_repay),
        ("POST", "/v5/crypto-loan-flexible/repay-collateral"): Route(_repay_collateral),
        ("GET", "/v5/crypto-loan-flexible/repayment-history"): Route(_repay_history),
        ("GET", "/v5/crypto-loan-flexible/ongoing-coin"): Route(_ongoing),
    }
)
