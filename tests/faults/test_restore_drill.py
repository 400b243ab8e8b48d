"""The drill: a machine is lost, an empty one gets its backup, and every lifecycle goes on without a second order."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.home import PROJECT
from cli.process import free_port
from demo.authorities import make_stand_in
from domain.comparison import Reconcile
from domain.lifecycle.state import LifecycleState
from domain.names import LIFECYCLE_QUEUE, certificate_workflow, reconciliation_workflow
from domain.settings import Settings
from store import tables
from store.engine import create_engine
from store.reader.reconciliations import held_since
from tests.faults.worlds import LISTENERS, World, end, start
from tests.launcher.waiting import LONG_SECONDS, until
from tests.servers import TEMPLATE, Cluster, new_namespace, own_name
from workflows.lifecycle import CertificateLifecycle
from workflows.reconciliation import Reconciliation

pytestmark = [pytest.mark.e2e]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="evl-drill-", dir="/tmp", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def before(folder: Path, cluster: Cluster, temporal_address: str) -> Iterator[World]:
    """A machine with two certificates: one renewed without asking, one about which somebody is asked."""
    name = own_name()
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    asyncio.run(new_namespace(temporal_address, name.replace("_", "-")))
    url, home = cluster.url(name), folder / "before"
    settings = Settings(url, temporal_address, str(home), namespace=name.replace("_", "-"))
    world = World("", home, settings, create_engine(url), (free_port(), free_port()), asks=True)
    world.prepare(folder / "endpoints", make_stand_in("internal", "Drill", datetime.now(UTC)))
    listeners = start(["-c", LISTENERS, str(folder / "endpoints"), str(folder / "listening")], folder / "listeners.log")
    try:
        until((folder / "listening").exists)
        yield world
    finally:
        if world.worker is not None:
            end(world.worker)
        world.engine.dispose()
        end(listeners)


def everleaf(url: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "cli.main", *arguments]
    environment = os.environ | {"EVERLEAF_DATABASE_URL": url}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONG_SECONDS)
    assert done.returncode == 0, done.stderr


def states(world: World) -> dict[str, str]:
    model = tables.managed_certificates.c
    return {row[0]: row[1] for row in world.rows(sa.select(model.id, model.state))}


def orders(world: World) -> list[tuple[str, str]]:
    column = tables.orders.c
    return sorted((row[0], row[1]) for row in world.rows(sa.select(column.order_key, column.fingerprint)))


def issued(world: World) -> list[str]:
    return sorted(str(row[0]) for row in world.rows(sa.select(tables.ca_issued.c.serial)))


def live(world: World) -> dict[str, LifecycleState]:
    """What each lifecycle says of itself."""

    async def asked() -> dict[str, LifecycleState]:
        client = await world.client()
        ids = [str(row[0]) for row in world.rows(sa.select(tables.managed.c.id))]
        handles = {one: client.get_workflow_handle(certificate_workflow(one)) for one in ids}
        return {one: await handle.query(CertificateLifecycle.query_state) for one, handle in handles.items()}

    return asyncio.run(asked())


async def reconcile(world: World) -> None:
    """As `everleaf reconcile --apply` has it done."""
    client, asked = await world.client(), Reconcile("by-hand", release=True)
    identity = reconciliation_workflow("by-hand")
    await client.execute_workflow(Reconciliation.run, asked, id=identity, task_queue=LIFECYCLE_QUEUE)


def held_letters(world: World) -> list[str]:
    """Who was told that our CAs are held."""
    column = tables.deliveries.c
    rows = world.rows(sa.select(column.person, column.message))
    return [str(row[0]) for row in rows if "store" in dict((row[1] or {}).get("facts", ()))]


def comparisons(world: World) -> int:
    return len(world.rows(sa.select(tables.reconciliations.c.id)))


def test_an_empty_machine_goes_on_from_a_backup_without_a_second_order(
    before: World, folder: Path, cluster: Cluster, temporal_address: str
) -> None:
    # given: one was renewed, the other waits for an answer; the backup is taken while the worker runs
    before.start_worker()
    before.discover()
    until(lambda: sorted(states(before).values()) == ["awaiting-approval", "sleeping"] and len(issued(before)) == 1)
    key, out = folder / "backup.key", folder / "backup"
    key.write_bytes(os.urandom(32))
    everleaf(before.settings.database_url, "backup", "--out", str(out), "--wrap-keys", str(key), "--data-dir",
             str(before.home))  # fmt: skip
    known, sequences = orders(before), {one: state.seq for one, state in live(before).items()}
    assert before.worker is not None
    end(before.worker)
    shutil.rmtree(before.home)

    # when: an empty machine, with an empty Temporal, gets it
    name = own_name()
    cluster.execute(f"CREATE DATABASE {name}")
    asyncio.run(new_namespace(temporal_address, name.replace("_", "-")))
    home, url = folder / "after", cluster.url(name)
    everleaf(url, "restore", str(out), "--wrap-keys", str(key), "--data-dir", str(home))
    settings = replace(before.settings, database_url=url, home=str(home), namespace=name.replace("_", "-"))
    after = World("", home, settings, create_engine(url), before.ports, asks=True)
    assert held_since(after.engine) is not None
    known_comparisons = comparisons(after)
    after.start_worker()
    try:
        # then: the worker begins each anew by itself; it has read what the store holds, and goes on from there
        until(lambda: comparisons(after) > known_comparisons and after.running_lifecycles() == 2)
        until(lambda: all(state.seq >= sequences[one] and not state.recall for one, state in live(after).items()))
        until(lambda: sorted(states(after).values()) == ["awaiting-approval", "sleeping"])
        assert after.running_lifecycles() == len(sequences) == 2
        assert {state.generation for state in live(after).values()} == {1, 2}
        assert (orders(after), issued(after)) == (known, issued(before))

        # and nothing is signed until somebody has looked; that holds over comparisons that find nothing more
        assert held_since(after.engine) is not None
        until(lambda: len(held_letters(after)) == 1)
        asyncio.run(reconcile(after))
        assert held_since(after.engine) is None

        # and what is asked can be answered: the keys that came back open what is in the store, and one order follows
        until(lambda: _decided(after))
        until(lambda: {state.generation for state in live(after).values()} == {2})
        assert len(orders(after)) == len(known) + 1
        assert set(known) <= set(orders(after))
    finally:
        assert after.worker is not None
        end(after.worker)
        after.engine.dispose()


def _decided(world: World) -> bool:
    if world.decided is None:
        world._decide_once()
    return world.decided is not None and not world.decided.is_alive()
