"""What a command puts on record, and whether a second person has to approve it first. Decides; carries nothing out.

Everything is decided between reading the control stream and writing one record to it, with no writer in between: a
repeated request finds its own record, and an approved one has either its approval and its effect or neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import cast

from pydantic import ValidationError

from hedgelock_actors.domain.messages import HedgeTrade, SpreadLeg, SpreadRequested, SpreadStopped, TargetOverridden
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Json, Record, StaleEpoch
from hedgelock_actors.runtime.config import Config, LimitsConfig, TwoPersonAction
from hedgelock_actors.runtime.control_log import (
    ACKNOWLEDGED,
    LIMITS_APPROVED,
    OVERRIDE,
    SPREAD,
    SPREAD_STOPPED,
    TRADE,
    Approval,
    Asked,
    ControlBook,
    ControlLog,
    KeyUsedBefore,
    approval_entry,
    approved,
    entry_of,
)
from hedgelock_actors.runtime.limits_record import limits_payload
from hedgelock_actors.runtime.names import NOTIFIER
from hedgelock_actors.runtime.trading import KIND as TRADING_STATE
from hedgelock_actors.runtime.trading import next_state, state_payload
from serve_apps.control_schemas import (
    AcknowledgeBody,
    Action,
    Body,
    FlattenBody,
    LiftBody,
    LimitsBody,
    OverrideBody,
    ReasonBody,
    SpreadBody,
    StopSpreadBody,
    TradeBody,
    amount,
    body_of,
)
from serve_apps.schemas import HttpError

MODES = {"halt": TradingMode.HALTED, "reduce_only": TradingMode.REDUCE_ONLY, "resume": TradingMode.ACTIVE}
Decided = Entry | Record


class ControlPolicy:
    """Records commands. `now_ms` is venue time."""

    def __init__(self, log: ControlLog, config: Config, now_ms: Callable[[], int]) -> None:
        self._log, self._now_ms = log, now_ms
        self._symbols = {account.name: account.symbol for account in config.venue.accounts}
        self._limits, self._settings = config.limits, config.control

    async def record(self, asked: Asked, body: Body, heard_epoch: int = 0) -> Record:
        """Put a command on record, or that it waits for a second person, or nothing when it is there already.

        Raises:
            HttpError: it is refused; nothing was written.
        """
        action = cast("Action", asked.action)

        def decide(book: ControlBook) -> Decided:
            known = book.known(asked)
            if known is not None:
                return known
            if body.approval_id is not None:
                return self._approve(book, body.approval_id, asked, heard_epoch, same=asked.fingerprint)
            entry = self._entry(book, asked, action, body, heard_epoch, asked.who)
            if self._takes_two(action, book):
                return approval_entry(asked, self._now_ms(), round(self._settings.approval_s * 1_000))
            return entry

        return await self._write(decide)

    async def approve(self, asked: Asked, approval_id: str, heard_epoch: int = 0) -> Record:
        """The second person's word: puts the command on record. Raises HttpError."""

        def decide(book: ControlBook) -> Decided:
            known = book.known(asked)
            return known if known is not None else self._approve(book, approval_id, asked, heard_epoch)

        return await self._write(decide)

    async def _write(self, decide: Callable[[ControlBook], Decided]) -> Record:
        try:
            return await self._log.write(decide)
        except KeyUsedBefore:
            raise HttpError(
                422,
                "idempotency_conflict",
                "this key stood for another request before; use a new one",
                "Idempotency-Key",
            ) from None
        except StaleEpoch:
            raise HttpError(409, "conflict", "other commands were recorded at the same time; look and repeat") from None
        except JournalUnavailable as error:
            raise HttpError(503, "journal_unavailable", f"nothing was changed: {error}") from None

    # ------------------------------------------------------------ two persons

    def _takes_two(self, action: Action, book: ControlBook) -> bool:
        # From halted to reduce-only orders are allowed again: that resumes, as far as the rule is concerned.
        loosens = action == "reduce_only" and book.state.mode is TradingMode.HALTED
        return cast("TwoPersonAction", "resume" if loosens else action) in self._settings.two_person

    def _approve(
        self, book: ControlBook, approval_id: str, by: Asked, heard_epoch: int, same: str | None = None
    ) -> Decided:
        approval = book.approvals.get(approval_id)
        if approval is None:
            raise HttpError(404, "not_found", "no command waits under this id", "approval_id")
        if by.who == approval.requested_by:
            raise HttpError(403, "same_person", "a second person has to approve; you asked for it yourself")
        if same is not None and same != approval.fingerprint:
            raise HttpError(422, "approval_differs", "this is not the request that waits for approval", "approval_id")
        done = book.effect_of(approval_id)
        if done is not None:
            return done
        if approval.state(self._now_ms()) == "expired":
            raise HttpError(409, "approval_expired", "it waited for too long; ask for it again", "approval_id")
        return self._approved_entry(book, approval, by, heard_epoch)

    def _approved_entry(self, book: ControlBook, approval: Approval, by: Asked, heard_epoch: int) -> Entry:
        action = cast("Action", approval.action)
        first = Asked(who=approval.requested_by, key=approval.approval_id, action=action, body=approval.body)
        who = f"{first.who} and {by.who}"
        entry = self._entry(book, first, action, body_of(action, approval.body), heard_epoch, who)
        return approved(entry, approval, by)

    # ------------------------------------------------------------ the records

    def _entry(self, book: ControlBook, asked: Asked, action: Action, body: Body, heard_epoch: int, who: str) -> Entry:
        now_ms = self._now_ms()
        match body:
            case FlattenBody():
                return self._override(
                    book, asked, who, self._accounts(body.account), Decimal(0), body.for_s, body.reason
                )
            case OverrideBody():
                short = self._short(body.short)
                accounts = [self._one_account(body.account)]
                return self._override(book, asked, who, accounts, short, body.for_s, body.reason)
            case LiftBody():
                return self._lift(book, asked, who, self._accounts(body.account), body.reason)
            case AcknowledgeBody():
                accounts = self._accounts(body.account)
                said: dict[str, Json] = {"accounts": accounts, "ts_ms": now_ms, "who": who, "reason": body.reason}
                if body.order_link_id is not None:
                    said["order_link_id"] = body.order_link_id
                return entry_of(ACKNOWLEDGED, asked, said, now_ms)
            case TradeBody():
                return self._trade(book, asked, who, body)
            case SpreadBody():
                return self._spread(book, asked, who, body)
            case StopSpreadBody():
                return self._stop_spread(book, asked, body)
            case LimitsBody():
                return entry_of(LIMITS_APPROVED, asked, limits_payload(_limits(body)), now_ms)
            case ReasonBody():
                reason = body.reason.strip()
                if not reason:
                    raise HttpError(422, "invalid_input", "say why the trading state is changed", "reason")
                state = next_state(book.state, MODES[action], reason, heard_epoch)
                return entry_of(TRADING_STATE, asked, state_payload(state, book.state), now_ms)

    def _override(
        self,
        book: ControlBook,
        asked: Asked,
        who: str,
        accounts: Sequence[str],
        short: Decimal,
        for_s: int,
        reason: str,
    ) -> Entry:
        if for_s > self._settings.override_max_s:
            raise HttpError(422, "invalid_input", f"at most {self._settings.override_max_s} s", "for_s")
        now_ms = self._now_ms()
        made = [
            self._overridden(book, account, _id(asked, account), short, now_ms + for_s * 1_000, who, reason)
            for account in accounts
        ]
        return self._overrides(book, asked, made)

    def _lift(self, book: ControlBook, asked: Asked, who: str, accounts: Sequence[str], reason: str) -> Entry:
        now_ms = self._now_ms()
        held = [one for account in accounts if (one := book.in_force(account, now_ms)) is not None]
        if not held:
            raise HttpError(409, "nothing_to_lift", "no target is overridden there", "account")
        made = [self._overridden(book, one.account, one.override_id, None, now_ms, who, reason) for one in held]
        return self._overrides(book, asked, made)

    def _overrides(self, book: ControlBook, asked: Asked, made: Sequence[TargetOverridden]) -> Entry:
        now_ms = self._now_ms()
        before = [one for new in made if (one := book.in_force(new.account, now_ms)) is not None]
        payload = {
            "overrides": [one.model_dump(mode="json") for one in made],
            "before": [one.model_dump(mode="json") for one in before],
        }
        return entry_of(OVERRIDE, asked, payload, now_ms, made[0].account if len(made) == 1 else "")

    def _overridden(
        self,
        book: ControlBook,
        account: str,
        override_id: str,
        short: Decimal | None,
        expires_ms: int,
        who: str,
        reason: str,
    ) -> TargetOverridden:
        known = book.overrides.get(account)
        return TargetOverridden(
            account=account,
            symbol=self._symbols[account],
            override_id=override_id,
            version=known.version + 1 if known is not None else 1,
            ts_ms=self._now_ms(),
            target_short_qty=short,
            expires_ms=expires_ms,
            who=who,
            reason=reason,
        )

    def _trade(self, book: ControlBook, asked: Asked, who: str, body: TradeBody) -> Entry:
        if book.state.mode is TradingMode.HALTED:
            raise HttpError(409, "trading_halted", f"no order is sent while halted: {book.state.reason}")
        if body.strategy is not None and body.strategy not in [mode.value for mode in Mode]:
            known = ", ".join(mode.value for mode in Mode)
            raise HttpError(422, "invalid_input", f"there are the strategies {known}", "strategy")
        account, now_ms = self._one_account(body.account), self._now_ms()
        trade = HedgeTrade(
            account=account,
            symbol=self._symbols[account],
            trade_id=_id(asked, account),
            ts_ms=now_ms,
            side=Side.SELL if body.side == "sell" else Side.BUY,
            qty=amount(body.qty, "qty"),
            reason=f"{who}: {body.reason}",
            reply_to=NOTIFIER,
            strategy=body.strategy,
            limit_price=amount(body.limit_price, "limit_price") if body.limit_price is not None else None,
            expires_ms=now_ms + body.expires_s * 1_000,
        )
        return entry_of(TRADE, asked, {"trade": trade.model_dump(mode="json")}, now_ms, account)

    def _spread(self, book: ControlBook, asked: Asked, who: str, body: SpreadBody) -> Entry:
        if book.state.mode is TradingMode.HALTED:
            raise HttpError(409, "trading_halted", f"no order is sent while halted: {book.state.reason}")
        names = [self._one_account(leg.account) for leg in body.legs]
        if len(set(names)) != len(names):
            raise HttpError(422, "invalid_input", "each account may have one leg", "legs")
        legs = tuple(
            SpreadLeg(
                account=name,
                symbol=self._symbols[name],
                side=Side.SELL if leg.side == "sell" else Side.BUY,
                qty=amount(leg.qty, "legs.qty"),
                limit_price=amount(leg.limit_price, "legs.limit_price"),
                multiplier=amount(leg.multiplier, "legs.multiplier"),
            )
            for name, leg in zip(names, body.legs, strict=True)
        )
        spread = SpreadRequested(
            account=names[0],
            spread_id=_id(asked, names[0]),
            ts_ms=self._now_ms(),
            legs=legs,
            window_ms=body.window_s * 1_000,
            rollback_on_partial=body.rollback_on_partial,
            reason=f"{who}: {body.reason}",
        )
        return entry_of(SPREAD, asked, {"spread": spread.model_dump(mode="json")}, spread.ts_ms, names[0])

    @staticmethod
    def _known_spread(book: ControlBook, spread_id: str) -> str:
        account = book.spreads.get(spread_id)
        if account is None:
            raise HttpError(404, "not_found", "no such spread; `hedgelock spreads` lists them", "spread_id")
        return account

    def _stop_spread(self, book: ControlBook, asked: Asked, body: StopSpreadBody) -> Entry:
        account, now_ms = self._known_spread(book, body.spread_id), self._now_ms()
        stop = SpreadStopped(account=account, spread_id=body.spread_id, ts_ms=now_ms)
        return entry_of(
            SPREAD_STOPPED, asked, {"stop": stop.model_dump(mode="json"), "reason": body.reason}, now_ms, account
        )

    # ------------------------------------------------------------ what a body names

    def _short(self, value: str) -> Decimal:
        short = amount(value, "short", zero=True)
        if short > self._limits.max_position_qty:
            raise HttpError(422, "above_limit", f"limits.max_position_qty is {self._limits.max_position_qty}", "short")
        return short

    def _accounts(self, name: str | None) -> list[str]:
        return list(self._symbols) if name is None else [self._one_account(name)]

    def _one_account(self, name: str | None) -> str:
        if name is None and len(self._symbols) == 1:
            return next(iter(self._symbols))
        if name is None or name not in self._symbols:
            raise HttpError(422, "invalid_input", f"there are the accounts {', '.join(self._symbols)}", "account")
        return name


def _limits(body: LimitsBody) -> LimitsConfig:
    try:
        return LimitsConfig.model_validate(body.limits)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise HttpError(422, "invalid_input", str(first["msg"]), f"limits.{name}") from None


def _id(asked: Asked, account: str) -> str:
    """Of what a request makes for an account: the same request makes the same."""
    said = "\x1f".join((asked.who, asked.key, asked.fingerprint, account))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
