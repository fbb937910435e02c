"""The private socket: authentication, then orders, executions, positions, wallet and disconnect protection of one
account.
"""

from hedgelock_actors.simulator import dcp
from hedgelock_actors.simulator.auth import AuthError
from hedgelock_actors.simulator.ws_control import BadTopic, Frame, Session

_NAMES = ("order", "execution", "execution.fast", "position")
_CATEGORIES = ("spot", "linear", "inverse", "option")
TOPICS = frozenset(
    (*_NAMES, *(f"{name}.{category}" for name in _NAMES for category in _CATEGORIES), "wallet", "greeks")
)


class PrivateSession(Session):
    """One private subscriber."""

    async def handle(self, frame: Frame) -> None:
        """auth, subscribe, unsubscribe or ping."""
        await self.pause()
        op = frame.get("op")
        if op == "auth":
            await self._authenticate(frame)
        elif op == "ping":
            self._pong(frame)
        elif op in ("subscribe", "unsubscribe") and not self.connection.uid:
            self.refuse(str(op), "Request not authorized", frame)
        elif op == "subscribe":
            self._subscribe(frame)
        elif op == "unsubscribe":
            self.unsubscribe(frame)
        else:
            self.refuse(str(op or ""), "error:invalid op", frame)

    async def _authenticate(self, frame: Frame) -> None:
        if self.connection.uid:
            self.refuse("auth", "Repeat auth", frame)
            return
        try:
            key = self.gateway.ring.verify_socket(frame.get("args"), self.gateway.clocks())
            if self.gateway.faults.refuses_auth():
                raise AuthError(10004, "Params Error")
        except AuthError as error:
            self.refuse("auth", error.message, frame)
            return
        self.connection.uid = key.uid
        self.answer("auth", success=True, text="", frame=frame)

    def _pong(self, frame: Frame) -> None:
        reply: dict[str, object] = {} if "req_id" not in frame else {"req_id": frame["req_id"]}
        reply |= {"op": "pong", "args": [str(self.gateway.now_ms())], "conn_id": self.connection.conn_id}
        self.connection.send_json(reply)

    def _subscribe(self, frame: Frame) -> None:
        topics = self.topics(frame, _check)
        if topics is None:
            return
        uid = self.connection.uid
        self.gateway.driver.catch_up()
        for topic in topics:
            self.gateway.hub.subscribe(self.connection, topic, f"{uid}/{topic}")
            if topic in dcp.TOPICS:
                self.gateway.dcp.armed(uid)
        self.answer("subscribe", success=True, text="", frame=frame)

    def closed(self) -> None:
        """The socket is gone: disconnect protection begins to count."""
        if self.connection.uid and dcp.TOPICS & self.connection.topics.keys():
            self.gateway.dcp.lost(self.connection.uid, self.gateway.now_ms())


def _check(topic: str) -> None:
    if topic not in TOPICS and topic not in dcp.TOPICS:
        raise BadTopic(f"error:handler not found,topic:{topic}")
