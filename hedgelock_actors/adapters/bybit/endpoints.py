"""Where the venue is: one value that points the whole adapter to mainnet, testnet, demo trading or a local exchange."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Environment(StrEnum):
    """Which exchange is meant; the limits allow real money on mainnet only when told so."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    DEMO = "demo"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The environment and, for a local exchange, its base URLs (without a path)."""

    environment: Environment
    rest_url: str | None = None
    ws_url: str | None = None

    @classmethod
    def mainnet(cls) -> Endpoints:
        """The real exchange."""
        return cls(Environment.MAINNET)

    @classmethod
    def testnet(cls) -> Endpoints:
        """The venue's test network."""
        return cls(Environment.TESTNET)

    @classmethod
    def demo(cls) -> Endpoints:
        """Demo trading on mainnet prices; it has no loans and no transfers."""
        return cls(Environment.DEMO)

    @classmethod
    def local(cls, rest_url: str, ws_url: str | None = None) -> Endpoints:
        """An exchange at `rest_url`, e.g. `http://127.0.0.1:8080`; `ws_url` defaults to the same host and port.

        Raises:
            ValueError: not an http(s)/ws(s) URL, or signed requests would travel unencrypted beyond this machine.
        """
        rest = _base(rest_url, ("http", "https"))
        stream = _base(ws_url or "ws" + rest.removeprefix("http"), ("ws", "wss"))
        return cls(Environment.LOCAL, rest, stream)

    @classmethod
    def of(cls, environment: str, url: str | None = None) -> Endpoints:
        """By the name of the environment; `url` is needed for `local` and refused otherwise."""
        chosen = Environment(environment)
        if chosen is Environment.LOCAL:
            if url is None:
                raise ValueError("environment local needs the URL of the exchange")
            return cls.local(url)
        if url is not None:
            raise ValueError(f"environment {chosen} takes no URL")
        return cls(chosen)

    @property
    def testnet_hosts(self) -> bool:
        """True when the library should use the test network's host names."""
        return self.environment is Environment.TESTNET

    @property
    def demo_hosts(self) -> bool:
        """True when the library should use demo trading's host names."""
        return self.environment is Environment.DEMO

    def stream_url(self, library_url: str, query: str = "") -> str:
        """The stream URL to connect to, given the library's own; `query` without the question mark."""
        path = library_url[library_url.index("/v5/") :].partition("?")[0]
        base = self.ws_url if self.ws_url is not None else library_url[: library_url.index("/v5/")]
        return f"{base}{path}?{query}" if query else f"{base}{path}"


def _base(url: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL with one of the schemes {', '.join(schemes)}")
    if parts.scheme in ("http", "ws") and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{url!r} would send signed requests unencrypted beyond this machine; use https or wss")
    return f"{parts.scheme}://{parts.netloc}"
