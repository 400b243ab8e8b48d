"""How every process reaches PostgreSQL: one engine per process, every wait bounded."""

from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.exc
from psycopg.conninfo import make_conninfo
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from domain.errors import BadInput, NotReady
from domain.settings import PASSWORD_FILE

# Shorter than every activity's patience, so that a blocked statement ends before a second copy of it starts.
STATEMENT_TIMEOUT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 5
POOL_SIZE = 5
POOL_OVERFLOW = 10

# A database that is stopped or cannot be reached, one that takes no writes (a standby, just after a failover), and one
# whose connections are all waiting for it.
NO_DATABASE = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.InternalError,
    sqlalchemy.exc.TimeoutError,
)


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


def conninfo(url: str) -> str:
    """``url`` as libpq takes it, with the password of its file.  Raises BadInput or NotReady."""
    address, password_file = _parted(url)
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    return make_conninfo(plain, password=_password(password_file)) if password_file else plain


def _parted(url: str) -> tuple[sqlalchemy.URL, str]:
    """The URL for the driver, and the file of its password; empty: it needs none, or holds it."""
    parsed = psycopg_url(url)
    file = parsed.query.get(PASSWORD_FILE, "")
    return parsed.difference_update_query([PASSWORD_FILE]), file if isinstance(file, str) else file[-1]


def _password(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise NotReady(
            f"the password file of the database, {file}, cannot be read ({error.strerror}). "
            "Correct EVERLEAF_DATABASE_PASSWORD_FILE, or give this process's user the file."
        ) from error


def create_engine(url: str, *, statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS) -> Engine:
    """An engine for ``url``; connects at first use.  0 seconds: no statement timeout (migrations)."""
    settings = {
        "statement_timeout": f"{statement_timeout_seconds}s",
        "lock_timeout": f"{statement_timeout_seconds}s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
    }
    address, password_file = _parted(url)
    engine = sqlalchemy.create_engine(
        address,
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
    if password_file:

        @event.listens_for(engine, "do_connect")
        def _give_password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            # At every connect, so that a password that was changed needs no restart.
            parameters["password"] = _password(password_file)

    return engine
