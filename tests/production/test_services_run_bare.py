"""Each of our services, as the compose file has it, comes up by its own health check; together they renew."""

from typing import Any

import httpx2
import pytest

from tests.e2e.product import eventually, served
from tests.production.conftest import Installation

pytestmark = pytest.mark.server

LONG_RUNNING = ("api", "lifecycle", "scan", "issue", "deploy")


@pytest.fixture(scope="module")
def running(installation: Installation) -> Installation:
    for name in LONG_RUNNING:
        installation.bare.start(name)
    for name in LONG_RUNNING:
        eventually(lambda name=name: installation.bare.is_healthy(name), f"{name} is healthy", 120)  # type: ignore[misc]
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
    answer = httpx2.request(method, url, json=body, headers=headers, timeout=60)
    assert answer.status_code < 300, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", ["roles", "migrate", "temporal-namespace"])
def test_a_one_shot_service_may_run_again(installation: Installation, name: str) -> None:
    installation.one_shot(name)


def test_a_discovery_and_an_internal_renewal_pass_through_the_separate_workers(
    running: Installation, token: str
) -> None:
    ask(running, token, "POST", "/v1/discoveries", {})

    def renewed() -> dict[str, Any] | None:
        items = ask(running, token, "GET", "/v1/certificates")["items"]
        found = ask(running, token, "GET", f"/v1/certificates/{items[0]['id']}") if items else {}
        done = found and found["generation"] == 2 and all(place["matches"] for place in found["endpoints"])
        return found if done else None

    found = eventually(renewed, "the certificate is renewed and seen", 120)

    assert found["tier"] == "internal"
    now = served(f"tls://127.0.0.1:{running.site.port}")
    assert now == found["fingerprint"] != running.site.fingerprint


def test_what_they_wrote_is_where_they_may_write(running: Installation, token: str) -> None:
    # Where the file mounts nothing, a service has written nothing: its root is read-only.
    assert not list(running.folder.glob("*/read-only"))
    assert list((running.folder / "authorities" / "ca").glob("*.pem"))


def test_no_log_tells_of_a_privilege_that_is_missing(running: Installation) -> None:
    for name in LONG_RUNNING:
        log = (running.folder / f"{name}.log").read_text()
        assert "permission denied" not in log, f"{name}: {log[-3000:]}"
        assert "InsufficientPrivilege" not in log, f"{name}: {log[-3000:]}"


def test_a_worker_that_has_not_said_that_it_is_well_is_ill(running: Installation) -> None:
    health = running.bare.environment("scan")["EVERLEAF_HEALTH_FILE"]
    long_ago = ("python", "-c", f"import os; os.utime({health!r}, (0, 0)); from cli.healthy import main; main()")

    done = running.bare.run("scan", *long_ago)

    assert done.returncode == 1
    assert "s old" in done.stderr
    eventually(lambda: running.bare.is_healthy("scan"), "the next beat", 30)
