"""A backup is whole or refused by name; a restore makes new things alone, and says which keys are missing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from sqlalchemy.engine import Engine

from cli import checksums
from cli.backup import DUMP, MANIFEST, backup
from cli.checksums import NAME as SUMS
from cli.home import PROJECT, Home
from cli.postgres import EmbeddedPostgres
from cli.restoring import MARKER, check_empty, check_keys, restore
from domain.errors import BadInput, NotReady
from store.changes import note_change
from store.engine import conninfo, create_engine
from store.reader.reconciliations import held_since
from tests.launcher.waiting import LONG_SECONDS
from tests.servers import Cluster, own_name

pytestmark = pytest.mark.server

POLICY = "# the policy of before\n"


@pytest.fixture
def source(tmp_path: Path, database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A data directory with keys, policy and roots, and a database with a row."""
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", database_url)
    with database.begin() as connection:
        note_change(connection, "certificate", "mc-of-before")
    home = Home(tmp_path / "source")
    home.path.mkdir()
    home.make_keys()
    home.policy.write_text(POLICY)
    (home.path / "ca").mkdir()
    (home.path / "ca" / "our-root.pem").write_text("a root")
    (home.path / "token").write_text("evl_secret")
    (home.path / "logs").mkdir()
    (home.path / "logs" / "api.log").write_text("a line")
    return home


@pytest.fixture
def wrapping(tmp_path: Path) -> Path:
    file = tmp_path / "backup.key"
    file.write_bytes(os.urandom(32))
    return file


@pytest.fixture
def made(source: Home, tmp_path: Path, wrapping: Path) -> Path:
    out = tmp_path / "backup"
    backup(source, out, wrapping)
    return out


@pytest.fixture
def empty(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database without any table, which restores go into."""
    name = own_name()
    cluster.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", cluster.url(name))
    return cluster.url(name)


def changes(url: str) -> list[str]:
    with psycopg.connect(conninfo(url)) as connection:
        return [row[0] for row in connection.execute("SELECT subject FROM changes")]


def test_what_was_backed_up_comes_back(source: Home, made: Path, wrapping: Path, empty: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "restored")

    restore(made, home, wrapping, without_keys=False)

    assert changes(empty) == ["mc-of-before"]
    assert home.policy.read_text() == POLICY
    assert (home.path / "ca" / "our-root.pem").read_text() == "a root"
    for name in ("ca.kek", "leaf.kek"):
        assert (home.path / name).read_bytes() == (source.path / name).read_bytes()
        assert (home.path / name).stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700
    check_keys(home)
    engine = create_engine(empty)
    assert held_since(engine) is not None, "our CAs sign nothing until a person has looked"
    engine.dispose()


def test_no_key_and_no_token_stands_in_a_backup(source: Home, made: Path) -> None:
    content = b"".join(file.read_bytes() for file in made.rglob("*") if file.is_file())
    for name in ("ca.kek", "leaf.kek"):
        assert (source.path / name).read_bytes() not in content
    assert b"evl_secret" not in content
    assert {file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file()} == {
        *(MANIFEST, SUMS, DUMP, "policy.yaml", "data/ca/our-root.pem"),
        *("keys/ca.kek.wrapped", "keys/leaf.kek.wrapped"),
    }
    assert made.stat().st_mode & 0o777 == 0o700


def test_sha256sum_itself_can_check_it(made: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", SUMS], cwd=made, capture_output=True, timeout=LONG_SECONDS
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_restore_without_its_keys_starts_only_once_they_are_there(
    source: Home, made: Path, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` would else make new keys, which open nothing."""
    home = Home(tmp_path / "restored")
    restore(made, home, None, without_keys=True)
    assert empty and not home.ca_kek.exists()
    with pytest.raises(NotReady, match=r"put ca\.kek and leaf\.kek there"):
        check_keys(home)

    shutil.copyfile(source.leaf_kek, home.leaf_kek)
    with pytest.raises(NotReady, match=r"put ca\.kek there"):
        check_keys(home)
    monkeypatch.setenv("EVERLEAF_CA_KEK", str(source.ca_kek))
    check_keys(home)


def test_the_wrong_wrapping_key_is_named_and_nothing_is_made(made: Path, empty: str, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32))
    home = Home(tmp_path / "restored")
    with pytest.raises(BadInput, match=f"--wrap-keys: {other} does not open keys/ca.kek.wrapped"):
        restore(made, home, other, without_keys=False)
    with pytest.raises(BadInput, match="--wrap-keys: the keys of this backup are wrapped"):
        restore(made, home, None, without_keys=False)
    assert not home.path.exists()
    with psycopg.connect(conninfo(empty)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("mangle", [flipped, cut, Path.unlink])
def test_a_mangled_backup_is_refused_by_the_name_of_the_file(
    made: Path, wrapping: Path, tmp_path: Path, mangle: Callable[[Path], None]
) -> None:
    names = [file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file()]
    assert len(names) == 7
    for name in names:
        copy = tmp_path / "copies" / name.replace("/", "-")
        shutil.copytree(made, copy)
        mangle(copy / name)
        # One letter in the list itself is a hash or a name that does not fit.
        with pytest.raises(BadInput, match=r"^[\w./]+: " if name == SUMS else f"^{name}: "):
            restore(copy, Home(tmp_path / "restored"), wrapping, without_keys=False)
    assert not (tmp_path / "restored").exists()


def test_what_nobody_listed_and_what_leads_away_is_refused(made: Path, wrapping: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "restored")
    (made / "data" / "more").write_text("x")
    with pytest.raises(BadInput, match="data/more: is not listed"):
        restore(made, home, wrapping, without_keys=False)
    (made / "data" / "more").unlink()
    (made / "data" / "away").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="data/away: is a link"):
        restore(made, home, wrapping, without_keys=False)
    (made / "data" / "away").unlink()
    with (made / SUMS).open("a") as sums:
        sums.write(f"{'0' * 64}  ../../outside\n")
    with pytest.raises(BadInput, match=f"{SUMS}: line 7"):
        restore(made, home, wrapping, without_keys=False)


def test_nothing_is_written_over(
    made: Path, source: Home, wrapping: Path, empty: str, database_url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with pytest.raises(BadInput, match=f"--data-dir: {source.path} is not empty"):
        restore(made, source, wrapping, without_keys=False)
    with pytest.raises(BadInput, match=f"--out: {made} is there already"):
        backup(source, made, wrapping)
    assert changes(database_url) and empty
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", database_url)
    home = Home(tmp_path / "restored")
    with pytest.raises(BadInput, match="EVERLEAF_DATABASE_URL: that database is not empty"):
        restore(made, home, wrapping, without_keys=False)
    assert not home.path.exists()
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize(
    ("made", "holds"),
    [
        ("CREATE SCHEMA theirs", "theirs"),
        ("CREATE SEQUENCE numbers", "numbers"),
        ("CREATE TYPE mood AS ENUM ('good')", "_mood"),
        ("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "one"),
        ("CREATE VIEW seen AS SELECT 1", "_seen"),
    ],
)
def test_whatever_somebody_made_in_a_database_keeps_it_from_being_restored_into(
    empty: str, made: LiteralString, holds: str
) -> None:
    with psycopg.connect(conninfo(empty), autocommit=True) as connection:
        check_empty(empty)
        connection.execute(made)
    with pytest.raises(BadInput, match=f"is not empty, it holds {holds}"):
        check_empty(empty)


def test_a_backup_of_a_newer_release_is_refused(made: Path, wrapping: Path, tmp_path: Path) -> None:
    about = json.loads((made / MANIFEST).read_text())
    (made / MANIFEST).write_text(json.dumps(about | {"schema": "9999", "release": "9.0.0"}))
    checksums.write(made)
    with pytest.raises(BadInput, match=r"manifest.json: is of release 9\.0\.0, whose schema 9999 is not known"):
        restore(made, Home(tmp_path / "restored"), wrapping, without_keys=False)
    (made / MANIFEST).write_text(json.dumps(about | {"format": "everleaf-backup/2"}))
    checksums.write(made)
    with pytest.raises(BadInput, match="This release reads everleaf-backup/1"):
        restore(made, Home(tmp_path / "restored"), wrapping, without_keys=False)


def test_a_backup_of_a_database_that_is_away_leaves_nothing(
    source: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(NotReady, match="does not answer"):
        backup(source, tmp_path / "out", None)
    assert not list(tmp_path.glob("*out*"))


def test_a_machine_without_a_database_gets_an_embedded_one(
    made: Path, wrapping: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EVERLEAF_DATABASE_URL")
    home = Home(tmp_path / "restored")
    home.path.mkdir()

    restore(made, home, wrapping, without_keys=False)

    server = EmbeddedPostgres(home.path, durable=False)
    try:
        assert changes(server.start()) == ["mc-of-before"]
    finally:
        server.stop()


def test_the_commands_ask_for_a_choice_about_the_keys(source: Home, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(source.path)]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LONG_SECONDS)

    undecided = run("backup", "--out", str(tmp_path / "out"))
    assert undecided.returncode == 2
    assert "choose --wrap-keys FILE or --without-keys" in undecided.stderr
    written = run("backup", "--out", str(tmp_path / "out"), "--without-keys")
    assert written.returncode == 0, written.stderr
    assert "MB, without keys." in written.stdout
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["keys"] == []
    assert not (tmp_path / "out" / "keys").exists()
    refused = run("restore", str(tmp_path / "nothing"))
    assert refused.returncode == 1
    assert "is no folder" in refused.stderr
    assert MARKER not in os.listdir(source.path)
