"""What a rehearsal can break on the running server. Every switch is off until `POST /sim/fault` sets it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class ServerFaults:
    """`next_rest`: path fragment → faults for the next matching requests, first come first served. Times are wall
    seconds.
    """

    next_rest: dict[str, list[str]] = field(default_factory=dict)
    drop_trade_acks: int = 0
    delay_acks_s: float = 0.0
    refuse_until_s: float = 0.0
    duplicate_private: bool = False
    reset_past: bool = False
    refuse_auths: int = 0
    trade_restarts: int = 0
    delta_first: bool = False
    refusals: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """create, amend or cancel → codes with which the next such requests are refused, not carried out."""
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """The same, for requests that are carried out all the same."""
    delay_rest_s: float = 0.0
    """Answers to REST order requests are late by so much."""
    reorder_private: bool = False
    forgotten_ms: int = 0
    """`order/realtime` shows no order that was closed up to then: the service has restarted."""

    def take(self, path: str) -> str:
        """The fault for this request, "" for none; it is used up."""
        for fragment, queue in self.next_rest.items():
            if fragment in path and queue:
                return queue.pop(0)
        return ""

    def refused(self, op: str) -> tuple[int, str] | None:
        """Code and text with which this request (`create`, `create-batch`, …) is to be refused; it is used up."""
        return _next(self.refusals, op)

    def answered(self, op: str) -> tuple[int, str] | None:
        """Code and text that this request is to be answered with, though it was carried out; it is used up."""
        return _next(self.answers, op)

    def refusing(self, now_s: float) -> bool:
        """True while new WebSocket connections are refused."""
        return now_s < self.refuse_until_s

    def refuses_auth(self) -> bool:
        """True when this authentication is to fail though it is right."""
        if self.refuse_auths <= 0:
            return False
        self.refuse_auths -= 1
        return True

    def restarts_trade(self) -> bool:
        """True when this trade request meets a service that restarts: answered 10019, not carried out."""
        if self.trade_restarts <= 0:
            return False
        self.trade_restarts -= 1
        return True

    def drops_ack(self) -> bool:
        """True when this trade-socket answer is to be lost."""
        if self.drop_trade_acks <= 0:
            return False
        self.drop_trade_acks -= 1
        return True


def _next(scripts: dict[str, list[tuple[int, str]]], op: str) -> tuple[int, str] | None:
    queue = scripts.get(op.removesuffix("-batch"))
    return queue.pop(0) if queue else None
