"""Rows that are copied into a table: what an error says, and what nothing costs."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store import tables
from store.batches import copy_rows
from store.sightings.looks import Discovery, begin

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 30, tzinfo=UTC)
COLUMNS = ("discovery_id", "fingerprint", "url", "kind", "severity", "detail")
HOSTILE = "CN=<script>"
ROW = ("d", "aa", HOSTILE, "weak key", "minor", HOSTILE)


def test_a_copy_that_fails_says_what_of_which_table_and_nothing_of_the_row(database: Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError) as refused, database.begin() as connection:
        copy_rows(tables.changes, connection, ("kind", "subject", "at"), [("kind", HOSTILE, None)])

    assert "COPY into changes: NotNullViolation" in str(refused.value)
    assert HOSTILE not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_copy_that_meets_a_key_names_the_constraint(database: Engine) -> None:
    begin(database, Discovery("d", "test", {}, 0, 0), NOW)
    with pytest.raises(sa.exc.IntegrityError, match="UniqueViolation of findings_pkey"), database.begin() as connection:
        copy_rows(tables.findings, connection, COLUMNS, [ROW, ROW])


def test_a_copy_over_a_lost_connection_is_an_absent_database(database: Engine) -> None:
    """Which the boundary tries again."""
    with database.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.pgconn.finish()
        with pytest.raises(sa.exc.OperationalError):
            copy_rows(tables.findings, connection, COLUMNS, [ROW])


def test_a_copy_of_nothing_asks_the_server_for_nothing(database: Engine) -> None:
    with database.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("SELECT 1 / 0"))
        # Of a transaction that has failed the server takes no statement any more.
        assert copy_rows(tables.findings, connection, COLUMNS, []) == 0
