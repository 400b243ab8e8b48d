"""How inventory and engine compared, each time: what differed, what was told, and whether our CAs may sign."""

from dataclasses import asdict
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.contracts import Reconciled
from store import tables
from store.changes import note_change

# One every five minutes.  What they said of single certificates is in the events of these.
KEPT = timedelta(days=30)

COLUMN = tables.reconciliations.c


def note(engine: Engine, reconciled: Reconciled, now: datetime) -> None:
    """Keep how a comparison ended, and forget those of more than 30 days ago; a repetition changes nothing."""
    row = {
        "id": reconciled.id,
        "workflow_id": reconciled.workflow_id,
        "run_id": reconciled.run_id,
        "applied": reconciled.applied,
        "living": reconciled.living,
        "running": reconciled.running,
        "counts": dict(reconciled.counts),
        "differences": [asdict(one) for one in reconciled.differences],
        "held_since": reconciled.held_since,
        "began_at": reconciled.began_at,
        "noted_at": now,
    }
    with engine.begin() as connection:
        written = connection.execute(insert(tables.reconciliations).values(**row).on_conflict_do_nothing()).rowcount
        # The newest that changed something stays however old it is: the next one asks for it, and so do our CAs.
        newest = sa.select(sa.func.max(COLUMN.noted_at)).where(COLUMN.applied).scalar_subquery()
        old = sa.and_(COLUMN.noted_at < now - KEPT, COLUMN.noted_at < newest)
        connection.execute(sa.delete(tables.reconciliations).where(old))
        if written and reconciled.differences:
            note_change(connection, "certificate", reconciled.differences[0].managed_id)


def note_restored(engine: Engine, backup_made_at: datetime, now: datetime) -> None:
    """Hold our CAs in a database that was put back to ``backup_made_at``, until a person has looked.

    Noted as a comparison that was carried out: the next ones carry the hold on, `everleaf reconcile --apply` ends it.
    """
    row = {
        "id": f"restored-{now:%Y%m%dT%H%M%S%f}",
        # Of none: Temporal is in no backup, and what it lost begins again.
        "workflow_id": "",
        "run_id": "",
        "applied": True,
        "living": 0,
        "running": 0,
        "counts": {},
        "differences": [],
        "held_since": now,
        "began_at": backup_made_at,
        "noted_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.reconciliations).values(**row))
