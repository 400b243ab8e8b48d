"""Fifty decisions on one approval at once, over page, API, CLI and Temporal, with two API processes: one wins."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from api.auth import COOKIE
from cli.home import PROJECT
from cli.process import dying_with_parent, free_port
from domain.tiers import Role
from store import access
from store.engine import create_engine
from tests.e2e.product import Product, clean_environment, eventually
from tests.launcher.waiting import LONG_SECONDS

pytestmark = pytest.mark.e2e
EACH = {"page": 15, "api": 20, "cli": 5, "temporal": 10}


@pytest.fixture(scope="module")
def second_api(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another API process over the same database and Temporal, as a second instance behind a balancer would be."""
    port = free_port()
    log = (tmp_path_factory.mktemp("api") / "log").open("wb")
    environment = clean_environment() | {
        "EVERLEAF_DATABASE_URL": product.status["database_url"],
        "EVERLEAF_TEMPORAL_ADDRESS": product.status["temporal"]["address"],
        "EVERLEAF_TEMPORAL_NAMESPACE": product.status["temporal"]["namespace"],
        "EVERLEAF_HOME": product.status["data_dir"],
        "EVERLEAF_API_PORT": str(port),
    }
    command = dying_with_parent([sys.executable, "-m", "cli.main", "api"])
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | environment, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"

        def is_ready() -> bool:
            assert process.poll() is None, Path(log.name).read_text()[-2000:]
            try:
                return httpx2.get(f"{base}/health/ready", timeout=5).status_code == 200
            except httpx2.TransportError:
                return False

        eventually(is_ready, "the second API is ready")
        yield base
    finally:
        process.kill()
        process.wait(LONG_SECONDS)


def is_known(answer: httpx2.Response) -> bool:
    return answer.status_code != 202 and "told=unknown" not in answer.headers.get("location", "")


def until(ask: Callable[[], httpx2.Response], is_good: Callable[[httpx2.Response], bool]) -> httpx2.Response:
    """The first answer that is good: how often a busy product does not know yet is no verdict."""
    deadline = time.monotonic() + LONG_SECONDS
    while True:
        answer = ask()
        if is_good(answer):
            return answer
        assert time.monotonic() < deadline, f"still unknown: {answer.status_code} {answer.text[:200]}"


def test_of_fifty_decisions_at_once_exactly_one_counts(product: Product, second_api: str) -> None:
    waiting = product.every("/v1/approvals?state=pending")
    # One whose issuer answers by itself: what is decided is then seen served.
    approval = next(one for one in waiting if not one["escalated"] and one["plan"]["issuer_kind"] == "private-ca")
    bases, token = (product.api, second_api), product.new_token("security-head", "--may-decide")
    engine = create_engine(product.status["database_url"])
    cookie = access.log_in(engine, access.create_login_link(engine, Role.SECURITY_HEAD))
    engine.dispose()
    assert cookie is not None
    decision = {"decision": "approve", "version": approval["version"]}
    path = f"/v1/approvals/{approval['id']}"
    codes = [product.ask("POST", f"{path}/code", token=token).json()["paste"] for _ in range(EACH["temporal"])]

    def by_api(number: int) -> str:
        headers = {"authorization": f"Bearer {token}", "idempotency-key": f"api-{number}"}
        where = f"{bases[number % 2]}{path}/decision"
        # Not known yet: the same key asked again is the same answer, never a second one.
        answer = until(lambda: httpx2.post(where, json=decision, headers=headers, timeout=LONG_SECONDS), is_known)
        return "won" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['title']}"

    def by_page(number: int) -> str:
        csrf = sha256(b"csrf\n" + cookie.encode()).hexdigest()
        fields = {**decision, "key": f"page-{number}", "csrf": csrf}
        headers = {"cookie": f"{COOKIE}={cookie}"}
        where = f"{bases[number % 2]}/approvals/{approval['id']}/decision"
        answer = until(lambda: httpx2.post(where, data=fields, headers=headers, timeout=LONG_SECONDS), is_known)
        if answer.status_code == 303:
            return "won"
        assert "Your answer was not used." in answer.text
        return f"{answer.status_code} refused"

    def by_cli(number: int) -> str:
        done = product.run("approve", approval["id"], EVERLEAF_TOKEN=token)
        return "won" if done.returncode == 0 else f"cli {done.returncode} {bool(done.stderr.strip())}"

    def by_temporal(number: int) -> str:
        target = ["--workflow-id", f"certificate/{approval['certificate_id']}", "--name", "decide"]
        done = product.temporal("workflow", "update", "execute", *target, "--input", json.dumps(codes[number]))
        told = done.stdout + done.stderr
        assert told.strip()
        return "won" if '"accepted"' in told else "temporal refused"

    ways: dict[str, Callable[[int], str]] = {"page": by_page, "api": by_api, "cli": by_cli, "temporal": by_temporal}
    jobs = [(ways[name], number) for name, count in EACH.items() for number in range(count)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        answers = list(pool.map(lambda job: job[0](job[1]), jobs))

    counted = Counter(answers)
    assert sum(counted.values()) == 50
    assert counted["won"] == 1, counted
    assert all(answer == "won" or answer[:3] in ("409", "412", "cli", "tem") for answer in answers), counted
    product.renewed(approval["certificate_id"])
    detail = product.certificate(approval["certificate_id"])
    assert len(detail["orders"]) == 1
    events = product.get(f"/v1/certificates/{approval['certificate_id']}/timeline?limit=500")["items"]
    assert len([event for event in events if event["kind"] == "approved"]) == 1
