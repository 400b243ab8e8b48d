"""Many rows in one statement: a list that a query joins, rows that are copied into a table.

No role of a process may make temporary tables (store.roles), so a list is one array, and its caller bounds it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection

T = TypeVar("T")

# Enough that the way to the server no longer counts, few enough that no statement comes near its timeout.
AT_ONCE = 2000


def listed(name: str, values: Iterable[str]) -> sa.TableValuedAlias:
    """``values``, each once, as a table of the one column ``name``: for a join, never for an ``IN`` that grows."""
    array = sa.literal(sorted(set(values)), sa.ARRAY(sa.String))
    return sa.func.unnest(array).table_valued(name).render_derived()


def batches(values: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """``values`` in their order, ``size`` at a time, read only as far as they are asked for."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def copy_rows(table: sa.Table, connection: Connection, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Append ``rows`` (values in the order of ``columns``) to ``table`` by COPY; gives how many.

    For new rows alone: one whose key is there already fails the statement.  JSON is given as text.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection that is checked out has one"
    count = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
