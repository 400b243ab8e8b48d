"""The whole at a glance: what needs somebody, how it stands by tier, what is in flight, when everything ends."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from domain.lifecycle.state import Stage
from store import tables
from store.reader.pages import Row
from store.reader.places import with_findings

READ = tables.managed_certificates
COLUMN = READ.c
LIVING = sa.not_(COLUMN.retired)
# X.733: minor and worse need somebody (store.facts.SEVERITY_RANK).
NEEDS_SOMEBODY = 2
BACKLOG_WITHIN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Situation:
    """``matrix``: (tier, or "unplaced", and severity) -> count.  ``attention``: the worst first, at most as many as
    were asked for, of ``needing``.  ``flight``: stage of open cases -> count; ``stuck``: some of each stage, worst
    first.  ``next``: the next thing that will happen by itself."""

    managed: int
    within_90: int
    matrix: dict[tuple[str, str], int]
    needing: int
    attention: list[Row]
    flight: dict[str, int]
    stuck: list[Row]
    verified_7: int
    alone_7: int
    next: Row | None
    checked_at: datetime | None


def situation(engine: Engine, now: datetime, most: int = 25) -> Situation:
    with engine.connect() as connection:
        matrix = _matrix(connection)
        flight, stuck = _flight(connection)
        verified, alone = _verified(connection, now - timedelta(days=7))
        return Situation(
            managed=sum(matrix.values()),
            within_90=_count(connection, LIVING, COLUMN.not_after < now + BACKLOG_WITHIN),
            matrix=matrix,
            needing=_count(connection, LIVING, COLUMN.severity_rank <= NEEDS_SOMEBODY),
            attention=with_findings(engine, _attention(connection, most)),
            flight=flight,
            stuck=stuck,
            verified_7=verified,
            alone_7=alone,
            next=_next(connection, now),
            checked_at=connection.execute(sa.select(sa.func.max(tables.discoveries.c.finished_at))).scalar(),
        )


def _count(connection: Connection, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(READ).where(*where)).scalar_one()


def _matrix(connection: Connection) -> dict[tuple[str, str], int]:
    groups = (COLUMN.tier, COLUMN.placed, COLUMN.severity)
    found: dict[tuple[str, str], int] = {}
    counted = sa.select(*groups, sa.func.count()).where(LIVING).group_by(*groups)
    for tier, placed, severity, count in connection.execute(counted):
        row = tier if placed else "unplaced"
        found[row, severity] = found.get((row, severity), 0) + count
    return found


def with_case() -> sa.Select[Any]:
    """Managed certificates, each with its open case and what is asked about it, where there is one."""
    case, asked = tables.cases.c, tables.approvals.c
    its_case = sa.and_(case.managed_id == COLUMN.id, case.closed_at.is_(None), case.generation == COLUMN.generation)
    its_question = sa.and_(
        asked.managed_id == COLUMN.id,
        asked.state.in_(("pending", "rejected")),
        asked.generation == case.generation,
        asked.case_number == case.number,
    )
    joined = READ.outerjoin(tables.cases, its_case).outerjoin(tables.approvals, its_question)
    more = (
        case.number.label("case_number"),
        case.stage,
        case.opened_at,
        case.failure,
        case.retry_at,
        case.rolled_back,
        case.requested_by,
        case.approved_by,
        asked.id.label("approval_id"),
        asked.asked_at,
        asked.deadline,
        asked.state.label("approval_state"),
        asked.decided_by.label("answered_by"),
        asked.decided_at.label("answered_at"),
    )
    return sa.select(READ, *more).select_from(joined)


def _attention(connection: Connection, most: int) -> list[Row]:
    worst = (COLUMN.severity_rank, COLUMN.subscribers.desc(), COLUMN.not_after, COLUMN.id)
    first = sa.select(COLUMN.id).where(LIVING, COLUMN.severity_rank <= NEEDS_SOMEBODY).order_by(*worst).limit(most)
    query = with_case().where(COLUMN.id.in_(first.scalar_subquery())).order_by(*worst)
    return [dict(row) for row in connection.execute(query).mappings()]


def _flight(connection: Connection, named: int = 3) -> tuple[dict[str, int], list[Row]]:
    stages = tuple(stage.value for stage in Stage)
    counts = sa.select(COLUMN.state, sa.func.count()).where(COLUMN.state.in_(stages)).group_by(COLUMN.state)
    flight = {row[0]: row[1] for row in connection.execute(counts)}
    rows: list[Row] = []
    for stage in flight:
        worst = (COLUMN.severity_rank, COLUMN.not_after, COLUMN.id)
        first = sa.select(COLUMN.id).where(COLUMN.state == stage).order_by(*worst).limit(named).subquery()
        stuck = with_case().where(COLUMN.id.in_(sa.select(first.c.id)), tables.cases.c.stage.is_not(None))
        rows += [dict(row) for row in connection.execute(stuck.order_by(*worst)).mappings()]
    return flight, rows


def _verified(connection: Connection, since: datetime) -> tuple[int, int]:
    """(Cases that closed verified since then, those of them that no person approved)."""
    case = tables.cases.c
    alone = sa.func.count().filter(case.approved_by == "policy")
    query = sa.select(sa.func.count(), alone).where(case.closed_at > since, case.outcome == "verified")
    count, without = connection.execute(query).one()
    return count, without


def _next(connection: Connection, now: datetime) -> Row | None:
    query = sa.select(COLUMN.id, COLUMN.names, COLUMN.next_action, COLUMN.next_action_at)
    query = query.where(LIVING, COLUMN.next_action_at > now).order_by(COLUMN.next_action_at).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def ends_by_day(engine: Engine, begin: date, end: date, zone: str) -> dict[date, int]:
    """How many living certificates end on each day (of ``zone``) from ``begin`` to before ``end``."""
    day = sa.cast(sa.func.timezone(zone, COLUMN.not_after), sa.Date)
    # A day of slack on both sides keeps the index usable whatever the zone.
    near = COLUMN.not_after.between(
        sa.cast(begin - timedelta(days=1), sa.DateTime(True)), sa.cast(end + timedelta(days=1), sa.DateTime(True))
    )
    query = sa.select(day, sa.func.count()).where(LIVING, near).group_by(day)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query) if begin <= row[0] < end}


def backlog_by_day(engine: Engine, until: datetime, zone: str, most: int = 400) -> list[tuple[date, int]]:
    """Day by day since the first discovery: how many certificates ended within 90 days and were not yet replaced."""
    life = tables.lives.c
    enters = sa.func.greatest(life.not_after - BACKLOG_WITHIN, life.began_at)

    def local(at: sa.ColumnElement[Any]) -> sa.ColumnElement[date]:
        return sa.cast(sa.func.timezone(zone, at), sa.Date)

    ever = sa.and_(enters <= until, sa.or_(life.ended_at.is_(None), life.ended_at > enters))
    come = sa.select(local(enters).label("day"), sa.literal(1).label("step")).where(ever)
    gone = sa.select(local(life.ended_at), sa.literal(-1)).where(ever, life.ended_at <= until)
    steps = sa.union_all(come, gone).subquery()
    query = sa.select(steps.c.day, sa.func.sum(steps.c.step)).group_by(steps.c.day).order_by(steps.c.day)
    first = sa.select(sa.func.min(tables.discoveries.c.started_at))
    with engine.connect() as connection:
        changes = {row[0]: int(row[1]) for row in connection.execute(query)}
        began = connection.execute(sa.select(local(first.scalar_subquery()))).scalar()
        today = connection.execute(sa.select(local(sa.literal(until, sa.DateTime(True))))).scalar_one()
    if began is None:
        return []
    start = max(began, today - timedelta(days=most))
    count = sum(step for day, step in changes.items() if day <= start)
    points = [(start, count)]
    for offset in range(1, (today - start).days + 1):
        count += changes.get(start + timedelta(days=offset), 0)
        points.append((start + timedelta(days=offset), count))
    return points
