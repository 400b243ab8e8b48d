"""Numbers that say how well it goes, and whether everything due has had its first outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

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
