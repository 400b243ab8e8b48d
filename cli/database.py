"""Whether a PostgreSQL answers, and what its clock says."""

from datetime import datetime

import psycopg

from domain.errors import NotReady
from store.engine import conninfo

CONNECT_SECONDS = 5


def answers(url: str) -> bool:
    try:
        clock(url)
    except NotReady:
        return False
    return True


def clock(url: str) -> datetime:
    """The present instant of the server.  Raises NotReady without the URL: it may hold a password."""
    try:
        with psycopg.connect(conninfo(url), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[-1]
        raise NotReady(f"the database does not answer: {reason}. Start it, or correct EVERLEAF_DATABASE_URL") from None
    assert row is not None
    found = row[0]
    assert isinstance(found, datetime)
    return found
