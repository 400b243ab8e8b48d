"""Discoveries and what they found."""

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import NotFound
from store import tables
from store.reader.pages import Order, Page, Row, page


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
