"""Bad lines to the exchange, of every kind: no order twice, none lost, and all is well again when the line is.

The exchange runs five times faster than real time, so that ten seconds of the venue are two.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count

import pytest

from hedgelock_actors.domain.limits import Limits
from tests.chaos.proxy import Proxy, Way
from tests.chaos.rig import Rig, rig_on
from tests.integration.exchange_process import Running, exchange

pytestmark = pytest.mark.integration
ACCOUNTS = 24
_numbers = count()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with exchange("--ip-limit", "0", "--accounts", str(ACCOUNTS), "--speed", "5") as process:
        yield process


@pytest.fixture
async def unstarted(running: Running) -> AsyncIterator[Rig]:
    async with rig_on(running, next(_numbers)) as made:
        yield made


@pytest.fixture
async def rig(unstarted: Rig) -> Rig:
    await unstarted.start()
    return unstarted


async def test_a_good_line(rig: Rig) -> None:
    await rig.target("0.5")
    await rig.held("0.5")
    await rig.target("0.2")
    await rig.held("0.2")
    assert len(await rig.judged()) == 2


@pytest.mark.parametrize("how", ["reset", "half-open"])
async def test_f02_prices_that_stop_stop_orders_until_they_come_again(rig: Rig, how: str) -> None:
    line, connects = rig.lines.prices, rig.market.counters()["connects"]
    if how == "reset":
        line.refusing = True
        line.reset()
    else:
        line.partition()
    await rig.clock.sleep(Limits().max_quote_age_ms / 1000 + 1)
    await rig.target("0.5")
    await asyncio.sleep(1.0)
    assert await rig.arrivals() == [], "no order on a price that is old"
    line.heal()
    await rig.held("0.5")
    await rig.judged()
    assert 0 < rig.market.counters()["connects"] - connects < 30


async def test_f12_of_an_order_of_which_only_a_part_left_us_one_is_made_under_the_same_id(rig: Rig) -> None:
    rig.lines.account.up = Way(cut_after=40)
    await rig.target("0.5")
    await rig.until("the line is cut", lambda: rig.lines.account.cut > 0)
    rig.lines.account.heal()
    await rig.held("0.5")
    await rig.judged()
    [intent] = await rig.kept("intent")
    outcomes = await rig.kept("outcome")
    assert outcomes[0]["outcome"] == "unknown"
    assert {one["order_link_id"] for one in outcomes} == {intent["order_link_id"]}


async def test_f13_an_order_whose_answer_is_lost_is_adopted(rig: Rig) -> None:
    rig.lines.account.down = Way(deaf=True)
    await rig.target("0.5")
    await rig.held("0.5")
    rig.lines.account.heal()
    assert len(await rig.judged()) == 1
    assert [one["outcome"] for one in await rig.kept("outcome")] == ["unknown"]


async def test_f19_an_answer_that_breaks_off_says_nothing(unstarted: Rig) -> None:
    unstarted.rules = replace(unstarted.rules, socket=False)
    await unstarted.start()
    unstarted.lines.rest.down = Way(cut_after=100)
    await unstarted.target("0.5")
    await unstarted.held("0.5")
    unstarted.lines.rest.heal()
    assert len(await unstarted.judged()) == 1
    assert (await unstarted.kept("outcome"))[0]["outcome"] == "unknown"


async def test_f35_fills_that_the_stream_could_not_tell_are_found_by_query(rig: Rig) -> None:
    """Without any socket the order goes by REST, and REST alone tells of its fill."""
    rig.lines.account.refusing = True
    rig.lines.account.reset()
    await rig.until("the loss is noticed", lambda: rig.router.health().status == "degraded")
    await rig.until("reconciled by query", lambda: rig.router.health().status == "ready")
    await rig.target("0.5")
    await rig.held("0.5")
    assert rig.lines.account.refused > 0
    rig.lines.account.heal()
    await rig.target("0.8")
    await rig.held("0.8")
    await rig.judged()


@pytest.mark.parametrize("pair", ["rest", "account", "prices"])
async def test_f64_one_line_alone_is_cut_while_targets_change(rig: Rig, pair: str) -> None:
    line: Proxy = getattr(rig.lines, pair)
    await rig.target("0.3")
    line.partition()
    await rig.target("0.6")
    await asyncio.sleep(1.5)
    await rig.target("0.9")
    await asyncio.sleep(0.5)
    line.heal()
    await rig.held("0.9")
    await rig.judged()


async def test_lines_that_are_late_slow_and_in_crumbs_change_nothing(rig: Rig) -> None:
    for line in (rig.lines.rest, rig.lines.account):
        line.up = Way(latency_s=0.02, jitter_s=0.03, crumb_bytes=50)
        line.down = Way(latency_s=0.02, jitter_s=0.03, crumb_bytes=200, bytes_per_s=300_000)
    await rig.target("0.5")
    await rig.held("0.5")
    await rig.target("0.1")
    await rig.held("0.1")
    await rig.judged()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_f64_a_storm_on_all_lines(rig: Rig, seed: int) -> None:
    """About twelve seconds of faults of every kind while the target rises; then good lines."""
    rng = random.Random(seed)
    qty = 0
    for _ in range(12):
        line = rng.choice([rig.lines.rest, rig.lines.account, rig.lines.account, rig.lines.prices])
        match rng.randrange(6):
            case 0:
                line.reset()
            case 1:
                line.partition()
            case 2:
                line.up = Way(cut_after=rng.randrange(400))
            case 3:
                line.down = Way(cut_after=rng.randrange(400))
            case 4:
                line.down = Way(deaf=True)
            case _:
                line.up = line.down = Way(jitter_s=0.1, crumb_bytes=rng.randrange(10, 300))
        qty += rng.randrange(3)
        await rig.target(f"{0.1 * qty:.1f}")
        await asyncio.sleep(rng.uniform(0.3, 1.5))
        if rng.random() < 0.5:
            rig.lines.heal()
    lines = (rig.lines.rest, rig.lines.account, rig.lines.prices)
    assert sum(line.cut + line.swallowed for line in lines) > 0, "the storm was none"
    rig.lines.heal()
    await rig.held(f"{0.1 * qty:.1f}")
    await rig.judged()
