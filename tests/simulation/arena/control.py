"""The person at the controls: halts, resumes, acknowledges. On record before the effect, as the control API does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgelock_actors.domain.messages import (
    AnyMessage,
    CancelTrade,
    ForeignActivityAcknowledged,
    HedgeTrade,
    TradingStateChanged,
)
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode, TradingState
from hedgelock_actors.ports.journal import Entry

if TYPE_CHECKING:
    from tests.simulation.arena.process import Process
    from tests.simulation.arena.world import SwarmWorld

STREAM = "control"


class Control:
    """`recorded` is the state on record; `confirmed` is True while a halt is in force that the router confirmed."""

    def __init__(self, world: SwarmWorld) -> None:
        self._world = world
        self.recorded: TradingState = INITIAL
        self.confirmed = False

    def set(self, mode: TradingMode, reason: str) -> None:
        """A command. Without the journal there is none."""
        world = self._world
        if world.journal_down:
            return
        state = TradingState(mode, self.recorded.epoch + 1, reason)
        world.loop.create_task(self._record(state), context=world.context)

    async def _record(self, state: TradingState) -> None:
        world, now_ms = self._world, self._world.loop.now_ms
        epoch = await world.store.open(STREAM)
        payload = {"mode": state.mode.value, "epoch": state.epoch, "reason": state.reason}
        entry = Entry(
            kind="trading_state", key=f"trading_state:{state.epoch}", ts_ms=now_ms, account="", payload=payload
        )
        for record in await world.store.append(STREAM, epoch, [entry]):
            world.journalled(record)
        self.recorded = state
        if state.mode is not TradingMode.HALTED:
            self.confirmed = False
        world.witness.fault("halt" if state.mode is TradingMode.HALTED else "resume", state.epoch)
        self._tell(state)

    def _tell(self, state: TradingState) -> None:
        """The latch first, by the lane that never waits; then everybody, by message."""
        world = self._world
        router = world.processes.get("order-router-main")
        if router is not None:
            world.loop.call_soon(self._latch, router, state, context=router.context)
        message = TradingStateChanged(mode=state.mode, epoch=state.epoch, ts_ms=world.loop.now_ms, reason=state.reason)
        for name in ("order-router-main", "treasury"):
            self._send(name, message)

    def _latch(self, router: Process, state: TradingState) -> None:
        in_force = router.latch.set(state)
        if in_force == state and state.mode is TradingMode.HALTED and self.recorded == state:
            self.confirmed = True
            self._world.witness.happened["halt_confirmed"] += 1

    def acknowledge(self) -> None:
        """A person has seen the trades that were not ours."""
        self._send(
            "order-router-main",
            ForeignActivityAcknowledged(
                account="main", ts_ms=self._world.loop.now_ms, who="operator", reason="it was me"
            ),
        )

    def trade(self, message: HedgeTrade | CancelTrade) -> None:
        """An order beside the target, or its end."""
        self._send("order-router-main", message)

    def _send(self, name: str, message: AnyMessage) -> None:
        receiver = self._world.processes.get(name)
        if receiver is not None:
            self._world.loop.call_soon(receiver.take, [message], _nothing, context=receiver.context)


def _nothing() -> None:
    """Nobody waits."""
