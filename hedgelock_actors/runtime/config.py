"""The configuration file: every key typed and bounded, an unknown key refused by name, environment variables on top.

`HEDGELOCK__SECTION__KEY=value` overrides a key; the value is read as YAML. Secrets are never keys of this file: a key
names the *file* that holds one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.config_execution import ExecutionConfig
from hedgelock_actors.runtime.config_section import Positive, Ratio, Seconds, Section

ENV_PREFIX = "HEDGELOCK__"
DEFAULT_FILE = Path(__file__).resolve().parents[2] / "configs" / "hedgelock.yaml"

PUBLISHED_ORDERS_PER_SECOND = 10
"""What the venue allows an account that has no special limits."""

Port = Annotated[int, Field(ge=0, le=65_535)]


class ConfigError(InvalidInput):
    """A key that cannot be used: which one, and what to write instead."""


class AccountConfig(Section):
    """One hedge account on the venue."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,23}$")] = "main"
    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{3,20}$")] = "BTCUSDT"
    credentials_file: Path | None = None


class VenueConfig(Section):
    """Where we trade."""

    environment: Literal["mainnet", "testnet", "demo", "local"] = "local"
    url: str | None = None
    accounts: Annotated[tuple[AccountConfig, ...], Field(min_length=1, max_length=16)] = (AccountConfig(),)
    order_pace: Annotated[int, Field(ge=1, le=3_000)] | None = None
    order_wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 2_000
    clock_offset_max_ms: Annotated[int, Field(ge=500, le=60_000)] = 5_000

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [account.name for account in self.accounts]
        if len(set(names)) != len(names):
            raise ValueError("accounts: each account needs a name of its own")
        if self.url is not None and self.environment != "local":
            raise ValueError("url: only environment `local` takes a url; the others are known hosts")
        if self.environment != "local" or self.url is not None:
            bare = [account.name for account in self.accounts if account.credentials_file is None]
            if bare:
                raise ValueError(f"accounts: {', '.join(bare)} need credentials_file on {self.environment}")
        return self


class LevelsConfig(Section):
    """Risk levels by lender LTV."""

    caution: Ratio = 0.40
    danger: Ratio = 0.45
    critical: Ratio = 0.48
    ceiling: Ratio = 0.50
    hysteresis: Annotated[float, Field(ge=0, lt=0.2)] = 0.005
    dwell_s: Seconds = 60

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.caution < self.danger < self.critical < self.ceiling:
            raise ValueError("caution < danger < critical < ceiling must hold")
        return self


class RungConfig(Section):
    """One rung of the stress ladder: after a fall by `drop`, the net LTV shall be at most `target_ltv`."""

    drop: Annotated[float, Field(gt=0, lt=1)]
    target_ltv: Annotated[float, Field(gt=0, lt=1)]


class HedgeConfig(Section):
    """When the target moves."""

    ladder: Annotated[tuple[RungConfig, ...], Field(min_length=1, max_length=16)] = (
        RungConfig(drop=0.30, target_ltv=0.50),
    )
    dead_band: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    down_dwell_s: Seconds = 3600
    demand_max_age_s: Annotated[float, Field(gt=0, le=600)] = 10


class SweepConfig(Section):
    """When hedge profit becomes repayment."""

    trigger_ltv: Ratio = 0.45
    target_ltv: Ratio = 0.42
    rally: Annotated[float, Field(gt=0, le=3)] = 0.30
    maintenance: Annotated[float, Field(gt=0, lt=0.5)] = 0.005
    taker_fee: Annotated[float, Field(ge=0, lt=0.05)] = 0.00055
    worst_move: Annotated[float, Field(ge=0, lt=1)] = 0.10
    min_operation_usdt: Positive = Decimal(10)
    max_operation_usdt: Positive = Decimal(1_000_000)
    max_daily_usdt: Positive = Decimal(5_000_000)

    @model_validator(mode="after")
    def _downwards(self) -> Self:
        if self.target_ltv >= self.trigger_ltv:
            raise ValueError("target_ltv must be below trigger_ltv")
        return self


class LimitsConfig(Section):
    """What no order may exceed."""

    max_order_qty: Positive = Decimal(10)
    max_order_notional_usdt: Positive = Decimal(1_000_000)
    max_position_qty: Positive = Decimal(50)
    max_position_notional_usdt: Positive = Decimal(5_000_000)
    orders_per_second: Annotated[int, Field(ge=1, le=3_000)] = 10
    orders_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 20
    critical_orders_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 40
    amends_per_second: Annotated[int, Field(ge=1, le=10)] = 10
    amends_per_minute: Annotated[int, Field(ge=1, le=600)] = 60
    notional_per_minute_usdt: Positive = Decimal(10_000_000)
    critical_notional_per_minute_usdt: Positive = Decimal(20_000_000)
    duplicate_window_s: Annotated[float, Field(gt=0, le=60)] = 1
    max_open_orders: Annotated[int, Field(ge=1, le=500)] = 20
    max_slippage_bps: Annotated[Decimal, Field(gt=0, le=500)] = Decimal(50)
    price_band_bps: Annotated[Decimal, Field(gt=0, le=2_000)] = Decimal(500)
    position_max_age_s: Annotated[float, Field(gt=0, le=3_600)] = 120
    money_max_age_s: Annotated[float, Field(gt=0, le=3_600)] = 120
    min_order_qty: Positive = Decimal("0.001")
    initial_margin: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.10")
    min_liquidation_distance: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.05")
    max_funding_cost: Annotated[float, Field(gt=0, le=0.1)] = 0.003
    max_daily_loss_usdt: Positive = Decimal(500_000)
    max_daily_fees_usdt: Positive = Decimal(10_000)
    max_trade_order_qty: Positive = Decimal(1)
    max_trade_daily_qty: Positive = Decimal(10)


class MarketConfig(Section):
    """Which prices are believed."""

    stale_after_s: Annotated[float, Field(gt=0, le=600)] = 10
    ahead_max_s: Annotated[float, Field(gt=0, le=60)] = 1
    jump: Ratio = 0.30
    divergence: Ratio = 0.10
    spread: Ratio = 0.05


class LoanConfig(Section):
    """What the lender does, and how often it is asked."""

    liquidation_ltv: Annotated[float, Field(gt=0, lt=1)] = 0.95
    margin_call_ltv: Annotated[float, Field(gt=0, lt=1)] = 0.85
    poll_s: Annotated[float, Field(ge=1, le=600)] = 30
    max_age_s: Annotated[float, Field(ge=1, le=3_600)] = 120


class RiskConfig(Section):
    """How the loan book is spread."""

    shards: Annotated[int, Field(ge=1, le=64)] = 1


class SizingConfig(Section):
    """The sizing service."""

    knots_file: Path = Path("curve_knots.yaml")
    score_max_age_s: Annotated[float, Field(gt=0)] = 3
    depth_max_age_s: Annotated[float, Field(gt=0)] = 10
    max_hedge_pct: Ratio = 1.0


class ServicesConfig(Section):
    """Databases; null starts the embedded one in the state directory."""

    postgres_url: str | None = None
    redis_url: str | None = None


class HttpConfig(Section):
    """The HTTP services (Ray Serve)."""

    host: Literal["127.0.0.1"] = "127.0.0.1"
    port: Port = 8470
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    haproxy: bool = False


class PersonConfig(Section):
    """One person who may command, known by a token."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")] = "operator"
    token_file: Path | None = None


TwoPersonAction = Literal["resume", "flatten", "override", "raise_limit"]


class ControlConfig(Section):
    """Who may command, and what needs a second person."""

    people: Annotated[tuple[PersonConfig, ...], Field(min_length=1, max_length=64)] = (PersonConfig(),)
    two_person: tuple[TwoPersonAction, ...] = ()
    approval_s: Annotated[float, Field(gt=0, le=86_400)] = 600
    override_max_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 7 * 86_400

    @model_validator(mode="after")
    def _people_apart(self) -> Self:
        names = [person.name for person in self.people]
        files = [person.token_file for person in self.people]
        if len(set(names)) != len(names):
            raise ValueError("people: each person needs a name of their own")
        if len(set(files)) != len(files):
            raise ValueError("people: each person needs a token_file of their own (null: control.token)")
        if self.two_person and len(names) < 2:
            raise ValueError("two_person: this takes at least two people")
        return self


class RayConfig(Section):
    """The cluster that `hedgelock up` starts for itself."""

    dashboard: bool = True
    dashboard_port: Port = 8265
    object_store_mb: Annotated[int, Field(ge=76, le=65_536)] = 80
    num_cpus: Annotated[int, Field(ge=1, le=256)] = 2


class SampleConfig(Section):
    """The sample loan of a run on the simulated exchange."""

    scenario: Path = Path("scenarios/crash.yaml")
    speed: Annotated[float, Field(gt=0, le=100_000)] | Literal["max"] = 60.0
    collateral: Annotated[float, Field(gt=0)] = 10
    ltv: Annotated[float, Field(gt=0, lt=1)] = 0.40
    reserve: Annotated[float, Field(ge=0, le=10)] = 0.35
    haircut: Ratio = 1.0
    seed: Annotated[int, Field(ge=0)] = 7


class Config(Section):
    """The whole file."""

    state_dir: Path | None = None
    venue: VenueConfig = VenueConfig()
    levels: LevelsConfig = LevelsConfig()
    hedge: HedgeConfig = HedgeConfig()
    sweep: SweepConfig = SweepConfig()
    limits: LimitsConfig = LimitsConfig()
    market: MarketConfig = MarketConfig()
    loan: LoanConfig = LoanConfig()
    execution: ExecutionConfig = ExecutionConfig()
    risk: RiskConfig = RiskConfig()
    sizing: SizingConfig = SizingConfig()
    services: ServicesConfig = ServicesConfig()
    http: HttpConfig = HttpConfig()
    control: ControlConfig = ControlConfig()
    ray: RayConfig = RayConfig()
    sample: SampleConfig = SampleConfig()

    @model_validator(mode="after")
    def _no_faster_than_the_venue(self) -> Self:
        allowed = max(PUBLISHED_ORDERS_PER_SECOND, self.venue.order_pace or 0)
        if self.venue.environment != "local" and self.limits.orders_per_second > allowed:
            raise ValueError(f"limits.orders_per_second: at most {allowed}, which is what the venue allows the account")
        return self

    @property
    def state(self) -> Path:
        """The state directory: as configured, else by the XDG rule."""
        if self.state_dir is not None:
            return self.state_dir.expanduser()
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        return Path(base) / "hedgelock"


def load(file: Path | None = None, env: Mapping[str, str] | None = None) -> Config:
    """Read a configuration file (the packaged one when None) with the overrides of the environment.

    Raises:
        ConfigError: names the key and what to write instead.
    """
    path = file or Path(os.environ.get("HEDGELOCK_CONFIG", DEFAULT_FILE))
    raw = _read(path, required=file is not None or "HEDGELOCK_CONFIG" in os.environ)
    for key, text in sorted((os.environ if env is None else env).items()):
        if key.startswith(ENV_PREFIX):
            _put(raw, key.removeprefix(ENV_PREFIX).lower().split("__"), key, text)
    config = parse(raw)
    return _resolve(config, path.parent)


def parse(raw: Mapping[str, object]) -> Config:
    """Validate plain values. Raises ConfigError for the first thing that is wrong."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise _explain(error) from None


def _read(path: Path, *, required: bool) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not required:
            return {}
        raise ConfigError("--config", f"there is no file {path}; give one that exists") from None
    except OSError as error:
        raise ConfigError("--config", f"{path} cannot be read ({error.strerror})") from None
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("--config", f"{path} is not YAML: {error}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError("--config", f"{path} must hold sections with keys, not a {type(raw).__name__}")
    return raw


def _put(raw: dict[str, object], keys: list[str], variable: str, text: str) -> None:
    place = raw
    for key in keys[:-1]:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(variable, f"`{key}` is a value, not a section")
        place = inner
    try:
        place[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(variable, "the value is not readable as YAML; put quotes around it") from None


def _explain(error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return ConfigError(where or "configuration", f"{first['msg']} (got {first['input']!r:.80})")
    parent, known = first["loc"][:-1], _keys(first["loc"][:-1])
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    prefix = ".".join(str(part) for part in parent)
    remedy = f"did you mean `{near[0]}`?" if near else f"known keys of {prefix or 'the file'}: {', '.join(known)}"
    return ConfigError(where, f"unknown key; {remedy}")


def _keys(path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue
        inner = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)


def _resolve(config: Config, base: Path) -> Config:
    """Relative paths in the file are relative to the file."""
    sizing = config.sizing.model_copy(update={"knots_file": base / config.sizing.knots_file})
    sample = config.sample.model_copy(update={"scenario": base / config.sample.scenario})
    accounts = tuple(
        account
        if account.credentials_file is None
        else account.model_copy(update={"credentials_file": base / account.credentials_file.expanduser()})
        for account in config.venue.accounts
    )
    venue = config.venue.model_copy(update={"accounts": accounts})
    people = tuple(
        person
        if person.token_file is None
        else person.model_copy(update={"token_file": base / person.token_file.expanduser()})
        for person in config.control.people
    )
    control = config.control.model_copy(update={"people": people})
    return config.model_copy(update={"sizing": sizing, "sample": sample, "venue": venue, "control": control})
