"""`pg_dump` and `pg_restore`: those beside the embedded server, else those of the system."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cli.postgres import candidates
from domain.errors import NotReady
from store.engine import conninfo
from store.roles import OWNER

# A dump of a hundred thousand certificates takes minutes; this ends what hangs.
LONGEST_SECONDS = 6 * 3600
CONNECT_SECONDS = "10"


def dump(database_url: str, file: Path) -> None:
    """The whole database, as it stood at one instant, while others write to it.  Raises NotReady."""
    _run("pg_dump", database_url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def load(database_url: str, file: Path) -> None:
    """Into an empty database, whole or not at all.  Raises NotReady."""
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments"]
    _run("pg_restore", database_url, *options, str(file))


def _run(name: str, database_url: str, *arguments: str) -> None:
    given = {key: str(value) for key, value in conninfo_to_dict(conninfo(database_url)).items()}
    # Never on the command line, which every user of the machine reads.
    password = given.pop("password", "")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    environment = clean | {"LC_ALL": "C", "PGCONNECT_TIMEOUT": CONNECT_SECONDS}
    environment |= {"PGPASSWORD": password} if password else {}
    command = [_program(name), "--no-password", f"--dbname={make_conninfo(**given)}", *arguments]
    command += [f"--role={OWNER}"] if _acts_as_owner(database_url) else []
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired as problem:
        raise NotReady(f"{name} did not end within {LONGEST_SECONDS // 3600} hours; see pg_stat_activity") from problem
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line] or ["it gave no reason"]
        raise NotReady(f"{name} failed: {lines[0]}. Mend that, and run it again.")


def _acts_as_owner(database_url: str) -> bool:
    """Whether the tables are, or shall be, those of a role that nobody logs in as (``store.roles``)."""
    query = """SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER'))
               AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"""
    try:
        with psycopg.connect(conninfo(database_url), connect_timeout=5) as connection:
            row = connection.execute(query, (OWNER,)).fetchone()
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[0]
        raise NotReady(f"the database does not answer: {reason}. Start it, or check EVERLEAF_DATABASE_URL.") from None
    return bool(row and row[0])


def _program(name: str) -> str:
    for directory in candidates():
        if (directory / name).is_file():
            return str(directory / name)
    if found := shutil.which(name):
        return found
    raise NotReady(
        f"{name} is missing. Install the client of PostgreSQL (Debian: apt-get install postgresql-client), of the "
        "server's release or newer, or name its folder in EVERLEAF_PG_BINDIR."
    )
