"""`everleaf backup`: the database at one instant, the policy, what our CAs published, and the keys wrapped or left out.

Taken while everything runs.  Temporal is not in it: after a restore every lifecycle goes on from what the store holds.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from activities.keys.envelope import load_kek, wrap
from cli import checksums, pg_programs
from cli.home import Home
from cli.running import database_url, surroundings
from domain.errors import BadInput, NotReady
from store.engine import conninfo

FORMAT = "everleaf-backup/1"
MANIFEST = "manifest.json"
DUMP = "database.dump"
POLICY = "policy.yaml"
# Folders of the data directory that are worth keeping: what our CAs publish, and the sample estate.  The database is
# dumped, Temporal's file is of no use without it, and token, ports, logs and sockets belong to the running one.
FOLDERS = ("ca", "demo")
# Of the sample estate alone: where its parts listen now.
OF_THE_MOMENT = ("estate.ready", "smtp.port")
# Name in the backup and in the data directory -> the variable that may name another place.
KEYS = {"ca.kek": "EVERLEAF_CA_KEK", "leaf.kek": "EVERLEAF_LEAF_KEK", "payload.keys": "EVERLEAF_PAYLOAD_KEYS"}
WRAPPING = "--wrap-keys"


@dataclass(frozen=True, slots=True)
class Manifest:
    """``schema``: the migration that the database stands at.  ``keys``: those that are there, wrapped."""

    format: str
    release: str
    schema: str
    made_at: str
    keys: tuple[str, ...]


def backup(home: Home, out: Path, wrapping: Path | None) -> Manifest:
    """Write a backup into ``out``, which is made; whole or not at all.

    ``wrapping``: the file of 32 bytes that the keys are wrapped under; None: they are left out.  Raises BadInput for
    an ``out`` that is there, NotReady where the database does not answer.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput("--out", f"{out} is there already", "Name a folder that is new or empty.")
    under = load_kek(str(wrapping), WRAPPING) if wrapping else None
    url = database_url(home)
    # Under another name until it is whole: what was interrupted is never taken for a backup.
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        manifest = _fill(home, partial, url, under)
        checksums.write(partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def size(folder: Path) -> int:
    """In bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _fill(home: Home, partial: Path, url: str, under: bytes | None) -> Manifest:
    made_at = datetime.now(UTC)
    schema = _schema(url)
    pg_programs.dump(url, partial / DUMP)
    environment = surroundings(home)
    policy = Path(environment.get("EVERLEAF_POLICY") or home.policy)
    if policy.is_file():
        shutil.copyfile(policy, partial / POLICY)
    for name in FOLDERS:
        _copy(home.path / name, partial / "data" / name)
    wrapped = _wrapped(home, dict(environment), partial / "keys", under) if under else ()
    manifest = Manifest(FORMAT, version("everleaf"), schema, made_at.isoformat(), wrapped)
    (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def _schema(url: str) -> str:
    try:
        with psycopg.connect(conninfo(url), connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[0]
        raise NotReady(f"the database is not one of Everleaf's, or does not answer: {reason}. Start it.") from None
    assert row is not None
    return str(row[0])


def _copy(source: Path, target: Path) -> None:
    """Files and folders; what is neither, and what ends while it is read, is left out."""
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_symlink() or not path.is_file() or path.name in OF_THE_MOMENT:
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, place)
        except FileNotFoundError:
            # The estate replaces files while it is copied; the next name is there.
            continue


def _wrapped(home: Home, environment: dict[str, Any], folder: Path, under: bytes) -> tuple[str, ...]:
    folder.mkdir(mode=0o700)
    found = []
    for name, variable in KEYS.items():
        file = Path(environment.get(variable) or home.path / name)
        if not file.is_file():
            continue
        if not os.access(file, os.R_OK):
            raise BadInput(WRAPPING, f"{file} cannot be read here", "Run it as its owner, or choose --without-keys.")
        (folder / f"{name}.wrapped").write_bytes(wrap(under, file.read_bytes(), purpose(name)))
        found.append(name)
    if not found:
        raise BadInput(WRAPPING, "there is no key here to wrap", "Run it where the keys are, or add --without-keys.")
    return tuple(found)


def purpose(name: str) -> str:
    """What a wrapped key is bound to, so that none can stand in for another."""
    return f"backup/{name}"
