"""From launch options to a running exchange: prices, accounts, engine, driver, server."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hedgelock_actors.simulator.api import (
    AccountSpec,
    CancelAll,
    CollateralTier,
    ExchangeSpec,
    FundingSchedule,
    InitialLoan,
    Latency,
    LoanTerms,
    PricePath,
)
from hedgelock_actors.simulator.auth import ApiKey, issue_key
from hedgelock_actors.simulator.clock import Driver, Watchers
from hedgelock_actors.simulator.dcp import DisconnectProtection
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.simulator.faults import ServerFaults
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.instruments import INSTRUMENTS
from hedgelock_actors.simulator.pacing import Pacing
from hedgelock_actors.simulator.price_files import read_bars, read_funding, read_scenario
from hedgelock_actors.simulator.prices import BarPath, RandomWalk
from hedgelock_actors.simulator.rate_limit import AccountLimiter, AddressLimiter, Quota
from hedgelock_actors.simulator.server import ExchangeServer
from hedgelock_actors.simulator.ws_hub import Hub

_KNOWN = tuple(item.symbol for item in INSTRUMENTS)
_START_PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
_IP_WINDOW_MS = 5_000
_IP_BAN_MS = 600_000


class BadOption(ValueError):
    """A launch option makes no sense; the text names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """Launch options of `hedgelock exchange`.

    `prices`: FILE or SYMBOL=FILE, one-minute bars as parquet; none and no scenario means a seeded random walk from now.
    `speed`: venue time per wall time, or "max" for lock-step. `ltv`, `reserve`, `haircut` are ratios: each account
    starts with
    a flexible USDT loan of ltv × haircut × collateral × first price against `collateral` BTC, and reserve × debt
    USDT of margin.
    `uid_base` None draws uids and keys at random; else uids count up from it and keys follow from `seed`.
    `ip_limit`: requests per 5 s and address, 0 = no limit. `order_limit`: order requests per second, account and
    endpoint, None = the published ones. `latency_ms`: venue ms a request takes, and wall ms a
    socket waits.
    """

    port: int = 0
    prices: tuple[str, ...] = ()
    scenario: Path | None = None
    funding: Path | None = None
    from_: str | None = None
    to: str | None = None
    speed: str = "1"
    seed: int = 1
    hold: bool = False
    ticks_per_minute: int = 12
    accounts: int = 1
    collateral: Decimal = Decimal(10)
    ltv: Decimal = Decimal("0.40")
    reserve: Decimal = Decimal("0.35")
    haircut: Decimal = Decimal(1)
    uid_base: int | None = None
    latency_ms: int = 3
    ip_limit: int = 600
    order_limit: int | None = None
    pace_timeout_s: float = 120.0
    die_with_parent: bool = False

    def speed_factor(self) -> float | None:
        """Venue ms per wall ms; None is lock-step. Raises BadOption."""
        if self.speed == "max":
            return None
        try:
            factor = float(self.speed)
        except ValueError:
            raise BadOption(f"--speed {self.speed}: give a factor above 0, or max") from None
        if not 0 < factor <= 100_000:
            raise BadOption(f"--speed {self.speed}: give a factor above 0 and at most 100000, or max")
        return factor


def parse_time(option: str, written: str | None) -> int | None:
    """ISO 8601 (UTC when no zone is given) or integer ms. Raises BadOption."""
    if written is None:
        return None
    if written.isdigit():
        return int(written)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise BadOption(f"{option} {written}: give a time like 2020-03-12T00:00Z or milliseconds") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _symbol_and_file(written: str) -> tuple[str, Path]:
    symbol, equals, file = written.partition("=")
    if equals and symbol in _KNOWN:
        return symbol, Path(file)
    name = Path(written).name.upper()
    return next((known for known in _KNOWN if name.startswith(known)), "BTCUSDT"), Path(written)


def _recorded(options: ExchangeOptions) -> dict[str, PricePath]:
    start, end = parse_time("--from", options.from_), parse_time("--to", options.to)
    paths: dict[str, PricePath] = {}
    for number, written in enumerate(options.prices):
        symbol, file = _symbol_and_file(written)
        if symbol in paths:
            raise BadOption(f"--prices {written}: {symbol} was given twice; name symbols as SYMBOL=FILE")
        try:
            paths[symbol] = BarPath(read_bars(file), options.seed + number, options.ticks_per_minute, start, end)
        except (OSError, ValueError) as error:
            raise BadOption(f"--prices {written}: {error}") from error
    return paths


def price_paths(options: ExchangeOptions) -> dict[str, PricePath]:
    """The streams of prices that the options name. Raises BadOption."""
    if options.prices and options.scenario is not None:
        raise BadOption("--prices and --scenario exclude each other: give one of them")
    if options.prices:
        return _recorded(options)
    if options.to is not None or (options.from_ is not None and options.scenario is not None):
        raise BadOption("--from and --to choose a part of --prices: leave them out, or give recorded prices")
    if options.scenario is not None:
        try:
            return {"BTCUSDT": read_scenario(options.scenario).path(options.seed, options.ticks_per_minute)}
        except (OSError, ValueError) as error:
            raise BadOption(f"--scenario {options.scenario}: {error}") from error
    start = parse_time("--from", options.from_) or time.time_ns() // 1_000_000
    return {
        symbol: RandomWalk(price, start, options.seed + number)
        for number, (symbol, price) in enumerate(_START_PRICES.items())
    }


def _funding(options: ExchangeOptions) -> FundingSchedule:
    if options.funding is None:
        return FundingSchedule()
    try:
        return read_funding(options.funding)
    except (OSError, ValueError) as error:
        raise BadOption(f"--funding {options.funding}: {error}") from error


def _keys(options: ExchangeOptions) -> tuple[ApiKey, ...]:
    if options.accounts < 1:
        raise BadOption("--accounts: give at least 1")
    if options.uid_base is None:
        system = random.SystemRandom()
        first = system.randrange(10_000_000, 900_000_000)
        return tuple(issue_key(str(first + number), system) for number in range(options.accounts))
    seeded = random.Random(options.seed)
    return tuple(issue_key(str(options.uid_base + number), seeded) for number in range(options.accounts))


def _spec(options: ExchangeOptions, keys: tuple[ApiKey, ...], symbols: frozenset[str]) -> ExchangeSpec:
    if not all(value.is_finite() for value in (options.ltv, options.haircut, options.collateral, options.reserve)):
        raise BadOption("--ltv, --haircut, --collateral and --reserve must be finite numbers")
    if not 0 < options.ltv < 1 or not 0 < options.haircut <= 1 or options.collateral <= 0 or options.reserve < 0:
        raise BadOption("--ltv in (0, 1), --haircut in (0, 1], --collateral above 0 and --reserve from 0 are needed")
    tiers = (CollateralTier(min_value=Decimal(0), max_value=None, ratio=options.haircut),)
    loan = InitialLoan(collateral={"BTC": options.collateral}, ltv=options.ltv)
    wait = max(0, options.latency_ms)
    return ExchangeSpec(
        accounts=tuple(AccountSpec(uid=key.uid, loan=loan, reserve_fraction=options.reserve) for key in keys),
        instruments=tuple(item for item in INSTRUMENTS if item.symbol in symbols),
        latency=Latency(ack_ms=(wait, 2 * wait), effect_ms=(max(0, wait - 1), 2 * wait + 2), push_ms=(1, 3)),
        loan=LoanTerms(collateral_tiers={"BTC": tiers, "ETH": tiers}),
    )


@dataclass(frozen=True, slots=True)
class Launched:
    """A server ready to be bound to a port, and the driver that is to be run beside it."""

    gateway: Gateway
    server: ExchangeServer


def build(options: ExchangeOptions) -> Launched:
    """Everything but the port. Raises BadOption."""
    speed = options.speed_factor()
    paths, funding, keys = price_paths(options), _funding(options), _keys(options)
    if "BTCUSDT" not in paths:
        raise BadOption("--prices: BTCUSDT is needed, the loans are backed by BTC")
    exchange = Exchange(_spec(options, keys, frozenset(paths)), paths, dict.fromkeys(paths, funding), options.seed)
    pacing, server = Pacing(options.pace_timeout_s), ExchangeServer()
    watchers = Watchers(server.on_events, server.on_tick, server.on_mapping, server.on_end, server.on_idle)
    driver = Driver(exchange, speed, pacing, watchers)

    def cancel_for_dcp(uid: str) -> None:
        exchange.request(uid, CancelAll(cancel_type="CancelByDCP"), driver.now_ms())
        pacing.poke()

    gateway = Gateway(
        exchange=exchange,
        driver=driver,
        hub=Hub(pacing),
        keys=keys,
        addresses=AddressLimiter(Quota(options.ip_limit, _IP_WINDOW_MS), _IP_BAN_MS),
        limits=AccountLimiter(options.order_limit),
        latency_s=0.0 if speed is None else max(0, options.latency_ms) / 1000,
        rng=random.Random(options.seed),
        faults=ServerFaults(),
        dcp=DisconnectProtection(cancel_for_dcp),
    )
    server.attach(gateway)
    if not options.hold:
        driver.start(())
    return Launched(gateway, server)


def loan_facts(gateway: Gateway, uid: str) -> dict[str, object]:
    """The loan of an account at the start, for the ready line: amounts as texts, ratios as numbers."""
    loan = gateway.exchange.loan(uid)
    wallet = gateway.exchange.wallet(uid)
    return {
        "currency": "USDT",
        "debt": _plain(sum((debt.total for debt in loan.debts), Decimal(0))),
        "collateral": {item.currency: _plain(item.amount) for item in loan.collaterals},
        "collateral_value": _plain(loan.total_collateral),
        "ltv": None if loan.ltv is None else float(loan.ltv),
        "price": _plain(gateway.exchange.ticker("BTCUSDT").last_price),
        "unified_usdt": _plain(wallet.total_equity),
        "liquidation_ltv": float(gateway.exchange.spec.loan.liquidation_ltv),
    }


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
