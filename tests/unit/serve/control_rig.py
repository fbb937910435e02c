"""The control API over a journal in memory and a cluster that is only pretended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.domain.trading_state import INITIAL, TradingState, merge
from hedgelock_actors.ports.journal import Journal
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.trading import recorded_state
from serve_apps.control_service import ControlService
from serve_apps.security import People
from tests.unit.serve.conftest import asgi

TOKENS = {"ada": "a" * 64, "bob": "b" * 64}
NOW_MS = 1_700_000_000_000
ROUTERS = ("order-router-a", "order-router-b")

SNAPSHOTS: Mapping[str, Mapping[str, object]] = {
    "risk-calculator": {
        "loans": [{"kind": "loan_changed", "account": "a", "debt": "9", "level": "SAFE"}],
        "demands": {"a": {"net_ltv": 0.3, "floor_qty": "1", "neutral_qty": "2", "price": "5", "debt": "9"}},
    },
    "position-keeper": {"account": "a", "position_qty": "-1", "loan": {"debt": "9"}},
    "order-router": {
        "account": "a",
        "symbol": "BTCUSDT",
        "orders": [{"order_link_id": "x", "status": "NEW"}, {"order_link_id": "z", "status": "FILLED"}],
        "in_flight": [{"order_link_id": "y", "status": "UNRESOLVED"}],
        "resting": [{"order_link_id": "x", "status": "NEW"}],
        "restrictions": {"foreign activity": "Sell 1 at 5"},
    },
    "notifier": {"alerts": [{"title": "t"}], "undelivered": 0},
}


def auth(who: str = "ada", key: str = "") -> dict[str, str]:
    headers = {"authorization": f"Bearer {TOKENS[who]}"}
    return headers | ({"idempotency-key": key} if key else {})


class Cluster:
    """Two routers and what they hold; one may be silent, and messages are kept."""

    def __init__(self, journal: Journal) -> None:
        self.held = dict.fromkeys(ROUTERS, INITIAL)
        self.applied: list[TradingState] = []
        self.on_record: list[TradingState] = []
        self.silent: set[str] = set()
        self.got: list[tuple[str, AnyMessage]] = []
        self.undelivered: int | None = 0
        self.trades: list[Mapping[str, object]] = []
        self.epoch = 4
        """As the supervisor knows it."""
        self._journal = journal

    async def actors(self, wait_s: float = 3.0) -> Mapping[str, object]:
        return {"actors": {"order-router-a": {"status": "ready", "epoch": self.epoch}}, "recoveries": []}

    async def snapshots(self, kind: str, wait_s: float = 3.0) -> dict[str, Mapping[str, object]]:
        found = (
            {**SNAPSHOTS.get(kind, {}), "trades": list(self.trades)} if kind == "order-router" else SNAPSHOTS.get(kind)
        )
        if kind == "order-router":
            return {"order-router-a": found or {}, "order-router-b": {"error": "no answer"}}
        if kind == "notifier":
            unknown = {"error": "no answer"}
            return {
                "notifier": unknown if self.undelivered is None else {**(found or {}), "undelivered": self.undelivered}
            }
        return {"a": found or {}, "b": {"error": "no answer"}}

    async def apply(self, state: TradingState) -> dict[str, TradingState | None]:
        self.applied.append(state)
        if isinstance(self._journal, MemoryJournal) and self._journal.available:
            self.on_record.append(await recorded_state(self._journal))
        for name in ROUTERS:
            if name not in self.silent:
                self.held[name] = merge(self.held[name], state)
        return {name: None if name in self.silent else self.held[name] for name in ROUTERS}

    async def deliver(self, to: str, message: AnyMessage, wait_s: float) -> str:
        self.got.append((to, message))
        return "no answer" if to in self.silent else ""


class Rig:
    """One service; `again` is its successor on the same journal, as after a crash."""

    def __init__(self, journal: Journal | None = None, **control: object) -> None:
        self.journal = journal or MemoryJournal()
        self.cluster = Cluster(self.journal)
        people = [{"name": name, "token_file": f"/{name}.token"} for name in TOKENS]
        accounts = [{"name": "a"}, {"name": "b", "symbol": "ETHUSDT"}]
        self.config = Config.model_validate({"venue": {"accounts": accounts}, "control": {"people": people, **control}})
        self.now_ms = NOW_MS
        self.service = self.again()

    def again(self) -> ControlService:
        self.service = ControlService(self.cluster, self.journal, People(TOKENS), self.config, lambda: self.now_ms)
        return self.service

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=asgi(self._handle, "/v1"), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8470/v1") as http:
            yield http
        await self.service.stop()

    async def _handle(self, call: object) -> object:
        return await self.service.handle(call)  # type: ignore[arg-type]

    async def post(self, path: str, body: object = None, who: str = "ada", key: str = "") -> httpx.Response:
        async with self.http() as http:
            return await http.post(path, json=body if body is not None else {}, headers=auth(who, key))

    async def get(self, path: str) -> dict[str, object]:
        async with self.http() as http:
            answer = await http.get(path)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    def kinds(self) -> list[str]:
        assert isinstance(self.journal, MemoryJournal)
        return [row.kind for row in self.journal.rows("control")]
