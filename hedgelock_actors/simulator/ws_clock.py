"""The clock socket `/sim/clock?name=N` (simulator-only): mapping changes, lock-step ticks and their acknowledgement,
end.
"""

from hedgelock_actors.simulator.clock import ENDED, RUNNING
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.ws_connection import Connection, encode
from hedgelock_actors.simulator.ws_control import Frame, Session


class ClockSession(Session):
    """One participant, or a mere observer who was not named at the start."""

    def __init__(self, gateway: Gateway, connection: Connection, name: str) -> None:
        super().__init__(gateway, connection)
        self._name = name

    def greet(self) -> None:
        """Tell the mapping now, the last tick when this participant still owes it, and the end when it is past."""
        driver = self.gateway.driver
        self.connection.send(clock_frame(self.gateway))
        number, now = driver.last_tick
        if driver.clock.state == RUNNING and driver.pacing.acked(self._name) < number:
            self.connection.send(tick_frame(number, now))
        if driver.clock.state == ENDED:
            self.connection.send(end_frame(now))

    async def handle(self, frame: Frame) -> None:
        """ack or bye; anything else is ignored."""
        op, number = frame.get("op"), frame.get("n")
        if op == "ack" and isinstance(number, int):
            self.gateway.driver.pacing.acknowledge(self._name, number)
        elif op == "bye":
            self.gateway.driver.pacing.leave(self._name)


def clock_frame(gateway: Gateway) -> bytes:
    """The mapping."""
    return encode({"op": "clock", **gateway.driver.clock_fields()})


def tick_frame(number: int, venue_ms: int) -> bytes:
    """A lock-step market step."""
    return encode({"op": "tick", "n": number, "venue_ms": venue_ms})


def end_frame(venue_ms: int) -> bytes:
    """The end of data."""
    return encode({"op": "end", "venue_ms": venue_ms})
