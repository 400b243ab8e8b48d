"""`doctor --production` on the parts of a demonstration: a trusting database, the development server, its mailbox."""

import json
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import engine, production, temporal_server
from cli.doctor import Patient
from cli.home import PROJECT, Home
from cli.main import app
from cli.parts import mailbox
from cli.process import free_port
from tests.launcher.waiting import until

pytestmark = pytest.mark.server


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    home.make_keys()
    shutil.copyfile(PROJECT / "demo" / "policy.yaml", home.policy)
    return home


@pytest.fixture
def demonstration(
    home: Home, database_url: str, temporal_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The environment of its parts, set here too."""
    assert temporal_binary
    monkeypatch.chdir(PROJECT)
    port = free_port()
    parts = [temporal_server.dev_server(home, port, free_port(), "http://127.0.0.1:1"), mailbox(home)]
    for part in parts:
        part.start()
    try:
        for part in parts:
            assert part.answers is not None
            until(part.answers)
        smtp = (home.path / "demo" / "smtp.port").read_text().strip()
        environment = {
            "EVERLEAF_DATABASE_URL": database_url,
            "EVERLEAF_TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
            "EVERLEAF_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
            "EVERLEAF_API_URL": "http://127.0.0.1:8460",
            "EVERLEAF_HOME": str(home.path),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment
    finally:
        for part in parts:
            part.stop()


def examined() -> tuple[int, dict[str, dict[str, Any]]]:
    done = CliRunner().invoke(app, ["doctor", "--production", "--output", "json"])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, {finding["name"]: finding for finding in json.loads(done.output)}


def test_a_demonstration_is_refused_with_every_reason_and_its_remedy(demonstration: dict[str, str]) -> None:
    code, findings = examined()

    assert code == 1
    bad = {name for name, finding in findings.items() if finding["outcome"] == "bad"}
    assert bad == {
        "database door",
        "database role",
        "durability",
        "Temporal",
        "Temporal's store",
        "keys apart",
        "policy",
        "mail",
        "pages",
    }
    assert all(findings[name]["remedy"] for name in bad)
    assert "trust" in findings["database door"]["detail"]
    assert "superuser" in findings["database role"]["detail"]
    assert findings["durability"]["detail"] == "fsync, synchronous_commit, full_page_writes off"
    assert "sqlite" in findings["Temporal's store"]["detail"]
    assert "public-ca-stand-in is a stand-in" in findings["policy"]["detail"]
    assert "mailbox of the demo" in findings["mail"]["detail"]


def patient(home: Home) -> Patient:
    return Patient(home, False, {})


def test_a_key_in_the_environment_is_refused_and_not_repeated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = secrets.token_hex(32)
    monkeypatch.setenv("EVERLEAF_CA_KEK", key)
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", "postgresql://everleaf_api:hunter2@db/everleaf")

    found = production.secrets_in_environment(patient(home))

    assert found.outcome == "bad"
    assert "EVERLEAF_CA_KEK" in found.detail
    assert "EVERLEAF_DATABASE_URL" in found.detail
    assert key not in found.detail + found.remedy
    assert "hunter2" not in found.detail + found.remedy


def test_a_key_file_that_others_read_is_refused(home: Home) -> None:
    assert production.key_files(patient(home)).outcome == "good"
    home.ca_kek.chmod(0o640)
    found = production.key_files(patient(home))
    assert found.outcome == "bad"
    assert found.remedy == f"chmod 400 {home.ca_kek}"


def test_one_user_with_both_keys_is_refused_and_one_with_one_is_not(home: Home) -> None:
    assert production.keys_apart(patient(home)).outcome == "bad"
    home.ca_kek.unlink()
    assert production.keys_apart(patient(home)).outcome == "good"
    assert stat.S_IMODE(home.leaf_kek.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("host", "url", "outcome"),
    [
        ("127.0.0.1", "https://everleaf.example.in", "good"),
        ("127.0.0.1", "http://everleaf.example.in", "bad"),
        ("0.0.0.0", "https://everleaf.example.in", "bad"),
        ("127.0.0.1", "", "bad"),
    ],
)
def test_pages_are_behind_tls(home: Home, monkeypatch: pytest.MonkeyPatch, host: str, url: str, outcome: str) -> None:
    monkeypatch.setattr(production, "CONTAINER", ())
    monkeypatch.setenv("EVERLEAF_API_HOST", host)
    monkeypatch.setenv("EVERLEAF_API_URL", url)
    assert production.pages(patient(home)).outcome == outcome


def test_in_a_container_the_publishing_port_decides(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(production, "CONTAINER", (tmp_path,))
    monkeypatch.setenv("EVERLEAF_API_HOST", "0.0.0.0")
    monkeypatch.setenv("EVERLEAF_API_URL", "https://everleaf.example.in")
    assert production.pages(patient(home)).outcome == "good"


def test_a_server_over_postgresql_is_accepted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such server can be started here: what it answers is what its maintainers' server answers."""
    monkeypatch.setenv("EVERLEAF_TEMPORAL_ADDRESS", "temporal:7233")
    monkeypatch.setattr(engine, "stores", lambda settings: {"postgres12"})
    assert production.temporal_store(patient(home)).outcome == "good"


@pytest.mark.parametrize(
    ("address", "outcome"),
    [("203.0.113.9:7233", "good"), ("8.8.8.8:7233", "bad"), ("temporal:7233", "good"), ("[2606:4700::1]:7233", "bad")],
)
def test_a_temporal_that_the_world_reaches_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch, address: str, outcome: str
) -> None:
    monkeypatch.setenv("EVERLEAF_TEMPORAL_ADDRESS", address)
    assert production.temporal_door(patient(home)).outcome == outcome


def test_a_temporal_that_asks_who_comes_may_stand_in_public(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLEAF_TEMPORAL_ADDRESS", "8.8.8.8:7233")
    monkeypatch.setenv("EVERLEAF_TEMPORAL_CA", "/etc/everleaf/temporal-ca.pem")
    # That we know who it is does not tell it who we are.
    assert production.temporal_door(patient(home)).outcome == "bad"
    monkeypatch.setenv("EVERLEAF_TEMPORAL_API_KEY_FILE", "/run/secrets/temporal")
    assert production.temporal_door(patient(home)).outcome == "good"


def test_a_failpoint_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert production.failpoints(patient(home)).outcome == "good"
    monkeypatch.setenv("EVERLEAF_FAILPOINT", "issue.signed")
    assert production.failpoints(patient(home)).outcome == "bad"


@pytest.mark.parametrize("variable", production.SHARED)
def test_a_secret_that_everybody_reads_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    monkeypatch.setenv(variable, str(file))
    file.chmod(0o440)
    assert production.key_files(patient(home)).outcome == "good"
    file.chmod(0o444)
    assert production.key_files(patient(home)).outcome == "bad"
