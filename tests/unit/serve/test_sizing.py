"""POST /hedge: a number when everything is known and fresh, a typed error otherwise, never a guess."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.config import SizingConfig
from hedgelock_actors.runtime.curve_file import CurveFile
from serve_apps.hedge_engine import SizingService, watch
from serve_apps.snapshot import HotSnapshot

NOW = 1_700_000_000_000
# PCHIP through the seed knots, by scipy: f(.5)
F_HALF = 0.49332884097035046


class Rig:
    def __init__(self, knots: Path) -> None:
        self.now = NOW
        self.snapshot = HotSnapshot()
        self.curve = CurveFile(knots)
        settings = SizingConfig(score_max_age_s=3, depth_max_age_s=10)
        self.service = SizingService(self.curve, self.snapshot, settings, lambda: self.now)

    def depth(self, usd: float = 1e7, asset: str = "BTC", age_ms: int = 0) -> None:
        self.snapshot.take("depth", {"asset": asset, "depth_usd": usd, "mid": 60_000, "ts_ms": self.now - age_ms})

    def score(self, score: object, asset: str = "BTC", age_ms: int = 0, **more: object) -> None:
        self.snapshot.take("sentiment", {"asset": asset, "score": score, "ts_ms": self.now - age_ms, **more})


@pytest.fixture
def rig(knots: Path) -> Rig:
    return Rig(knots)


async def post(client: Any, rig: Rig, body: object) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    async with client(rig.service.handle) as http:
        answer = await http.post("/hedge", content=content)
    return answer.status_code, answer.json()


async def test_the_answer_has_exactly_the_documented_keys(client: Callable[..., Any], rig: Rig) -> None:
    rig.depth()
    rig.score(0.5, confidence=0.8)
    status, answer = await post(client, rig, {"asset": "BTC", "amount_usd": 200_000})
    assert status == 200
    assert set(answer) == {"hedge_pct", "notional_usd", "confidence", "version", "ts_ms"}
    assert answer["hedge_pct"] == pytest.approx(F_HALF, rel=1e-9)
    assert answer["notional_usd"] == pytest.approx(200_000 * F_HALF, rel=1e-9)
    assert answer["confidence"] == pytest.approx(0.8)
    assert answer["ts_ms"] == NOW
    assert answer["version"] == rig.curve.version


async def test_depth_scales_the_score_and_bounds_the_confidence(client: Callable[..., Any], rig: Rig) -> None:
    weight = math.log10(1 + 1e5) / math.log10(1 + 1e7)
    rig.depth(1e5)
    _, answer = await post(client, rig, {"asset": "BTC", "amount_usd": 1, "override_score": 0.7})
    assert answer["confidence"] == pytest.approx(weight, rel=1e-9)
    assert answer["hedge_pct"] == pytest.approx(rig.curve.curve.hedge_pct(0.7 * weight), rel=1e-12)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"asset": "DOGE", "amount_usd": 1}, "asset"),
        ({"asset": "btc", "amount_usd": 1}, "asset"),
        ({"asset": "BTC", "amount_usd": -1}, "amount_usd"),
        ({"asset": "BTC", "amount_usd": "1"}, "amount_usd"),
        ({"asset": "BTC", "amount_usd": 1e13}, "amount_usd"),
        ({"asset": "BTC", "amount_usd": True}, "amount_usd"),
        ({"asset": "BTC"}, "amount_usd"),
        ({"amount_usd": 1}, "asset"),
        ({"asset": "BTC", "amount_usd": 1, "override_score": 1.01}, "override_score"),
        ({"asset": "BTC", "amount_usd": 1, "override_score": -0.1}, "override_score"),
        ({"asset": "BTC", "amount_usd": 1, "extra": 1}, "extra"),
        ('{"asset": "BTC", "amount_usd": NaN}', ""),
        ('{"asset": "BTC", "amount_usd": Infinity}', ""),
        ('{"asset": "BTC", "amount_usd": 1e999}', None),
        ('{"asset": "BTC", "amount_usd": 1, "override_score": NaN}', ""),
        ("", ""),
        ("[]", ""),
        (b"\xff\xfe", ""),
        ("[" * 5_000, None),
    ],
)
async def test_bad_input_is_refused_with_the_field(
    client: Callable[..., Any], rig: Rig, body: object, field: str | None
) -> None:
    rig.depth()
    rig.score(0.5)
    status, answer = await post(client, rig, body)
    assert status == 422
    assert answer["error"] == "invalid_input"
    assert answer["detail"]
    assert "hedge_pct" not in answer
    if field is not None:
        assert answer.get("field", "") == field


@pytest.mark.parametrize(
    ("score_age", "depth_age", "code"),
    [
        (None, 0, "score_missing"),
        (3_001, 0, "score_stale"),
        (-5_001, 0, "score_stale"),
        (0, None, "depth_missing"),
        (0, 10_001, "depth_stale"),
    ],
)
async def test_missing_or_stale_is_503(
    client: Callable[..., Any], rig: Rig, score_age: int | None, depth_age: int | None, code: str
) -> None:
    if score_age is not None:
        rig.score(0.5, age_ms=score_age)
    if depth_age is not None:
        rig.depth(age_ms=depth_age)
    status, answer = await post(client, rig, {"asset": "BTC", "amount_usd": 1})
    assert (status, answer["error"]) == (503, code)
    assert "hedge_pct" not in answer


async def test_at_the_age_bound_it_still_answers(client: Callable[..., Any], rig: Rig) -> None:
    rig.score(0.5, age_ms=3_000)
    rig.depth(age_ms=10_000)
    assert (await post(client, rig, {"asset": "BTC", "amount_usd": 1}))[0] == 200


@pytest.mark.parametrize(
    "bad",
    [
        {"score": float("nan")},
        {"score": 1.5},
        {"score": -0.1},
        {"score": None},
        {"score": True},
        {"score": "high"},
        {"score": 0.5, "confidence": 2},
        {"score": 0.5, "ts_ms": "now"},
        {"score": 0.5, "asset": "DOGE"},
    ],
)
async def test_nonsense_from_redis_changes_nothing(rig: Rig, bad: dict[str, object]) -> None:
    rig.score(0.5)
    rig.snapshot.take("sentiment", {"asset": "BTC", "ts_ms": NOW + 1, **bad})
    assert rig.snapshot.scores["BTC"].value == 0.5
    assert rig.snapshot.skipped == 1


async def test_an_older_score_does_not_replace_a_newer_one(rig: Rig) -> None:
    rig.score(0.6)
    rig.score(0.2, age_ms=1)
    assert rig.snapshot.scores["BTC"].value == 0.6


async def test_scores_come_from_keys_and_from_the_channel() -> None:
    cache, snapshot = MemoryCache(), HotSnapshot()
    await cache.set("sentiment:ETH", {"score": 0.4, "ts_ms": NOW})
    await snapshot.seed(cache)
    assert snapshot.scores["ETH"].value == 0.4
    following = asyncio.create_task(snapshot.follow(cache))
    try:
        for _ in range(200):
            await cache.publish("sentiment", {"asset": "ETH", "score": 0.9, "ts_ms": NOW + 1})
            await asyncio.sleep(0.005)
            if snapshot.scores["ETH"].value == 0.9:
                break
        assert snapshot.scores["ETH"].value == 0.9
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_reload_swaps_a_good_curve_and_refuses_a_bad_one(
    client: Callable[..., Any], rig: Rig, knots: Path
) -> None:
    before = rig.curve.version
    async with client(rig.service.handle) as http:
        knots.write_text("knots: [[0, 0.5], [1, 0.5]]\n", encoding="utf-8")
        answer = await http.post("/curve/reload")
        assert answer.status_code == 200
        assert answer.json()["version"] == rig.curve.version != before
        good = rig.curve.version
        for bad in ("knots: [[0, 1], [1, 0]]", "knots: 3", "knots: [[0, x], [1, 1]]", "a: [", "max: 1"):
            knots.write_text(bad, encoding="utf-8")
            refused = await http.post("/curve/reload")
            assert refused.status_code == 422
            assert refused.json()["error"] == "invalid_curve"
            assert good in refused.json()["detail"]
        assert rig.curve.version == good


async def test_a_changed_file_is_loaded_by_itself(rig: Rig, knots: Path) -> None:
    before, stop = rig.curve.version, asyncio.Event()
    watching = asyncio.create_task(watch(rig.service, knots, stop))
    try:
        for _ in range(100):
            replacement = knots.with_suffix(".new")
            replacement.write_text("knots: [[0, 0.1], [1, 0.9]]\n", encoding="utf-8")
            replacement.rename(knots)
            await asyncio.sleep(0.05)
            if rig.curve.version != before:
                break
        assert rig.curve.version != before
    finally:
        stop.set()
        await asyncio.wait_for(watching, 10)


def test_a_service_does_not_start_on_a_bad_curve(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        CurveFile(tmp_path / "none.yaml")


async def test_health_and_metrics(client: Callable[..., Any], rig: Rig) -> None:
    rig.depth()
    await post(client, rig, {"asset": "BTC", "amount_usd": 1, "override_score": 0.5})
    await post(client, rig, {"asset": "BTC", "amount_usd": 1})
    rig.snapshot.connected = True
    async with client(rig.service.handle) as http:
        health = await http.get("/healthz")
        metrics = (await http.get("/metrics")).text
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert 'hedgelock_sizing_requests_total{outcome="ok"} 1.0' in metrics
    assert 'hedgelock_sizing_requests_total{outcome="score_missing"} 1.0' in metrics
    assert "hedgelock_sizing_seconds_count 1.0" in metrics


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/hedge", 405), ("POST", "/healthz", 405), ("GET", "/docs", 404), ("GET", "/openapi.json", 404)],
)
async def test_nothing_else_is_there(client: Callable[..., Any], rig: Rig, method: str, path: str, status: int) -> None:
    async with client(rig.service.handle) as http:
        assert (await http.request(method, path)).status_code == status


async def test_the_gate(client: Callable[..., Any], rig: Rig) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1_000

    async with client(rig.service.handle) as http:
        assert (await http.get("/healthz", headers={"host": "evil.example"})).status_code == 400
        assert (await http.get("/healthz", headers={"host": "localhost:1"})).status_code == 200
        assert (await http.post("/hedge", content=b" " * 70_000)).status_code == 413
        assert (await http.post("/hedge", content=endless())).status_code == 413


async def test_a_bug_shows_no_trace(client: Callable[..., Any]) -> None:
    async def broken(_call: object) -> Any:
        raise RuntimeError("secret detail")

    async with client(broken) as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
