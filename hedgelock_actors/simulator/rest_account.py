"""Account and user endpoints."""

from collections.abc import Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import render
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route, page

_CROSS = "REGULAR_MARGIN"
_MODE_FAILED = 3400045


async def _wallet_balance(call: Call) -> Answer:
    if call.text("accountType") != "UNIFIED":
        raise Refusal(PARAMETER_ERROR, "accountType only support UNIFIED.")
    coins = call.text("coin", "")
    wanted = frozenset(coins.split(",")) if coins else None
    return Answer({"list": [render.wallet(call.gateway.exchange.wallet(call.uid), wanted)]})


async def _info(call: Call) -> Answer:
    settings = call.gateway.exchange.settings(call.uid)
    return Answer(
        {
            "marginMode": settings.margin_mode,
            "updatedTime": str(call.gateway.exchange.start_ms),
            "unifiedMarginStatus": settings.unified_status,
            "dcpStatus": "ON" if call.gateway.dcp.window_s(call.uid) else "OFF",
            "timeWindow": call.gateway.dcp.window_s(call.uid) or 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }
    )


async def _fee_rate(call: Call) -> Answer:
    category = call.category("linear", "spot")
    symbol, spec = call.symbol(required=False), call.gateway.exchange.spec
    rows = [
        {"symbol": name, "takerFeeRate": render.rate(spec.taker_fee), "makerFeeRate": render.rate(spec.maker_fee)}
        for name in ([symbol] if symbol else call.gateway.symbols)
    ]
    return Answer({"category": category, "list": rows})


async def _collateral_info(call: Call) -> Answer:
    ratios, wanted = call.gateway.exchange.spec.unified_collateral_ratio, call.text("currency", "")
    rows = [
        {
            "availableToBorrow": "0",
            "freeBorrowingAmount": "",
            "freeBorrowAmount": "0",
            "maxBorrowingAmount": "0",
            "hourlyBorrowRate": "0",
            "borrowUsageRate": "0",
            "collateralSwitch": True,
            "borrowAmount": "0",
            "borrowable": False,
            "currency": coin,
            "otherBorrowAmount": "0",
            "marginCollateral": True,
            "freeBorrowingLimit": "0",
            "collateralRatio": render.text(ratio),
        }
        for coin, ratio in ratios.items()
        if wanted in ("", coin)
    ]
    return Answer({"list": rows})


async def _transaction_log(call: Call) -> Answer:
    rows = call.gateway.exchange.transactions(call.uid)
    for name, attribute in (("currency", "currency"), ("type", "type")):
        wanted = call.text(name, "")
        if wanted:
            rows = [row for row in rows if getattr(row, attribute) == wanted]
    category = call.text("category", "")
    if category:
        rows = [row for row in rows if row.symbol] if category == "linear" else []
    kept, cursor = page(call, rows, lambda row: row.ts_ms)
    return Answer({"nextPageCursor": cursor, "list": [render.transaction(row) for row in kept]})


async def _withdrawal(call: Call) -> Answer:
    coins = call.text("coinName").split(",")
    amounts = {
        coin: render.text(call.gateway.exchange.transferable(call.uid, "UNIFIED", coin).transfer_balance)
        for coin in coins
    }
    return Answer({"availableWithdrawal": amounts[coins[0]], "availableWithdrawalMap": amounts})


async def _dcp_info(call: Call) -> Answer:
    windows = call.gateway.dcp.windows(call.uid)
    rows = [{"product": product, "dcpStatus": "ON", "timeWindow": str(seconds)} for product, seconds in windows]
    return Answer({"dcpInfos": rows}, ret_msg="success")


async def _set_margin_mode(call: Call) -> Answer:
    if call.text("setMarginMode") == _CROSS:
        return Answer({"reasons": []})
    reason = {"reasonCode": "3400000", "reasonMsg": "this simulated exchange has cross margin only"}
    return Answer({"reasons": [reason]}, _MODE_FAILED, "Set margin mode failed")


async def _tiered_collateral(call: Call) -> Answer:
    ratios, wanted = call.gateway.exchange.spec.unified_collateral_ratio, call.text("currency", "")
    rows = [
        {
            "currency": coin,
            "collateralRatioList": [
                {"minQty": "0", "maxQty": "1000000", "collateralRatio": render.text(ratio)},
                {"minQty": "1000000", "maxQty": "", "collateralRatio": "0"},
            ],
        }
        for coin, ratio in ratios.items()
        if wanted in ("", coin)
    ]
    return Answer({"list": rows})


async def _query_api(call: Call) -> Answer:
    key = call.gateway.key_of(call.uid)
    return Answer(
        {
            "id": call.uid,
            "note": "simulated",
            "apiKey": key.key,
            "readOnly": 0,
            "secret": "",
            "permissions": _permissions(),
            "ips": ["*"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": "2100-01-01T00:00:00Z",
            "createdAt": "2020-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": int(call.uid),
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
            "userIDInt64": "0",
            "inviterIDInt64": "0",
            "affiliateIDInt64": "0",
        },
        ret_msg="",
    )


def _permissions() -> dict[str, list[str]]:
    granted = {
        "ContractTrade": ["Order", "Position"],
        "Spot": ["SpotTrade"],
        "Wallet": ["AccountTransfer"],
        "Derivatives": ["DerivativesTrade"],
        "Exchange": ["ExchangeHistory"],
    }
    known = (
        "ContractTrade Spot Wallet Options Derivatives CopyTrading BlockTrade Exchange NFT Affiliate Earn FiatP2P "
        "FiatConvertBroker FiatGlobalPay FiatBitPay BitCard ByXPost"
    )
    return {name: granted.get(name, []) for name in known.split()}


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("GET", "/v5/account/wallet-balance"): Route(_wallet_balance),
        ("GET", "/v5/account/info"): Route(_info),
        ("GET", "/v5/account/fee-rate"): Route(_fee_rate),
        ("GET", "/v5/account/collateral-info"): Route(_collateral_info),
        ("GET", "/v5/account/transaction-log"): Route(_transaction_log),
        ("GET", "/v5/account/withdrawal"): Route(_withdrawal),
        ("GET", "/v5/account/query-dcp-info"): Route(_dcp_info),
        ("POST", "/v5/account/set-margin-mode"): Route(_set_margin_mode),
        ("GET", "/v5/spot-margin-trade/collateral"): Route(_tiered_collateral, signed=False),
        ("GET", "/v5/user/query-api"): Route(_query_api),
    }
)
