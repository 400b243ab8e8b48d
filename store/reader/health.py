"""Numbers that say how well it goes, and whether everything due has had its first outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Engine

from domain import vitals
from domain.vitals import Heartbeat, Late, Named, Place, Vitals
from store import tables

# Stages in which a step is running; every other stage waits for a named thing, so it has had an outcome.
IN_PROGRESS = ("ordering", "deploying", "verifying", "rolling-back")

# A step gives up after 15 minutes (DESIGN 3): a case that said nothing for longer waits between two steps.
STEP_PATIENCE = timedelta(minutes=15)

# A moment is acted on within a workflow task or two; later than this it is overdue.
OVERDUE_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Health:
    """``unrecorded``: adopted, but its lifecycle has recorded nothing yet; ``overdue``: its next moment has passed;
    ``in_progress``: a case whose step is running; ``adopted``: discoveries that ended well."""

    managed: int
    adopted: int
    unrecorded: int
    overdue: int
    in_progress: int
    unsent_notices: int
    queued_deliveries: int
    pending_approvals: int
    by_state: dict[str, int]
    by_severity: dict[str, int]

    @property
    def due_without_outcome(self) -> int:
        return self.unrecorded + self.overdue + self.in_progress + self.unsent_notices

    @property
    def settled(self) -> bool:
        """The first discovery is adopted and every due step has had its first outcome."""
        return self.adopted > 0 and self.due_without_outcome == 0


def health(engine: Engine, now: datetime) -> Health:
    managed, read = tables.managed, tables.managed_certificates
    living = sa.not_(read.c.retired)
    unrecorded = sa.select(sa.func.count()).select_from(managed.outerjoin(read, managed.c.id == read.c.id))
    with engine.connect() as connection:

        def count(table: sa.FromClause, *where: sa.ColumnElement[bool]) -> int:
            return connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()

        def grouped(column: sa.ColumnElement[str]) -> dict[str, int]:
            query = sa.select(column, sa.func.count()).where(living).group_by(column)
            return {row[0]: row[1] for row in connection.execute(query)}

        return Health(
            managed=count(managed),
            adopted=count(tables.discoveries, tables.discoveries.c.state == "adopted"),
            unrecorded=connection.execute(unrecorded.where(read.c.id.is_(None))).scalar_one(),
            overdue=count(read, living, read.c.next_action_at < now - OVERDUE_AFTER),
            in_progress=count(
                tables.cases.join(read, tables.cases.c.managed_id == read.c.id),
                tables.cases.c.closed_at.is_(None),
                tables.cases.c.stage.in_(IN_PROGRESS),
                read.c.updated_at > now - STEP_PATIENCE,
            ),
            unsent_notices=count(tables.notices, tables.notices.c.sent_at.is_(None)),
            queued_deliveries=count(tables.deliveries, tables.deliveries.c.state == "queued"),
            pending_approvals=count(tables.approvals, tables.approvals.c.state == "pending"),
            by_state=grouped(read.c.state),
            by_severity=grouped(read.c.severity),
        )


def rail_counts(engine: Engine) -> tuple[int, int]:
    """(Living managed certificates, pending approvals): what stands beside the names of pages."""
    living = sa.select(sa.func.count()).where(sa.not_(tables.managed_certificates.c.retired)).scalar_subquery()
    asked = sa.select(sa.func.count()).where(tables.approvals.c.state == "pending").scalar_subquery()
    with engine.connect() as connection:
        row = connection.execute(sa.select(living, asked)).one()
    return row[0], row[1]


# More than a person reads, and enough for the next round to find the rest.
MOST_NAMED = 1000
# What is open is told once a week at least: who was told nothing for longer is told nothing any more.
SILENT_FOR = timedelta(days=8)
READ = tables.managed_certificates.c
LIVING = sa.not_(READ.retired)
NAME = sa.func.coalesce(READ.names[1], READ.id)


def watched(engine: Engine) -> Vitals:
    """What the watcher reads in one round: a dozen rows, and those that are late."""
    with engine.connect() as connection:
        now = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        queued = tables.deliveries.c
        unsent = sa.select(sa.func.min(queued.queued_at)).where(queued.state == "queued")
        lists = tables.ca_crls.c
        newest = sa.select(lists.ca, sa.func.max(lists.made_at)).group_by(lists.ca).order_by(lists.ca)
        return Vitals(
            now=now,
            heartbeats=_heartbeats(connection),
            living=connection.execute(sa.select(sa.func.count()).where(LIVING)).scalar_one(),
            overdue=_late(connection, now),
            without_agenda=_bare(connection, now),
            lists=tuple((name, made_at) for name, made_at in connection.execute(newest)),
            unsent_since=connection.execute(unsent).scalar(),
            unheard=_unheard(connection),
            last_reconciled=last_reconciled(connection),
        )


def _unheard(connection: Connection) -> tuple[str, ...]:
    """Heads whose last letter reached nobody: of a comparison, or at the end of a ladder, where nothing climbs on."""
    c = tables.deliveries.c
    ended = sa.select(c.person, c.state).where(
        c.level == "security-head", c.state != "queued", c.queued_at > sa.func.now() - SILENT_FOR
    )
    last = ended.order_by(c.person, c.queued_at.desc()).ext(postgresql.distinct_on(c.person)).subquery()
    query = sa.select(last.c.person).where(last.c.state == "undeliverable").order_by(last.c.person)
    return tuple(connection.execute(query).scalars())


def last_reconciled(connection: Connection) -> datetime | None:
    """When inventory and engine were last compared; None before the first time."""
    column = tables.reconciliations.c
    return connection.execute(sa.select(sa.func.max(column.noted_at)).where(column.applied)).scalar()


def _heartbeats(connection: Connection) -> tuple[Heartbeat, ...]:
    """With the lifecycles of living certificates alone: what is retired may end as it likes."""
    rows = connection.execute(sa.select(tables.heartbeats).order_by(tables.heartbeats.c.written_at)).all()
    named = {one for row in rows if row.engine for one in (*row.engine["ended"], *row.engine["failing"])}
    living = set(connection.execute(sa.select(READ.id).where(LIVING, READ.id.in_(named))).scalars()) if named else set()
    return tuple(
        Heartbeat(
            tuple(row.serves),
            row.host,
            row.said_at,
            row.written_at,
            row.engine_at,
            row.polled_at,
            _counted(row.engine, living) if row.engine is not None else None,
        )
        for row in rows
    )


def _counted(engine: dict[str, Any], living: set[str]) -> vitals.Engine:
    ended, failing = (tuple(one for one in engine[name] if one in living) for name in ("ended", "failing"))
    return vitals.Engine(engine["running"], ended, failing)


def _late(connection: Connection, now: datetime) -> tuple[Late, ...]:
    query = sa.select(READ.id, NAME, READ.next_action_at).where(
        LIVING, READ.next_action_at < now - vitals.OVERDUE_AFTER
    )
    rows = connection.execute(query.order_by(READ.next_action_at, READ.id).limit(MOST_NAMED))
    return tuple(Late(*row) for row in rows)


def _bare(connection: Connection, now: datetime) -> tuple[Named, ...]:
    """Living ones without a next moment, and adopted ones whose lifecycle has recorded nothing for a long time."""
    without = sa.select(READ.id, NAME).where(LIVING, READ.next_action_at.is_(None))
    column = tables.managed.c
    unrecorded = (
        sa.select(column.id, sa.func.coalesce(column.names[1], column.id))
        .select_from(tables.managed.outerjoin(tables.managed_certificates, column.id == READ.id))
        .where(READ.id.is_(None), column.adopted_at < now - vitals.OVERDUE_AFTER)
    )
    rows = connection.execute(sa.union_all(without, unrecorded).limit(MOST_NAMED))
    return tuple(Named(*row) for row in rows)


def inventory(engine: Engine) -> tuple[Place, ...]:
    """Every place where a living certificate was seen to be served by TLS, each once.

    One that serves two keys is recorded with the earlier end: which of them a look is shown is the server's choice.
    """
    slot = tables.slots.c
    query = (
        sa.select(slot.url, sa.func.min(NAME), sa.func.min(slot.last_ends_at))
        .select_from(tables.slots.join(tables.managed_certificates, slot.managed_id == READ.id))
        .where(LIVING, slot.last_ends_at.is_not(None), slot.url.startswith("tls://"))
        .group_by(slot.url)
        .order_by(slot.url)
    )
    with engine.connect() as connection:
        return tuple(Place(*row) for row in connection.execute(query))
