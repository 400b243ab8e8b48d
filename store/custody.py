"""Wrapped leaf keys: bytes that only the deploy worker's key-encryption key opens."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.certificate import KeyRef
from domain.errors import NotFound
from store import tables


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """``wrapped``: nonce and AES-256-GCM of the PKCS#8 bytes, with the id as associated data."""

    ref: KeyRef
    order_key: str
    wrapped: bytes


def keep_key(engine: Engine, key: WrappedKey, now: datetime) -> KeyRef:
    """Keep ``key``, unless its order has one: then that one counts."""
    row = {
        "id": key.ref.id,
        "order_key": key.order_key,
        "spki_sha256": key.ref.spki_sha256,
        "wrapped": key.wrapped,
        "made_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.keys).values(**row).on_conflict_do_nothing(index_elements=["order_key"]))
    kept = key_for_order(engine, key.order_key)
    assert kept is not None
    return kept


def key_for_order(engine: Engine, order_key: str) -> KeyRef | None:
    column = tables.keys.c
    with engine.connect() as connection:
        query = sa.select(column.id, column.spki_sha256).where(column.order_key == order_key)
        row = connection.execute(query).one_or_none()
    return KeyRef(row.id, row.spki_sha256) if row else None


def wrapped_key(engine: Engine, key_id: str) -> bytes:
    """Raises NotFound where the key never was or is destroyed."""
    with engine.connect() as connection:
        query = sa.select(tables.keys.c.wrapped).where(tables.keys.c.id == key_id)
        wrapped = connection.execute(query).scalar()
    if wrapped is None:
        raise NotFound(f"There is no key {key_id} in custody; order again.")
    return bytes(wrapped)
