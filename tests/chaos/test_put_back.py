"""A database that was put back gets what it lacks from Temporal; until a person has looked, our CAs sign nothing."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client

from domain.comparison import Noted, Reconcile
from domain.names import LIFECYCLE_QUEUE, reconciliation_workflow
from store import tables
from store.migrate import upgrade
from tests.chaos.conftest import shaken
from tests.chaos.product import Shaken
from tests.faults.worlds import end
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster
from workflows.reconciliation import Reconciliation

pytestmark = [pytest.mark.e2e]
EARLIER = "earlier"


@pytest.fixture
def begun(mortal: tuple[PostgresServer, Engine]) -> Iterator[tuple[Shaken, Cluster]]:
    server, engine = mortal
    cluster = Cluster(server.socket)
    with shaken(cluster, engine) as product:
        product.world.start_worker()
        product.world.discover()
        yield product, cluster


def copy(product: Shaken, cluster: Cluster, name: str, of: str) -> None:
    """PostgreSQL copies a database that nobody is connected to."""
    assert product.world.worker is not None
    end(product.world.worker)
    product.world.engine.dispose()
    cluster.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {of}")
    product.world.start_worker()


def heads(product: Shaken) -> dict[str, int]:
    with product.world.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.stream_heads.c.stream, tables.stream_heads.c.seq))
        return {row.stream: row.seq for row in rows}


def held(product: Shaken) -> list[bool]:
    """Of each comparison, oldest first: whether our CAs were held."""
    column = tables.reconciliations.c
    rows = product.rows(sa.select(column.held_since).where(column.applied).order_by(column.noted_at))
    return [row is not None for row in rows]


def test_its_events_are_made_again_by_replay_and_a_person_lets_our_cas_sign_again(
    begun: tuple[Shaken, Cluster],
) -> None:
    product, cluster = begun
    until(lambda: len(heads(product)) == 2 and product.comparisons() > 0)
    copy(product, cluster, EARLIER, TEMPLATE)
    early = heads(product)
    until(product.world.is_finished)
    until(lambda: product.comparisons() > 1)
    orders = product.orders()
    assert len(orders) == 2
    late = heads(product)
    assert all(late[one] > early[one] for one in early)

    copy(product, cluster, TEMPLATE, EARLIER)
    until(lambda: held(product)[-1:] == [True])
    until(lambda: all(heads(product).get(one, -1) >= late[one] for one in late))
    until(lambda: {row[0] for row in product.world.rows(sa.select(tables.managed_certificates.c.generation))} == {2})
    until(lambda: len(product.told()) == 1)
    assert "was put back to an earlier time" in product.told()[0]
    assert "everleaf reconcile --apply" in product.told()[0]
    product.compare()
    assert held(product)[-1]

    async def release(client: Client) -> Noted:
        return await client.execute_workflow(
            Reconciliation.run,
            Reconcile("by-hand", release=True),
            id=reconciliation_workflow("by-hand"),
            task_queue=LIFECYCLE_QUEUE,
        )

    product.world.discover_again()
    product.ask(release)
    # What our CA signed since stands among what it signed again: its bytes are served.
    assert sorted(map(str, product.rows(sa.select(tables.ca_issued.c.order_key)))) == orders
    product.compare()
    assert not held(product)[-1]
    assert product.all_run()
    # No second certificate: nothing was ordered for what came back.
    assert set(product.orders()) <= set(orders)


@pytest.mark.long
def test_a_certificate_that_was_adopted_since_is_governed_again_and_by_one_lifecycle(
    begun: tuple[Shaken, Cluster],
) -> None:
    product, cluster = begun
    until(product.world.is_finished)
    certificates, late = product.certificates(), heads(product)
    until(lambda: product.comparisons() > 0)
    # A store of before the first discovery, which knows nothing but its policy.
    cluster.execute(f"CREATE DATABASE {EARLIER}")
    upgrade(cluster.url(EARLIER))
    copy(product, cluster, TEMPLATE, EARLIER)
    until(lambda: held(product)[-1:] == [True])
    until(lambda: all(heads(product).get(one, -1) >= late[one] for one in late))
    until(lambda: product.certificates() == certificates)
    product.world.discover_again()
    until(lambda: bool(product.rows(sa.select(tables.discoveries.c.id).where(tables.discoveries.c.state == "adopted"))))
    assert product.certificates() == certificates
    owners = {str(row) for row in product.rows(sa.select(tables.slots.c.managed_id))}
    assert owners == set(certificates)
    product.compare()
    counts = product.rows(sa.select(tables.reconciliations.c.counts).order_by(tables.reconciliations.c.noted_at))
    assert counts[-1] == {}
