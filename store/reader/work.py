"""What waits for people and what was done: approvals, orders, uploads, deliveries, histories."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import NotFound
from store import tables
from store.reader.pages import Order, Page, Row, page
from store.reader.situation import with_case


def _all(engine: Engine, query: sa.Select[Any]) -> list[Row]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _one(engine: Engine, query: sa.Select[Any], missing: str) -> Row:
    rows = _all(engine, query)
    if not rows:
        raise NotFound(missing)
    return rows[0]


def list_approvals(engine: Engine, state: str | None, limit: int = 50, cursor: str | None = None) -> Page:
    """The most urgent first; ``state`` None: all."""
    column = tables.approvals.c
    query = sa.select(tables.approvals)
    if state is not None:
        query = query.where(column.state == state)
    return page(engine, query, Order((column.deadline, column.id)), (limit, cursor))


def find_approval(engine: Engine, approval_id: str) -> Row | None:
    rows = _all(engine, sa.select(tables.approvals).where(tables.approvals.c.id == approval_id))
    return rows[0] if rows else None


def get_approval(engine: Engine, approval_id: str) -> Row:
    """Raises NotFound."""
    query = sa.select(tables.approvals).where(tables.approvals.c.id == approval_id)
    return _one(engine, query, f"There is no approval {approval_id}; list them with GET /v1/approvals?state=pending.")


# Everything of an order but the bytes: a page shows its chain by fingerprint.
_ORDER = [column for column in tables.orders.c if column.name not in ("csr", "chain")]


def list_orders(engine: Engine, managed_id: str) -> list[Row]:
    """Newest first, without request and chain."""
    column = tables.orders.c
    query = sa.select(*_ORDER).where(column.managed_id == managed_id).order_by(column.placed_at.desc())
    return _all(engine, query)


def get_order(engine: Engine, order_key: str) -> Row:
    """One order with its ``csr`` and ``chain`` in DER.  Raises NotFound."""
    query = sa.select(tables.orders).where(tables.orders.c.order_key == order_key)
    return _one(engine, query, f"There is no order {order_key}.")


def list_uploads(engine: Engine, order_key: str) -> list[Row]:
    """What people brought for an order, newest first."""
    column = tables.uploads.c
    query = sa.select(column.id, column.by, column.at).where(column.order_key == order_key)
    return _all(engine, query.order_by(column.at.desc()))


def deliveries_for(engine: Engine, managed_id: str, limit: int = 200) -> list[Row]:
    """What people were told about one certificate, newest first."""
    column = tables.deliveries.c
    query = sa.select(tables.deliveries).where(column.managed_id == managed_id)
    return _all(engine, query.order_by(column.queued_at.desc(), column.message_id).limit(limit))


def list_histories(engine: Engine, workflow_id: str, generation: int | None = None) -> list[Row]:
    """Archived runs, oldest first; ``body`` is the gzip of the JSON that the replayer accepts."""
    column = tables.histories.c
    query = sa.select(tables.histories).where(column.workflow_id == workflow_id)
    if generation is not None:
        query = query.where(column.generation == generation)
    return _all(engine, query.order_by(column.generation, column.archived_at))


def inbox(engine: Engine, limit: int) -> list[Row]:
    """Managed certificates about which something is asked, nearest deadline first, each with its case."""
    asked = tables.approvals.c
    query = with_case().where(asked.id.is_not(None)).order_by(asked.deadline, asked.id).limit(limit)
    return _all(engine, query)
