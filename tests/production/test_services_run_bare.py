"""Each of our services, as the compose file has it, comes up by its own health check; together they renew."""

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.product import eventually, served
from tests.launcher.waiting import LONG_SECONDS
from tests.production.conftest import Installation

pytestmark = pytest.mark.server

# What these tests cannot have, and the doctor rightly refuses: a server over PostgreSQL, a network of one's own with
# people in it, a mail server.
NOT_HERE = {"Temporal's store", "policy"}
NOT_HERE_FOR = {"lifecycle": {"mail"}, "watch": {"mail"}}
# Outside of a container the API must not listen on every address.
BARE = {"pages"}
LONG_RUNNING = ("api", "lifecycle", "scan", "issue", "deploy", "watch")


@pytest.fixture(scope="module")
def running(installation: Installation) -> Installation:
    for name in LONG_RUNNING:
        installation.bare.start(name)
    for name in LONG_RUNNING:
        eventually(partial(installation.bare.is_healthy, name), f"{name} is healthy")
    return installation


@pytest.fixture(scope="module")
def token(running: Installation) -> str:
    """As an operator of the compose file makes one: inside the api container."""
    words = ("python", "-m", "cli.main", "token", "create", "--role", "operator", "--name", "test")
    done = running.bare.run("api", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ask(running: Installation, token: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{running.api_port}{path}"
    answer = httpx2.request(method, url, json=body, headers=headers, timeout=LONG_SECONDS)
    assert answer.status_code < 300, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", ["roles", "migrate", "temporal-namespace"])
def test_a_one_shot_service_may_run_again(installation: Installation, name: str) -> None:
    installation.one_shot(name)


def test_the_schema_job_brings_both_databases_of_temporal_up_with_the_password_of_its_file(
    installation: Installation, tmp_path: Path
) -> None:
    """With a tool that only tells what it was asked: the real one is in the maintainers' image alone."""
    tool = tmp_path / "temporal-sql-tool"
    tool.write_text('#!/bin/sh\necho "$SQL_PLUGIN $SQL_USER@$SQL_HOST:$SQL_PORT $SQL_PASSWORD $*"\n')
    tool.chmod(0o755)
    environment = installation.bare.environment("temporal-schema")
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    command = installation.bare.whole_command("temporal-schema")

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONG_SECONDS)

    who = f"postgres12 temporal@postgres:5432 {installation.password('temporal').read_text()}"
    schema = "/etc/temporal/schema/postgresql/v12"
    assert done.stdout.splitlines() == [
        f"{who} --db temporal setup-schema -v 0.0",
        f"{who} --db temporal update-schema -d {schema}/temporal/versioned",
        f"{who} --db temporal_visibility setup-schema -v 0.0",
        f"{who} --db temporal_visibility update-schema -d {schema}/visibility/versioned",
    ], done.stderr


def test_a_discovery_and_an_internal_renewal_pass_through_the_separate_workers(
    running: Installation, token: str
) -> None:
    ask(running, token, "POST", "/v1/discoveries", {})

    def renewed() -> dict[str, Any] | None:
        items = ask(running, token, "GET", "/v1/certificates")["items"]
        found = ask(running, token, "GET", f"/v1/certificates/{items[0]['id']}") if items else {}
        done = found and found["generation"] == 2 and all(place["matches"] for place in found["endpoints"])
        return found if done else None

    found = eventually(renewed, "the certificate is renewed and seen")

    assert found["tier"] == "internal"
    now = served(f"tls://127.0.0.1:{running.site.port}")
    assert now == found["fingerprint"] != running.site.fingerprint


def test_what_is_read_is_read_under_the_role_of_the_api(running: Installation, token: str) -> None:
    certificate = ask(running, token, "GET", "/v1/certificates")["items"][0]["id"]
    discovery = ask(running, token, "GET", "/v1/discoveries")["items"][0]["id"]
    here = f"/v1/certificates/{certificate}"
    order = "/v1/orders/" + f"{certificate}.1.1.1"
    lists = ("/v1/approvals", "/v1/status", f"/v1/discoveries/{discovery}", f"/v1/discoveries/{discovery}/findings")

    for path in (here, f"{here}/explain", f"{here}/timeline", f"{here}/history", order, *lists):
        answer = httpx2.get(
            f"http://127.0.0.1:{running.api_port}{path}",
            headers={"authorization": f"Bearer {token}"},
            timeout=LONG_SECONDS,
        )
        assert answer.status_code in (200, 404), f"{path}: {answer.text}"


def test_an_operator_gets_a_link_to_log_in_and_every_page_is_shown(running: Installation, token: str) -> None:
    done = running.bare.run("api", "python", "-m", "cli.main", "login-link", "--role", "admin")
    assert done.returncode == 0, done.stderr
    place, _, code = done.stdout.strip().partition("#")
    assert place == "https://everleaf.example.com/login"

    with httpx2.Client(base_url=f"http://127.0.0.1:{running.api_port}", timeout=LONG_SECONDS) as browser:
        answer = browser.post("/login", data={"code": code}, headers={"sec-fetch-site": "same-origin"})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        behind = browser.get("/login", headers={"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"})
        assert "strict-transport-security" in behind.headers
        certificate = ask(running, token, "GET", "/v1/certificates")["items"][0]["id"]
        pages = ("/", "/certificates", f"/certificates/{certificate}", "/approvals", "/discovery", "/policy", "/access")
        for page in (*pages, "/certificates.csv", "/help"):
            assert browser.get(page, headers={"cookie": cookie}).status_code == 200, page


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_the_doctor_accepts_for_production_all_that_the_file_says_of_a_service(
    running: Installation, name: str
) -> None:
    done = running.bare.run(name, "python", "-m", "cli.main", "doctor", "--production", "--output", "json")

    refused = {finding["name"]: finding for finding in json.loads(done.stdout) if finding["outcome"] == "bad"}
    assert set(refused) - BARE == NOT_HERE | NOT_HERE_FOR.get(name, set()), refused


def test_what_they_wrote_is_where_they_may_write(running: Installation, token: str) -> None:
    # Where the file mounts nothing, a service has written nothing: its root is read-only.
    assert not list(running.folder.glob("*/read-only"))
    assert list((running.folder / "authorities" / "ca").glob("*.pem"))


def test_no_log_tells_of_a_privilege_that_is_missing(running: Installation) -> None:
    for name in LONG_RUNNING:
        log = (running.folder / f"{name}.log").read_text()
        assert "permission denied" not in log, f"{name}: {log[-3000:]}"
        assert "InsufficientPrivilege" not in log, f"{name}: {log[-3000:]}"


def test_the_watcher_reads_under_its_own_role_and_the_api_sees_what_it_says(running: Installation) -> None:
    status = running.folder / "watcher" / "status.json"

    def sees_the_store() -> bool:
        return status.exists() and "places" in status.read_text() and '"kind":"database"' not in status.read_text()

    eventually(sees_the_store, "a round of the watcher with the database")
    assert running.bare.environment("api")["EVERLEAF_WATCH_DIR"] == str(status.parent)


def test_a_worker_that_has_not_said_that_it_is_well_is_ill(running: Installation) -> None:
    health = running.bare.environment("scan")["EVERLEAF_HEALTH_FILE"]
    # All that takes time comes first: its next beat may be near.
    long_ago = ("python", "-c", f"import os; from cli.healthy import main; os.utime({health!r}, (0, 0)); main()")

    done = running.bare.run("scan", *long_ago)

    assert done.returncode == 1
    assert "s old" in done.stderr
    eventually(lambda: running.bare.is_healthy("scan"), "the next beat")
