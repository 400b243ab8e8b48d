"""Managed certificates as their lifecycles last recorded them, and their events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import BadInput, NotFound
from domain.findings import Severity
from domain.lifecycle.state import Stage
from domain.tiers import Tier
from store import tables
from store.reader.pages import Order, Page, Row, page
from store.reader.places import has_finding, with_findings
from store.reader.situation import with_case

COLUMN = tables.managed_certificates.c

NAME = sa.func.coalesce(COLUMN.names[1], sa.literal(""))
KEYS: dict[str, tuple[sa.ColumnElement[Any], ...]] = {
    "not_after": (COLUMN.not_after, COLUMN.id),
    "severity": (COLUMN.severity_rank, COLUMN.not_after, COLUMN.id),
    "name": (NAME, COLUMN.id),
    "tier": (COLUMN.tier, COLUMN.not_after, COLUMN.id),
    "service": (COLUMN.service, COLUMN.not_after, COLUMN.id),
    "state": (COLUMN.state, COLUMN.not_after, COLUMN.id),
}
SORTS = {key: Order(columns) for key, columns in KEYS.items()}
SORTS |= {f"-{key}": Order(columns, down=True) for key, columns in KEYS.items()}

WORDS = ("tier", "state", "severity", "owner", "service", "issuer")
COUNTED = 10_000
# A state is the stage of the open case where there is one.
OPEN_STATES = tuple(stage.value for stage in Stage)
CHOICES = {
    "tier": tuple(tier.value for tier in Tier),
    "severity": tuple(severity.value for severity in Severity),
    "state": (*OPEN_STATES, "sleeping", "unseen", "retired", "adopting"),
}
# Minor and worse (store.facts.SEVERITY_RANK): somebody must act.
NEEDS_SOMEBODY = 2


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """Filters (None: any), ``q`` over names, id, fingerprint, owner and service, and the page that is asked for.

    ``placed`` False: no rule places it; ``attention``: somebody must act; ``open``: a renewal case is open;
    ``finding``: has one of that kind; ``ends_from`` and ``expires_before`` bound the end.
    """

    tier: str | None = None
    state: str | None = None
    severity: str | None = None
    owner: str | None = None
    service: str | None = None
    issuer: str | None = None
    q: str | None = None
    ends_from: datetime | None = None
    expires_before: datetime | None = None
    placed: bool | None = None
    attention: bool = False
    open: bool = False
    finding: str | None = None
    retired: bool = False
    sort: str = "not_after"
    limit: int = 50
    cursor: str | None = None


def list_certificates(engine: Engine, asked: CertificateQuery) -> Page:
    """Raises BadInput naming ``sort``, ``limit`` or ``cursor``."""
    if asked.sort not in SORTS:
        raise BadInput("sort", f"{asked.sort!r} is not a sort", f"One of {', '.join(SORTS)}.")
    query = with_case().where(*_where(asked))
    found = page(engine, query, SORTS[asked.sort], (asked.limit, asked.cursor))
    return Page(with_findings(engine, found.items), found.next_cursor)


def count_certificates(engine: Engine, asked: Sequence[CertificateQuery]) -> list[int]:
    """How many each would list; COUNTED + 1 where there are more: nobody waits for an exact million."""
    with engine.connect() as connection:
        return [connection.execute(_count(one)).scalar_one() for one in asked]


def _count(asked: CertificateQuery) -> sa.Select[Any]:
    found = sa.select(sa.literal(1)).select_from(tables.managed_certificates).where(*_where(asked))
    return sa.select(sa.func.count()).select_from(found.limit(COUNTED + 1).subquery())


def _where(asked: CertificateQuery) -> list[sa.ColumnElement[bool]]:
    # As the partial indexes are written, or the planner passes over them.
    found = [COLUMN.retired if asked.retired else sa.not_(COLUMN.retired)]
    for name, known in CHOICES.items():
        given = getattr(asked, name)
        if given is not None and given not in known:
            raise BadInput(name, f"{given!r} is none", f"One of {', '.join(known)}.")
    found += [COLUMN[name] == getattr(asked, name) for name in WORDS if getattr(asked, name) is not None]
    if asked.ends_from is not None:
        found.append(COLUMN.not_after >= asked.ends_from)
    if asked.expires_before is not None:
        found.append(COLUMN.not_after < asked.expires_before)
    if asked.placed is not None:
        found.append(COLUMN.placed == asked.placed)
    if asked.attention:
        found.append(COLUMN.severity_rank <= NEEDS_SOMEBODY)
    if asked.open:
        found.append(COLUMN.state.in_(OPEN_STATES))
    if asked.finding:
        found.append(has_finding(asked.finding))
    if asked.q and asked.q.strip():
        found.append(COLUMN.search.contains(asked.q.strip().lower(), autoescape=True))
    return found


def words_in_use(engine: Engine, most: int = 200) -> dict[str, list[str]]:
    """The values that filters may take: owners, services, issuers, states of living certificates."""
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for name in ("owner", "service", "issuer", "state"):
            query = _distinct(COLUMN[name]).limit(most)
            found[name] = [value for value in connection.execute(query).scalars() if value]
    return found


def _distinct(column: sa.ColumnElement[str]) -> sa.Select[Any]:
    """From value to next larger value along the index: as many steps as there are values, not as there are rows."""
    first = sa.select(sa.func.min(column).label("value")).cte("walk", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > first.c.value).scalar_subquery()
    walk = first.union_all(sa.select(following).where(first.c.value.is_not(None)))
    return sa.select(walk.c.value).where(walk.c.value.is_not(None))


def get_certificate(engine: Engine, managed_id: str) -> Row:
    """One row of the read model.  Raises NotFound."""
    with engine.connect() as connection:
        query = with_case().where(COLUMN.id == managed_id)
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no managed certificate {managed_id}; list them with GET /v1/certificates.")
    return with_findings(engine, [dict(row)])[0]


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


def lives_of(engine: Engine, managed_id: str) -> list[Row]:
    """Every generation of one managed certificate, newest first."""
    column = tables.lives.c
    query = sa.select(tables.lives).where(column.managed_id == managed_id).order_by(column.generation.desc())
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def seen_certificate(engine: Engine, fingerprint: str) -> Row | None:
    """The facts of one certificate, as they were parsed when it was first seen or issued; never its key."""
    column = tables.certificates.c
    query = sa.select(column.facts, column.first_seen_at).where(column.fingerprint == fingerprint)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def present_der(engine: Engine, managed_id: str) -> bytes:
    """The certificate of its newest generation; empty where none was kept."""
    life, kept = tables.lives.c, tables.certificates.c
    query = sa.select(kept.der).join(tables.lives, life.fingerprint == kept.fingerprint)
    query = query.where(life.managed_id == managed_id).order_by(life.generation.desc()).limit(1)
    with engine.connect() as connection:
        found = connection.execute(query).scalar_one_or_none()
    return bytes(found or b"")


def newest_events(engine: Engine, managed_id: str, limit: int = 60) -> list[Row]:
    """The newest events of one certificate, newest first."""
    column = tables.events.c
    query = sa.select(column.body).where(column.stream == managed_id).order_by(column.seq.desc()).limit(limit)
    with engine.connect() as connection:
        return [json.loads(bytes(body)) for body in connection.execute(query).scalars()]
