"""Asset endpoints: the Funding wallet and transfers to and from it."""

from collections.abc import Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import render
from hedgelock_actors.simulator.api import CoinTransferable, Transfer
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route, from_ack, page

_ACCOUNTS = ("UNIFIED", "FUND")
_SUCCESS = "success"
_CHAINS = MappingProxyType({"BTC": ("BTC", "Bitcoin"), "USDT": ("ETH", "Ethereum"), "ETH": ("ETH", "Ethereum")})


async def _transfer(call: Call) -> Answer:
    command = Transfer(
        transfer_id=call.text("transferId"),
        coin=call.text("coin"),
        amount=call.decimal("amount"),
        from_account=call.text("fromAccountType"),
        to_account=call.text("toAccountType"),
    )
    return from_ack(await call.gateway.command(call.uid, command), _SUCCESS)


async def _transfers(call: Call) -> Answer:
    rows = call.gateway.exchange.transfers(call.uid)
    for name, attribute in (("transferId", "transfer_id"), ("coin", "coin"), ("status", "status")):
        wanted = call.text(name, "")
        if wanted:
            rows = [row for row in rows if getattr(row, attribute) == wanted]
    kept, cursor = page(call, rows, lambda row: row.ts_ms)
    shown = [
        {
            "transferId": row.transfer_id,
            "coin": row.coin,
            "amount": render.text(row.amount),
            "fromAccountType": row.from_account,
            "toAccountType": row.to_account,
            "timestamp": str(row.ts_ms),
            "status": row.status,
        }
        for row in kept
    ]
    return Answer({"list": shown, "nextPageCursor": cursor}, ret_msg=_SUCCESS)


def _account_type(call: Call) -> str:
    account = call.text("accountType")
    if account not in _ACCOUNTS:
        raise Refusal(
            PARAMETER_ERROR, f"params error: accountType {account} is not supported by this simulated exchange"
        )
    return account


def _balance(row: CoinTransferable) -> dict[str, object]:
    return {
        "coin": row.coin,
        "walletBalance": render.text(row.wallet_balance),
        "transferBalance": render.text(row.transfer_balance),
        "bonus": "0",
    }


async def _coin_balance(call: Call) -> Answer:
    account = _account_type(call)
    row = call.gateway.exchange.transferable(call.uid, account, call.text("coin"))
    balance = _balance(row) | {"transferSafeAmount": "", "ltvTransferSafeAmount": ""}
    if call.integer("withLtvTransferSafeAmount", 0):
        balance["ltvTransferSafeAmount"] = render.text(row.transfer_balance)
    return Answer(
        {"accountType": account, "bizType": 1, "accountId": call.uid, "memberId": call.uid, "balance": balance},
        ret_msg=_SUCCESS,
    )


async def _coins_balance(call: Call) -> Answer:
    account = _account_type(call)
    coins = call.text("coin", "")
    wanted = coins.split(",") if coins else None
    rows = call.gateway.exchange.balances(call.uid, account)
    if wanted is not None:
        rows = [call.gateway.exchange.transferable(call.uid, account, coin) for coin in wanted]
    shown = [
        {
            "coin": row.coin,
            "transferBalance": render.text(row.transfer_balance),
            "walletBalance": render.text(row.wallet_balance),
            "bonus": "",
        }
        for row in rows
    ]
    return Answer({"memberId": call.uid, "accountType": account, "balance": shown}, ret_msg=_SUCCESS)


async def _transfer_coins(call: Call) -> Answer:
    call.text("fromAccountType")
    call.text("toAccountType")
    return Answer({"list": list(call.gateway.coins)}, ret_msg=_SUCCESS)


async def _coin_info(call: Call) -> Answer:
    wanted = call.text("coin", "")
    rows = [_coin_row(coin) for coin in call.gateway.coins if wanted in ("", coin)]
    return Answer({"rows": rows}, ret_msg=_SUCCESS)


def _coin_row(coin: str) -> dict[str, object]:
    chain, chain_type = _CHAINS.get(coin, (coin, coin))
    return {
        "name": coin,
        "coin": coin,
        "remainAmount": "10000000",
        "chains": [
            {
                "chainType": chain_type,
                "confirmation": "6",
                "withdrawFee": "0",
                "depositMin": "0",
                "withdrawMin": "0",
                "chain": chain,
                "chainDeposit": "0",
                "chainWithdraw": "0",
                "minAccuracy": "8",
                "withdrawPercentageFee": "0",
                "contractAddress": "",
                "safeConfirmNumber": "6",
                "withdrawMax": "0",
            }
        ],
    }


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("POST", "/v5/asset/transfer/inter-transfer"): Route(_transfer),
        ("GET", "/v5/asset/transfer/query-inter-transfer-list"): Route(_transfers),
        ("GET", "/v5/asset/transfer/query-account-coin-balance"): Route(_coin_balance),
        ("GET", "/v5/asset/transfer/query-account-coins-balance"): Route(_coins_balance),
        ("GET", "/v5/asset/transfer/query-transfer-coin-list"): Route(_transfer_coins),
        ("GET", "/v5/asset/coin/query-info"): Route(_coin_info),
    }
)
