"""What pages must show anew, in the order in which it was decided.

A reader follows with ``Place``: (transaction, row) of the last change it has seen.  It takes only rows of transactions
below the oldest one that is still running, in that order, so that no row can turn up behind a place already passed.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import BadInput
from store import tables

CHANNEL = tables.CHANGES_CHANNEL
XID = tables.changes.c.xid
# Every id of a transaction below this one is decided: committed or gone.
DECIDED_BELOW = sa.cast(sa.cast(sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot()), sa.Text), sa.BigInteger)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """How far somebody has read; as text "transaction-row", the id of a server-sent event."""

    xid: int
    row: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.row}"


@dataclass(frozen=True, slots=True)
class Change:
    place: Place
    kind: str
    subject: str
    at: datetime


def read_place(text: str) -> Place:
    """Raises BadInput where ``text`` is no place of ours."""
    first, _, second = text.strip().partition("-")
    if not (first.isascii() and second.isascii() and first.isdecimal() and second.isdecimal()):
        raise BadInput("Last-Event-ID", f"{text[:40]!r} is not an id of this stream", "Leave it out to begin with now.")
    if max(int(first), int(second)) >= 2**63:
        raise BadInput("Last-Event-ID", "is larger than any id of this stream", "Leave it out to begin with now.")
    return Place(int(first), int(second))


def newest_place(engine: Engine) -> Place:
    """Behind everything that is decided now: where a reader begins who has just read the tables themselves."""
    with engine.connect() as connection:
        return Place(connection.execute(sa.select(DECIDED_BELOW)).scalar_one() - 1, 2**62)


def changes_after(engine: Engine, place: Place, limit: int = 500) -> list[Change]:
    """The changes behind ``place``, oldest first."""
    column = tables.changes.c
    after = sa.tuple_(XID, column.id) > sa.tuple_(sa.literal(place.xid), sa.literal(place.row))
    query = sa.select(tables.changes).where(after, DECIDED_BELOW > XID)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(XID, column.id).limit(limit)).all()
    return [Change(Place(row.xid, row.id), row.kind, row.subject, row.at) for row in rows]


def something_waits(engine: Engine, place: Place) -> bool:
    """Whether there are changes behind ``place`` that an older transaction, still running, holds back."""
    after = sa.tuple_(XID, tables.changes.c.id) > sa.tuple_(sa.literal(place.xid), sa.literal(place.row))
    with engine.connect() as connection:
        return bool(connection.execute(sa.select(sa.exists().where(after))).scalar())


def oldest_place(engine: Engine) -> Place | None:
    """The first change that is still kept; whoever has read less far must read everything anew."""
    with engine.connect() as connection:
        query = sa.select(XID, tables.changes.c.id).order_by(XID, tables.changes.c.id).limit(1)
        row = connection.execute(query).one_or_none()
    return Place(row.xid, row.id) if row else None
