"""Where the venue is, and keys that cannot leak."""

from __future__ import annotations

import copy
import pickle

import pytest

from hedgelock_actors.adapters.bybit.endpoints import Endpoints, Environment
from hedgelock_actors.adapters.bybit.rest import _SignedHttp
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret

PRIVATE = "wss://stream.bybit.com/v5/private"


def test_one_argument_says_which_venue() -> None:
    def http(endpoints: Endpoints) -> str:
        return str(_SignedHttp(endpoints, None, lambda: 0, 5000).endpoint)

    assert http(Endpoints.mainnet()) == "https://api.bybit.com"
    assert http(Endpoints.testnet()) == "https://api-testnet.bybit.com"
    assert http(Endpoints.demo()) == "https://api-demo.bybit.com"
    assert http(Endpoints.local("http://127.0.0.1:81/ignored")) == "http://127.0.0.1:81"


def test_stream_urls() -> None:
    local = Endpoints.local("http://127.0.0.1:81")
    assert local.stream_url(PRIVATE, "pace=feed") == "ws://127.0.0.1:81/v5/private?pace=feed"
    assert local.stream_url("ws://127.0.0.1:81/v5/private?pace=feed", "pace=feed").count("pace") == 1
    assert Endpoints.mainnet().stream_url(PRIVATE) == PRIVATE


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://example.com", "http://10.0.0.1:80"])
def test_signed_requests_never_travel_unencrypted(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|encrypt"):
        Endpoints.local(url)


def test_by_name() -> None:
    assert Endpoints.of("testnet").environment is Environment.TESTNET
    assert Endpoints.of("local", "http://localhost:5").rest_url == "http://localhost:5"
    with pytest.raises(ValueError, match="needs the URL"):
        Endpoints.of("local")
    with pytest.raises(ValueError, match="takes no URL"):
        Endpoints.of("mainnet", "http://localhost:5")
    with pytest.raises(ValueError, match="moon"):
        Endpoints.of("moon")


def test_a_secret_shows_itself_to_nobody() -> None:
    keys = Credentials("AbCdEfGh", Secret("hunter2"))
    http = _SignedHttp(Endpoints.mainnet(), keys, lambda: 0, 5000)
    for shown in (str(keys), repr(keys), f"{keys.api_secret}", f"{keys.api_secret!r:>20}", repr(http), str([keys])):
        assert "hunter2" not in shown
    assert keys.api_secret.reveal() == "hunter2"
    for carry in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            carry(keys.api_secret)


@pytest.mark.parametrize("value", ["", " x", "x\n"])
def test_a_secret_read_badly_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="white space"):
        Secret(value)
