"""Rolling windows per account and address."""

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.simulator.rate_limit import AccountLimiter, AddressLimiter, Quota, RollingWindow, quota_of


@given(st.lists(st.integers(0, 400), max_size=120), st.integers(1, 12))
def test_no_window_of_a_second_ever_holds_more_than_the_limit(gaps: list[int], limit: int) -> None:
    window, now, granted = RollingWindow(Quota(limit)), 0, []
    for gap in gaps:
        now += gap
        if window.take(now).allowed:
            granted.append(now)
    for start in granted:
        assert sum(start <= moment < start + 1000 for moment in granted) <= limit


def test_the_verdict_tells_when_to_come_back() -> None:
    window = RollingWindow(Quota(2))
    assert [window.take(now).remaining for now in (100, 300)] == [1, 0]
    refused = window.take(500)
    assert (refused.allowed, refused.remaining, refused.reset_ms) == (False, 0, 1100)
    assert window.take(1099).allowed is False
    granted = window.take(1100)
    assert (granted.allowed, granted.reset_ms) == (True, 1100)
    assert granted.headers() == {
        "X-Bapi-Limit": "2",
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": "1100",
    }


def test_accounts_endpoints_and_products_do_not_share() -> None:
    limiter = AccountLimiter()
    path = "/v5/crypto-loan-common/adjust-ltv"
    assert limiter.take("1", path, "", 0).allowed
    assert not limiter.take("1", path, "", 999).allowed
    assert limiter.take("2", path, "", 999).allowed
    assert limiter.take("1", "/v5/crypto-loan-flexible/repay", "", 999).allowed
    assert limiter.take("1", path, "", 1000).allowed


def test_published_quotas() -> None:
    assert quota_of("/v5/order/create", "linear") == Quota(10)
    assert quota_of("/v5/order/create", "spot") == Quota(20)
    assert quota_of("/v5/order/amend", "spot") == Quota(10)
    assert quota_of("/v5/asset/transfer/inter-transfer", "") == Quota(60, 60_000)
    assert quota_of("/v5/order/realtime", "linear") == Quota(50)


def test_an_address_over_its_limit_is_banned_for_a_while() -> None:
    limiter = AddressLimiter(Quota(3, 5_000), ban_ms=600_000)
    assert [limiter.take("a", now).allowed for now in (0, 1, 2, 3)] == [True, True, True, False]
    assert limiter.take("b", 3).allowed
    assert not limiter.take("a", 599_000).allowed
    assert limiter.take("a", 600_003).allowed


def test_a_limit_of_zero_is_no_limit() -> None:
    limiter = AddressLimiter(Quota(0, 5_000), ban_ms=1)
    assert all(limiter.take("a", 0).allowed for _ in range(1_000))
