"""Short stories of a router, each with the calls to the outside that a whole day is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import Side
from tests.crash.checkers import judge
from tests.crash.router_world import RouterWorld

Story = Callable[[RouterWorld], Awaitable[None]]
QUIET_S = 25
"""After the end: longer than a send is kept from being repeated."""


async def growth(world: RouterWorld) -> None:
    """A target that fills in two parts, and another while the first may still be under way."""
    world.venue.depth = [Decimal("0.6")]
    await _begin(world)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.seconds(2)
    await world.target("1.75", RiskLevel.CRITICAL)
    await _end(world, "1.75")


async def profit(world: RouterWorld) -> None:
    """A short of which a part is closed and opened again to realise its profit."""
    world.bought = Decimal("0.5")
    await _begin(world)
    await world.target("1.2", RiskLevel.CRITICAL)
    await world.held("1.2")
    await world.realise("0.5")
    await world.until("profit realised", lambda: sum(one.qty for one in world.venue.executed) >= Decimal("1.7"))
    await _end(world, "1.2")


async def halting(world: RouterWorld) -> None:
    """Trading is halted between a record and its order; then less protection is wanted."""
    world.bought = Decimal("0.6")
    await _begin(world)
    world.halt_after("intent", 1)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.seconds(3)
    await world.resume()
    await world.held("1.0")
    await world.target("0.4", RiskLevel.CRITICAL)
    await _end(world, "0.4")


async def unleased(world: RouterWorld) -> None:
    """The lease runs out between a record and its order, and is renewed later."""
    await _begin(world)
    world.unlease_after("intent", 1)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.seconds(3)
    world.lease_again()
    await _end(world, "1.0")


async def trade(world: RouterWorld) -> None:
    """A trade beside the target, and another that takes most of it back."""
    world.bought, world.beside = Decimal("0.2"), Decimal("0.1")
    await _begin(world)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.held("1.0")
    await world.trade("a", Side.SELL, "0.3")
    await world.held("1.3")
    await world.trade("b", Side.BUY, "0.2")
    await _end(world, "1.1")


async def silence(world: RouterWorld) -> None:
    """Of one order nothing arrives, of the next the answer is lost."""
    world.venue.answers = ["lost", "unanswered"]
    await _begin(world)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.seconds(2)
    await world.target("1.5", RiskLevel.CRITICAL)
    await _end(world, "1.5")


async def vanished(world: RouterWorld) -> None:
    """An order that never arrived is not needed any more; when that is certain, it stands in nobody's way."""
    world.venue.answers = ["lost"]
    await _begin(world)
    await world.target("1.0", RiskLevel.CRITICAL)
    await world.seconds(2)
    await world.target("0", RiskLevel.CRITICAL)
    await world.seconds(90, step=5)
    await world.target("0.8", RiskLevel.CRITICAL)
    await _end(world, "0.8")


async def wide(world: RouterWorld) -> None:
    """No limit order fills: each intent takes all its limit attempts and a market order."""
    world.venue.wide = True
    limits = replace(world.policy.limits, orders_per_minute=100, critical_orders_per_minute=100)
    world.policy = replace(world.policy, limits=limits)
    await _begin(world)
    await world.target("1.0", RiskLevel.CRITICAL)
    await _end(world, "1.0")


async def resting(world: RouterWorld) -> None:
    """Part of an order rests, follows the price, and is taken back when the level turns critical."""
    await _begin(world)
    await world.target("1.0", RiskLevel.CAUTION)
    await world.seconds(2)
    world.venue.mid -= 50
    await world.seconds(3)
    await world.target("1.4", RiskLevel.CRITICAL)
    await _end(world, "1.4")


async def recall(world: RouterWorld) -> None:
    """What rests is not wanted any more. (A successor may have worked part of it at once before.)"""
    world.or_more = Decimal("0.5")
    await _begin(world)
    await world.target("1.0", RiskLevel.CAUTION)
    await world.seconds(2)
    await world.target("0.5", RiskLevel.CAUTION)
    await _end(world, "0.5")


STORIES: Mapping[str, Story] = MappingProxyType(
    {
        "growth": growth,
        "profit": profit,
        "halting": halting,
        "unleased": unleased,
        "trade": trade,
        "silence": silence,
        "vanished": vanished,
        "wide": wide,
        "resting": resting,
        "recall": recall,
    }
)


async def _begin(world: RouterWorld) -> None:
    await world.boot()
    await world.seconds(1)


async def _end(world: RouterWorld, qty: str) -> None:
    await world.held(qty)
    await world.seconds(QUIET_S, step=5)


class RouterPlay(RouterWorld):
    """A router's world with a story to play in it."""

    def __init__(self, story: Story, lag_ms: int = 0, fuses: Sequence[int] = ()) -> None:
        super().__init__(lag_ms, fuses)
        self._story = story

    async def play(self) -> None:
        """The story, to its end."""
        await self._story(self)

    async def judged(self) -> list[str]:
        """See checkers."""
        return await judge(self)
