"""That a process lives: one row for what it serves on its host, written anew with every beat."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain import vitals
from store import tables

# A host that has been away for so long is none of ours any more: containers have a new name at each start.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process says of itself, as ``domain.vitals.Heartbeat`` explains; the database adds its own clock."""

    serves: tuple[str, ...]
    host: str
    said_at: datetime
    engine_at: datetime | None = None
    polled_at: datetime | None = None
    engine: vitals.Engine | None = None


def beat(engine: Engine, said: Beat) -> None:
    """Write ``said`` over what was said before, and forget others that serve the same and have long been silent."""
    counted = said.engine
    row = {
        "serves": list(said.serves),
        "host": said.host,
        "said_at": said.said_at,
        # Not now(): a transaction that had to wait would be dated back.
        "written_at": sa.func.clock_timestamp(),
        "engine_at": said.engine_at,
        "polled_at": said.polled_at,
        "engine": (
            {"running": counted.running, "ended": list(counted.ended), "failing": list(counted.failing)}
            if counted is not None
            else sa.null()
        ),
    }
    column = tables.heartbeats.c
    written = insert(tables.heartbeats).values(**row)
    fresh: dict[str, sa.ColumnElement[Any]] = {
        name: written.excluded[name] for name in row if name not in ("serves", "host", "engine")
    }
    # Who has not counted yet, or cannot now, leaves what was counted last.
    fresh["engine"] = sa.func.coalesce(written.excluded.engine, column.engine)
    silent = sa.delete(tables.heartbeats).where(
        column.serves == list(said.serves), column.written_at < sa.func.now() - FORGOTTEN_AFTER
    )
    with engine.begin() as connection:
        connection.execute(written.on_conflict_do_update(index_elements=["serves", "host"], set_=fresh))
        connection.execute(silent)


def leave(engine: Engine, serves: tuple[str, ...], host: str) -> None:
    """Take the row away: the process ends in good order, and another may take its place elsewhere."""
    column = tables.heartbeats.c
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.heartbeats).where(column.serves == list(serves), column.host == host))
