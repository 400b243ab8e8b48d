"""The clock of one worker is 100 days wrong: it does nothing, says so, and once it is mended all goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store import tables
from tests.chaos.conftest import shaken
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Shaken
from tests.faults.worlds import end
from tests.launcher.waiting import until
from tests.needed import lacks
from tests.postgres_server import PostgresServer
from tests.servers import Cluster

pytestmark = [pytest.mark.e2e]

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture
def library() -> str:
    found = next(iter(LIBRARIES), None)
    if found is None:
        lacks("faketime", "no clock was put forward", "install Debian's faketime")
    return str(found)


@pytest.fixture
def product(mortal: tuple[PostgresServer, Engine]) -> Iterator[Shaken]:
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as made:
        yield made


def signed(product: Shaken) -> list[object]:
    query = sa.select(tables.ca_issued.c.der).where(tables.ca_issued.c.der.is_not(None))
    return product.rows(query)


def test_a_signer_whose_clock_is_ahead_signs_nothing_and_goes_on_once_it_is_mended(
    product: Shaken, library: str
) -> None:
    world = product.world
    ahead = world.one_worker("issue", {"LD_PRELOAD": library, "FAKETIME": "+100d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    try:
        world.start_worker(queues="lifecycle,deploy,scan")
        world.discover()
        cases = tables.cases.c
        until(lambda: any("100 days ahead of Temporal" in str(why) for why in product.rows(sa.select(cases.failure))))
        # Not its own CAs either: their certificates would begin in 100 days, and every one below them.
        assert product.rows(sa.select(tables.ca_authorities.c.name)) == []
        assert signed(product) == []
    finally:
        end(ahead)
    mended = world.one_worker("issue", {})
    try:
        until(world.is_finished)
    finally:
        end(mended)
    assert len(signed(product)) == 2


def test_a_deployer_whose_clock_is_ahead_does_nothing_and_goes_on_once_it_is_mended(
    product: Shaken, library: str
) -> None:
    world, cases = product.world, tables.cases.c
    ahead = {"LD_PRELOAD": library, "FAKETIME": "+100d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    wrong, mended = world.one_worker("deploy", ahead), None
    try:
        world.start_worker(queues="lifecycle,scan,issue")
        world.discover()
        until(lambda: any("100 days ahead of Temporal" in str(why) for why in product.rows(sa.select(cases.failure))))
        assert signed(product) == []
        end(wrong)
        mended = world.one_worker("deploy", {})
        until(lambda: is_at_rest(product))
    finally:
        for process in (wrong, mended):
            if process is not None:
                end(process)
    judge(product)
