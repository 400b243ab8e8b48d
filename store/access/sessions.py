"""Browser sessions: a cookie's hash, who it is, an end by idleness and an absolute one."""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from domain.tiers import Role
from store import tables
from store.access.people import Actor, decides
from store.access.security import record_security_event
from store.batches import delete_in_batches

# A browser that is closed, or whose stream has ended, for this long is logged out.
SESSION_IDLE = timedelta(minutes=30)
# An absolute end: one long shift.
SESSION_LIVES = timedelta(hours=10)


@dataclass(frozen=True, slots=True)
class Session:
    """``id`` may be shown and logged; the cookie may not."""

    id: str
    actor: Actor
    expires_at: datetime


def log_in(engine: Engine, code: str) -> str | None:
    """Spend a one-time login link for a new session's cookie value; None where it is unknown, used or too old."""
    column = tables.login_links.c
    spent = (
        sa.update(tables.login_links)
        .where(column.sha256 == sha256(code.encode()).digest())
        .where(column.used_at.is_(None), column.expires_at > sa.func.now())
        .values(used_at=sa.func.now())
        .returning(column.role, column.person)
    )
    with engine.begin() as connection:
        link = connection.execute(spent).one_or_none()
        if link is None:
            record_security_event(connection, "login-refused", "", "unknown, used or expired login link")
            return None
        return _open(connection, link.role, link.person)


def _open(connection: Connection, role: str, person: str) -> str:
    cookie, session_id = secrets.token_urlsafe(32), uuid.uuid4().hex[:12]
    row = {"sha256": sha256(cookie.encode()).digest(), "id": session_id, "role": role, "person": person}
    times = {"made_at": sa.func.now(), "seen_at": sa.func.now(), "expires_at": sa.func.now() + SESSION_LIVES}
    connection.execute(sa.insert(tables.sessions).values(**row, **times))
    record_security_event(connection, "login", _actor_id(person, session_id), f"role {role}")
    return cookie


def session_of(engine: Engine, cookie: str) -> Session | None:
    """The living session of ``cookie``, kept alive by being asked for; None for everything else."""
    column = tables.sessions.c
    alive = sa.and_(
        column.sha256 == sha256(cookie.encode()).digest(),
        column.ended_at.is_(None),
        column.expires_at > sa.func.now(),
        column.seen_at > sa.func.now() - SESSION_IDLE,
    )
    stale = (column.seen_at < sa.func.now() - timedelta(minutes=1)).label("stale")
    person = tables.people.c
    named = sa.select(tables.sessions, stale, person.name, person.role.label("held")).where(alive)
    named = named.select_from(tables.sessions.outerjoin(tables.people, column.person == person.id))
    with engine.begin() as connection:
        row = connection.execute(named).one_or_none()
        # Who left the policy, or lost the role there, cannot go on with an old session.
        if row is None or (row.person and row.held != row.role):
            return None
        if row.stale:
            seen = sa.update(tables.sessions).where(column.id == row.id).values(seen_at=sa.func.now())
            connection.execute(seen)
    role = Role(row.role)
    actor = Actor(_actor_id(row.person, row.id), role, decides(role, row.person, False), row.name or "")
    return Session(row.id, actor, row.expires_at)


def end_session(engine: Engine, session_id: str, by: str) -> bool:
    """Log a session out; False where there is no living one of that id."""
    column = tables.sessions.c
    alive = sa.and_(column.id == session_id, column.ended_at.is_(None))
    with engine.begin() as connection:
        ended = connection.execute(sa.update(tables.sessions).where(alive).values(ended_at=sa.func.now())).rowcount
        if ended:
            record_security_event(connection, "logout", by, f"session {session_id}")
    return bool(ended)


def living_sessions(engine: Engine) -> Sequence[RowMapping]:
    """Everybody who is logged in, newest first; never a cookie or its hash."""
    column = tables.sessions.c
    shown = (column.id, column.role, column.person, column.made_at, column.seen_at, column.expires_at)
    alive = sa.and_(
        column.ended_at.is_(None), column.expires_at > sa.func.now(), column.seen_at > sa.func.now() - SESSION_IDLE
    )
    with engine.connect() as connection:
        return connection.execute(sa.select(*shown).where(alive).order_by(column.made_at.desc())).mappings().all()


def forget_sessions(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` sessions, and login links, whose last moment was before ``before``; gives how many."""
    gone = delete_in_batches(tables.sessions, engine, tables.sessions.c.expires_at < before, most)
    return gone + delete_in_batches(tables.login_links, engine, tables.login_links.c.expires_at < before, most - gone)


def _actor_id(person: str, session_id: str) -> str:
    return f"person/{person}" if person else f"session/{session_id}"
