"""Bearer tokens and one-time login links: random bits, of which the store keeps the hash."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Engine, RowMapping

from domain.errors import BadInput
from domain.tiers import Role
from store import tables
from store.access.people import DECIDING, Actor, decides, head_of
from store.access.people import person as named
from store.access.security import record_security_event

TOKEN_PREFIX = "evl_"  # noqa: S105 - the public mark by which secret scanners find tokens
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Shown once in a terminal; an hour spans a first look round and a coffee.
LOGIN_LINK_LIVES = timedelta(hours=1)


def _random_token() -> str:
    number = int.from_bytes(secrets.token_bytes(32), "big")
    digits = []
    for _ in range(43):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return TOKEN_PREFIX + "".join(digits)


def create_token(
    engine: Engine,
    *,
    name: str,
    role: Role,
    may_decide: bool = False,
    person: str = "",
    expires_at: datetime | None = None,
) -> str:
    """A new bearer token; it is shown here once and never again.  ``person``: it acts as that person.

    Raises BadInput for a role that decides with neither a person nor ``may_decide``, which is for machines, and for a
    person whom the policy does not know in that role.
    """
    if not name.strip():
        raise BadInput("name", "is empty", "Name the machine or the person who will use the token.")
    _check_holder(engine, role, person, may_decide)
    token = _random_token()
    row = {
        "id": uuid.uuid4().hex[:12],
        "sha256": sha256(token.encode()).digest(),
        "name": name,
        "role": role.value,
        "person": person,
        "may_decide": may_decide,
        "expires_at": expires_at,
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.tokens).values(**row, made_at=sa.func.now()))
        record_security_event(connection, "token-made", f"token/{row['id']}", f"role {role.value}")
    return token


def _check_holder(engine: Engine, role: Role, person: str, may_decide: bool) -> None:
    if not person and role in DECIDING and not may_decide:
        told = f"is missing: {role} approves, and four eyes are people"
        remedy = "Say whose token it is (--person ID, one of the policy's people), or that it is a machine's that may"
        raise BadInput("person", told, f"{remedy} approve (--may-decide).")
    if person and may_decide:
        remedy = "Leave --may-decide out: it is for machines, and people decide by their role."
        raise BadInput("may_decide", "is given for a person", remedy)
    if person:
        known = named(engine, person)
        if known is None or known.role is not role:
            found = "is nobody in the policy" if known is None else f"is {known.role} in the policy, not {role}"
            raise BadInput("person", f"{person} {found}", "Write the id of one of the policy's people.")


def authenticate(engine: Engine, token: str) -> Actor | None:
    """Who holds ``token``, or None; nothing says which part was wrong."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    column = tables.tokens.c
    alive = sa.and_(
        column.sha256 == sha256(token.encode()).digest(),
        column.revoked_at.is_(None),
        sa.or_(column.expires_at.is_(None), column.expires_at > sa.func.now()),
    )
    query = sa.select(tables.tokens, (column.last_used_at < sa.func.now() - timedelta(minutes=1)).label("stale"))
    with engine.begin() as connection:
        row = connection.execute(query.where(alive)).one_or_none()
        if row is None:
            return None
        # Once a minute is exact enough for an audit, and a busy token does not write at every request.
        if row.last_used_at is None or row.stale:
            touched = sa.update(tables.tokens).where(column.id == row.id).values(last_used_at=sa.func.now())
            connection.execute(touched)
        # Who left the policy, or lost the role there, cannot go on with an old token.
        held = sa.select(tables.people.c.role).where(tables.people.c.id == row.person)
        if row.person and connection.execute(held).scalar() != row.role:
            return None
    actor = f"person/{row.person}" if row.person else f"token/{row.id}"
    role = Role(row.role)
    return Actor(actor, role, decides(role, row.person, row.may_decide), row.name)


def revoke_token(engine: Engine, token_id: str) -> bool:
    """End a token; False where there is no living one of that id."""
    alive = sa.and_(tables.tokens.c.id == token_id, tables.tokens.c.revoked_at.is_(None))
    with engine.begin() as connection:
        ended = connection.execute(sa.update(tables.tokens).where(alive).values(revoked_at=sa.func.now())).rowcount
        if ended:
            record_security_event(connection, "token-revoked", f"token/{token_id}", "")
    return bool(ended)


def tokens_of(engine: Engine, *, every: bool = False) -> Sequence[RowMapping]:
    """The living tokens, newest first, or ``every`` one; never a token or its hash.

    Who of them approves: ``decides`` of its role, person and ``may_decide``.
    """
    column = tables.tokens.c
    shown = [one for one in column if one.name != "sha256"]
    query = sa.select(*shown).order_by(column.made_at.desc(), column.id)
    if not every:
        unended = sa.or_(column.expires_at.is_(None), column.expires_at > sa.func.now())
        query = query.where(column.revoked_at.is_(None), unended)
    with engine.connect() as connection:
        return connection.execute(query).mappings().all()


def create_login_link(engine: Engine, role: Role) -> str:
    """A one-time code for ``role``; whoever uses it acts as the first person of that role, if the policy has one."""
    code = secrets.token_urlsafe(32)
    whom = head_of(engine, role)
    row = {"sha256": sha256(code.encode()).digest(), "role": role.value, "person": whom.id if whom else ""}
    times = {"made_at": sa.func.now(), "expires_at": sa.func.now() + LOGIN_LINK_LIVES}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.login_links).values(**row, **times))
        stands_for = f", for {whom.name}" if whom else ""
        # Who may run our commands on this machine has no other name here.
        record_security_event(connection, "login-link-made", "shell", f"role {role.value}{stands_for}")
    return code
