"""What all sockets share: reading frames, the lock-step acknowledgement, ping, subscribe, unsubscribe and their
answers.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from aiohttp import WSMsgType
from msgspec import DecodeError

from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.ws_connection import Connection, decode

Frame = Mapping[str, object]


class BadTopic(Exception):
    """A topic that fails its whole batch; the text is what the venue says."""


class Session(ABC):
    """One client on one socket. `serve` reads until it closes."""

    def __init__(self, gateway: Gateway, connection: Connection) -> None:
        self.gateway = gateway
        self.connection = connection

    async def serve(self) -> None:
        """Read frames until the client leaves."""
        async for message in self.connection.socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data
            await self._take(data if isinstance(data, bytes) else str(data).encode())

    async def _take(self, raw: bytes) -> None:
        try:
            frame = decode(raw)
        except DecodeError as error:
            self.refuse("", f"Failed to decode incoming data: {error}", {})
            return
        if not isinstance(frame, dict):
            self.refuse("", "error:invalid op", {})
        elif frame.get("op") == "sim.ack":
            self._acknowledge(frame)
        else:
            await self.handle(frame)

    def _acknowledge(self, frame: Frame) -> None:
        args = frame.get("args")
        if isinstance(args, list) and args and isinstance(args[0], int):
            self.connection.acked = max(self.connection.acked, args[0])
            self.connection.excused = False
            self.gateway.driver.pacing.poke()

    @abstractmethod
    async def handle(self, frame: Frame) -> None:
        """Answer one frame."""

    def refuse(self, op: str, text: str, frame: Frame) -> None:
        """Answer with `success: false`."""
        self.answer(op, success=False, text=text, frame=frame)

    def answer(self, op: str, *, success: bool, text: str, frame: Frame) -> None:
        """The answer form of public and private sockets; req_id comes back in the type that it was sent in."""
        reply: dict[str, object] = {"success": success, "ret_msg": text, "conn_id": self.connection.conn_id}
        if "req_id" in frame:
            reply["req_id"] = frame["req_id"]
        elif self.connection.kind == "linear":
            reply["req_id"] = ""
        reply["op"] = op
        self.connection.send_json(reply)

    async def pause(self) -> None:
        """Wall latency of an answer (none in lock-step)."""
        if self.gateway.latency_s:
            await asyncio.sleep(self.gateway.latency_s)

    def topics(self, frame: Frame, check: Callable[[str], None]) -> list[str] | None:
        """The checked topics of a subscribe frame; None when it was refused as a whole."""
        args = frame.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(topic, str) for topic in args):
            self.refuse("subscribe", "error:args is required", frame)
            return None
        seen: set[str] = set(self.connection.topics)
        for topic in args:
            try:
                check(topic)
            except BadTopic as bad:
                self.refuse("subscribe", str(bad), frame)
                return None
            if topic in seen:
                self.refuse("subscribe", f"error:already subscribed,topic:{topic}", frame)
                return None
            seen.add(topic)
        return args

    def unsubscribe(self, frame: Frame) -> None:
        """Answer an unsubscribe frame; unknown topics are ignored, as on the venue."""
        args = frame.get("args")
        for topic in args if isinstance(args, list) else []:
            self.gateway.hub.unsubscribe(self.connection, str(topic))
        self.answer("unsubscribe", success=True, text="", frame=frame)
