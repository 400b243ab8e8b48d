"""A part is away in the middle of renewals: nothing false, nothing doubled, no hand needed, told once.

Sampled with a few renewals and seconds; the long run takes forty renewals and five minutes.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client

from store import tables
from tests.chaos.conftest import Measured, shaken
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Shaken
from tests.launcher.waiting import until
from tests.needed import lacks
from tests.postgres_server import PostgresServer
from tests.servers import Cluster

pytestmark = [pytest.mark.e2e]

Away = Callable[[Shaken, PostgresServer], AbstractContextManager[None]]


@contextmanager
def database(product: Shaken, server: PostgresServer) -> Iterator[None]:
    server.interrupt()
    yield
    server.start()


@contextmanager
def temporal(product: Shaken, server: PostgresServer) -> Iterator[None]:
    assert product.temporal is not None
    product.temporal.kill()
    product.temporal.wait()
    yield
    product.start_again()


@contextmanager
def space(product: Shaken, server: PostgresServer) -> Iterator[None]:
    """The disk on which the servers' files lie takes no byte more."""
    filler = endpoints(product) / ".filler"
    with filler.open("wb", buffering=0) as out:
        fill(lambda: out.write(b"x" * 4096))
    yield
    filler.unlink()


@contextmanager
def inodes(product: Shaken, server: PostgresServer) -> Iterator[None]:
    """It has room, and can name no further file."""
    made: list[Path] = []

    def another() -> None:
        made.append(endpoints(product) / f".one-of-many-{len(made)}")
        made[-1].touch()

    fill(another)
    yield
    for path in made:
        path.unlink(missing_ok=True)


AWAY = (database, temporal, space, inodes)


def fill(more: Callable[[], object]) -> None:
    while True:
        try:
            more()
        except OSError:
            return


def endpoints(product: Shaken) -> Path:
    return product.world.home.parent / "endpoints"


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """What lies in ``folder`` lies on a disk of its own, of ``options``, which only root may mount."""
    if os.geteuid() != 0:
        lacks("ROOT", "a full disk in the middle of renewals was not tested", "run the suite as root")
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        lacks(f"MOUNT ({done.stderr.strip()})", "a full disk in the middle of renewals was not tested", "allow mounts")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def ordered(product: Shaken) -> bool:
    return bool(product.rows(sa.select(tables.orders.c.order_key)))


def is_felt(product: Shaken, away: Away) -> bool:
    """Whether a step has met the outage: of the database, Temporal counts the attempts; of a disk, a case says it."""
    if away in (space, inodes):
        return any("No space left" in str(why) for why in product.rows(sa.select(tables.cases.c.failure)))

    async def tried_again(client: Client) -> bool:
        runs = [run async for run in client.list_workflows("ExecutionStatus = 'Running'")]
        told = [await client.get_workflow_handle(run.id).describe() for run in runs]
        return any(one.attempt > 1 for each in told for one in each.raw_description.pending_activities)

    return away is temporal or product.ask(tried_again)


WHOLE = [pytest.param(part, 40, 300, id=f"{part.__name__}-whole", marks=pytest.mark.long) for part in AWAY]


# A sample of Temporal's is in tests/faults: what it holds is asked again in a minute, and that is how long it takes.
@pytest.mark.parametrize(
    ("away", "places", "seconds"),
    [*(pytest.param(part, 4, 0, id=f"{part.__name__}-sample") for part in (database, space, inodes)), *WHOLE],
)
def test_a_part_that_is_away_in_the_middle_of_renewals_leaves_nothing_false_or_doubled(
    mortal: tuple[PostgresServer, Engine], measured: Measured, away: Away, places: int, seconds: int
) -> None:
    server, engine = mortal
    with shaken(Cluster(server.socket), engine, places) as product:
        # For each place two directories and two files; an installation needs room for two more.
        with small_disk(endpoints(product), f"size=2m,nr_inodes={200 + 8 * places}"):
            product.world.start_worker()
            product.world.discover()
            until(lambda: ordered(product))
            with away(product, server):
                until(lambda: is_felt(product, away))
                # The whole run's five minutes are the fault itself.
                time.sleep(seconds)
            with measured(f"from the return of {away.__name__} to rest"):
                until(lambda: is_at_rest(product))
            judge(product)
            left = {path.name for path in endpoints(product).rglob(".*")} - {".ecdsa.chain.pem.lock"}
            assert left == set()
