"""Who may do what in the database: one role per process, with what its statements need and nothing else.

``make`` creates the roles (a superuser, once per cluster); ``grant`` gives them their tables (at every migration).  A
database of one role, as the embedded one, has none of these and needs none.  To add a table: say here who needs it.
"""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection

from domain.errors import BadInput, NotReady
from store.engine import conninfo
from store.tables import metadata

DATABASE = "everleaf"
OWNER = "everleaf_owner"
MIGRATOR = "everleaf_migrator"
# Temporal's own role and databases, which lie in the same cluster.
TEMPORAL = "temporal"
TEMPORAL_DATABASES = ("temporal", "temporal_visibility")

READ = "SELECT"
APPEND = "SELECT, INSERT"
KEEP = "SELECT, INSERT, UPDATE"
ALL = "SELECT, INSERT, UPDATE, DELETE"

# Role -> table -> privileges.  Nobody may update, delete or truncate events; a trigger refuses it to the owner too.
GRANTS: Mapping[str, Mapping[str, str]] = {
    # Reads what pages show; writes papers, sessions and warrants.  No keys, no ca_*.
    "everleaf_api": {
        **dict.fromkeys(("approvals", "cases", "certificates", "changes", "deliveries", "discoveries"), READ),
        **dict.fromkeys(("events", "findings", "histories", "lives", "looks", "managed"), READ),
        **dict.fromkeys(("managed_certificates", "notices", "orders", "people", "reconciliations", "slots"), READ),
        "comments": "SELECT, INSERT, UPDATE (said)",
        "heartbeats": ALL,
        "login_links": "SELECT, INSERT, UPDATE (used_at)",
        "policies": READ,
        "requests": APPEND,
        "security_events": APPEND,
        "sessions": "SELECT, INSERT, UPDATE (seen_at, ended_at)",
        "tokens": "SELECT, INSERT, UPDATE (last_used_at, revoked_at)",
        "uploads": APPEND,
        "warrants": APPEND,
    },
    # Adopts, records, tells, redeems.
    "everleaf_lifecycle": {
        **dict.fromkeys(("certificates", "orders", "tokens"), READ),
        **dict.fromkeys(("events", "histories", "log_queue"), APPEND),
        **dict.fromkeys(("approvals", "cases", "lives", "managed"), KEEP),
        **dict.fromkeys(("managed_certificates", "notices", "stream_heads"), KEEP),
        **dict.fromkeys(("deliveries", "findings", "heartbeats", "judged_chains", "people", "slots"), ALL),
        # It forgets what is older than the policy says (``activities.retention``).
        "looks": "SELECT, DELETE",
        "login_links": "SELECT (expires_at, ctid), DELETE",
        "security_events": "SELECT, INSERT, DELETE",
        "changes": "SELECT, INSERT, DELETE",
        "discoveries": "SELECT, UPDATE",
        "reconciliations": "SELECT, INSERT, DELETE",
        "differences": ALL,
        "streams_behind": ALL,
        "policies": "SELECT, INSERT, UPDATE (in_force_at)",
        "requests": "SELECT, DELETE",
        # Whether who asked for a code is still logged in; never the hash of a cookie.
        "sessions": "SELECT (id, role, ended_at, expires_at, ctid), DELETE",
        "warrants": "SELECT, INSERT, UPDATE (redeemed_by, redeemed_at, refusal)",
    },
    # Reads hostile bytes, so it holds the least: what it saw, and when it last looked.
    "everleaf_scan": {
        "certificates": APPEND,
        # An insert gives the row its number, which must be readable.
        "changes": "SELECT (id), INSERT",
        # One that was refused is planned anew; the report is adoption's to write.
        "discoveries": "SELECT, INSERT, UPDATE (source, state, scope, pages, targets, workflow_id, run_id, started_at,"
        " detail, finished_at)",
        "heartbeats": ALL,
        "looks": "SELECT, INSERT, UPDATE (page, outcome, chain, detail, at)",
        # By which it goes on where it starts while the file is bad.
        "policies": READ,
        "slots": (
            "SELECT, UPDATE (last_outcome, last_fingerprint, last_looked_at, last_seen_at, misses, last_ends_at, "
            "last_chain_ok, last_flaw, last_rooted)"
        ),
    },
    # Signs.  The only role that sees the wrapped keys of our CAs.
    "everleaf_issue": {
        "ca_authorities": "SELECT, INSERT, UPDATE (crl_number)",
        "ca_crls": APPEND,
        "ca_issued": "SELECT, INSERT, UPDATE (der, signed_at, revoked_at, revocation_reason, order_key)",
        # Which CA made what an order replaces: what a person brings is held against it.
        "certificates": "SELECT (fingerprint, der, facts, not_after)",
        "lives": "SELECT (managed_id, generation, fingerprint)",
        "heartbeats": ALL,
        "orders": "SELECT, UPDATE (state, chain, fingerprint, detail, cause, closed_at)",
        # Whether the store was put back or restored: nothing is signed until somebody has looked.
        "reconciliations": READ,
        "policies": READ,
        "uploads": READ,
    },
    # Makes leaf keys and puts certificates where they are served.  The only role that sees wrapped leaf keys.
    "everleaf_deploy": {
        # Before a roll-back: was what stood there revoked?  Certificates and serials, no key.
        "ca_issued": READ,
        "heartbeats": ALL,
        "keys": APPEND,
        "managed": READ,
        "orders": APPEND,
        "policies": READ,
        "receipts": KEEP,
        # Whose is the place where it is about to write?
        "slots": "SELECT (url, algorithm, managed_id)",
    },
    # Reads what says whether all is well, and writes nothing: it must speak without the database.
    "everleaf_watch": {
        **dict.fromkeys(("heartbeats", "managed_certificates", "slots"), READ),
        "ca_crls": "SELECT (ca, number, made_at)",
        "deliveries": "SELECT (state, queued_at, level, person)",
        "managed": "SELECT (id, names, adopted_at)",
        "reconciliations": "SELECT (applied, noted_at)",
    },
}
LOGINS = (MIGRATOR, *GRANTS)


def make(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Every role with its password, and the databases; a repetition sets the passwords anew.  For a superuser.

    ``passwords``: by role, for LOGINS and TEMPORAL.  Raises BadInput where one is missing, NotReady without a server.
    """
    if missing := [role for role in (*LOGINS, TEMPORAL) if not passwords.get(role)]:
        raise BadInput("--roles", f"there is no password for {', '.join(missing)}", "Write one file for each role.")
    try:
        with psycopg.connect(conninfo(admin_url), autocommit=True) as connection:
            _make_roles(connection, passwords)
            for database, owner in ((DATABASE, OWNER), *((name, TEMPORAL) for name in TEMPORAL_DATABASES)):
                _make_database(connection, database, owner)
            # Where a superuser logs in; whoever may connect there could look around.
            _say(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", "postgres")
            for role in LOGINS:
                _say(connection, "GRANT CONNECT ON DATABASE {} TO {}", DATABASE, role)
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[0]
        raise NotReady(f"the roles could not be made: {reason}. Connect as a superuser of PostgreSQL.") from problem


def _make_roles(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    for role in (OWNER, *LOGINS, TEMPORAL):
        if role not in known:
            _say(connection, "CREATE ROLE {}", role)
        _say(connection, "ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS", role)
    for role in (*LOGINS, TEMPORAL):
        # Hashed here, so that no log of the server ever holds the word itself.
        verifier = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
        statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), verifier.decode())
        connection.execute(statement)
    for role in LOGINS:
        _say(connection, "ALTER ROLE {} SET search_path = public", role)
    _say(connection, "GRANT {} TO {}", OWNER, MIGRATOR)


def _make_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
        _say(connection, "CREATE DATABASE {} OWNER {}", name, owner)
    _say(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)


def _say(connection: psycopg.Connection, statement: LiteralString, *names: str) -> None:
    """``statement`` with its names quoted."""
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def become_owner(connection: Connection) -> None:
    """In a migration by MIGRATOR, for its transaction: what it makes belongs to OWNER, whom nobody can log in as."""
    query = sa.text(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :owner) "
        "AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
    )
    if connection.execute(query, {"owner": OWNER}).scalar_one():
        connection.execute(sa.text(f"SET LOCAL ROLE {OWNER}"))


def grant(connection: Connection) -> None:
    """Give each role that exists what GRANTS says, and take what it does not say."""
    known = set(connection.execute(sa.text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'everleaf\\_%'")).scalars())
    for role, tables in GRANTS.items():
        if role not in known:
            continue
        connection.execute(sa.text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"))
        connection.execute(sa.text(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}"))
        connection.execute(sa.text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        for table, privileges in tables.items():
            connection.execute(sa.text(f"GRANT {privileges} ON {table} TO {role}"))
            if "INSERT" in privileges and (sequence := sequence_of(table)):
                connection.execute(sa.text(f"GRANT USAGE ON SEQUENCE {sequence} TO {role}"))


def sequence_of(table: str) -> str:
    """That numbers the rows of ``table``; empty: they have names of their own."""
    column = metadata.tables[table].autoincrement_column
    return f"{table}_{column.name}_seq" if column is not None else ""
