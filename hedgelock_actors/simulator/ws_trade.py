"""The trade socket: orders over WebSocket, with the same limits as REST and answers under the request's own reqId."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import order_entry
from hedgelock_actors.simulator.auth import AuthError, check_window
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.rate_limit import Verdict
from hedgelock_actors.simulator.rest_core import Answer, Call, Refusal
from hedgelock_actors.simulator.ws_connection import Connection
from hedgelock_actors.simulator.ws_control import Frame, Session

_log = logging.getLogger(__name__)
_REMEMBERED_IDS = 10_000
_REQ_ID_MAX = 36
_OPS: Mapping[str, str] = MappingProxyType(
    {
        f"order.{name}": f"/v5/order/{name}"
        for name in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
    }
)
_PARSERS: Mapping[str, Callable[[Call], order_entry.Parsed]] = MappingProxyType(
    {"create": order_entry.parse_place, "amend": order_entry.parse_amend, "cancel": order_entry.parse_cancel}
)


class TradeSession(Session):
    """One order-entry client."""

    def __init__(self, gateway: Gateway, connection: Connection) -> None:
        super().__init__(gateway, connection)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, frame: Frame) -> None:
        """auth, ping, or an order request (served beside the others, so that answers may overtake each other)."""
        op = str(frame.get("op", ""))
        if op in _OPS:
            task = asyncio.create_task(self._serve(op, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        await self.pause()
        if op == "auth":
            self._authenticate(frame)
        elif op == "ping":
            self._control(frame, 0, "OK", "pong", {"data": [str(self.gateway.now_ms())]})
        else:
            self._control(frame, 10404, "op type is not found or category is not correct/supported", op)

    def _control(
        self, frame: Frame, code: int, text: str, op: str, more: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        reply: dict[str, object] = {} if "reqId" not in frame else {"reqId": frame["reqId"]}
        reply |= {"retCode": code, "retMsg": text, "op": op, **more, "connId": self.connection.conn_id}
        self.connection.send_json(reply)

    def refuse(self, op: str, text: str, frame: Frame) -> None:
        """The trade socket's own refusal form."""
        self._control(frame, 10001, text, op)

    def _authenticate(self, frame: Frame) -> None:
        if self.connection.uid:
            self._control(frame, 20001, "Repeat auth", "auth")
            return
        try:
            key = self.gateway.ring.verify_socket(frame.get("args"), self.gateway.clocks())
            if self.gateway.faults.refuses_auth():
                raise AuthError(10004, "Params Error")
        except AuthError as error:
            self._control(frame, error.code, error.message, "auth")
            return
        self.connection.uid = key.uid
        self._control(frame, 0, "OK", "auth")

    async def _serve(self, op: str, frame: Frame) -> None:
        with self.gateway.driver.pacing.serving():
            loop = asyncio.get_running_loop()
            earliest = loop.time() + self.gateway.latency_s + self.gateway.faults.delay_acks_s
            verdict = Verdict(True, 0, 0, self.gateway.now_ms())
            try:
                args = self._check(frame)
                allowed, verdict = self._spend(_OPS[op], args)
                answer = await self._carry_out(op, args, allowed)
            except (AuthError, Refusal) as refused:
                answer = Answer(ret_code=refused.code, ret_msg=refused.message)
            except Exception:  # the edge: the client is told what the venue would tell, the operator all of it
                _log.exception("%s failed", op)
                self.gateway.count("errors")
                answer = Answer(ret_code=10016, ret_msg="Internal server error")
            if not self.gateway.faults.drops_ack():
                await asyncio.sleep(max(0.0, earliest - loop.time()))
                self._reply(op, frame, answer, verdict)

    def _check(self, frame: Frame) -> Mapping[str, object]:
        if self.gateway.faults.restarts_trade():
            raise Refusal(10019, "The trade service is restarting. Please reconnect")
        if not self.connection.uid:
            raise Refusal(10005, "Permission denied, please check your API key permissions.")
        header = frame.get("header")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            raise Refusal(10001, "params error: X-BAPI-TIMESTAMP is required")
        check_window(header["X-BAPI-TIMESTAMP"], header.get("X-BAPI-RECV-WINDOW", ""), self.gateway.clocks())
        self._check_request_id(frame)
        args = frame.get("args")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise Refusal(10001, "params error: args must be one object")
        return args[0]

    def _check_request_id(self, frame: Frame) -> None:
        req_id = str(frame.get("reqId", ""))
        if not req_id:
            return
        if len(req_id) > _REQ_ID_MAX:
            raise Refusal(10001, "params error: reqId invalid")
        if req_id in self._seen:
            raise Refusal(20006, "Duplicate reqId")
        self._seen[req_id] = None
        if len(self._seen) > _REMEMBERED_IDS:
            self._seen.popitem(last=False)

    def _spend(self, path: str, args: Mapping[str, object]) -> tuple[int, Verdict]:
        requests = args.get("request")
        units = len(requests) if isinstance(requests, list) and requests else 1
        granted, verdict = self.gateway.spend(self.connection.uid, path, str(args.get("category", "")), units)
        if not granted:
            self.gateway.count("rate_limited")
        if units == 1 and not granted:
            raise Refusal(10006, "Too many visits. Exceeded the API Rate Limit.")
        return granted, verdict

    async def _carry_out(self, op: str, args: Mapping[str, object], allowed: int) -> Answer:
        name = op.removeprefix("order.")
        call = Call(self.gateway, self.connection.uid, args, via="ws", allowed=allowed)
        if name.endswith("-batch"):
            return await order_entry.batch(call, _PARSERS[name.removesuffix("-batch")], name, allowed)
        return await order_entry.single(call, _PARSERS[name], name)

    def _reply(self, op: str, frame: Frame, answer: Answer, verdict: Verdict) -> None:
        reply: dict[str, object] = {} if "reqId" not in frame else {"reqId": frame["reqId"]}
        reply |= {
            "retCode": answer.ret_code,
            "retMsg": answer.ret_msg,
            "op": op,
            "data": answer.result,
            "retExtInfo": answer.ext,
            "header": {
                **verdict.headers(),
                "Traceid": self.gateway.new_id().replace("-", ""),
                "Timenow": str(self.gateway.now_ms()),
            },
            "connId": self.connection.conn_id,
        }
        self.connection.send_json(reply)
