"""Request limits as the venue counts them: a rolling window per account and endpoint, and one per address.

Time is the venue's, given by the caller in ms; nothing here reads a clock.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SECOND_MS = 1_000
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit` units in any `window_ms`."""

    limit: int
    window_ms: int = SECOND_MS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the three X-Bapi-Limit headers say. `reset_ms` equals now unless the caller is limited."""

    allowed: bool
    limit: int
    remaining: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        """The limit headers of an answer."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class RollingWindow:
    """Units spent in the last `quota.window_ms`."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._spent: deque[int] = deque()

    def take(self, now_ms: int) -> Verdict:
        """Spend one unit if the window has room."""
        spent, quota = self._spent, self.quota
        while spent and spent[0] <= now_ms - quota.window_ms:
            spent.popleft()
        if len(spent) >= quota.limit:
            return Verdict(False, quota.limit, 0, spent[0] + quota.window_ms)
        spent.append(now_ms)
        return Verdict(True, quota.limit, quota.limit - len(spent), now_ms)


# Units per account; the linear column of the venue's table. Spot differs on create, amend and cancel.
_LINEAR: Mapping[str, Quota] = MappingProxyType(
    {
        "/v5/order/create": Quota(10),
        "/v5/order/amend": Quota(10),
        "/v5/order/cancel": Quota(10),
        "/v5/order/cancel-all": Quota(10),
        "/v5/order/create-batch": Quota(10),
        "/v5/order/amend-batch": Quota(10),
        "/v5/order/cancel-batch": Quota(10),
        "/v5/order/pre-check": Quota(10),
        "/v5/order/disconnected-cancel-all": Quota(5),
        "/v5/position/set-leverage": Quota(10),
        "/v5/position/switch-mode": Quota(10),
        "/v5/account/fee-rate": Quota(5),
        "/v5/account/query-dcp-info": Quota(5),
        "/v5/account/set-margin-mode": Quota(5),
        "/v5/account/transaction-log": Quota(25),
        "/v5/user/query-api": Quota(10),
        "/v5/asset/transfer/inter-transfer": Quota(60, MINUTE_MS),
        "/v5/asset/transfer/query-inter-transfer-list": Quota(60, MINUTE_MS),
        "/v5/asset/transfer/query-transfer-coin-list": Quota(60, MINUTE_MS),
        "/v5/asset/transfer/query-account-coin-balance": Quota(450),
        "/v5/asset/transfer/query-account-coins-balance": Quota(5),
        "/v5/asset/coin/query-info": Quota(5),
        "/v5/crypto-loan-common/adjust-ltv": Quota(1),
        "/v5/crypto-loan-common/position": Quota(5),
        "/v5/crypto-loan-common/adjustment-history": Quota(5),
        "/v5/crypto-loan-common/max-loan": Quota(5),
        "/v5/crypto-loan-common/max-collateral-amount": Quota(5),
        "/v5/crypto-loan-flexible/borrow": Quota(1),
        "/v5/crypto-loan-flexible/repay": Quota(1),
        "/v5/crypto-loan-flexible/repay-collateral": Quota(1),
        "/v5/crypto-loan-flexible/borrow-history": Quota(5),
        "/v5/crypto-loan-flexible/repayment-history": Quota(5),
        "/v5/crypto-loan-flexible/ongoing-coin": Quota(5),
    }
)
_SPOT_DOUBLE = frozenset(
    f"/v5/order/{name}"
    for name in ("create", "cancel", "cancel-all", "create-batch", "amend-batch", "cancel-batch", "pre-check")
)
_DEFAULT = Quota(50)


def quota_of(path: str, category: str) -> Quota:
    """The published quota of an endpoint; 50/s where the venue's table names none."""
    if category == "spot" and path in _SPOT_DOUBLE:
        return Quota(20)
    return _LINEAR.get(path, _DEFAULT)


class AccountLimiter:
    """Quotas per account, endpoint and category. A batch spends one unit for each order in it.

    `orders_per_second` replaces the published quotas of all order endpoints.
    """

    def __init__(self, orders_per_second: int | None = None) -> None:
        self._orders = None if orders_per_second is None else Quota(orders_per_second)
        self._windows: dict[tuple[str, str, str], RollingWindow] = {}

    def take(self, uid: str, path: str, category: str, now_ms: int) -> Verdict:
        """Spend one unit of `uid` on `path`."""
        column = "spot" if category == "spot" else "linear"
        key = (uid, path, column)
        window = self._windows.get(key)
        if window is None:
            lifted = self._orders if path.startswith("/v5/order/") else None
            window = self._windows[key] = RollingWindow(lifted or quota_of(path, column))
        return window.take(now_ms)

    def clear(self) -> None:
        """Forget what was spent (the clock that the entries were stamped with has been exchanged)."""
        self._windows.clear()


class AddressLimiter:
    """Requests per address; going over earns a ban. A quota of 0 switches it off."""

    def __init__(self, quota: Quota, ban_ms: int) -> None:
        self.quota = quota
        self._ban_ms = ban_ms
        self._windows: dict[str, RollingWindow] = {}
        self._banned_until: dict[str, int] = {}

    def take(self, address: str, now_ms: int) -> Verdict:
        """Count one request of `address`."""
        if self.quota.limit <= 0:
            return Verdict(True, 0, 0, now_ms)
        until = self._banned_until.get(address, 0)
        if now_ms < until:
            return Verdict(False, self.quota.limit, 0, until)
        window = self._windows.get(address)
        if window is None:
            window = self._windows[address] = RollingWindow(self.quota)
        verdict = window.take(now_ms)
        if not verdict.allowed:
            self._banned_until[address] = now_ms + self._ban_ms
        return verdict

    def clear(self) -> None:
        """Forget counts and bans."""
        self._windows.clear()
        self._banned_until.clear()
