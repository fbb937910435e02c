"""The bad line itself: it does what it is told, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.proxy import Address, Proxy, Way


@asynccontextmanager
async def echo(listen: Address = ("127.0.0.1", 0)) -> AsyncIterator[Address]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    if isinstance(listen, str):
        async with await asyncio.start_unix_server(answer, listen):
            yield listen
        return
    async with await asyncio.start_server(answer, *listen) as server:
        yield ("127.0.0.1", server.sockets[0].getsockname()[1])


@asynccontextmanager
async def line(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_it_hands_on_whole_and_in_order_in_crumbs_and_slowly() -> None:
    async with echo() as target, Proxy(target) as proxy, line(proxy) as (reader, writer):
        proxy.up, proxy.down = Way(crumb_bytes=3, bytes_per_s=50_000), Way(latency_s=0.05, jitter_s=0.02)
        began = time.monotonic()
        said = bytes(range(256)) * 8
        writer.write(said)
        assert await reader.readexactly(len(said)) == said
        assert time.monotonic() - began >= 0.05 + len(said) / 50_000 * 0.9
        assert proxy.carried == {"up": len(said), "down": len(said)}


async def test_a_deaf_way_swallows_and_healing_resets_what_lost_bytes() -> None:
    async with echo() as target, Proxy(target) as proxy:
        async with line(proxy) as (reader, writer):
            proxy.down = Way(deaf=True)
            writer.write(b"heard, and never answered")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.read(1)
            assert proxy.swallowed == 25
            assert proxy.lines == 1, "half-open: nobody was told"
            proxy.heal()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        async with line(proxy) as (reader, writer):
            writer.write(b"again")
            assert await reader.readexactly(5) == b"again"


async def test_it_cuts_after_so_many_bytes() -> None:
    async with echo() as target, Proxy(target) as proxy, line(proxy) as (reader, writer):
        proxy.down = Way(cut_after=7)
        writer.write(b"0123456789")
        assert await reader.readexactly(7) == b"0123456"
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert proxy.cut == 1


async def test_it_refuses_and_resets() -> None:
    async with echo() as target, Proxy(target) as proxy:
        async with line(proxy) as (reader, writer):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        proxy.refusing = True
        with pytest.raises(ConnectionResetError):
            async with line(proxy) as (reader, writer):
                await reader.read(1)
        assert (proxy.accepted, proxy.refused) == (1, 1)


async def test_unix_sockets_too(tmp_path: Path) -> None:
    there, here = str(tmp_path / "there"), str(tmp_path / "here")
    async with echo(there) as target, Proxy(target, here) as proxy:
        reader, writer = await asyncio.open_unix_connection(here)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        proxy.reset()
        assert await reader.read(1) == b""
        writer.close()
