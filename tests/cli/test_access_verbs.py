"""Letting people and programs in and out again, on a real database, and the calls that `up` makes by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from typer.testing import CliRunner

from cli import doctor, first
from cli.doctor import Patient
from cli.home import PROJECT, Home, settle_paths
from cli.main import app
from domain.errors import BadInput, NotFound, Refused
from domain.settings import parse
from domain.tiers import Role
from store import access, tables
from tests.cli.test_verbs import Site, site
from tests.launcher.waiting import LONG_SECONDS

__all__ = ["site"]
API = "https://everleaf.example.in"


def run(database_url: str, home: Path, *arguments: str) -> str:
    environment = {"EVERLEAF_DATABASE_URL": database_url, "EVERLEAF_API_URL": API, "EVERLEAF_HOME": str(home)}
    result = CliRunner().invoke(app, list(arguments), env=environment | {"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_login_link_is_printed_alone_and_logs_in_once(database: Engine, database_url: str, tmp_path: Path) -> None:
    link = run(database_url, tmp_path, "login-link", "--role", "admin").strip()

    page, _, code = link.partition("#")
    assert page == f"{API}/login"
    assert access.log_in(database, code) is not None
    assert access.log_in(database, code) is None
    assert access.security_events(database)[-1]["kind"] == "login-link-made"


def test_tokens_are_listed_without_their_secret_and_end_when_revoked(
    database: Engine, database_url: str, tmp_path: Path
) -> None:
    token = access.create_token(database, name="ansible", role=Role.OPERATOR)

    listed = run(database_url, tmp_path, "token", "list", "--output", "json")
    (row,) = json.loads(listed)
    assert (row["name"], row["role"], row["revoked_at"]) == ("ansible", "operator", None)
    assert token not in listed
    assert "sha256" not in row
    run(database_url, tmp_path, "token", "revoke", row["id"])
    assert access.authenticate(database, token) is None
    assert json.loads(run(database_url, tmp_path, "token", "list", "--output", "json")) == []
    assert "revoked" in run(database_url, tmp_path, "token", "list", "--all")
    with pytest.raises(NotFound, match="no living token"):
        run(database_url, tmp_path, "token", "revoke", row["id"])


def test_a_role_that_decides_gets_no_nameless_token_and_those_of_0_2_0_are_told(
    database: Engine, database_url: str, tmp_path: Path
) -> None:
    create = ("token", "create", "--role", "security-head", "--name", "laptop")
    with pytest.raises(BadInput, match=r"person: is missing.*--person ID.*--may-decide"):
        run(database_url, tmp_path, *create)
    token = run(database_url, tmp_path, *create, "--may-decide").strip()
    assert "yes" in run(database_url, tmp_path, "token", "list")
    patient = Patient(Home(tmp_path), True, {"database_url": database_url})
    assert doctor.tokens(patient).outcome == "good"
    with database.begin() as connection:
        connection.execute(sa.update(tables.tokens).values(may_decide=False))

    assert "names no person" in " ".join(run(database_url, tmp_path, "token", "list").split())
    (row,) = json.loads(run(database_url, tmp_path, "token", "list", "--output", "json"))
    assert row["decides"] is None
    told = doctor.tokens(patient)
    assert told.outcome == "bad"
    assert row["id"] in told.detail and "--person ID" in told.remedy
    assert token not in told.detail


def test_the_first_discovery_is_asked_for_once_however_often_its_answer_is_lost(site: Site, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.token_file.write_text(site.tokens["admin"])

    assert first.discover(home, site.url)
    assert first.discover(home, site.url)

    assert len(site.gateway.discoveries) == 1


def test_what_the_api_refuses_is_told_in_its_own_words(site: Site, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.token_file.write_text("evl_wrong")

    with pytest.raises(Refused, match=r"^This token is unknown") as told:
        first.overview(home, site.url)

    assert "{" not in str(told.value)


def test_a_relative_path_is_relative_to_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERLEAF_POLICY", "mine/policy.yaml")
    settle_paths()
    assert os.environ["EVERLEAF_POLICY"] == str(tmp_path / "mine" / "policy.yaml")


def test_the_command_line_settles_paths_at_its_entry(tmp_path: Path) -> None:
    """As `up --detach` and `worker` rely on: both change the directory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
    asked = "import os, sys; from cli import main; sys.argv = ['everleaf', '--help']\n"
    asked += "try:\n    main.main()\nexcept SystemExit:\n    print(os.environ['EVERLEAF_POLICY'])"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path,
        env=environment | {"EVERLEAF_POLICY": "policy.yaml", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
    )
    assert done.stdout.splitlines()[-1] == str(tmp_path / "policy.yaml"), done.stderr


@pytest.mark.parametrize("name", ["Nowhere/At_all", "Asia", "../etc", ""])
def test_a_time_zone_that_is_not_known_is_refused(name: str) -> None:
    needed = {"EVERLEAF_DATABASE_URL": "x", "EVERLEAF_TEMPORAL_ADDRESS": "x", "EVERLEAF_HOME": "x"}
    assert parse(needed).timezone == "Asia/Kolkata"
    with pytest.raises(BadInput, match="EVERLEAF_TIMEZONE"):
        parse(needed | {"EVERLEAF_TIMEZONE": name})
