"""NoCreateAfterHalt (G4), NoCreateWithoutLease (G5), NoCreateBeforeReconciled (G7), NoStaleInput (G6).

Judged at the moment in which an order is handed to the transport, by what was true outside at that moment.
"""

from __future__ import annotations

from tests.simulation.arena.checkers.base import Checker
from tests.simulation.arena.witness import Handed

SKEW_MS = 2_500
"""What a clock may be wrong by before the venue refuses its time stamps, and the step that a fault makes."""


class NoCreateAfterHalt(Checker):
    """After a halt was confirmed, and until it is lifted, no order is handed to a transport."""

    def handed(self, one: Handed) -> None:
        if one.halted:
            self.broken(f"order {one.link} left process {one.pid} after the halt was confirmed")


class NoCreateWithoutLease(Checker):
    """Only the process that the lease store names hands orders over, and only while its lease runs."""

    def handed(self, one: Handed) -> None:
        if not one.leased:
            self.broken(f"order {one.link} left process {one.pid}, which does not hold the account")


class NoCreateBeforeReconciled(Checker):
    """No opening order before the process has read executions and position since its start or its last lost stream."""

    def handed(self, one: Handed) -> None:
        if not one.compared and not one.reduce_only:
            self.broken(f"order {one.link} left process {one.pid} before it had compared itself with the venue")


class NoStaleInput(Checker):
    """No order when the newest price that reached the feed is older than the limit."""

    def handed(self, one: Handed) -> None:
        if one.feed_age_ms > self.world.policy.limits.max_quote_age_ms + SKEW_MS:
            self.broken(f"order {one.link} was decided on a price of {one.feed_age_ms} ms ago")
