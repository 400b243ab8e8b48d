"""Migrations: what 0.1.0 made is frozen, and what they come to is what the tables say."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Engine

from domain.certificate import Slot
from domain.comparison import Reconciled
from domain.errors import NotReady
from domain.tiers import Role
from store import access, tables
from store.engine import create_engine
from store.migrate import upgrade
from store.reconciliations import note
from store.sightings.looks import slots_at
from store.sightings.notices import unsent
from store.tables import metadata
from tests.servers import Cluster
from tests.store.schemas import schema_text

pytestmark = pytest.mark.server

# Read from a database that the code of the tag v0.1.0 had migrated.
SCHEMA_OF_0_1_0 = Path(__file__).parent / "schema-0.1.0.txt"


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Engine]:
    """A database without any table."""
    cluster.execute("CREATE DATABASE empty")
    engine = create_engine(cluster.url("empty"))
    yield engine
    engine.dispose()
    cluster.execute("DROP DATABASE empty WITH (FORCE)")


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def schema_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return schema_text(connection)


def test_the_first_migration_makes_the_tables_of_0_1_0(empty: Engine) -> None:
    upgrade(url_of(empty), "0001")

    assert schema_of(empty) == SCHEMA_OF_0_1_0.read_text()


def test_all_migrations_come_to_what_the_tables_say(database: Engine, empty: Engine) -> None:
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []

    # Alembic compares neither conditions nor methods of indexes, nor triggers.
    with empty.begin() as connection:
        connection.execute(sa.text("CREATE EXTENSION pg_trgm"))
        metadata.create_all(connection)
    made = [line for line in schema_of(database).splitlines() if "refuse_change()" not in line]
    assert made == schema_of(empty).splitlines()


def test_what_0_1_0_wrote_is_carried_over(empty: Engine) -> None:
    upgrade(url_of(empty), "0001")
    with empty.begin() as connection:
        for statement in WRITTEN_BY_0_1_0:
            connection.exec_driver_sql(statement)

    upgrade(url_of(empty))

    assert unsent(empty, 9) == [("mc-1", "d.b"), ("mc-1", "d.a"), ("mc-1", "d.c")]
    with empty.begin() as connection:
        connection.exec_driver_sql(NOTICE.format(id="d.0", at="2000-01-01"))
    assert unsent(empty, 9)[-1] == ("mc-1", "d.0"), "what is written later is heard later"
    with empty.connect() as connection:
        assert connection.execute(sa.text("SELECT judged_in FROM slots")).scalar_one() == "d", "its findings hold"
    assert slots_at(empty, ["127.0.0.1"]) == (Slot("tls://127.0.0.1:443?sni=a.example", "rsa"),)


def test_a_token_that_0_2_0_made_for_a_role_alone_decides_nothing_after_the_upgrade(empty: Engine) -> None:
    upgrade(url_of(empty), "0002")
    made = "INSERT INTO tokens (id, sha256, name, made_at, role, person, may_decide)"
    made += " VALUES ('{0}', '{0}', 'x', now(), {1})"
    with empty.begin() as connection:
        for number, rest in enumerate(
            ("'security-head', '', true", "'security-head', 'asha', true", "'admin', '', true", "'noc', '', false")
        ):
            connection.exec_driver_sql(made.format(number, rest))
        kept = "INSERT INTO policies (version, text, at) VALUES ('a', 'A', '2026-11-01'), ('b', 'B', '2026-11-02')"
        connection.exec_driver_sql(kept)

    upgrade(url_of(empty))

    rows = sorted(access.tokens_of(empty), key=lambda row: row["id"])
    held = [access.decides(Role(row["role"]), row["person"], row["may_decide"]) for row in rows]
    assert held == [False, True, True, False]
    last = access.last_policy(empty)
    assert last is not None
    assert last.version == "b"


NOTICE = "INSERT INTO notices (id, managed_id, observation, written_at) VALUES ('{id}', 'mc-1', '{{}}', '{at}')"
WRITTEN_BY_0_1_0 = (
    "INSERT INTO discoveries (id, source, state, scope, started_at) VALUES ('d', 's', 'adopted', '{}', now())",
    "INSERT INTO managed (id, discovery_id, fingerprints, names, terms, adopted_at)"
    " VALUES ('mc-1', 'd', '{aa}', '{a.example}', '{}', now())",
    "INSERT INTO slots (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at, looked_in)"
    " VALUES ('tls://127.0.0.1:443?sni=a.example', 'rsa', 'mc-1', 'seen', 'aa', now(), 'd')",
    NOTICE.format(id="d.c", at="2026-11-02"),
    NOTICE.format(id="d.a", at="2026-11-01 01:00"),
    NOTICE.format(id="d.b", at="2026-11-01"),
)


def test_comparisons_of_before_are_numbered_as_they_were_noted_and_new_ones_come_behind(empty: Engine) -> None:
    upgrade(url_of(empty), "0007")
    row = "('{0}', '', '', true, 0, 0, '{{}}', '[]', now(), now() - interval '{1} minutes')"
    columns = "id, workflow_id, run_id, applied, living, running, counts, differences, began_at, noted_at"
    with empty.begin() as connection:
        # On the disk the newest first.
        rows = ", ".join(row.format(name, age) for name, age in (("newest", 1), ("middle", 2), ("oldest", 3)))
        connection.execute(sa.text(f"INSERT INTO reconciliations ({columns}) VALUES {rows}"))
    upgrade(url_of(empty))
    note(empty, Reconciled("new", "", "", datetime(2026, 12, 1, tzinfo=UTC), True, 0, 0))
    c = tables.reconciliations.c
    with empty.connect() as connection:
        names = connection.execute(sa.select(c.id).order_by(c.number)).scalars().all()
    assert names == ["oldest", "middle", "newest", "new"]


@pytest.mark.parametrize(
    "url",
    [
        "tls://10.0.0.1:443",
        "tls://10.0.0.1:8443?sni=%5Ba.example",
        "tls://[2001:db8::1]:443?sni=b.example",
        "file://localhost/srv/a:b/c%20d.pem",
        "client://holder",
    ],
)
def test_the_host_of_a_slot_is_the_one_that_the_domain_reads(empty: Engine, url: str) -> None:
    upgrade(url_of(empty))
    with empty.begin() as connection:
        for statement in WRITTEN_BY_0_1_0[:2]:
            connection.exec_driver_sql(statement)
        connection.execute(
            sa.text(
                "INSERT INTO slots (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at)"
                " VALUES (:url, 'rsa', 'mc-1', 'seen', 'aa', now())"
            ),
            {"url": url},
        )
        host = connection.execute(sa.text("SELECT host FROM slots")).scalar_one()

    assert host == Slot(url, "rsa").endpoint.host


def test_a_second_upgrade_changes_nothing(database: Engine, database_url: str) -> None:
    before = schema_of(database)
    upgrade(database_url)
    assert schema_of(database) == before
    assert set(sa.inspect(database).get_table_names()) == set(metadata.tables) | {"alembic_version"}


@pytest.mark.parametrize("statement", ["UPDATE events SET kind = ''", "DELETE FROM events", "TRUNCATE events"])
def test_events_are_append_only(database: Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO events (stream, seq, kind, cause, facts_sha256, body, leaf_hash, at, recorded_at) "
                "VALUES ('s', 0, 'k', 'c', '', '', '', now(), now())"
            )
        )
    with pytest.raises(sa.exc.ProgrammingError, match="append-only"), database.begin() as connection:
        connection.execute(sa.text(statement))


def test_a_database_that_does_not_answer_is_named() -> None:
    with pytest.raises(NotReady, match="EVERLEAF_DATABASE_URL"):
        upgrade("postgresql://nobody@127.0.0.1:1/none")
