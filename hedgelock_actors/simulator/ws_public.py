"""Public market data sockets: `/v5/public/linear`, `/v5/public/spot`, and `/v5/public/misc/status`."""

from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.ws_connection import Connection
from hedgelock_actors.simulator.ws_control import BadTopic, Frame, Session
from hedgelock_actors.simulator.ws_feed import DEPTHS, INTERVALS, PublicFeed

_PLAIN = frozenset(("tickers", "publicTrade", "allLiquidation", "priceLimit"))
_SPOT_ARGS_MAX = 10
_ARGS_CHARACTERS_MAX = 21_000


class PublicSession(Session):
    """One public subscriber."""

    def __init__(self, gateway: Gateway, connection: Connection, feed: PublicFeed) -> None:
        super().__init__(gateway, connection)
        self._feed = feed

    async def handle(self, frame: Frame) -> None:
        """subscribe, unsubscribe or ping."""
        await self.pause()
        op = frame.get("op")
        if op == "subscribe":
            self._subscribe(frame)
        elif op == "unsubscribe":
            self.unsubscribe(frame)
        elif op == "ping":
            self.answer("ping", success=True, text="pong", frame=frame)
        else:
            self.refuse(str(op or ""), "error:invalid op", frame)

    def _subscribe(self, frame: Frame) -> None:
        args = frame.get("args")
        if self.connection.kind == "spot" and isinstance(args, list) and len(args) > _SPOT_ARGS_MAX:
            self.refuse("subscribe", f"args size >{_SPOT_ARGS_MAX}", frame)
            return
        topics = self.topics(frame, self._check)
        if topics is None:
            return
        if sum(map(len, (*topics, *self.connection.topics))) > _ARGS_CHARACTERS_MAX:
            self.refuse("subscribe", f"error:args length exceeds {_ARGS_CHARACTERS_MAX}", frame)
            return
        self.answer("subscribe", success=True, text="subscribe" if self.connection.kind == "spot" else "", frame=frame)
        now = self.gateway.driver.catch_up()
        for topic in topics:
            first_frames = self._feed.first_frames(self.connection.kind, topic, now)
            if not self.gateway.faults.delta_first:
                for first in first_frames:
                    self.connection.send(first)
            self.gateway.hub.subscribe(self.connection, topic, f"{self.connection.kind}/{topic}")

    def _check(self, topic: str) -> None:
        name, _, rest = topic.partition(".")
        if self.connection.kind == "status":
            known = topic == "system.status"
        elif self.connection.kind == "spot":
            known = name == "tickers" and rest in self.gateway.symbols
        elif name == "orderbook":
            depth, _, symbol = rest.partition(".")
            known = depth in map(str, DEPTHS) and symbol in self.gateway.symbols
        elif name == "kline":
            interval, _, symbol = rest.partition(".")
            known = interval in INTERVALS and symbol in self.gateway.symbols
        else:
            known = name in _PLAIN and rest in self.gateway.symbols
        if not known:
            raise BadTopic(f"error:handler not found,topic:{topic}")
