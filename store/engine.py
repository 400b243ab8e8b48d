"""How every process reaches PostgreSQL: one engine per process, every wait bounded."""

import sqlalchemy
from sqlalchemy.engine import Engine, make_url

from domain.errors import BadInput

# Shorter than every activity's patience, so that a blocked statement ends before a second copy of it starts.
STATEMENT_TIMEOUT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 5
POOL_SIZE = 5
POOL_OVERFLOW = 10


def psycopg_url(url: str) -> sqlalchemy.URL:
    """``url`` with the driver that we ship.  Raises BadInput where it is not a PostgreSQL URL."""
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        # The text of the error would repeat the URL, which may hold a password.
        raise BadInput("EVERLEAF_DATABASE_URL", "is not a URL", "Write postgresql://user@host/database.") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise BadInput(
            "EVERLEAF_DATABASE_URL", "is not PostgreSQL", "Everleaf keeps its data in PostgreSQL 15 or newer."
        )
    return parsed.set(drivername="postgresql+psycopg")


def create_engine(url: str, *, statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS) -> Engine:
    """An engine for ``url``; connects at first use.  0 seconds: no statement timeout (migrations)."""
    settings = {
        "statement_timeout": f"{statement_timeout_seconds}s",
        "lock_timeout": f"{statement_timeout_seconds}s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
    }
    return sqlalchemy.create_engine(
        psycopg_url(url),
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=STATEMENT_TIMEOUT_SECONDS,
        # A connection that died with a restarted server is replaced before it is used.
        pool_pre_ping=True,
        # An error's text goes into logs and Temporal failures: no row belongs there.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )
