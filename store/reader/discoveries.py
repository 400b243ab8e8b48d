"""Discoveries and what they found."""

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import NotFound
from store import tables
from store.reader.pages import Order, Page, Row, page
from store.reader.situation import with_case


def list_discoveries(engine: Engine, limit: int = 50, cursor: str | None = None) -> Page:
    """Newest first."""
    column = tables.discoveries.c
    order = Order((column.started_at, column.id), down=True)
    return page(engine, sa.select(tables.discoveries), order, (limit, cursor))


def get_discovery(engine: Engine, discovery_id: str) -> Row:
    """One discovery with ``looks``, the count of looks so far.  Raises NotFound."""
    column = tables.discoveries.c
    looks = sa.select(sa.func.count()).where(tables.looks.c.discovery_id == column.id).scalar_subquery()
    query = sa.select(tables.discoveries, looks.label("looks")).where(column.id == discovery_id)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no discovery {discovery_id}.")
    return dict(row)


def list_findings(engine: Engine, discovery_id: str, limit: int = 200, cursor: str | None = None) -> Page:
    column = tables.findings.c
    query = sa.select(tables.findings).where(column.discovery_id == discovery_id)
    return page(engine, query, Order((column.kind, column.url, column.fingerprint)), (limit, cursor))


def outcomes_of(engine: Engine, discovery_id: str) -> dict[str, int]:
    """Outcome -> looks of one discovery so far."""
    column = tables.looks.c
    query = sa.select(column.outcome, sa.func.count()).where(column.discovery_id == discovery_id)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(column.outcome))}


def hosts_seen(engine: Engine, discovery_id: str, most: int = 20_000) -> dict[str, int]:
    """Address, or "" for files and names -> certificates that were seen there; the first ``most`` addresses."""
    column = tables.looks.c
    host = sa.func.substring(column.url, r"^[a-z0-9+]+://\[?([0-9a-fA-F.:]*[0-9a-fA-F])\]?:[0-9]+")
    query = sa.select(host, sa.func.count()).where(column.discovery_id == discovery_id, column.outcome == "seen")
    with engine.connect() as connection:
        rows = connection.execute(query.group_by(host).limit(most)).all()
    return {row[0] or "": row[1] for row in rows}


def adopted_in(engine: Engine, discovery_id: str, most: int = 12) -> tuple[int, list[Row]]:
    """(How many one discovery found new, some of them: what no rule places first, then what ends first)."""
    managed = tables.managed.c
    count = sa.select(sa.func.count()).where(managed.discovery_id == discovery_id)
    read = tables.managed_certificates.c
    its = sa.select(managed.id).where(managed.discovery_id == discovery_id)
    rows = with_case().where(read.id.in_(its)).order_by(read.placed, read.severity_rank, read.not_after, read.id)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(rows.limit(most)).mappings()]
        return connection.execute(count).scalar_one(), found
