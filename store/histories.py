"""Archived Temporal histories: what the replayer and an auditor read after Temporal forgot."""

import gzip
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.contracts import Archived
from store import tables


@dataclass(frozen=True, slots=True)
class History:
    """One run.  ``text``: the JSON that the replayer accepts; ``events``: how many events it holds."""

    workflow_id: str
    run_id: str
    generation: int
    release: str
    text: str
    events: int


def keep_history(engine: Engine, history: History, now: datetime) -> Archived:
    """Keep ``history`` for good; a run that is kept already stays as it is."""
    plain = history.text.encode()
    row = {
        "workflow_id": history.workflow_id,
        "run_id": history.run_id,
        "generation": history.generation,
        "release": history.release,
        "events": history.events,
        "sha256": sha256(plain).hexdigest(),
        "body": gzip.compress(plain, mtime=0),
        "archived_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.histories).values(**row).on_conflict_do_nothing())
    return Archived(history.run_id, history.events, str(row["sha256"]))


def has_history(engine: Engine, workflow_id: str, run_id: str) -> bool:
    column = tables.histories.c
    query = sa.select(sa.literal(1)).where(column.workflow_id == workflow_id, column.run_id == run_id)
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def last_generation(engine: Engine, workflow_id: str) -> int:
    """The generation that a lifecycle had reached, by the read model; 1 before it was recorded."""
    managed_id = workflow_id.partition("/")[2]
    column = tables.managed_certificates.c
    with engine.connect() as connection:
        found = connection.execute(sa.select(column.generation).where(column.id == managed_id)).scalar_one_or_none()
    return int(found) if found is not None else 1


def histories_of(engine: Engine, workflow_id: str, generation: int | None = None) -> list[History]:
    """Oldest first."""
    column = tables.histories.c
    query = sa.select(tables.histories).where(column.workflow_id == workflow_id)
    if generation is not None:
        query = query.where(column.generation == generation)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(column.generation, column.archived_at)).all()
    return [
        History(
            row.workflow_id, row.run_id, row.generation, row.release, gzip.decompress(row.body).decode(), row.events
        )
        for row in rows
    ]
