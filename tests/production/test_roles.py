"""Each database role does its own work and nothing else, tried on a real PostgreSQL with passwords."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import Engine

from domain.errors import BadInput, NotReady
from store.engine import conninfo, create_engine
from store.migrate import upgrade
from store.roles import DATABASE, GRANTS, LOGINS, MIGRATOR, OWNER, grant, make
from store.tables import metadata
from tests.production.conftest import Installation

pytestmark = pytest.mark.server

PROCESSES = tuple(GRANTS)
# What would undo the log, for every role there is.
UNDOING = (
    "UPDATE events SET kind = 'forged'",
    "DELETE FROM events",
    "TRUNCATE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_are_never_changed ON events",
    "DROP TABLE events",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    f"SET ROLE {OWNER}",
    "CREATE ROLE mine SUPERUSER",
    "ALTER SYSTEM SET fsync = off",
    "COPY events TO '/tmp/stolen'",
)
FORBIDDEN = {
    "everleaf_api": (
        "SELECT * FROM keys",
        "SELECT wrapped_key FROM ca_authorities",
        "SELECT * FROM ca_issued",
        "INSERT INTO events SELECT * FROM events",
        "UPDATE approvals SET state = 'approved'",
        "UPDATE orders SET state = 'issued'",
        "UPDATE people SET role = 'admin'",
        "UPDATE warrants SET redeemed_by = ''",
        "UPDATE tokens SET role = 'admin'",
        "UPDATE sessions SET role = 'admin'",
        "DELETE FROM security_events",
    ),
    "everleaf_lifecycle": (
        "SELECT * FROM keys",
        "SELECT * FROM ca_authorities",
        "SELECT * FROM ca_issued",
        "UPDATE orders SET state = 'issued'",
        "INSERT INTO orders SELECT * FROM orders",
        "UPDATE warrants SET actor = 'person/p-head'",
        "INSERT INTO tokens SELECT * FROM tokens",
        "UPDATE sessions SET role = 'admin'",
        "SELECT sha256 FROM sessions",
        "SELECT * FROM sessions",
        "INSERT INTO sessions SELECT * FROM sessions",
        "DELETE FROM histories",
        "UPDATE histories SET sha256 = ''",
        "UPDATE security_events SET detail = ''",
    ),
    "everleaf_scan": (
        "SELECT * FROM keys",
        "SELECT * FROM ca_authorities",
        "SELECT * FROM ca_issued",
        "SELECT * FROM events",
        "SELECT * FROM orders",
        "SELECT * FROM people",
        "SELECT * FROM tokens",
        "SELECT * FROM warrants",
        "SELECT * FROM managed",
        "INSERT INTO slots (url, algorithm) SELECT url, algorithm FROM slots",
        "UPDATE slots SET managed_id = 'mc-mine'",
        "DELETE FROM slots",
        "UPDATE certificates SET der = ''",
        "DELETE FROM looks",
        "UPDATE discoveries SET report = '{}'",
        "INSERT INTO findings SELECT * FROM findings",
        "SELECT subject FROM changes",
    ),
    "everleaf_issue": (
        "SELECT * FROM keys",
        "SELECT * FROM events",
        "SELECT * FROM people",
        "SELECT * FROM warrants",
        "INSERT INTO orders SELECT * FROM orders",
        "UPDATE orders SET csr = ''",
        "UPDATE orders SET plan = '{}'",
        "UPDATE ca_issued SET serial = ''",
        "UPDATE ca_authorities SET wrapped_key = ''",
        "DELETE FROM ca_issued",
        "INSERT INTO uploads SELECT * FROM uploads",
    ),
    "everleaf_deploy": (
        "SELECT * FROM ca_authorities",
        "SELECT * FROM ca_crls",
        "UPDATE ca_issued SET revoked_at = NULL",
        "UPDATE orders SET state = 'issued'",
        "SELECT * FROM events",
        "SELECT * FROM people",
        "SELECT * FROM warrants",
        "SELECT * FROM slots",
        "UPDATE slots SET managed_id = 'mc-mine'",
        "UPDATE keys SET wrapped = NULL",
        "DELETE FROM keys",
    ),
    "everleaf_watch": (
        "SELECT * FROM keys",
        "SELECT * FROM ca_authorities",
        "SELECT der FROM ca_crls",
        "SELECT * FROM events",
        "SELECT * FROM people",
        "SELECT * FROM tokens",
        "SELECT message FROM deliveries",
        "SELECT terms FROM managed",
        "INSERT INTO heartbeats SELECT * FROM heartbeats",
        "UPDATE slots SET managed_id = 'mc-mine'",
        "DELETE FROM heartbeats",
    ),
}
MATRIX = [(role, statement) for role in PROCESSES for statement in dict.fromkeys((*UNDOING, *FORBIDDEN[role]))]


@pytest.fixture(scope="module")
def connections(installation: Installation) -> Iterator[dict[str, psycopg.Connection]]:
    opened = {role: psycopg.connect(conninfo(installation.url(role)), autocommit=True) for role in PROCESSES}
    yield opened
    for connection in opened.values():
        connection.close()


@pytest.mark.parametrize(("role", "statement"), MATRIX)
def test_a_forbidden_statement_is_refused(
    connections: dict[str, psycopg.Connection], role: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connections[role].execute(statement)


def test_every_role_reaches_what_the_table_of_grants_says_and_no_other_table(
    connections: dict[str, psycopg.Connection],
) -> None:
    query = (
        "SELECT c.relname, p.privilege FROM pg_class c, unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE'])"
        " p(privilege) WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND"
        " CASE WHEN p.privilege IN ('DELETE', 'TRUNCATE') THEN has_table_privilege(c.oid, p.privilege)"
        " ELSE has_any_column_privilege(c.oid, p.privilege) END"
    )
    for role, tables in GRANTS.items():
        held = {(table, privilege) for table, privilege in connections[role].execute(query)}
        words = ("SELECT", "INSERT", "UPDATE", "DELETE")
        assert held == {(t, word) for t, said in tables.items() for word in words if word in said}, role


def test_every_table_has_a_role_that_may_write_it() -> None:
    written = {table for tables in GRANTS.values() for table, said in tables.items() if "INSERT" in said}

    assert set(metadata.tables) == written


def test_tables_belong_to_a_role_that_nobody_logs_in_as(installation: Installation) -> None:
    with psycopg.connect(conninfo(installation.url("postgres"))) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')"
        )
        assert [row[0] for row in owners] == [OWNER]
        roles = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles"
            " WHERE rolname LIKE 'everleaf\\_%' OR rolname = 'temporal'"
        ).fetchall()
    assert {name for name, may_login, _ in roles if not may_login} == {OWNER}
    assert not [name for name, _, powerful in roles if powerful]


def test_the_migrator_has_the_owner_only_while_it_migrates(installation: Installation) -> None:
    with psycopg.connect(conninfo(installation.url(MIGRATOR))) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM people")


def test_temporal_and_everleaf_do_not_reach_each_other(installation: Installation) -> None:
    for role, database in (("temporal", DATABASE), ("everleaf_api", "temporal"), ("everleaf_scan", "postgres")):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(conninfo(installation.url(role, database)))


def test_a_wrong_password_and_none_are_refused(installation: Installation, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not it")

    for url in (
        installation.cluster.url("everleaf_api", DATABASE, wrong),
        installation.url("everleaf_api").split("&")[0],
    ):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(conninfo(url))


def test_a_password_that_was_changed_is_read_anew(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("stale")
    engine = create_engine(installation.cluster.url("everleaf_scan", DATABASE, file))
    file.write_bytes(installation.password("everleaf_scan").read_bytes())

    assert _who(engine) == "everleaf_scan"
    file.unlink()
    engine.dispose()
    with pytest.raises(NotReady, match="EVERLEAF_DATABASE_PASSWORD_FILE"):
        _who(engine)


def test_roles_without_a_password_are_not_made(installation: Installation) -> None:
    with pytest.raises(BadInput, match="everleaf_issue"):
        make(installation.url("postgres"), dict.fromkeys((*LOGINS, "temporal"), "x") | {"everleaf_issue": ""})


def test_a_privilege_that_was_given_by_hand_is_gone_after_a_migration(installation: Installation) -> None:
    with psycopg.connect(conninfo(installation.url("postgres", DATABASE))) as connection:
        connection.execute("GRANT SELECT ON keys TO everleaf_api")

    upgrade(installation.url(MIGRATOR))

    with psycopg.connect(conninfo(installation.url("everleaf_api"))) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM keys")


def test_a_database_of_one_role_is_migrated_without_any_of_them(database: Engine) -> None:
    with database.begin() as connection:
        grant(connection)

    assert _who(database) == "everleaf"


def _who(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.exec_driver_sql("SELECT current_user").scalar_one())
