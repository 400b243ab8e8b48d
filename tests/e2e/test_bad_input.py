"""What is wrong is refused in a sentence that names it and says what to do; nothing is started, nothing is lost."""

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.process import free_port
from tests.e2e.product import Product, everleaf
from tests.needed import lacks

pytestmark = pytest.mark.e2e

BAD_TIER = "people: []\ntiers: []\nrules:\n  - {name: all, when: {hosts: [10.0.0.0/8]}, tier: golden, service: x}\n"
# (text, line, field)
BAD_POLICIES = {
    "no YAML": ("people: []\nrules: [\n", 3, "policy"),
    "a word that does not exist": (BAD_TIER, 4, "rules[0].tier"),
    "an unknown key": ("people: []\nruels: []\n", 2, "ruels"),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_up_refuses_a_bad_policy_with_file_line_field_and_remedy(tmp_path: Path, case: str) -> None:
    text, line, field = BAD_POLICIES[case]
    policy = tmp_path / "mine.yaml"
    policy.write_text(text)

    done = everleaf(tmp_path / "home", "up", "--no-demo", EVERLEAF_POLICY=str(policy))

    assert done.returncode == 1
    assert f"{policy}:{line}: {field}" in done.stderr
    assert len(done.stderr.strip().rpartition(". ")[2]) > 10, "no remedy"
    assert "Traceback" not in done.stderr
    # It was told before anything was started.
    assert not (tmp_path / "home" / "postgres").exists()


def test_up_names_a_policy_that_is_not_there(tmp_path: Path) -> None:
    done = everleaf(tmp_path / "home", "up", "--no-demo", EVERLEAF_POLICY=str(tmp_path / "none.yaml"))

    assert done.returncode == 1
    assert "EVERLEAF_POLICY" in done.stderr and "none.yaml is not a file" in done.stderr


def test_up_without_its_database_says_which_and_what_to_do(tmp_path: Path) -> None:
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"

    done = everleaf(tmp_path / "home", "up", "--no-demo", EVERLEAF_DATABASE_URL=nowhere)

    assert done.returncode == 1
    assert "EVERLEAF_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """8 MB that really fill up; only root may mount them."""
    if os.geteuid() != 0:
        lacks("ROOT", "a full disk at start was not tested", "run the suite as root")
    with tempfile.TemporaryDirectory(prefix="evl-small-", dir="/tmp") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            lacks(f"MOUNT ({mounted.stderr.decode().strip()})", "a full disk at start was not tested", "allow mounts")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["in front", "detached"])
def test_up_on_a_full_disk_says_so_and_leaves_nothing_half_made(small_disk: Path, detach: tuple[str, ...]) -> None:
    done = everleaf(small_disk / "home", "up", "--no-demo", *detach)

    assert done.returncode == 1
    assert "disk" in done.stderr and "--data-dir" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (small_disk / "home" / "postgres").exists()


@pytest.mark.parametrize(
    "arguments", [("status", "--output", "yaml"), ("approve",), ("token", "create", "--role", "king", "--name", "x")]
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert everleaf(tmp_path, *arguments).returncode == 2


def test_a_wrong_token_is_401(product: Product) -> None:
    answer = product.ask("GET", "/v1/certificates", token="evl_wrong")

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" in answer.headers
    done = product.run("certificates", "--token", "evl_wrong")
    assert done.returncode == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("noun", ["certificates", "approvals", "discoveries", "orders"])
def test_an_unknown_id_is_404_and_says_of_what(product: Product, noun: str) -> None:
    answer = product.ask("GET", f"/v1/{noun}/nobody-1")

    assert answer.status_code == 404
    assert "nobody-1" in answer.json()["detail"]
    assert product.run("certificate", "nobody-1").returncode == 1


BODIES: dict[str, tuple[str, Any, str]] = {
    "an unknown field": ("/v1/discoveries", {"cidr": ["127.0.0.1/32"]}, "cidr"),
    "a wrong type": ("/v1/discoveries", {"ports": "all"}, "ports"),
    "a port that is none": ("/v1/discoveries", {"ports": [99999]}, "ports"),
    "a list instead of an object": ("/v1/discoveries", ["x"], ""),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_malformed_body_is_422_with_field_and_remedy(product: Product, case: str) -> None:
    path, body, field = BODIES[case]
    before = product.get("/v1/discoveries")

    answer = product.ask("POST", path, body)

    assert answer.status_code == 422, answer.text
    told = answer.json()["errors"][0]
    assert field in told["field"]
    assert told["detail"] and told["remedy"]
    assert product.get("/v1/discoveries") == before


def test_a_decision_that_is_none_is_422(product: Product) -> None:
    approval = product.every("/v1/approvals?state=pending")[0]

    answer = product.ask("POST", f"/v1/approvals/{approval['id']}/decision", {"decision": "maybe"})

    assert answer.status_code == 422
    assert "decision" in answer.json()["errors"][0]["field"]
    assert product.get(f"/v1/approvals/{approval['id']}")["state"] == "pending"


def test_a_taken_port_is_left_to_its_holder_and_another_one_is_used(product: Product, tmp_path: Path) -> None:
    """The usual ports are held by the product of this session or by this test."""
    with tempfile.TemporaryDirectory(prefix="evl-port-", dir="/tmp") as folder, socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8460))
            taken.listen()
        except OSError:
            pass  # Somebody else holds it: as good.
        home = Path(folder) / "home"
        try:
            done = everleaf(home, "up", "--no-demo", "--detach")
            assert done.returncode == 0, done.stderr
            status = json.loads(everleaf(home, "status", "--output", "json").stdout)
            assert status["state"] == "ready"
            assert ":8460" not in status["urls"]["api"]
            assert status["urls"]["api"] != product.api
        finally:
            everleaf(home, "down")
    assert product.get("/v1/status")["managed"] >= 320
