"""The routes of the control API: what the actors know, and commands, each on record before it takes effect."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence

from hedgelock_actors.ports.journal import Journal, JournalUnavailable, Record
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.control_log import Asked, ControlBook, ControlLog
from hedgelock_actors.runtime.names import Kind
from serve_apps import listing
from serve_apps.control_effects import Actors, Effects
from serve_apps.control_halt import Halt
from serve_apps.control_policy import ControlPolicy
from serve_apps.control_schemas import BODIES, PATHS, Action, ApproveBody, ReasonBody, canonical, read_body
from serve_apps.schemas import HttpError, Reply, reply
from serve_apps.security import Call, People

_KEY = re.compile(r"^[A-Za-z0-9_.:-]{1,64}$")
_APPROVE = re.compile(r"^/approvals/([0-9a-f]{1,64})/approve$")
_LOOK_S = 1.0
STATUS: Sequence[Kind] = (
    "market-feed",
    "risk-calculator",
    "position-keeper",
    "order-router",
    "treasury",
    "notifier",
)
Listed = tuple[Kind, str, listing.Rows]
LISTS: Mapping[str, Listed] = {
    "/loans": ("risk-calculator", "loans", listing.loans),
    "/positions": ("position-keeper", "positions", listing.positions),
    "/orders": ("order-router", "orders", listing.orders),
    "/trades": ("order-router", "trades", listing.trades),
    "/spreads": ("position-keeper", "spreads", listing.spreads),
    "/alerts": ("notifier", "alerts", listing.alerts),
}
RECORDS: Mapping[str, str] = {
    "/overrides": "overrides",
    "/approvals": "approvals",
    "/audit": "records",
    "/control": "records",
}


class ControlService:
    """The routes, without HTTP."""

    def __init__(
        self, actors: Actors, journal: Journal, people: People, config: Config, now_ms: Callable[[], int]
    ) -> None:
        self._actors, self._people, self._now_ms = actors, people, now_ms
        self._log = ControlLog(journal)
        self._policy = ControlPolicy(self._log, config, now_ms)
        self._effects = Effects(actors, now_ms)
        self._halt = Halt(self._log, actors, self._effects, now_ms)

    async def handle(self, call: Call) -> Reply:
        """Route a call; the path is without /v1."""
        approve = _APPROVE.match(call.path)
        match call.method:
            case "GET" if call.path == "/status":
                return reply(await self.status())
            case "GET" if call.path in LISTS:
                return reply(await self._listed(*LISTS[call.path]))
            case "GET" if call.path in RECORDS:
                return reply(await self._recorded(RECORDS[call.path]))
            case "POST" if call.path in PATHS:
                return await self._command(call, PATHS[call.path])
            case "POST" if approve is not None:
                return await self._approve(call, approve[1])
        if call.path in ("/status", *LISTS, *RECORDS, *PATHS) or approve is not None:
            raise HttpError(405, "method_not_allowed", f"{call.method} is not offered here")
        raise HttpError(404, "not_found", f"there are under /v1: {', '.join(('/status', *LISTS, *RECORDS, *PATHS))}")

    async def stop(self) -> None:
        """Give up what goes on in the background."""
        await self._halt.stop()

    # ------------------------------------------------------------ looking

    async def status(self) -> dict[str, object]:
        """Everything at a glance."""
        try:
            book = await self._log.read()
            state = book.state
            trading: dict[str, object] = {"mode": state.mode.value, "epoch": state.epoch, "reason": state.reason}
        except JournalUnavailable as error:
            book, trading = self._log.book, {"error": f"the journal does not answer: {error}"}
        asking = asyncio.gather(*(self._actors.snapshots(kind) for kind in STATUS))
        actors, found = await asyncio.gather(self._actors.actors(), asking)
        seen = dict(zip(STATUS, found, strict=True))
        now_ms = self._now_ms()
        return {
            "ts_ms": now_ms,
            "trading_state": trading,
            "overrides": listing.overrides(book, now_ms),
            "approvals_waiting": [row for row in listing.approvals(book, now_ms) if row["state"] == "waiting"],
            "alerts_unheard": {name: one.get("undelivered") for name, one in seen["notifier"].items()},
            "restrictions": {name: listing.restrictions(one) for name, one in seen["order-router"].items()},
            **actors,
            "market": seen["market-feed"],
            "risk": seen["risk-calculator"],
            "accounts": seen["position-keeper"],
            "treasury": seen["treasury"],
        }

    async def _listed(self, kind: Kind, name: str, rows: listing.Rows) -> dict[str, object]:
        found = await self._actors.snapshots(kind)
        silent = {actor: snapshot["error"] for actor, snapshot in found.items() if "error" in snapshot}
        listed = [row for actor, snapshot in found.items() if actor not in silent for row in rows(snapshot)]
        return {"ts_ms": self._now_ms(), name: listed, "silent": silent}

    async def _recorded(self, name: str) -> dict[str, object]:
        book, now_ms = await self._book(), self._now_ms()
        rows = {"overrides": listing.overrides, "approvals": listing.approvals, "records": listing.records}[name]
        return {"ts_ms": now_ms, name: rows(book, now_ms)}

    async def _book(self) -> ControlBook:
        try:
            return await self._log.read()
        except JournalUnavailable as error:
            raise HttpError(503, "journal_unavailable", str(error)) from None

    # ------------------------------------------------------------ commanding

    async def _command(self, call: Call, action: Action) -> Reply:
        who = self._people.require(call)
        body = read_body(call.body, BODIES[action])
        asked = Asked(who=who, key=_key(call), action=action, body=canonical(body), origin=call.client)
        if action == "halt" and isinstance(body, ReasonBody):
            recording = asyncio.create_task(self._policy.record(asked, body), name="record-halt")
            return await self._halt.carry_out(asked, recording, body.reason)
        if action == "resume" and isinstance(body, ReasonBody) and not body.unheard:
            await self._somebody_hears()
        record = await self._policy.record(asked, body, await self._heard(action))
        return await self._perform(record)

    async def _approve(self, call: Call, approval_id: str) -> Reply:
        who = self._people.require(call)
        read_body(call.body, ApproveBody)
        asked = Asked(who=who, key=_key(call), action="approve", body={"approval_id": approval_id}, origin=call.client)
        return await self._perform(await self._policy.approve(asked, approval_id, await self._heard("resume")))

    async def _somebody_hears(self) -> None:
        """Nobody resumes into silence without saying so. Raises HttpError 409."""
        seen = await self._actors.snapshots("notifier", wait_s=_LOOK_S)
        unheard = {name: one.get("undelivered", "it does not answer") for name, one in seen.items()}
        if any(unheard.values()):
            why = f"alerts reach nobody ({unheard}); mend that, or resume with `unheard` (--unheard)"
            raise HttpError(409, "alerts_unheard", why)

    async def _perform(self, record: Record) -> Reply:
        return await self._effects.perform(record, self._log.book)

    async def _heard(self, action: str) -> int:
        """An epoch that actors have heard without its being on record must not outlive a newer command."""
        return await self._halt.heard_epoch(_LOOK_S) if action in ("resume", "reduce_only") else 0


def _key(call: Call) -> str:
    """The request's idempotency key; one that is asked without is asked once."""
    key = call.headers.get("idempotency-key", "")
    if key and not _KEY.match(key):
        raise HttpError(422, "invalid_input", "1 to 64 of A-Z a-z 0-9 _ . : -", "Idempotency-Key")
    return key or f"once:{secrets.token_hex(8)}"
