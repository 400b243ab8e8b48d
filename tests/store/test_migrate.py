import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from domain.errors import NotReady
from store.migrate import upgrade
from store.tables import metadata


def test_a_second_upgrade_changes_nothing(database: Engine, database_url: str) -> None:
    upgrade(database_url)
    tables = set(sqlalchemy.inspect(database).get_table_names())
    assert tables == set(metadata.tables) | {"alembic_version"}


@pytest.mark.parametrize("statement", ["UPDATE events SET kind = ''", "DELETE FROM events", "TRUNCATE events"])
def test_events_are_append_only(database: Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO events (stream, seq, kind, cause, facts_sha256, body, leaf_hash, at, recorded_at) "
                "VALUES ('s', 0, 'k', 'c', '', '', '', now(), now())"
            )
        )
    with pytest.raises(sqlalchemy.exc.ProgrammingError, match="append-only"), database.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def test_a_database_that_does_not_answer_is_named() -> None:
    with pytest.raises(NotReady, match="EVERLEAF_DATABASE_URL"):
        upgrade("postgresql://nobody@127.0.0.1:1/none")
