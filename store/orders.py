"""Orders and what came of them, and what targets said when a certificate was put there."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine, Row

from domain.certificate import Slot
from domain.contracts import Plan
from domain.errors import NotFound
from store import tables

PLAN = TypeAdapter(Plan)


@dataclass(frozen=True, slots=True)
class Order:
    """One request to one CA.  ``state``: placed -> issued | failed; ``chain``: DER, leaf first, root left out."""

    order_key: str
    managed_id: str
    plan: Plan
    approved_by: str
    key_id: str
    csr: bytes
    state: str = "placed"
    chain: tuple[bytes, ...] = ()
    fingerprint: str = ""
    detail: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """``previous``: the fingerprint on the other side of the change: what was replaced, or is back after a rollback.

    ``outcome``: installed, rolled back, unreachable or refused.
    """

    order_key: str
    slot: Slot
    fingerprint: str
    previous: str
    outcome: str
    detail: str = ""


def _order(row: Row[tuple[object, ...]]) -> Order:
    return Order(
        order_key=row.order_key,
        managed_id=row.managed_id,
        plan=PLAN.validate_python(row.plan),
        approved_by=row.approved_by,
        key_id=row.key_id,
        csr=bytes(row.csr),
        state=row.state,
        chain=tuple(bytes(der) for der in row.chain or ()),
        fingerprint=row.fingerprint or "",
        detail=row.detail,
        cause=row.cause,
    )


def place_order(engine: Engine, order: Order, now: datetime) -> Order:
    """Store ``order``, or give the one of that key that is there."""
    row = {
        "order_key": order.order_key,
        "managed_id": order.managed_id,
        "plan": PLAN.dump_python(order.plan, mode="json"),
        "approved_by": order.approved_by,
        "key_id": order.key_id,
        "csr": order.csr,
        "state": "placed",
        "placed_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.orders).values(**row).on_conflict_do_nothing(index_elements=["order_key"]))
    return order_of(engine, order.order_key)


def find_order(engine: Engine, order_key: str) -> Order | None:
    with engine.connect() as connection:
        query = sa.select(tables.orders).where(tables.orders.c.order_key == order_key)
        row = connection.execute(query).one_or_none()
    return _order(row) if row else None


def order_of(engine: Engine, order_key: str) -> Order:
    """Raises NotFound."""
    order = find_order(engine, order_key)
    if order is None:
        raise NotFound(f"There is no order {order_key}.")
    return order


def find_by_fingerprint(engine: Engine, fingerprint: str) -> Order | None:
    with engine.connect() as connection:
        query = sa.select(tables.orders).where(tables.orders.c.fingerprint == fingerprint)
        row = connection.execute(query).one_or_none()
    return _order(row) if row else None


def _close(engine: Engine, order_key: str, values: dict[str, object]) -> Order:
    column = tables.orders.c
    with engine.begin() as connection:
        still_open = sa.and_(column.order_key == order_key, column.state == "placed")
        connection.execute(sa.update(tables.orders).where(still_open).values(**values))
    return order_of(engine, order_key)


def issue_order(engine: Engine, order_key: str, chain: tuple[bytes, ...], now: datetime) -> Order:
    """Close the order with its one certificate; whoever comes second reads what the first stored."""
    fingerprint = sha256(chain[0]).hexdigest()
    values = {"state": "issued", "chain": list(chain), "fingerprint": fingerprint, "detail": "", "closed_at": now}
    return _close(engine, order_key, values)


def fail_order(engine: Engine, order_key: str, why: tuple[str, str], now: datetime) -> Order:
    """Close the order for good; ``why`` = (detail, cause) as in OrderOutcome."""
    detail, cause = why
    return _close(engine, order_key, {"state": "failed", "detail": detail, "cause": cause, "closed_at": now})


def note_order(engine: Engine, order_key: str, detail: str) -> None:
    """Say beside an open order what is in its way; it stays open."""
    column = tables.orders.c
    still_open = sa.and_(column.order_key == order_key, column.state == "placed", column.detail != detail)
    with engine.begin() as connection:
        connection.execute(sa.update(tables.orders).where(still_open).values(detail=detail))


def save_receipt(engine: Engine, receipt: PutReceipt, now: datetime) -> None:
    """Keep the newest word of a target about one order."""
    key = {"order_key": receipt.order_key, "url": receipt.slot.url, "algorithm": receipt.slot.algorithm}
    said = {
        "fingerprint": receipt.fingerprint,
        "previous": receipt.previous,
        "outcome": receipt.outcome,
        "detail": receipt.detail,
        "at": now,
    }
    statement = insert(tables.receipts).values(**key, **said)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=said))


def receipts_of(engine: Engine, order_key: str) -> list[PutReceipt]:
    column = tables.receipts.c
    query = sa.select(tables.receipts).where(column.order_key == order_key).order_by(column.url, column.algorithm)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        PutReceipt(row.order_key, Slot(row.url, row.algorithm), row.fingerprint, row.previous, row.outcome, row.detail)
        for row in rows
    ]
