"""Whether a PostgreSQL answers, what its clock says, and how we stand in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from domain.errors import NotReady
from store.engine import conninfo

CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """Who we are there, and how the server keeps what it acknowledges.

    ``authentication``: trust, scram-sha-256, peer ...; empty where a server before 16 does not say.  ``owned``: of our
    tables, how many the role owns or may act as the owner of.  ``durability``: (setting, value).
    """

    role: str
    superuser: bool
    authentication: str
    encrypted: bool
    owned: int
    durability: tuple[tuple[str, str], ...]


# What a commit must mean: written, flushed, whole.
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
WHO = """
SELECT current_user, rolsuper, coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND pg_has_role(current_user, relowner, 'MEMBER')),
       current_setting('server_version_num')::int >= 160000
FROM pg_roles WHERE rolname = current_user
"""


def standing(url: str) -> Standing:
    """How ``url`` stands in its database.  Raises NotReady."""
    with _connected(url) as connection:
        row = connection.execute(WHO).fetchone()
        assert row is not None
        role, superuser, encrypted, owned, says = row
        # SYSTEM_USER is NULL for whoever was let in without a proof.
        proof = connection.execute("SELECT coalesce(system_user, 'trust')").fetchone() if says else None
        kept = tuple((name, _shown(connection, name)) for name in DURABILITY)
    return Standing(role, superuser, proof[0].partition(":")[0] if proof else "", encrypted, owned, kept)


def _shown(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


def answers(url: str) -> bool:
    try:
        clock(url)
    except NotReady:
        return False
    return True


def clock(url: str) -> datetime:
    """The present instant of the server.  Raises NotReady without the URL: it may hold a password."""
    with _connected(url) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    found = row[0]
    assert isinstance(found, datetime)
    return found


NAMELESS = """
SELECT id, name FROM tokens
WHERE role = ANY(%s) AND person = '' AND (NOT may_decide OR %s)
      AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY made_at
"""


def nameless_deciders(url: str, roles: Sequence[str], *, machines: bool = False) -> list[tuple[str, str]] | None:
    """(id, name) of each living token of ``roles`` that no person stands behind, and that is no machine's that may.

    ``machines``: those of machines that may too.  None where this role may not read them.  Raises NotReady.
    """
    with _connected(url) as connection:
        try:
            return [(str(row[0]), str(row[1])) for row in connection.execute(NAMELESS, (list(roles), machines))]
        except psycopg.errors.InsufficientPrivilege:
            return None


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(conninfo(url), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[-1]
        raise NotReady(f"the database does not answer: {reason}. Start it, or correct EVERLEAF_DATABASE_URL") from None
