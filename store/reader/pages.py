"""Keyset pages: a cursor names the last row shown, so rows that come and go meanwhile shift nothing."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import BadInput

LARGEST_PAGE = 500

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """``next_cursor``: give it back for the following rows; None on the last page."""

    items: list[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """Columns that sort, the last one unique; ``down``: largest first."""

    columns: tuple[sa.ColumnElement[Any], ...]
    down: bool = False


def _mark(order: Order) -> str:
    """Which order a cursor belongs to: a place in one means nothing in another."""
    said = f"{[str(column) for column in order.columns]} {order.down}"
    return sha256(said.encode()).hexdigest()[:8]


def encode_cursor(values: list[Any], order: Order) -> str:
    plain = [_mark(order), *(value.isoformat() if isinstance(value, datetime) else value for value in values)]
    return urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, order: Order) -> list[Any]:
    """Raises BadInput where ``cursor`` is not one of ours for this sort."""
    wrong = BadInput("cursor", "is not a cursor of this list", "Give back next_cursor, unchanged, with the same sort.")
    try:
        values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(order.columns) + 1 or values[0] != _mark(order):
            raise wrong
        return [_typed(value, column) for value, column in zip(values[1:], order.columns, strict=True)]
    except (ValueError, TypeError, RecursionError) as error:
        raise wrong from error


def _typed(value: object, column: sa.ColumnElement[Any]) -> object:
    expected = column.type.python_type
    typed = datetime.fromisoformat(value) if expected is datetime and isinstance(value, str) else value
    if not isinstance(typed, expected) or (isinstance(typed, datetime) and typed.tzinfo is None):
        raise TypeError("a cursor of another list")
    if isinstance(typed, bool) is not (expected is bool):
        raise TypeError("a cursor of another list")
    if isinstance(typed, int) and abs(typed) > _largest(column):
        raise ValueError("a number that no row holds")
    # Half of a surrogate pair cannot be encoded either, which is a ValueError too.
    if isinstance(typed, str) and b"\0" in typed.encode():
        raise ValueError("a text that no row holds")
    return typed


def _largest(column: sa.ColumnElement[Any]) -> int:
    return 2**63 - 1 if isinstance(column.type, sa.BigInteger) else 2**31 - 1


def page(engine: Engine, query: sa.Select[Any], order: Order, asked: tuple[int, str | None]) -> Page:
    """The rows of ``query`` in ``order``; ``asked`` = (page size, cursor)."""
    size, cursor = asked
    if not 1 <= size <= LARGEST_PAGE:
        raise BadInput("limit", f"{size} is not a page size", f"Write a number from 1 to {LARGEST_PAGE}.")
    keys = [column.label(f"sort_{index}") for index, column in enumerate(order.columns)]
    if cursor:
        after = sa.tuple_(*[sa.literal(value) for value in decode_cursor(cursor, order)])
        place = sa.tuple_(*order.columns)
        query = query.where(place < after if order.down else place > after)
    sorted_columns = [column.desc() if order.down else column.asc() for column in order.columns]
    query = query.add_columns(*keys).order_by(*sorted_columns).limit(size + 1)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    shown = rows[:size]
    more = encode_cursor([shown[-1][key.name] for key in keys], order) if len(rows) > size else None
    return Page([{key: value for key, value in row.items() if not key.startswith("sort_")} for row in shown], more)
