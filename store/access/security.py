"""Security events: refusals and grants that an auditor asks for; never a code, a token or an address."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from store import tables
from store.batches import delete_in_batches


def record_security_event(connection: Connection, kind: str, actor: str, detail: str) -> None:
    """Write one event in the caller's transaction.  Its time is the database's: what is refused has no other clock."""
    row = {"kind": kind, "actor": actor, "detail": detail, "at": sa.func.now()}
    connection.execute(sa.insert(tables.security_events).values(**row))


def security_events(engine: Engine, since: datetime | None = None, limit: int = 100) -> list[RowMapping]:
    """The newest events, newest first."""
    query = sa.select(tables.security_events).order_by(tables.security_events.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(tables.security_events.c.at >= since)
    with engine.connect() as connection:
        return list(connection.execute(query).mappings())


def forget_security_events(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` events of before ``before``; gives how many."""
    return delete_in_batches(tables.security_events, engine, tables.security_events.c.at < before, most)
