"""Products to shake: on servers of their own, which a test may wipe or put back, or on those of the run."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from domain.settings import Settings
from tests.chaos.post import post_office
from tests.chaos.product import FILE, Product, Shaken
from tests.faults import worlds
from tests.faults.worlds import end, one_world
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster, new_namespace, own_name, start_temporal


@contextmanager
def shaken(cluster: Cluster, engine: Engine, places: int = 2) -> Iterator[Shaken]:
    with tempfile.TemporaryDirectory(prefix="evl-tp-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        temporal, address = start_temporal(Path(folder), file=FILE)
        port = int(address.rpartition(":")[2])
        settings = Settings(cluster.url(TEMPLATE), address, "")
        made = None
        try:
            with one_world(engine, settings, asks=False, left=worlds.LEFT, places=places) as world:
                made = Shaken(world, None, Path(folder), temporal, port)
                yield made
        finally:
            end(made.temporal if made is not None and made.temporal is not None else temporal)


@pytest.fixture
def shaken_early(mortal: tuple[PostgresServer, Engine]) -> Iterator[Shaken]:
    """Two internal certificates that are being found and renewed."""
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as made:
        made.world.start_worker()
        made.world.discover()
        yield made


@pytest.fixture
def product(mortal: tuple[PostgresServer, Engine]) -> Iterator[Shaken]:
    """Two internal certificates that were found, renewed and verified; its worker runs."""
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as made:
        made.world.start_worker()
        made.world.discover()
        until(made.world.is_finished)
        yield made


Measured = Callable[[str], AbstractContextManager[None]]
Estates = Callable[..., AbstractContextManager[Product]]


@pytest.fixture
def estate(database_url: str, database: Engine, temporal_address: str) -> Estates:
    """Makes a product on the servers of the run, with a mail server that a test may disturb; no worker runs yet."""

    @contextmanager
    def made(*, asks: bool = False, left: timedelta = worlds.LEFT, places: int = 2) -> Iterator[Product]:
        name = own_name()
        asyncio.run(new_namespace(temporal_address, name))
        settings = Settings(database_url, temporal_address, "", namespace=name)
        with post_office() as post, one_world(database, settings, asks=asks, left=left, places=places) as world:
            world.settings = replace(world.settings, smtp_url=post.url())
            yield Product(world, post)

    return made


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Says at the end of the run how long what is inside took; no verdict hangs on it."""

    @contextmanager
    def made(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        record_property(what, f"{time.monotonic() - began:.1f} s")

    return made
