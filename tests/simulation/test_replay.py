"""The whole loop in one process: a price path in, a protected loan out, judged by the exchange's own truth."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.simulator import api
from hedgelock_actors.simulator.price_files import read_bars, read_scenario
from hedgelock_actors.simulator.prices import BarPath
from tests.simulation.world import ACCOUNT, KEEPER, NAMES, ROUTER, TREASURY, World

SCENARIOS = Path(__file__).resolve().parents[2] / "configs" / "scenarios"
Hook = Callable[[World], Awaitable[None]]


def scenario(name: str, seed: int = 1) -> BarPath:
    return read_scenario(SCENARIOS / f"{name}.yaml").path(seed, 12)


async def run(world: World) -> World:
    await world.start()
    await world.run()
    return world


def protected(world: World) -> None:
    """What must hold in every run, whatever was broken in it."""
    report = world.report()
    assert report["max_lender_ltv"] <= 0.50
    assert report["loan_liquidated"] is False
    assert report["short_liquidated"] is False
    assert report["duplicate_orders"] == 0
    assert world.journalled(ROUTER, "execution") == len(world.exchange.executions("100001"))
    for name, actor in world.actors.items():
        assert actor.health().status == "ready", (name, actor.health())
        assert actor.health().counters.get("errors", 0) == 0, (name, actor.health())


async def chains(world: World) -> int:
    return sum([await world.journal.verify(name) for name in await world.journal.streams()])


async def test_a_crash_is_survived_with_the_lender_never_near_his_limit() -> None:
    world = await run(World(scenario("crash")))
    protected(world)
    report = world.report()
    assert report["max_lender_ltv"] < 0.464
    assert report["repaid_usdt"] > 50_000
    assert report["fees_usdt"] / report["start_debt_usdt"] < 0.0027
    assert world.journalled(TREASURY, "repay_done") == world.journalled(KEEPER, "sweep_booked") > 0
    assert await chains(world) > 100


async def test_without_hedgelock_the_same_crash_takes_the_loan_far_beyond_the_ceiling() -> None:
    world = World(scenario("crash"))
    await world.run()
    assert world.report()["max_lender_ltv"] > 0.7


async def test_a_rally_costs_margin_and_loses_neither_short_nor_loan() -> None:
    world = await run(World(scenario("rally")))
    protected(world)
    assert world.report()["min_account_margin_ratio"] > 5


async def test_a_spread_that_no_limit_crosses_delays_the_hedge_and_does_not_prevent_it() -> None:
    # 1.2 %: the touch lies 60 bps from the mid, and the cap of a limit is 50.
    world = await run(World(scenario("crash"), book=api.BookShape(spread_bps=120.0)))
    protected(world)
    orders = [json.loads(row.payload) for row in world.journal.rows(ROUTER) if row.kind == "intent"]
    kinds = {one["order_link_id"]: one["order_type"] for one in orders}
    takers = [one for one in world.exchange.executions("100001") if one.order_link_id and not one.is_maker]
    assert {kinds[one.order_link_id] for one in takers} == {"Market"}
    assert len(orders) > 10
    assert world.report()["max_lender_ltv"] < 0.47


async def test_equal_runs_are_equal_to_the_last_digit() -> None:
    one, two = await run(World(scenario("crash"))), await run(World(scenario("crash")))
    assert one.report() == two.report()
    assert one.journal.rows(ROUTER) == two.journal.rows(ROUTER)
    assert one.journal.rows(KEEPER) == two.journal.rows(KEEPER)


@pytest.mark.parametrize("name", NAMES)
async def test_f47_kill_9_of_any_actor_at_any_time_changes_nothing_that_matters(name: str) -> None:
    async def kill(world: World) -> None:
        await world.kill(name)

    world = await run(World(scenario("crash"), hooks=dict.fromkeys(range(50, 2150, 97), kill)))
    assert world.restarts > 15
    protected(world)
    assert world.report()["max_lender_ltv"] < 0.47


async def test_f51_all_actors_killed_at_once_come_back_to_the_same_position() -> None:
    async def kill_all(world: World) -> None:
        for name in NAMES:
            await world.kill(name)

    world = await run(World(scenario("crash"), hooks=dict.fromkeys(range(300, 2100, 300), kill_all)))
    protected(world)


async def test_lost_requests_and_lost_answers_make_no_second_order() -> None:
    async def lose(world: World) -> None:
        world.faults.lose_answer += 1

    async def lose_request(world: World) -> None:
        world.faults.lose_request += 1

    hooks: dict[int, Hook] = {
        **dict.fromkeys(range(20, 2100, 150), lose),
        **dict.fromkeys(range(95, 2100, 150), lose_request),
    }
    world = await run(World(scenario("crash"), hooks=hooks))
    assert world.faults.happened["lose_answer"] > 3
    assert world.faults.happened["lose_request"] > 3
    assert world.report()["max_lender_ltv"] <= 0.50
    assert world.report()["duplicate_orders"] == 0
    assert world.report()["loan_liquidated"] is False


async def test_failing_queries_and_cut_streams_are_made_good() -> None:
    async def cut(world: World) -> None:
        world.faults.fail_query += 3
        await world.cut_streams()

    async def mend(world: World) -> None:
        await world.mend_streams()

    hooks: dict[int, Hook] = dict.fromkeys(range(40, 2100, 50), cut)
    hooks |= dict.fromkeys(range(65, 2100, 50), mend)
    world = await run(World(scenario("crash"), hooks=hooks))
    assert world.faults.happened["fail_query"] > 20
    assert world.missed > 10
    protected(world)


async def test_without_a_journal_nothing_is_sent_and_with_it_everything_is_made_good() -> None:
    async def off(world: World) -> None:
        world.journal.available = False
        world.orders_then = world.report()["orders"]

    async def on(world: World) -> None:
        assert world.report()["orders"] == world.orders_then
        world.journal.available = True

    world = await run(World(scenario("crash"), hooks={200: off, 320: on}))
    protected(world)


async def test_a_halt_keeps_the_hedge_and_sends_nothing() -> None:
    async def halt(world: World) -> None:
        world.latch.set(TradingState(TradingMode.HALTED, 1, "rehearsal"))
        world.orders_then = world.report()["orders"]

    async def resume(world: World) -> None:
        assert world.report()["orders"] == world.orders_then
        assert world.report()["positions"]["BTCUSDT"] < 0
        world.latch.set(TradingState(TradingMode.ACTIVE, 2, "over"))

    world = await run(World(scenario("crash"), hooks={400: halt, 520: resume}))
    protected(world)


@pytest.mark.data
@pytest.mark.slow
async def test_black_thursday_afternoon(shared_data: Callable[[str], Path]) -> None:
    bars = read_bars(shared_data("btcusdt-spot-binance_1m_2020-03-12_black-thursday.parquet"))
    from_ms = int(datetime(2020, 3, 12, 8, tzinfo=UTC).timestamp() * 1000)
    world = await run(World(BarPath(bars, 1, 12, from_ms, from_ms + 19 * 3_600_000)))
    protected(world)
    assert world.report()["max_lender_ltv"] < 0.47
    assert ACCOUNT in str(world.actors[TREASURY].snapshot())
