"""Signatures and the receive window."""

import random
from urllib.parse import quote

import pytest

from hedgelock_actors.simulator.auth import ApiKey, AuthError, Clocks, KeyRing, check_window, issue_key, sign

NOW = 1_584_000_000_000
WALL = 1_790_000_000_000
KEY = ApiKey("8001", "key", "secret")
CLOCKS = Clocks(NOW, WALL)


def headers(
    payload: str, stamp: int = NOW, window: str = "5000", signer: ApiKey = KEY, key: str = "key"
) -> dict[str, str]:
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": str(stamp),
        "X-BAPI-RECV-WINDOW": window,
        "X-BAPI-SIGN": sign(signer.secret, f"{stamp}{key}{window}{payload}"),
    }


def test_the_documented_hmac() -> None:
    assert sign("key", "The quick brown fox jumps over the lazy dog") == (
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


def test_a_good_signature_names_the_account() -> None:
    assert KeyRing((KEY,)).verify_request(headers("category=linear"), "category=linear", CLOCKS) is KEY


def test_an_escaped_query_is_tried_decoded() -> None:
    signed = "cursor=a b"
    assert KeyRing((KEY,)).verify_request(headers(signed), quote(signed, safe="="), CLOCKS) is KEY


@pytest.mark.parametrize("change", ["secret", "payload", "stamp"])
def test_a_wrong_signature_is_refused_with_what_was_hashed(change: str) -> None:
    given = headers("a=1", signer=ApiKey("8001", "key", "other") if change == "secret" else KEY)
    if change == "stamp":
        given["X-BAPI-TIMESTAMP"] = str(NOW + 1)
    payload = "a=2" if change == "payload" else "a=1"
    with pytest.raises(AuthError, match="error sign! origin_string") as caught:
        KeyRing((KEY,)).verify_request(given, payload, CLOCKS)
    assert caught.value.code == 10004
    assert payload in caught.value.message


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(AuthError) as caught:
        KeyRing((KEY,)).verify_request(headers("", key="nobody"), "", CLOCKS)
    assert (caught.value.code, caught.value.message) == (10003, "API key is invalid.")


@pytest.mark.parametrize(
    ("offset", "window", "accepted"),
    [
        (0, 5000, True),
        (-5000, 5000, True),
        (-5001, 5000, False),
        (999, 5000, True),
        (1000, 5000, False),
        (-60, 50, False),
    ],
)
@pytest.mark.parametrize("base", [NOW, WALL])
def test_the_window_holds_on_either_clock(base: int, offset: int, window: int, accepted: bool) -> None:
    if accepted:
        check_window(base + offset, window, CLOCKS)
        return
    with pytest.raises(AuthError) as caught:
        check_window(base + offset, window, CLOCKS)
    assert caught.value.code == 10002
    assert f"req_timestamp[{base + offset}],server_timestamp[{base}],recv_window[{window}]" in caught.value.message


def test_a_lock_step_jump_does_not_make_a_request_late() -> None:
    jumped = Clocks(NOW, WALL, step_ms=60_000)
    check_window(NOW - 65_000, 5000, jumped)
    with pytest.raises(AuthError):
        check_window(NOW - 65_001, 5000, jumped)
    with pytest.raises(AuthError):
        check_window(WALL - 5_001, 5000, jumped)


def test_a_timestamp_that_is_no_number_is_a_parameter_error() -> None:
    with pytest.raises(AuthError) as caught:
        check_window("now", "5000", CLOCKS)
    assert caught.value.code == 10001


def test_a_socket_signature_expires() -> None:
    ring = KeyRing((KEY,))
    good = sign("secret", f"GET/realtime{NOW + 1000}")
    assert ring.verify_socket(["key", NOW + 1000, good], CLOCKS) is KEY
    for args in (["key", NOW + 1000, "00"], ["key", NOW, sign("secret", f"GET/realtime{NOW}")], ["key"], None):
        with pytest.raises(AuthError):
            ring.verify_socket(args, CLOCKS)


def test_seeded_keys_repeat_and_others_do_not() -> None:
    assert issue_key("1", random.Random(5)) == issue_key("1", random.Random(5))
    assert issue_key("1", random.SystemRandom()) != issue_key("1", random.SystemRandom())
