"""Many rows in one statement: a list that a query joins, rows that are copied into a table.

No role of a process may make temporary tables (store.roles), so a list is one array, and its caller bounds it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB, Insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

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

    For new rows alone: one whose key is there already fails the statement.  JSON is given as text.  Raises what
    SQLAlchemy raises for a statement of its own.
    """
    rest = iter(rows)
    first = list(islice(rest, 1))
    if not first:
        return 0
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection that is checked out has one"
    count = 0
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in chain(first, rest):
                copy.write_row(row)
                count += 1
    except psycopg.Error as error:
        raise _without_row(table, error) from None
    return count


def delete_in_batches(
    table: sa.Table, engine: Engine, old: sa.ColumnElement[bool], most: int, size: int = AT_ONCE
) -> int:
    """Delete at most ``most`` rows of ``table`` for which ``old`` holds, ``size`` in a transaction; gives how many.

    By their places in the file, so that each batch is found once and needs no index on what it is deleted by.
    """
    place: sa.ColumnElement[object] = sa.literal_column(f"{table.name}.ctid")
    done = 0
    while done < most:
        found = sa.select(place).select_from(table).where(old).limit(min(size, most - done)).scalar_subquery()
        with engine.begin() as connection:
            count = connection.execute(sa.delete(table).where(place == sa.any_(sa.func.array(found)))).rowcount
        done += count
        if not count:
            break
    return done


def _without_row(table: sa.Table, error: psycopg.Error) -> Exception:
    """``error`` as SQLAlchemy's: PostgreSQL quotes the row in its text, and that may be a stranger's certificate, while
    an error's text goes into logs and Temporal failures."""
    constraint = f" of {error.diag.constraint_name}" if error.diag.constraint_name else ""
    told = type(error)(f"COPY into {table.name}: {type(error).__name__}{constraint}")
    made = DBAPIError.instance(None, None, told, psycopg.Error, hide_parameters=True)
    assert isinstance(made, Exception), "it is one of PostgreSQL's"
    return made


def given_rows(table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> sa.TableValuedAlias:
    """``rows`` (values as JSON has them) as rows of ``table``, in one parameter; what they leave out is NULL."""
    shape: sa.ColumnClause[Any] = sa.literal_column(f"NULL::{table.name}")
    columns = [sa.column(column.name, column.type) for column in table.columns]
    return sa.func.jsonb_populate_recordset(shape, sa.literal(list(rows), JSONB)).table_valued(*columns, name="given")


def put_rows(
    connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]], changed: Mapping[str, Any]
) -> None:
    """Insert ``rows``, all with the same fields; ``changed``: what becomes of the ones whose key is there already."""
    if not rows:
        return
    table, names = statement.table, list(rows[0])
    assert isinstance(table, sa.Table), "an insert is into a table"
    given = given_rows(table, rows)
    filled = statement.from_select(names, sa.select(*(given.c[name] for name in names)), include_defaults=False)
    keys = [column.name for column in table.primary_key.columns]
    connection.execute(filled.on_conflict_do_update(index_elements=keys, set_=changed))
