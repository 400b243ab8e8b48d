"""`everleaf upgrade --check` says what stands in the way of this release, and changes nothing."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from store import access
from tests.launcher.waiting import until
from tests.policies import whole
from tests.servers import Cluster
from tests.upgrade.carried import Estate, estate_of_0_2_0
from workflows.search import RULES

pytestmark = [pytest.mark.e2e]
FORGED = "mc-forged"


@workflow.defn(name=LIFECYCLE_WORKFLOW, sandboxed=False)
class OfAnotherRelease:
    """A stand-in for a release whose lifecycle did other things; none that broke was ever released."""

    @workflow.run
    async def run(self) -> None:
        self.has_begun = True
        await workflow.sleep(86_400, summary="what no release of ours does")

    @workflow.query
    def begun(self) -> bool:
        return self.has_begun


@pytest.fixture(scope="module")
def estate(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with estate_of_0_2_0(cluster, tmp_path_factory.mktemp("estate")) as found:
        yield found


def checked(estate: Estate) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and what is said by name."""
    done: subprocess.CompletedProcess[str] = estate.everleaf("upgrade", "--check", "--output", "json")
    assert done.stdout, done.stderr
    return done.returncode, {found.pop("name"): found for found in json.loads(done.stdout)}


def bad(found: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, finding in found.items() if finding["outcome"] == "bad"}


def execute(estate: Estate, statement: str) -> list[Any]:
    with estate.engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        return list(result) if result.returns_rows else []


@contextmanager
def forged(estate: Estate, rules: str) -> Iterator[None]:
    """A running lifecycle more, which says that it goes by ``rules`` and did what ours does not."""

    async def begin(client: Client) -> None:
        said = TypedSearchAttributes([SearchAttributePair(RULES, rules)])
        runner = UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue="forging", workflows=[OfAnotherRelease], workflow_runner=runner):
            handle = await client.start_workflow(
                OfAnotherRelease.run, id=certificate_workflow(FORGED), task_queue="forging", search_attributes=said
            )
            # Answered by its worker, once its first task has put a timer into its history.
            assert await handle.query("begun")

    async def running(client: Client) -> int:
        counted = await client.count_workflows(f"ExecutionStatus = 'Running' AND EverleafRules = '{rules}'")
        return counted.count

    async def stop(client: Client) -> None:
        await client.get_workflow_handle(certificate_workflow(FORGED)).terminate()

    before = estate.ask(running)
    estate.ask(begin)
    until(lambda: estate.ask(running) > before)
    yield
    estate.ask(stop)
    until(lambda: estate.ask(running) == before)


def test_it_says_what_0_2_0_must_mend_first_and_changes_nothing(estate: Estate) -> None:
    events = estate.events()

    code, found = checked(estate)

    assert code == 1
    assert bad(found) == {"policy", "tokens"}
    assert found["schema"]["detail"].endswith("migrations to run")
    assert found["rule sets"]["detail"].startswith("6 by 0.2;")
    assert found["histories"]["detail"] == "6 of 6 running lifecycles replay"
    assert "laptop" in found["tokens"]["detail"]
    assert "policy.yaml" in found["policy"]["detail"]
    assert estate.events() == events
    assert execute(estate, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_it_is_content_once_that_is_mended(estate: Estate) -> None:
    policy = estate.home / "policy.yaml"
    text = policy.read_text()
    policy.write_text(whole(text))
    [(token_id,)] = execute(estate, "SELECT id FROM tokens WHERE name = 'laptop'")
    assert access.revoke_token(estate.engine, token_id)

    code, found = checked(estate)

    assert (code, bad(found)) == (0, set())
    policy.write_text(text)
    execute(estate, "UPDATE tokens SET revoked_at = NULL")


def test_a_database_of_a_newer_release_is_refused_by_check_and_by_migrate(estate: Estate) -> None:
    execute(estate, "UPDATE alembic_version SET version_num = '9999'")

    _, found = checked(estate)
    done = estate.everleaf("migrate")

    assert found["schema"]["outcome"] == "bad" and "9999" in found["schema"]["detail"]
    assert done.returncode == 1
    assert "the database is of a newer release" in done.stderr and "Traceback" not in done.stderr
    execute(estate, "UPDATE alembic_version SET version_num = '0002'")


def test_lives_under_rules_of_a_newer_release_are_in_the_way(estate: Estate) -> None:
    with forged(estate, "9.9"):
        code, found = checked(estate)

    assert code == 1
    assert found["rule sets"]["outcome"] == "bad" and "9.9" in found["rule sets"]["remedy"]


def test_a_lifecycle_that_does_not_replay_is_named_before_a_worker_meets_it(estate: Estate) -> None:
    with forged(estate, "0.2"):
        code, found = checked(estate)

    assert code == 1
    assert found["histories"]["outcome"] == "bad"
    assert certificate_workflow(FORGED) in found["histories"]["detail"]


def test_what_cannot_be_asked_is_in_the_way(estate: Estate) -> None:
    silent = Estate(estate.home, estate.settings, estate.engine)
    silent.settings = estate.settings.__class__("postgresql://nobody@127.0.0.1:1/none", "127.0.0.1:1", "")

    code, found = checked(silent)

    assert code == 1
    assert {"schema", "database roles", "rule sets", "histories"} <= bad(found)
