"""What every cache must do, in memory and in Redis alike."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.redis.cache import RedisCache
from hedgelock_actors.adapters.redis.embedded import EmbeddedRedis
from hedgelock_actors.ports.cache import Cache, CacheUnavailable
from tests.services import running_redis, scratch

NOT_OBJECTS = ("", "{", "null", "3", '"text"', "[1]", '{"score": NaN}', '{"score": Infinity}', "[" * 100_000)
Put = Callable[[str, str], Awaitable[object]]
_names = itertools.count()


@dataclass(frozen=True)
class Case:
    """A cache, and how another program writes to the same one."""

    cache: MemoryCache | RedisCache
    set_text: Put
    publish_text: Put


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with running_redis() as made:
        yield made


@pytest.fixture(params=["memory", "redis"])
async def case(request: pytest.FixtureRequest, server: EmbeddedRedis) -> AsyncIterator[Case]:
    if request.param == "memory":
        memory = MemoryCache()
        yield Case(memory, memory.set_text, memory.publish_text)
        return
    cache = RedisCache(server.url)
    async with Redis.from_url(server.url) as other:
        yield Case(cache, other.set, other.publish)
    await cache.close()


@pytest.fixture
def key() -> str:
    return f"sentiment:{next(_names)}"


@asynccontextmanager
async def listening(cache: Cache, *channels: str) -> AsyncIterator[list[tuple[str, Mapping[str, object]]]]:
    """What arrives. The subscription stands when this is entered."""
    heard: list[tuple[str, Mapping[str, object]]] = []
    ready = asyncio.Event()

    async def listen() -> None:
        async for channel, value in cache.subscribe(*channels, "ready"):
            if channel == "ready":
                ready.set()
            else:
                heard.append((channel, value))

    task = asyncio.create_task(listen())
    while not ready.is_set():
        await cache.publish("ready", {})
        await asyncio.sleep(0.01)
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


async def test_a_value_comes_back_and_is_replaced(case: Case, key: str) -> None:
    assert await case.cache.get(key) is None
    value = {"score": 0.25, "ts_ms": 1_700_000_000_000, "deep": {"λ": [1, None, "x"]}}
    await case.cache.set(key, value)
    assert await case.cache.get(key) == value
    await case.cache.set(key, {"score": 1})
    assert await case.cache.get(key) == {"score": 1}


async def test_what_was_given_and_what_was_read_are_copies(case: Case, key: str) -> None:
    value: dict[str, object] = {"list": [1]}
    await case.cache.set(key, value)
    value["list"] = []
    read = await case.cache.get(key)
    assert read == {"list": [1]}


async def test_a_value_with_a_time_to_live_goes(case: Case, key: str) -> None:
    await case.cache.set(key, {"n": 1}, ttl_s=0.05)
    assert await case.cache.get(key) == {"n": 1}
    await asyncio.sleep(0.08)
    assert await case.cache.get(key) is None
    await case.cache.set(key, {"n": 2}, ttl_s=0.05)
    await case.cache.set(key, {"n": 3})
    await asyncio.sleep(0.08)
    assert await case.cache.get(key) == {"n": 3}


@pytest.mark.parametrize("text", NOT_OBJECTS, ids=lambda text: text[:12])
async def test_a_value_that_is_no_object_is_no_value_and_is_counted(case: Case, key: str, text: str) -> None:
    await case.set_text(key, text)
    assert await case.cache.get(key) is None
    assert case.cache.skipped == 1


async def test_nan_is_not_written(case: Case, key: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        await case.cache.set(key, {"score": math.nan})
    with pytest.raises(ValueError, match="JSON"):
        await case.cache.publish(key, {"score": math.inf})
    assert await case.cache.get(key) is None


async def test_messages_reach_every_subscriber_of_the_channel_in_order(case: Case) -> None:
    async with listening(case.cache, "depth", "other") as one, listening(case.cache, "depth") as two:
        for n in range(50):
            await case.cache.publish("depth", {"n": n})
        await case.cache.publish("other", {"n": -1})
        await case.cache.publish("nobody", {"n": -2})
        await until(lambda: len(one) == 51 and len(two) == 50)
        assert [value["n"] for channel, value in one if channel == "depth"] == list(range(50))
        assert two == [("depth", {"n": n}) for n in range(50)]


async def test_what_is_no_object_is_skipped_and_the_rest_arrives(case: Case) -> None:
    async with listening(case.cache, "scores") as heard:
        for text in NOT_OBJECTS:
            await case.publish_text("scores", text)
        await case.publish_text("scores", '{"score": 0.5}')
        await until(lambda: bool(heard))
        assert heard == [("scores", {"score": 0.5})]
        assert case.cache.skipped == len(NOT_OBJECTS)


async def test_without_redis_every_call_says_so_quickly() -> None:
    cache = RedisCache("unix://:secret@/nonexistent/redis.sock")
    for call in (cache.get("k"), cache.set("k", {}), cache.publish("c", {})):
        with pytest.raises(CacheUnavailable) as caught:
            await asyncio.wait_for(call, 3)
        assert "secret" not in str(caught.value)
    await cache.close()
    memory = MemoryCache()
    memory.available = False
    for call in (memory.get("k"), memory.set("k", {}), memory.publish("c", {})):
        with pytest.raises(CacheUnavailable):
            await call


async def test_a_key_of_another_type_is_an_error_of_the_cache(server: EmbeddedRedis, key: str) -> None:
    cache = RedisCache(server.url)
    async with Redis.from_url(server.url) as other:
        await other.rpush(key, "x")
    with pytest.raises(CacheUnavailable, match="WRONGTYPE"):
        await cache.get(key)
    await cache.close()


async def test_values_and_subscriptions_outlive_a_kill_of_the_server(server: EmbeddedRedis, key: str) -> None:
    cache = RedisCache(server.url)
    await cache.set(key, {"n": 1})
    await asyncio.sleep(1.2)  # the file is synced every second
    async with listening(cache, "depth") as heard:
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.pid() is None)
        with pytest.raises(CacheUnavailable):
            await cache.set(key, {"n": 2})
        await server.start()
        assert await cache.get(key) == {"n": 1}
        for n in range(1_000):
            await cache.publish("depth", {"n": n})
            await asyncio.sleep(0.01)
            if heard:
                break
        assert heard
        assert cache.reconnects >= 1
    await cache.close()


async def test_closing_ends_subscriptions(server: EmbeddedRedis) -> None:
    cache = RedisCache(server.url)

    async def listen() -> None:
        async for _ in cache.subscribe("silence"):
            raise AssertionError("nobody spoke")

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.05)
    await cache.close()
    await asyncio.wait_for(task, 3)


async def test_a_stopped_server_starts_again_with_its_values_and_its_address(server: EmbeddedRedis, key: str) -> None:
    url = server.url
    cache = RedisCache(url)
    await cache.set(key, {"n": 1})
    await server.stop()
    assert server.pid() is None
    await server.stop()
    again = EmbeddedRedis(server.home.parent)
    await asyncio.gather(again.start(), again.start(), server.start())
    assert again.url == url
    assert again.pid() == server.pid() is not None
    assert await cache.get(key) == {"n": 1}
    await cache.close()


async def test_the_server_asks_for_the_password_and_listens_on_no_network(server: EmbeddedRedis) -> None:
    for password in (None, "wrong"):
        never = Retry(NoBackoff(), 0)
        async with Redis(unix_socket_path=str(server.socket), password=password, retry=never) as stranger:
            with pytest.raises(RedisError, match=r"authenticat|password"):
                await stranger.get("k")
    pid = server.pid()
    assert pid is not None
    assert psutil.Process(pid).net_connections("inet") == []
    for name in ("secrets.json", "redis.conf"):
        assert stat.S_IMODE((server.home / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700


async def test_a_deep_state_directory_gets_a_short_socket() -> None:
    with scratch() as state:
        server = EmbeddedRedis(state / ("deep-" * 20) / 'with space and "quote"')
        try:
            await server.start()
            cache = RedisCache(server.url)
            await cache.set("k", {"n": 1})
            assert await cache.get("k") == {"n": 1}
            await cache.close()
        finally:
            await server.stop()
            server.socket.parent.rmdir()
