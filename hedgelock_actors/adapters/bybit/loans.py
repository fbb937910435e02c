"""The lender side of the same account: flexible crypto loan, Funding wallet and transfers into it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.codec import CATEGORY, SETTLE_COIN
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.adapters.bybit.outcome import REPAY, TRANSFER, Answer, submit_outcome
from hedgelock_actors.adapters.bybit.rest import DEFAULT_RECV_WINDOW_MS, RestClient
from hedgelock_actors.adapters.bybit.secret import Credentials
from hedgelock_actors.domain.order import Rejected, SubmitOutcome
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import LoanView, VenueError

_FUNDING, _TRADING = "FUND", "UNIFIED"
_FAILED = "FAILED"
# A remainder of another coin worth less than this share of the collateral does not make it a loan against two coins.
_DUST = Decimal("0.01")
_WORKERS = 2


class BybitLoans:
    """Implements Loans. One pooled loan per account; `loan_id` is the account's name with the kind of loan."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        clock: Clock,
        account: str,
        *,
        window_ms: int = DEFAULT_RECV_WINDOW_MS,
    ) -> None:
        self._account = account
        self._rest = RestClient(endpoints, credentials, clock, window_ms, workers=_WORKERS)

    def close(self) -> None:
        """Release the threads."""
        self._rest.close()

    async def loans(self) -> Sequence[LoanView]:
        """The account's pooled loan, or nothing when there is neither debt nor collateral.

        Raises:
            VenueError: no usable answer, a debt in another coin than USDT, or collateral of more than one coin.
        """
        answer = await self._rest.query("get_position_new_crypto_loan")
        debt = usdt_debt(answer.result)
        pledged = pledged_coin(answer.result)
        if pledged is None:
            if debt > f.ZERO:
                raise VenueError(f"the lender shows a debt of {debt} USDT and no collateral")
            return []
        coin, value = f.text(pledged, "currency"), f.amount(pledged, "amountUSD")
        amount = f.positive(pledged, "amount")
        return [
            LoanView(
                loan_id=f"{self._account}-crypto-loan",
                ts_ms=answer.time_ms,
                collateral_coin=coin,
                collateral=amount,
                collateral_value_usd=value,
                debt=debt,
                lender_ltv=float(f.amount_or_zero(answer.result, "ltv")),
                haircut=await self._haircut(coin, amount, value),
            )
        ]

    async def funding_wallet_usdt(self) -> Decimal:
        """USDT in the Funding wallet."""
        answer = await self._rest.query("get_coin_balance", accountType=_FUNDING, coin=SETTLE_COIN)
        balance = answer.result.get("balance")
        if not isinstance(balance, dict):
            raise BadData("balance", balance, "is not an object")
        return f.amount_or_zero(balance, "walletBalance")

    async def transferable_usdt(self) -> Decimal:
        """USDT that may leave the unified account now."""
        answer = await self._rest.query("get_transferable_amount", coinName=SETTLE_COIN)
        by_coin = answer.result.get("availableWithdrawalMap")
        if isinstance(by_coin, dict) and SETTLE_COIN in by_coin:
            return max(f.ZERO, f.number_or_zero(by_coin, SETTLE_COIN))
        return max(f.ZERO, f.number_or_zero(answer.result, "availableWithdrawal"))

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        """UNIFIED → FUND. The same `transfer_id` moves money once; a known id answers Accepted.

        Accepted says that the venue took it, not that it has ended: see `find_transfer`.
        """
        reply = await self._rest.call(
            "create_internal_transfer",
            transferId=transfer_id,
            coin=SETTLE_COIN,
            amount=f.plain(amount),
            fromAccountType=_TRADING,
            toAccountType=_FUNDING,
        )
        if isinstance(reply, Answer) and reply.code == 0 and reply.result.get("status") == _FAILED:
            return Rejected(_FAILED, "the venue took the transfer and failed it")
        return submit_outcome(reply, TRANSFER, "transferId")

    async def find_transfer(self, transfer_id: str) -> str | None:
        """SUCCESS, PENDING or FAILED; None if the venue shows nothing."""
        answer = await self._rest.query("get_internal_transfer_records", transferId=transfer_id)
        for row in f.rows(answer.result.get("list"), "list"):
            if row.get("transferId") == transfer_id:
                return f.text(row, "status")
        return None

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        """Repay the flexible USDT loan from the Funding wallet. Not idempotent on the venue."""
        reply = await self._rest.call("repay_flexible_crypto_loan", loanCurrency=SETTLE_COIN, amount=f.plain(amount))
        return submit_outcome(reply, REPAY, "repayId")

    async def _haircut(self, coin: str, amount: Decimal, value: Decimal) -> float:
        """κ = value after the tiered ratio ÷ raw value at the index price; 1.0 when the price is unknown."""
        try:
            answer = await self._rest.query("get_tickers", category=CATEGORY, symbol=f"{coin}{SETTLE_COIN}")
            index = next(f.price(row, "indexPrice") for row in f.rows(answer.result.get("list"), "list"))
        except (VenueError, StopIteration):
            return 1.0
        return min(1.0, float(value / (amount * index)))


def usdt_debt(result: Row) -> Decimal:
    """Flexible and fixed debt in USDT, interest included. Raises VenueError for a debt in another coin."""
    debt = f.ZERO
    for row in f.rows(result.get("borrowList"), "borrowList"):
        owed = f.amount_or_zero(row, "flexibleTotalDebt") + f.amount_or_zero(row, "fixedTotalDebt")
        if f.text(row, "loanCurrency") == SETTLE_COIN:
            debt += owed
        elif owed > f.ZERO:
            raise VenueError(f"a debt of {owed} {row.get('loanCurrency')}: only USDT loans are understood")
    return debt


def pledged_coin(result: Row) -> Row | None:
    """The one coin that backs the loan. Raises VenueError when a second one matters."""
    listed = [
        row
        for row in f.rows(result.get("collateralList"), "collateralList")
        if f.amount_or_zero(row, "amount") > f.ZERO
    ]
    if not listed:
        return None
    listed.sort(key=lambda row: f.amount_or_zero(row, "amountUSD"), reverse=True)
    total = sum((f.amount_or_zero(row, "amountUSD") for row in listed), f.ZERO)
    others = total - f.amount_or_zero(listed[0], "amountUSD")
    if others > total * _DUST:
        coins = ", ".join(str(row.get("currency")) for row in listed)
        raise VenueError(f"the loan is backed by several coins ({coins}): only one is understood")
    return listed[0]
