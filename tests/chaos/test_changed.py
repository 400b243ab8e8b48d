"""What people change in the middle of renewals: the policy, files at a target, the number of workers."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from demo.authorities import StandIn, make_stand_in
from store import tables
from tests.chaos.conftest import Estates, Measured
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Product
from tests.faults.worlds import ALL_QUEUES, end, write_listener
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]
PLACES = 2


@contextmanager
def beside(product: Product, queues: str) -> Iterator[None]:
    """A worker of ``queues`` beside the product's own."""
    process = product.world.one_worker(queues, {})
    try:
        yield
    finally:
        end(process)


def put_by_hand(product: Product, port: int, ca: StandIn) -> None:
    """A pair that ``ca`` signed, in place of what was deployed for ``port``."""
    with tempfile.TemporaryDirectory(prefix="evl-hand-", dir="/tmp") as aside:
        made = Path(aside) / "endpoints"
        write_listener(made, port, f"n0.{product.world.home.name}.example", ca)
        for pem in (made / f"127.0.0.1_{port}").glob("*.pem"):
            shutil.copy(pem, product.world.home.parent / "endpoints" / f"127.0.0.1_{port}" / pem.name)


def orders_are_open(product: Product) -> bool:
    states = product.rows(sa.select(tables.orders.c.state))
    return len(states) == len(product.world.ports) and set(states) == {"placed"}


def test_a_policy_that_is_edited_while_orders_are_open_orders_nothing_twice(estate: Estates) -> None:
    with estate() as product:
        world = product.world
        # Nobody signs yet: the orders stay open.
        world.start_worker(queues="lifecycle,deploy,scan")
        product.discover()
        until(lambda: orders_are_open(product))
        policy = world.home / "policy.yaml"
        text = policy.read_text()
        edited = text.replace("id: service, owner: owner", "id: line, owner: owner").replace(
            "service: service", "service: line"
        )
        edited = edited.replace("name: same-life, validity: same", "name: another, validity: same").replace(
            "profile: same-life", "profile: another"
        )
        assert edited != text
        policy.write_text(edited)
        product.discover()
        notices, model = tables.notices.c, tables.managed_certificates.c
        # Each hears of the new terms while it waits for its order, and reads them once that has ended.
        until(lambda: len(product.rows(sa.select(notices.id).where(notices.sent_at.is_not(None)))) == 2 * PLACES)
        assert orders_are_open(product)
        with beside(product, "issue"):
            until(lambda: is_at_rest(product) and set(product.rows(sa.select(model.service))) == {"line"})
            judge(product)
            # What was ordered under a profile that is gone is refused before it is signed, and ordered once more.
            states = product.rows(sa.select(tables.orders.c.state))
            assert sorted(map(str, states)) == ["failed"] * PLACES + ["issued"] * PLACES


@pytest.mark.long
def test_two_sets_of_workers_double_nothing(estate: Estates) -> None:
    with estate(places=6) as product:
        product.world.start_worker()
        with beside(product, ALL_QUEUES):
            product.world.discover()
            until(lambda: is_at_rest(product))
            judge(product)


@pytest.mark.long
def test_files_changed_by_hand_between_deployment_and_verification_are_no_verified_renewal(
    estate: Estates, measured: Measured
) -> None:

    with estate() as product:
        world = product.world
        stranger = make_stand_in("internal", "By hand", datetime.now(UTC))
        world.start_worker(queues="lifecycle,deploy,issue")
        looks = world.one_worker("scan", {})
        try:
            product.discover()
        finally:
            end(looks)
        receipts = tables.receipts.c
        until(lambda: len(product.rows(sa.select(receipts.outcome))) == PLACES)
        put_by_hand(product, world.ports[0], stranger)
        question = "Question:    foreign-certificate"
        with beside(product, "scan"):
            with measured("from a file that was changed by hand to the letter about it"):
                until(lambda: any(question in letter for letter in product.letters()))
            with measured("from that letter to rest, without a hand"):
                until(lambda: is_at_rest(product))
            judge(product)
        [letter] = product.letters()
        assert letter.startswith(f"[Everleaf] n0.{world.home.name}.example")
