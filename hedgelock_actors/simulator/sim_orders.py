"""Switches of a rehearsal that concern orders, accounts and instruments. Each takes the body of `POST /sim/fault`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from hedgelock_actors.simulator.account import AccountSettings
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.maintenance import Window
from hedgelock_actors.simulator.ws_connection import encode

Spec = Mapping[str, object]
_OPS = ("create", "amend", "cancel")
_NOT_FIELDS = frozenset({"kind", "symbol"})
_NOTHING_IN_RANGE = Decimal("-0.01")


class OrderSwitches:
    """`switches` by kind."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.switches: dict[str, Callable[[dict[str, object]], None]] = {
            "refuse_orders": lambda spec: self._scripted(spec, gateway.faults.refusals),
            "answer_orders": lambda spec: self._scripted(spec, gateway.faults.answers),
            "half_ack": self._half_ack,
            "query_lag": self._query_lag,
            "forget_closed": self._forget_closed,
            "no_market": self._no_market,
            "split": self._split,
            "take_position": self._take_position,
            "settings": self._settings,
            "instrument": self._instrument,
            "maintenance": self._maintenance,
            "end_maintenance": self._end_maintenance,
        }

    def _scripted(self, spec: Spec, scripts: dict[str, list[tuple[int, str]]]) -> None:
        op, code = str(spec.get("op", "create")), int(str(spec["code"]))
        if op not in _OPS:
            raise ValueError(f"op must be one of {', '.join(_OPS)}")
        text = str(spec.get("text", f"rehearsed {code}"))
        scripts.setdefault(op, []).extend([(code, text)] * int(str(spec.get("count", 1))))

    def _half_ack(self, spec: Spec) -> None:
        self._gateway.exchange.faults.half_acks = int(str(spec.get("count", 1)))

    def _query_lag(self, spec: Spec) -> None:
        self._gateway.exchange.faults.query_lag_ms = int(str(spec.get("ms", 0)))

    def _forget_closed(self, spec: Spec) -> None:
        self._gateway.faults.forgotten_ms = self._gateway.driver.catch_up()

    def _no_market(self, spec: Spec) -> None:
        self._gateway.exchange.faults.market_band = _NOTHING_IN_RANGE if spec.get("on", True) else None

    def _split(self, spec: Spec) -> None:
        qty = spec.get("qty")
        self._gateway.exchange.faults.split_qty = None if qty is None else _decimal(qty)

    def _take_position(self, spec: Spec) -> None:
        qty = spec.get("qty")
        self._gateway.driver.catch_up()
        self._gateway.exchange.interventions.take_position(
            str(spec["uid"]),
            str(spec["symbol"]),
            None if qty is None else _decimal(qty),
            str(spec.get("how", "adl")),
        )

    def _settings(self, spec: Spec) -> None:
        uid = str(spec["uid"])
        now = self._gateway.exchange.settings(uid)
        changed = replace(
            now,
            reduce_only=bool(spec.get("reduce_only", now.reduce_only)),
            position_mode=int(str(spec.get("position_mode", now.position_mode))),
            margin_mode=str(spec.get("margin_mode", now.margin_mode)),
            unified_status=int(str(spec.get("unified_status", now.unified_status))),
        )
        leverage = spec.get("leverage")
        self._change(uid, changed, None if leverage is None else _decimal(leverage))

    def _change(self, uid: str, settings: AccountSettings, leverage: Decimal | None) -> None:
        self._gateway.exchange.interventions.change_settings(uid, settings, leverage)

    def _instrument(self, spec: Spec) -> None:
        changes = {name: str(value) for name, value in spec.items() if name not in _NOT_FIELDS}
        try:
            self._gateway.exchange.interventions.change_instrument(str(spec["symbol"]), changes)
        except InvalidOperation as error:
            raise ValueError("a filter is not a number") from error

    def _maintenance(self, spec: Spec) -> None:
        gateway = self._gateway
        begin_ms = gateway.now_ms() + int(float(str(spec.get("in_s", 0))) * 1000)
        seconds = spec.get("seconds", 600)
        end_ms = None if seconds is None else begin_ms + int(float(str(seconds)) * 1000)
        state = spec.get("state")
        title = str(spec.get("title", "maintenance"))
        window = Window(
            gateway.new_id(),
            title,
            begin_ms,
            end_ms,
            None if state is None else str(state),
        )
        gateway.maintenance.announce(window)
        self._tell(window)

    def _end_maintenance(self, spec: Spec) -> None:
        for window in self._gateway.maintenance.end(self._gateway.now_ms()):
            self._tell(window)

    def _tell(self, window: Window) -> None:
        now_ms = self._gateway.now_ms()
        frame = encode({"topic": "system.status", "ts": now_ms, "data": [window.row(now_ms)]})
        self._gateway.hub.publish("status/system.status", frame)


def _decimal(written: object) -> Decimal:
    try:
        return Decimal(str(written))
    except InvalidOperation:
        raise ValueError(f"{written} is not a number") from None
