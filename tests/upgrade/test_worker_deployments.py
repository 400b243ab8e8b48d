"""Versioned workers on a real server: the current build serves, and a release is rolled back by naming the old one."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from temporalio.client import Client

from domain.names import certificate_workflow
from tests.chaos.conftest import shaken
from tests.chaos.product import Shaken
from tests.faults.worlds import end
from tests.launcher.waiting import LONG_SECONDS, until
from tests.postgres_server import PostgresServer
from tests.servers import Cluster
from tests.upgrade.carried import ALL_QUEUES

pytestmark = [pytest.mark.e2e]
NAME = "everleaf"


def make_current(product: Shaken, build: str) -> bool:
    """As docs/production.md says; False while the server does not know the build."""
    program = Path(sys.executable).parent / "temporal"
    command = [str(program), "worker", "deployment", "set-current-version", "--deployment-name", NAME]
    command += ["--build-id", build, "--yes", "--address", f"127.0.0.1:{product.port}"]
    return subprocess.run(command, capture_output=True, timeout=LONG_SECONDS).returncode == 0


def builds(product: Shaken) -> set[str]:
    """Of the worker that did the last workflow task of each lifecycle."""

    async def ask(client: Client) -> set[str]:
        found = set()
        for managed_id in product.certificates():
            run = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
            found.add(run.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id)
        return found

    return product.ask(ask)


def wake(product: Shaken) -> None:
    """Give each lifecycle a task, with a notice about nothing."""

    async def tell(client: Client) -> None:
        for managed_id in product.certificates():
            await client.get_workflow_handle(certificate_workflow(managed_id)).signal("observe", "nothing")

    product.ask(tell)


def serves(product: Shaken, build: str) -> bool:
    """Whether every task goes to ``build``: which one is current comes to the queues a moment after it is set."""
    wake(product)
    return builds(product) == {build}


def test_the_current_build_serves_and_the_old_one_takes_over_again(mortal: tuple[PostgresServer, Engine]) -> None:
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as product:
        world = product.world
        old = world.one_worker(ALL_QUEUES, {"EVERLEAF_DEPLOYMENT": NAME, "EVERLEAF_BUILD_ID": "old"})
        new = None
        try:
            until(lambda: make_current(product, "old"))
            world.discover()
            until(world.is_finished)
            assert builds(product) == {"old"}

            new = world.one_worker(ALL_QUEUES, {"EVERLEAF_DEPLOYMENT": NAME, "EVERLEAF_BUILD_ID": "new"})
            until(lambda: make_current(product, "new"))
            until(lambda: serves(product, "new"))

            assert make_current(product, "old")
            until(lambda: serves(product, "old"))
            assert product.all_run() and len(product.orders()) == 2
        finally:
            for process in filter(None, (old, new)):
                end(process)
