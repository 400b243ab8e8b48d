"""What the store says of inventory and engine: which certificates live, by prefix of their ids, and the comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.engine import Connection, Engine

from domain.comparison import Living, LostOrder, LostRevocation
from domain.lifecycle.evolve import revocation_reason
from store import tables
from store.reader.pages import Row

MANAGED, READ = tables.managed.c, tables.managed_certificates.c
LONGEST_NAME = 100

# A certificate whose first notice is not sent yet has no lifecycle yet, and is none that is missing.
UNTOLD = sa.exists().where(tables.notices.c.managed_id == MANAGED.id, tables.notices.c.sent_at.is_(None))
JOINED = tables.managed.outerjoin(tables.managed_certificates, MANAGED.id == READ.id)
LIVES = sa.or_(sa.not_(READ.retired), sa.and_(READ.id.is_(None), sa.not_(UNTOLD)))


@dataclass(frozen=True, slots=True)
class Known:
    """``next_at``: when its agenda goes on, by the read model; None before anything was recorded."""

    living: Living
    name: str
    head: str
    next_at: datetime | None


def _begins(prefix: str) -> sa.ColumnElement[bool]:
    return MANAGED.id.startswith(prefix, autoescape=True)


def count_living(connection: Connection, prefix: str) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(JOINED).where(LIVES, _begins(prefix))).scalar_one()


def living_ids(connection: Connection, prefix: str) -> list[str]:
    query = sa.select(MANAGED.id).select_from(JOINED).where(LIVES, _begins(prefix)).order_by(MANAGED.id)
    return list(connection.execute(query).scalars())


def next_letters(connection: Connection, prefix: str) -> list[str]:
    """The letters with which ids go on behind ``prefix``."""
    letter = sa.func.substr(MANAGED.id, len(prefix) + 1, 1)
    query = sa.select(letter.label("letter")).where(_begins(prefix)).group_by(letter).order_by(letter)
    return [row.letter for row in connection.execute(query) if row.letter]


def known(connection: Connection, managed_ids: Sequence[str]) -> dict[str, Known]:
    """Of each that the store knows at all."""
    query = sa.select(
        MANAGED.id,
        sa.func.coalesce(MANAGED.names[1], "").label("name"),
        sa.func.coalesce(MANAGED.terms["head"].astext, "").label("head"),
        READ.retired,
        READ.next_action_at,
    ).select_from(JOINED)
    query = query.where(MANAGED.id == sa.any_(sa.literal(list(managed_ids), sa.ARRAY(sa.String))))
    return {
        row.id: Known("retired" if row.retired else "living", row.name[:LONGEST_NAME], row.head, row.next_action_at)
        for row in connection.execute(query)
    }


def overdue_ids(connection: Connection, before: datetime, after: str, most: int) -> list[str]:
    """Living certificates whose agenda should have gone on before ``before``, from the one behind ``after`` on."""
    query = sa.select(READ.id).where(sa.not_(READ.retired), READ.next_action_at < before, READ.id > after)
    return list(connection.execute(query.order_by(READ.id).limit(most)).scalars())


def orders_adrift(connection: Connection, before: datetime, after: str, most: int) -> dict[str, tuple[str, ...]]:
    """What was ordered before ``before`` and is followed by nobody: by managed id, behind ``after``, and why.

    An order that belongs to no open case, was never put in use and that no event of its lifecycle has closed; and an
    open case whose order the store does not hold, as after it was put back.
    """
    order, case, life, event = tables.orders.c, tables.cases.c, tables.lives.c, tables.events.c
    key = sa.cast(sa.func.convert_from(event.body, "UTF8"), JSONB)["facts"]["order_key"].astext
    closed = sa.exists().where(event.stream == order.managed_id, event.kind == "order_closed", key == order.order_key)
    followed = sa.exists().where(
        case.managed_id == order.managed_id, case.order_key == order.order_key, case.closed_at.is_(None)
    )
    in_use = sa.exists().where(life.managed_id == order.managed_id, life.fingerprint == order.fingerprint)
    told = sa.literal("no case follows its order ") + order.order_key
    lost = sa.select(order.managed_id, told.label("why")).where(
        order.state.in_(("placed", "issued")),
        order.placed_at < before,
        order.managed_id > after,
        sa.not_(in_use),
        sa.not_(followed),
        sa.not_(closed),
    )
    unknown = sa.exists().where(order.order_key == case.order_key)
    said = sa.literal("the store does not hold its order ") + case.order_key
    open_case = sa.and_(case.closed_at.is_(None), case.order_key != "", case.opened_at < before)
    bare = sa.select(case.managed_id, said.label("why")).where(open_case, case.managed_id > after, sa.not_(unknown))
    both = sa.union_all(lost, bare).subquery()
    whys = sa.func.array_agg(postgresql.aggregate_order_by(both.c.why, both.c.why))
    query = sa.select(both.c.managed_id, whys.label("whys")).group_by(both.c.managed_id)
    rows = connection.execute(query.order_by(both.c.managed_id).limit(most))
    return {row.managed_id: tuple(row.whys) for row in rows}


def of_no_pair(connection: Connection, most: int) -> list[tuple[str, str, bool]]:
    """As ``seen_before``: whether our CAs were held, and the first ``most`` whose record was not whole."""
    c = tables.differences.c
    query = (
        sa.select(c.kind, c.managed_id, c.told)
        .where(c.kind.in_(("gap", "held", "forgotten")))
        .order_by(c.managed_id)
        .limit(most)
    )
    return [(row.kind, row.managed_id, row.told) for row in connection.execute(query)]


def seen_before(connection: Connection, managed_ids: Sequence[str]) -> list[tuple[str, str, bool]]:
    """(kind, managed id, told) of what the last comparison saw of ``managed_ids``."""
    c = tables.differences.c
    query = sa.select(c.kind, c.managed_id, c.told)
    query = query.where(c.managed_id == sa.any_(sa.literal(list(managed_ids), sa.ARRAY(sa.String))))
    return [(row.kind, row.managed_id, row.told) for row in connection.execute(query)]


def lost_orders(connection: Connection, after: str, most: int) -> list[LostOrder]:
    """Certificates that lifecycles say were issued, of orders that are not in the store, from the one behind ``after``
    on by their keys."""
    event = tables.events.c
    facts = sa.cast(sa.func.convert_from(event.body, "UTF8"), JSONB)["facts"]
    key = facts["order_key"].astext
    known = sa.exists().where(tables.orders.c.order_key == key)
    query = sa.select(event.stream, key.label("order_key"), facts["life"].label("life"))
    query = query.where(event.kind == "certificate_issued", key > after, sa.not_(known)).order_by(key)
    return [
        LostOrder(row.order_key, row.stream, row.life["fingerprint"], row.life["serial"], row.life["issuer"])
        for row in connection.execute(query.limit(most))
    ]


def revoked_orders(connection: Connection, after: str, most: int) -> list[LostRevocation]:
    """What lifecycles say was revoked, from the order behind ``after`` on by their keys.  Whether our CAs still know it
    only they can say."""
    ended, used, revoked = tables.events.alias("ended").c, tables.events.alias("used").c, tables.events.c
    facts, why, what = (
        sa.cast(sa.func.convert_from(one.body, "UTF8"), JSONB)["facts"] for one in (revoked, ended, used)
    )
    key = facts["order_key"].astext
    closed = (
        sa.select(why["reason"].astext.label("reason"), why["fingerprint"].astext.label("fingerprint"))
        .where(ended.stream == revoked.stream, ended.kind == "order_closed", why["order_key"].astext == key)
        .order_by(ended.seq.desc())
        .limit(1)
        .lateral("closed")
    )
    issued = (
        sa.select(what["life"]["serial"].astext.label("serial"), what["life"]["issuer"].astext.label("issuer"))
        .where(used.stream == revoked.stream, used.kind == "certificate_issued", what["order_key"].astext == key)
        .order_by(used.seq.desc())
        .limit(1)
        .lateral("issued")
    )
    query = sa.select(key.label("order_key"), closed.c.reason, closed.c.fingerprint, revoked.at, issued)
    known = tables.events.outerjoin(closed, sa.true()).outerjoin(issued, sa.true())
    query = query.select_from(known).ext(postgresql.distinct_on(key))
    query = query.where(revoked.kind == "order_revoked", facts["done"].astext == "true", key > after)
    rows = connection.execute(query.order_by(key, revoked.at).limit(most))
    return [
        LostRevocation(
            row.order_key,
            revocation_reason(row.reason or ""),
            row.at,
            row.fingerprint or "",
            row.serial or "",
            row.issuer or "",
        )
        for row in rows
    ]


def recorded_since(connection: Connection, since: datetime, after: str, most: int) -> list[str]:
    """Living certificates of which something was recorded behind ``since``, from the one behind ``after`` on."""
    c = tables.events.c
    recorded = sa.select(c.stream).where(c.recorded_at > since, c.stream > after).distinct()
    query = sa.select(READ.id).where(sa.not_(READ.retired), READ.id.in_(recorded)).order_by(READ.id).limit(most)
    return list(connection.execute(query).scalars())


def heads(connection: Connection) -> list[str]:
    """Everybody who is the head of IT security of a living certificate."""
    head = MANAGED.terms["head"].astext
    query = sa.select(head.label("head")).select_from(JOINED).where(LIVES).group_by(head).order_by(head)
    return [row.head for row in connection.execute(query) if row.head]


def last_applied(connection: Connection) -> Row | None:
    """The newest comparison that was more than a question, or None before the first."""
    column = tables.reconciliations.c
    query = sa.select(tables.reconciliations).where(column.applied).order_by(column.number.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row is not None else None


def held_since(engine: Engine) -> datetime | None:
    """Since when our CAs sign nothing, because the store was put back; None: they may."""
    column = tables.reconciliations.c
    query = sa.select(column.held_since).where(column.applied).order_by(column.number.desc()).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def noted_at(connection: Connection, comparison_id: str) -> datetime | None:
    query = sa.select(tables.reconciliations.c.noted_at).where(tables.reconciliations.c.id == comparison_id)
    return connection.execute(query).scalar_one_or_none()


def is_known(connection: Connection, comparison_id: str) -> bool:
    query = sa.select(sa.literal(1)).where(tables.reconciliations.c.id == comparison_id)
    return connection.execute(query).first() is not None


def reconciliation(engine: Engine, comparison_id: str) -> Row | None:
    with engine.connect() as connection:
        query = sa.select(tables.reconciliations).where(tables.reconciliations.c.id == comparison_id)
        row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row is not None else None


def last_reconciliation(engine: Engine) -> Row | None:
    with engine.connect() as connection:
        return last_applied(connection)


def differing_since(engine: Engine, since: datetime, most: int) -> list[Row]:
    """The comparisons behind ``since`` of which somebody was told something, newest first."""
    column = tables.reconciliations.c
    told = sa.func.jsonb_path_exists(column.differences, sa.cast("$[*] ? (@.told == true)", JSONPATH))
    query = sa.select(tables.reconciliations).where(column.applied, column.noted_at > since, told)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(column.number.desc()).limit(most)).mappings()
        return [dict(row) for row in rows]
