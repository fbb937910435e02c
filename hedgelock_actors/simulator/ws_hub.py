"""Who listens to what. A frame is encoded once and queued for everyone who subscribed."""

from collections.abc import Iterable

from hedgelock_actors.simulator.pacing import Pacing
from hedgelock_actors.simulator.ws_connection import Connection


class Hub:
    """Connections, and subscriptions under keys like `linear/tickers.BTCUSDT` or `8001/order`."""

    def __init__(self, pacing: Pacing) -> None:
        self.connections: dict[Connection, None] = {}
        self._pacing = pacing
        self._topics: dict[str, dict[Connection, None]] = {}

    def add(self, connection: Connection) -> None:
        """A socket was opened."""
        self.connections[connection] = None
        if connection.pace and connection.kind != "clock":
            self._pacing.streams.add(connection)

    def remove(self, connection: Connection) -> None:
        """A socket is gone, with its subscriptions."""
        self.connections.pop(connection, None)
        self._pacing.streams.discard(connection)
        for key in connection.topics.values():
            self._forget(key, connection)
        self._pacing.poke()

    def subscribe(self, connection: Connection, topic: str, key: str) -> None:
        """`connection` wants what is published under `key`; it knows it as `topic`."""
        connection.topics[topic] = key
        self._topics.setdefault(key, {})[connection] = None

    def unsubscribe(self, connection: Connection, topic: str) -> bool:
        """False when `topic` was not subscribed."""
        key = connection.topics.pop(topic, None)
        if key is None:
            return False
        self._forget(key, connection)
        return True

    def _forget(self, key: str, connection: Connection) -> None:
        listeners = self._topics.get(key)
        if listeners is not None:
            listeners.pop(connection, None)
            if not listeners:
                del self._topics[key]

    def wanted(self, key: str) -> bool:
        """True when anyone listens to `key`."""
        return key in self._topics

    def listeners(self) -> dict[str, int]:
        """How many listen under each key."""
        return {key: len(listeners) for key, listeners in self._topics.items()}

    def publish(self, key: str, frame: bytes) -> None:
        """Queue `frame` for all listeners of `key`."""
        for connection in self._topics.get(key, ()):
            connection.send(frame)

    def of_kind(self, kinds: Iterable[str]) -> list[Connection]:
        """Open connections of some kinds."""
        wanted = frozenset(kinds)
        return [connection for connection in self.connections if connection.kind in wanted]
