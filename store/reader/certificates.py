"""Managed certificates as their lifecycles last recorded them, and their events."""

import json
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import BadInput, NotFound
from store import tables
from store.reader.pages import Order, Page, Row, page

COLUMN = tables.managed_certificates.c

SORTS: dict[str, Order] = {
    "not_after": Order((COLUMN.not_after, COLUMN.id)),
    "-not_after": Order((COLUMN.not_after, COLUMN.id), down=True),
    "severity": Order((COLUMN.severity_rank, COLUMN.not_after, COLUMN.id)),
    "name": Order((sa.func.coalesce(COLUMN.names[1], sa.literal("")), COLUMN.id)),
}


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """Filters (None: any), ``q`` over names, id, fingerprint, owner and service, and the page that is asked for."""

    tier: str | None = None
    state: str | None = None
    severity: str | None = None
    owner: str | None = None
    service: str | None = None
    issuer: str | None = None
    q: str | None = None
    expires_before: datetime | None = None
    retired: bool = False
    sort: str = "not_after"
    limit: int = 50
    cursor: str | None = None


def list_certificates(engine: Engine, asked: CertificateQuery) -> Page:
    """Raises BadInput naming ``sort``, ``limit`` or ``cursor``."""
    if asked.sort not in SORTS:
        raise BadInput("sort", f"{asked.sort!r} is not a sort", f"One of {', '.join(SORTS)}.")
    query = sa.select(tables.managed_certificates).where(COLUMN.retired == asked.retired)
    for name in ("tier", "state", "severity", "owner", "service", "issuer"):
        wanted = getattr(asked, name)
        if wanted is not None:
            query = query.where(COLUMN[name] == wanted)
    if asked.expires_before is not None:
        query = query.where(COLUMN.not_after < asked.expires_before)
    if asked.q:
        query = query.where(_matches(asked.q.strip()))
    return page(engine, query, SORTS[asked.sort], (asked.limit, asked.cursor))


def _matches(text: str) -> sa.ColumnElement[bool]:
    names = sa.func.array_to_string(COLUMN.names, sa.literal("\n"))
    return sa.or_(
        names.icontains(text, autoescape=True),
        COLUMN.id.istartswith(text, autoescape=True),
        COLUMN.fingerprint.istartswith(text.replace(":", ""), autoescape=True),
        COLUMN.owner.icontains(text, autoescape=True),
        COLUMN.service.icontains(text, autoescape=True),
    )


def get_certificate(engine: Engine, managed_id: str) -> Row:
    """One row of the read model.  Raises NotFound."""
    with engine.connect() as connection:
        query = sa.select(tables.managed_certificates).where(COLUMN.id == managed_id)
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no managed certificate {managed_id}; list them with GET /v1/certificates.")
    return dict(row)


def open_case(engine: Engine, managed_id: str) -> Row | None:
    """The case that is open now, if one is."""
    column = tables.cases.c
    query = sa.select(tables.cases).where(column.managed_id == managed_id, column.closed_at.is_(None))
    query = query.order_by(column.generation.desc(), column.number.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def timeline(engine: Engine, managed_id: str, after: int = -1, limit: int = 200) -> list[Row]:
    """The events of one certificate as they are stored, by seq, from the one behind ``after``."""
    column = tables.events.c
    query = sa.select(column.body).where(column.stream == managed_id, column.seq > after)
    with engine.connect() as connection:
        bodies = connection.execute(query.order_by(column.seq).limit(limit)).scalars().all()
    return [json.loads(bytes(body)) for body in bodies]
