"""`everleaf restore`: an empty data directory and an empty database become those of a backup, whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from pydantic import TypeAdapter, ValidationError

from activities.keys.envelope import load_kek, unwrap
from cli import checksums, pg_programs
from cli.backup import DUMP, FORMAT, KEYS, MANIFEST, POLICY, WRAPPING, Manifest, purpose
from cli.home import Home, read_json, write_private
from cli.postgres import EmbeddedPostgres
from domain.errors import BadInput, NotReady
from domain.settings import with_password_file
from store.engine import conninfo, create_engine
from store.migrate import revisions, upgrade
from store.reconciliations import note_restored

MANIFESTS = TypeAdapter(Manifest)
# In the data directory: what it was restored from, and which keys somebody must still bring.
MARKER = "restored.json"


def restore(source: Path, home: Home, wrapping: Path | None, without_keys: bool) -> Manifest:
    """Make ``home`` and the database (EVERLEAF_DATABASE_URL, else an embedded one) from the backup in ``source``.

    Raises BadInput for a backup that is not whole, by the name of the file, and for a place that is not empty.
    """
    manifest = read_manifest(source)
    keys = _keys(source, manifest, wrapping, without_keys)
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise BadInput("--data-dir", f"{home.path} is not empty", "Name a new one: nothing is ever written over.")
    partial = Home(home.path.with_name(f".{home.path.name}.partial"))
    shutil.rmtree(partial.path, ignore_errors=True)
    try:
        _fill(source, partial, keys)
        with _database(partial) as url:
            _load(url, source, manifest)
        missing = sorted(name for name in ("ca.kek", "leaf.kek") if name not in keys)
        about = {"backup_made_at": manifest.made_at, "release": manifest.release, "missing_keys": missing}
        write_private(partial.path / MARKER, json.dumps(about, indent=2).encode())
        if home.path.exists():
            home.path.rmdir()
        partial.path.rename(home.path)
    finally:
        shutil.rmtree(partial.path, ignore_errors=True)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Of a backup that is whole, and that this release can read.  Raises BadInput."""
    if not source.is_dir():
        raise BadInput("the backup", f"{source} is no folder", "Name the folder that `everleaf backup` has made.")
    checksums.check(source)
    try:
        manifest = MANIFESTS.validate_json((source / MANIFEST).read_bytes())
    except (OSError, ValidationError) as problem:
        raise BadInput(MANIFEST, "is none of a backup", checksums.REMEDY) from problem
    if manifest.format != FORMAT:
        raise BadInput(MANIFEST, f"has the form {manifest.format!r}", f"This release reads {FORMAT}.")
    if manifest.schema not in revisions():
        told = f"is of release {manifest.release}, whose schema {manifest.schema} is not known here"
        raise BadInput(MANIFEST, told, "Restore it with that release or a newer one.")
    return manifest


def check_keys(home: Home) -> None:
    """Raises NotReady where the keys were left out of the backup and nobody has brought them.

    New ones in their place would open nothing of what is in the store.
    """
    missing = read_json(home.path / MARKER).get("missing_keys", [])
    absent = [name for name in missing if not Path(os.environ.get(KEYS[name]) or home.path / name).is_file()]
    if absent:
        raise NotReady(
            f"{home.path} was restored without its keys: put {' and '.join(absent)} there, from where you keep them "
            "(mode 600). New keys would open nothing that is in the database."
        )


def _keys(source: Path, manifest: Manifest, wrapping: Path | None, without_keys: bool) -> dict[str, bytes]:
    """The keys in clear, by name."""
    if without_keys or not manifest.keys:
        return {}
    if wrapping is None:
        remedy = "Name the file that they were wrapped under, or add --without-keys and bring them yourself."
        raise BadInput(WRAPPING, "the keys of this backup are wrapped", remedy)
    under = load_kek(str(wrapping), WRAPPING)
    found = {}
    for name in manifest.keys:
        file = source / "keys" / f"{name}.wrapped"
        if name not in KEYS or not file.is_file():
            raise BadInput(MANIFEST, f"names a key {name!r} that is not there", checksums.REMEDY)
        try:
            found[name] = unwrap(under, file.read_bytes(), purpose(name))
        except NotReady:
            raise BadInput(WRAPPING, f"{wrapping} does not open keys/{file.name}", "Name the right file.") from None
    return found


def _fill(source: Path, home: Home, keys: dict[str, bytes]) -> None:
    home.prepare()
    for file in sorted((source / "data").rglob("*")):
        if file.is_file():
            place = home.path / file.relative_to(source / "data")
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(place, file.read_bytes())
    if (source / POLICY).is_file():
        write_private(home.policy, (source / POLICY).read_bytes())
    for name, content in keys.items():
        write_private(home.path / name, content)


@contextmanager
def _database(home: Home) -> Iterator[str]:
    """The URL of an empty database: the operator's own, or the embedded one, which runs for that long."""
    if given := os.environ.get("EVERLEAF_DATABASE_URL"):
        yield with_password_file(given, os.environ.get("EVERLEAF_DATABASE_PASSWORD_FILE", ""))
        return
    server = EmbeddedPostgres(home.path)
    try:
        yield server.start()
    finally:
        server.stop()
        server.remove_sockets()


def _load(url: str, source: Path, manifest: Manifest) -> None:
    check_empty(url)
    pg_programs.load(url, source / DUMP)
    engine = create_engine(url)
    try:
        # Before anything else: what breaks off from here on leaves a database whose CAs sign nothing.
        note_restored(engine, datetime.fromisoformat(manifest.made_at))
    finally:
        engine.dispose()
    # Forward only: a backup of an older release is brought to the schema of this one.
    upgrade(url)


# Whatever somebody made there, in any schema; what came with an extension is nobody's.
MADE_BY_SOMEBODY = """
WITH schemas AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), made AS (
    SELECT 'pg_class'::regclass::oid AS of, oid, relname::text AS name FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT 'pg_proc'::regclass, oid, proname::text FROM pg_proc
    WHERE pronamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT 'pg_type'::regclass, oid, typname::text FROM pg_type
    WHERE typnamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT 'pg_namespace'::regclass, oid, nspname::text FROM schemas WHERE nspname <> 'public'
)
SELECT count(*), min(name) FROM made
WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = made.of AND objid = made.oid AND deptype = 'e')
"""


def check_empty(url: str) -> None:
    """Raises BadInput where the database holds anything."""
    try:
        with psycopg.connect(conninfo(url), connect_timeout=5) as connection:
            found = connection.execute(MADE_BY_SOMEBODY).fetchone()
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[0]
        raise NotReady(f"the database does not answer: {reason}. Start it, or check EVERLEAF_DATABASE_URL.") from None
    if found is not None and found[0]:
        remedy = "Make a new one (CREATE DATABASE): nothing is ever written over."
        raise BadInput("EVERLEAF_DATABASE_URL", f"that database is not empty, it holds {found[1]}", remedy)
