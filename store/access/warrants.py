"""Warrants: single-use proof that a named actor may send one named message (DESIGN, words and rule 8)."""

import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from domain.contracts import RedeemWarrant, Redemption
from domain.errors import NotAllowed
from domain.tiers import Role
from store import tables
from store.access.people import DECIDING, NAME_ONE, Actor, decides
from store.access.security import record_security_event

WORKERS = frozenset({Role.OPERATOR, Role.SECURITY_HEAD})
DOERS = WORKERS | {Role.ADMIN}
HEADS = frozenset({Role.SECURITY_HEAD})

# Which roles may send which message; a message that is not here can be sent by nobody.
MAY_SEND: dict[str, frozenset[Role]] = {
    "decide": HEADS,
    "renew_now": DOERS,
    "supply": DOERS,
    "answer": DOERS,
    "resume": WORKERS,
    "acknowledge": WORKERS,
    "reassign": HEADS,
    "change_policy": HEADS | {Role.ADMIN},
    "retire": HEADS,
    "grant": HEADS,
    "revoke_mandate": HEADS,
}


@dataclass(frozen=True, slots=True)
class Binding:
    """What a warrant is good for.  ``case`` 0 and ``plan_version`` empty: not bound to a case."""

    managed_id: str
    message: str
    case: int = 0
    generation: int = 0
    plan_version: str = ""


# What is a second pair of eyes: a role alone is none.
DECISIONS = frozenset({"decide", "grant"})


def _may_send(message: str, actor: Actor) -> bool:
    if message == "decide" and actor.may_decide:
        return True
    return actor.role in MAY_SEND.get(message, frozenset()) and (message not in DECISIONS or actor.may_decide)


def _why_not(message: str, actor: Actor) -> str:
    if message in DECISIONS and actor.role in DECIDING:
        return f"this {actor.role} names no person, so it may not send {message}: four eyes are people. {NAME_ONE}"
    return f"{actor.role} may not send {message}; ask somebody whose role may."


def mint_warrant(engine: Engine, *, actor: Actor, bound_to: Binding, lives: timedelta, now: datetime) -> str:
    """A code of 128 random bits for ``actor``.  Raises NotAllowed where its role may not send that message."""
    with engine.begin() as connection:
        allowed = _may_send(bound_to.message, actor)
        if not allowed:
            record_security_event(connection, "warrant-refused", actor.id, f"{actor.role} may not {bound_to.message}")
        else:
            code = b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
            row = {
                "sha256": sha256(code.encode()).digest(),
                "actor": actor.id,
                "role": actor.role.value,
                "managed_id": bound_to.managed_id,
                "message": bound_to.message,
                "case_number": bound_to.case,
                "generation": bound_to.generation,
                "plan_version": bound_to.plan_version,
                "made_at": now,
                "expires_at": now + lives,
            }
            connection.execute(sa.insert(tables.warrants).values(**row))
    if not allowed:
        raise NotAllowed(_why_not(bound_to.message, actor))
    return code


def redeem(engine: Engine, asked: RedeemWarrant, now: datetime) -> Redemption:
    """Spend the code of ``asked``: once, whatever the outcome; the same command hears the same answer again.

    A refusal is an answer, not an error: it is recorded as a security event and changes no case.
    """
    column = tables.warrants.c
    digest = sha256(asked.code.encode()).digest()
    burn = (
        sa.update(tables.warrants)
        .where(column.sha256 == digest, column.redeemed_at.is_(None), column.expires_at > now)
        .values(redeemed_by=asked.command_id, redeemed_at=now)
        .returning(tables.warrants)
    )
    with engine.begin() as connection:
        row = connection.execute(burn).one_or_none()
        if row is not None:
            reason = _objection(connection, row, asked)
            if reason:
                refused = sa.update(tables.warrants).where(column.sha256 == digest).values(refusal=reason)
                connection.execute(refused)
                record_security_event(connection, "warrant-refused", row.actor, f"{asked.managed_id}: {reason}")
            return _answer(connection, row, asked, reason)
        row = connection.execute(sa.select(tables.warrants).where(column.sha256 == digest)).one_or_none()
        if row is not None and row.redeemed_at is not None and row.redeemed_by == asked.command_id:
            return _answer(connection, row, asked, row.refusal)
        reason = _why_not_found(row)
        record_security_event(connection, "warrant-refused", row.actor if row else "", f"{asked.managed_id}: {reason}")
    return Redemption(allowed=False, reason=reason)


def _answer(connection: Connection, row: Row[tuple[object, ...]], asked: RedeemWarrant, reason: str) -> Redemption:
    people = {"person": _behind(connection, row.actor), "asker": _behind(connection, asked.requested_by)}
    return Redemption(allowed=not reason, actor=row.actor, role=row.role, reason=reason, **people)


def _why_not_found(row: Row[tuple[object, ...]] | None) -> str:
    if row is None:
        return "this code is unknown"
    return "this code was used already" if row.redeemed_at is not None else "this code has expired"


def _objection(connection: Connection, row: Row[tuple[object, ...]], asked: RedeemWarrant) -> str:
    """Why a living code is not good for what is asked, or empty."""
    if (row.managed_id, row.message) != (asked.managed_id, asked.message):
        return "this code was given for something else"
    bound = (row.case_number, row.generation, row.plan_version)
    asked_bound = (asked.case, asked.generation, asked.plan_version)
    if (row.message == "decide" or row.case_number) and bound != asked_bound:
        return "this code was given for another case, generation or plan"
    asker = _behind(connection, asked.requested_by)
    if row.message == "decide" and asker and _behind(connection, row.actor) == asker:
        return "who asked for the renewal or changed its plan may not approve it"
    return "" if _still_holds(connection, row) else "this actor no longer holds that role"


def _behind(connection: Connection, actor: str) -> str:
    """The person behind a token, where one is known; else ``actor`` itself."""
    kind, _, name = actor.partition("/")
    if kind != "token":
        return actor
    person = connection.execute(sa.select(tables.tokens.c.person).where(tables.tokens.c.id == name)).scalar()
    return f"person/{person}" if person else actor


def _still_holds(connection: Connection, row: Row[tuple[object, ...]]) -> bool:
    """A code by mail lives for days: its holder may have left or lost the role meanwhile."""
    kind, _, name = row.actor.partition("/")
    if kind == "person":
        query = sa.select(tables.people.c.role).where(tables.people.c.id == name)
        return bool(connection.execute(query).scalar() == row.role)
    if kind == "session":
        # A login of a role for which the policy names nobody.
        session = tables.sessions.c
        alive = sa.and_(session.id == name, session.ended_at.is_(None), session.expires_at > sa.func.now())
        return bool(connection.execute(sa.select(session.role).where(alive)).scalar() == row.role)
    token = tables.tokens.c
    query = sa.select(token.person, token.may_decide).where(token.id == name, token.revoked_at.is_(None))
    held = connection.execute(query).one_or_none()
    # Before release 0.3.0 a role that decides was enough; a code of such a token may still be about.
    return held is not None and (row.message != "decide" or decides(Role(row.role), held.person, held.may_decide))
