"""Idempotency keys: the same key is the same request, for as long as anybody may repeat it."""

from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.errors import BadInput
from store import tables
from store.batches import delete_in_batches


def claim_key(engine: Engine, request_id: str, meant: str, now: datetime) -> None:
    """Remember what came with a key, or find it remembered (draft-ietf-httpapi-idempotency-key-header-07, 2.6).

    ``request_id``: made of the key, who sent it and what it is for.  Raises BadInput where something else came.
    """
    column = tables.requests.c
    digest = sha256(meant.encode()).digest()
    statement = insert(tables.requests).values(id=request_id, meant_sha256=digest, at=now)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
        known = connection.execute(sa.select(column.meant_sha256).where(column.id == request_id)).scalar_one()
    if bytes(known) != digest:
        raise BadInput(
            "Idempotency-Key",
            "came before with another request",
            "Send a new key with a new request; on a page, open it anew.",
        )


def forget_keys(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` keys that came before ``before``; gives how many."""
    return delete_in_batches(tables.requests, engine, tables.requests.c.at < before, most)
