"""A comparison as if it had been noted at another time: the database's own clock says when, and tests have theirs."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.comparison import Reconciled
from store import tables
from store.reconciliations import note


def note_at(engine: Engine, reconciled: Reconciled, at: datetime) -> None:
    note(engine, reconciled)
    c = tables.reconciliations.c
    with engine.begin() as connection:
        connection.execute(sa.update(tables.reconciliations).where(c.id == reconciled.id).values(noted_at=at))
