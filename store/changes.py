"""What pages must show anew: one row per change and one notification, written in the transaction that changes it.

Readers follow with ``store.reader.changes``.
"""

from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from store import tables
from store.batches import delete_in_batches

Kind = Literal["certificate", "discovery"]


def note_change(connection: Connection, kind: Kind, subject: str) -> None:
    """Say in the caller's transaction that ``subject`` is no longer what pages show."""
    connection.execute(sa.insert(tables.changes).values(kind=kind, subject=subject, at=sa.func.now()))
    connection.execute(sa.select(sa.func.pg_notify(tables.CHANGES_CHANNEL, "")))


def forget_changes(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` changes of before ``before``; gives how many."""
    return delete_in_batches(tables.changes, engine, tables.changes.c.at < before, most)
