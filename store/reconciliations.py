"""How inventory and engine compared, each time: what differed, what was told, and whether our CAs may sign."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.comparison import DifferenceRow, Reconciled
from store import tables
from store.changes import note_change

# One every five minutes.  What they said of single certificates is in the events of these.
KEPT = timedelta(days=30)
# Two comparisons that end at once, one by hand: the second goes on from the hold of the first.  Any number of ours.
LOCK = 0x45564C47

COLUMN, SEEN = tables.reconciliations.c, tables.differences.c


def note(engine: Engine, reconciled: Reconciled) -> None:
    """Keep how a comparison ended, and forget those of more than 30 days ago, but not who went on in spite of a gap; a
    repetition changes nothing.

    A hold goes on from the newest that was applied, whatever this one had read before; a release ends the hold that it
    found at its beginning, and none that began since.
    """
    row = {
        "id": reconciled.id,
        "workflow_id": reconciled.workflow_id,
        "run_id": reconciled.run_id,
        "applied": reconciled.applied,
        "living": reconciled.living,
        "running": reconciled.running,
        "counts": dict(reconciled.counts),
        "differences": [asdict(one) for one in reconciled.differences],
        "began_at": reconciled.began_at,
        "asked_by": reconciled.by,
    }
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        held = _newest(connection)
        if held is None or (reconciled.applied and reconciled.release and held <= reconciled.began_at):
            held = reconciled.held_since
        if not _insert(connection, {**row, "held_since": held}):
            return
        # The newest that changed something stays however old it is: the next one asks for it, and so do our CAs.
        newest = sa.select(sa.func.max(COLUMN.number)).where(COLUMN.applied).scalar_subquery()
        # What cannot be known any more, and who let our CAs sign in spite of it, is evidence; of the Schedule there is
        # one every five minutes for as long as a gap is there.
        is_whole = sa.or_(sa.not_(COLUMN.counts.has_key("gap")), COLUMN.asked_by == "")
        old = sa.and_(COLUMN.noted_at < sa.func.now() - KEPT, COLUMN.number < newest, is_whole)
        connection.execute(sa.delete(tables.reconciliations).where(old))
        # One by hand ends beside one of the Schedule, which has kept what it saw for the next of its kind.
        if reconciled.applied and not reconciled.by:
            connection.execute(sa.delete(tables.differences).where(SEEN.comparison_id != reconciled.id))
        if reconciled.differences:
            note_change(connection, "certificate", reconciled.differences[0].managed_id)


def note_seen(engine: Engine, comparison_id: str, found: Sequence[DifferenceRow]) -> None:
    """Keep what a comparison saw, until the next one that is applied has ended."""
    if not found:
        return
    rows = [
        {"kind": one.kind, "managed_id": one.managed_id, "comparison_id": comparison_id, "told": one.told}
        for one in {(one.kind, one.managed_id): one for one in found}.values()
    ]
    new = insert(tables.differences).values(sorted(rows, key=lambda row: (row["managed_id"], row["kind"])))
    seen = new.on_conflict_do_update(
        index_elements=[SEEN.kind, SEEN.managed_id],
        set_={"comparison_id": new.excluded.comparison_id, "told": new.excluded.told},
    )
    with engine.begin() as connection:
        connection.execute(seen)


def note_restored(engine: Engine, backup_made_at: datetime) -> None:
    """Hold our CAs in a database that was put back to ``backup_made_at``, until a person has looked.

    Noted as a comparison that was carried out: the next ones carry the hold on, `everleaf reconcile --apply` ends it.
    """
    row = {
        "id": f"restored-{uuid.uuid4()}",
        # Of none: Temporal is in no backup, and what it lost begins again.
        "workflow_id": "",
        "run_id": "",
        "applied": True,
        "living": 0,
        "running": 0,
        "counts": {},
        "differences": [],
        # By the clock that those who release it go by, and not by that of the machine that restores.
        "held_since": sa.func.clock_timestamp(),
        "began_at": backup_made_at,
    }
    with engine.begin() as connection:
        _insert(connection, row)


def _newest(connection: Connection) -> datetime | None:
    """Since when our CAs are held, by the newest comparison that was applied."""
    query = sa.select(COLUMN.held_since).where(COLUMN.applied).order_by(COLUMN.number.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


def _insert(connection: Connection, row: dict[str, object]) -> bool:
    values = {**row, "noted_at": sa.func.clock_timestamp()}
    return bool(connection.execute(insert(tables.reconciliations).values(**values).on_conflict_do_nothing()).rowcount)
