"""Workers of 0.2.0 and of this release serve the same queues for the length of an upgrade.

`workers-0.2.0.tar.xz` is the code of the tag v0.2.0, as `git archive` gives it: a checkout need not have the tag.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionStatus

from cli.process import dying_with_parent
from domain.names import certificate_workflow
from store import tables
from tests.chaos.conftest import shaken
from tests.chaos.product import Shaken
from tests.faults.worlds import end
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import Cluster
from tests.upgrade.carried import ALL_QUEUES, unpack

pytestmark = [pytest.mark.e2e]
# Parts of the policy that 0.2.0 did not have; it refuses a file with one.
NEW_PARTS = ("retention:",)


@contextmanager
def worker_of_0_2_0(product: Shaken, folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Over the same database, Temporal, keys and policy file as the workers of this release."""
    world, settings = product.world, product.world.settings
    code = unpack("workers-0.2.0.tar.xz", folder)
    environment = os.environ | {
        # Before our own: its packages have the same names.
        "PYTHONPATH": str(code),
        "EVERLEAF_HOME": settings.home,
        "EVERLEAF_DATABASE_URL": settings.database_url,
        "EVERLEAF_TEMPORAL_ADDRESS": settings.temporal_address,
        "EVERLEAF_TEMPORAL_NAMESPACE": settings.namespace,
        "EVERLEAF_SMTP_URL": settings.smtp_url,
        "EVERLEAF_CA_KEK": f"{settings.home}/ca.kek",
        "EVERLEAF_LEAF_KEK": f"{settings.home}/leaf.kek",
    }
    with (world.home / "old.log").open("wb") as log:
        command = dying_with_parent([sys.executable, "worker.py", ALL_QUEUES])
        process = subprocess.Popen(command, cwd=code, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: polls(product, process.pid))
        yield process
    finally:
        end(process)


def polls(product: Shaken, pid: int) -> bool:
    """Whether the process ``pid`` asks for the work of lifecycles."""

    async def ask(client: Client) -> bool:
        queue = TaskQueue(name="lifecycle")
        workflows = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=queue, task_queue_type=workflows)
        said = await client.workflow_service.describe_task_queue(request)
        return any(one.identity.startswith(f"{pid}@") for one in said.pollers)

    return product.ask(ask)


def unwell(product: Shaken) -> dict[str, str]:
    """Each lifecycle that does not run, or whose present task has failed before."""

    async def ask(client: Client) -> dict[str, str]:
        found = {}
        for managed_id in product.certificates():
            run = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
            attempt = run.raw_description.pending_workflow_task.attempt
            if run.status is not WorkflowExecutionStatus.RUNNING or attempt > 1:
                found[managed_id] = f"{run.status}, attempt {attempt}"
        return found

    return product.ask(ask)


def test_both_renew_side_by_side_and_the_new_one_goes_on_alone(
    mortal: tuple[PostgresServer, Engine], tmp_path: Path
) -> None:
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as product:
        world = product.world
        policy = world.home / "policy.yaml"
        text = policy.read_text()
        kept = [line for line in text.splitlines() if not line.startswith(NEW_PARTS)]
        policy.write_text("\n".join(kept) + "\n")
        # The database is migrated already, as it is while workers of before still run.
        with worker_of_0_2_0(product, tmp_path) as old:
            policy.write_text(text)
            world.start_worker()
            until(lambda: polls(product, world.worker.pid if world.worker else 0))
            world.discover()
            until(world.is_finished)
            assert old.poll() is None and world.worker is not None and world.worker.poll() is None
            assert len(product.orders()) == 2
            said = (world.home / "old.log").read_text()
            assert "only half in force" not in said, said[-2000:]

        # Without it, what it had begun goes on, and inventory and engine are compared.
        until(lambda: product.comparisons() > 0)
        until(lambda: unwell(product) == {})
        assert product.all_run()
        assert len(product.orders()) == 2
        failed = product.rows(sa.select(tables.orders.c.order_key).where(tables.orders.c.state == "failed"))
        assert failed == []
