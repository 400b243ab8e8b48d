"""``kill -9`` of the worker before and after each external effect: every case ends, once, and nothing is lost.

All worlds are broken at the same time: what takes long is Temporal's patience with a worker that is gone.
"""

import asyncio
import hashlib
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cli.process import free_port
from demo.authorities import make_stand_in
from domain.settings import Settings
from store import tables
from store.engine import create_engine
from tests.faults.worlds import LISTENERS, World, end, is_worth_a_new_code, start
from tests.launcher.waiting import LONG_SECONDS, until
from tests.servers import TEMPLATE, Cluster, new_namespace

pytestmark = [pytest.mark.e2e]

# Every name that activities pass to ``failpoint``, in the order of a renewal; a test below compares them.
POINTS = (
    *("adopt.begun", "adopt.committed", "adopt.told"),
    *("order.begun", "order.key_made", "order.placed"),
    *("issue.intended", "issue.signed", "issue.committed"),
    *("deploy.begun", "deploy.written", "deploy.reloaded"),
    *("record.begun", "record.committed"),
    *("redeem.begun", "redeem.committed", "send.begun", "send.delivered"),
)
ASKING = ("redeem.", "send.")
# More workers that start at once would only wait for each other.
DOOMED_AT_ONCE = 6


def namespace(point: str) -> str:
    return point.replace(".", "-").replace("_", "-")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="evl-faults-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The points that this run asks about: whoever picks some with ``-k`` does not wait for all."""
    found = (getattr(item, "callspec", None) for item in request.session.items)
    asked = {callspec.params.get("point") for callspec in found if callspec is not None}
    return tuple(point for point in POINTS if point in asked)


@pytest.fixture(scope="module")
def smtp(home: Path) -> Iterator[str]:
    """A mail server that keeps what it is given below ``home``/demo/mail."""
    (home / "demo").mkdir()
    sink = start(["-m", "demo.mailbox", str(home)], home / "smtp.log")
    said = home / "demo" / "smtp.port"
    try:
        until(said.exists)
        yield f"smtp://127.0.0.1:{said.read_text().strip()}"
    finally:
        end(sink)


@pytest.fixture(scope="module")
def worlds(
    home: Path, cluster: Cluster, temporal_address: str, smtp: str, chosen: tuple[str, ...]
) -> Iterator[dict[str, World]]:
    folder = home / "endpoints"
    stand_in = make_stand_in("internal", "Faults", datetime.now(UTC))
    found: dict[str, World] = {}
    for point in chosen:
        name = namespace(point)
        cluster.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
        url = cluster.url(name)
        where = home / name
        settings = Settings(url, temporal_address, str(where), namespace=name, smtp_url=smtp)
        ports = (free_port(), free_port())
        found[point] = World(point, where, settings, create_engine(url), ports, point.startswith(ASKING))
        found[point].prepare(folder, stand_in)
        asyncio.run(new_namespace(temporal_address, name))
    listeners = start(["-c", LISTENERS, str(folder), str(home / "listening")], home / "listeners.log")
    try:
        until((home / "listening").exists)
        _break(list(found.values()))
        yield found
    finally:
        for world in found.values():
            if world.worker is not None:
                end(world.worker)
            world.engine.dispose()
        end(listeners)


def _break(worlds: list[World]) -> None:
    """Until every world is done, or the time is up."""
    deadline = time.monotonic() + LONG_SECONDS
    while any(world.state in ("waiting", "doomed", "clean") for world in worlds) and time.monotonic() < deadline:
        waiting = [world for world in worlds if world.state == "waiting"]
        if waiting and sum(world.state == "doomed" for world in worlds) < DOOMED_AT_ONCE:
            waiting[0].start_worker(waiting[0].point)
            waiting[0].discover()
            waiting[0].state = "doomed"
        for world in worlds:
            if world.state in ("doomed", "clean"):
                world.step()
        time.sleep(0.2)


def served(port: int) -> x509.Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 60) as plain, context.wrap_socket(plain) as tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_every_named_failpoint_is_killed_at() -> None:
    root = Path(__file__).parents[2] / "activities"
    named = set()
    for file in root.rglob("*.py"):
        for piece in file.read_text().split('failpoint("')[1:]:
            named.add(piece.partition('"')[0])
    assert named == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_here_loses_nothing_and_doubles_nothing(worlds: dict[str, World], point: str) -> None:
    world = worlds[point]
    assert world.state == "done", f"{world.state}, ended with {world.deaths}\n{world.last_words()}"
    assert world.deaths == [-signal.SIGKILL]
    # No start and no signal is lost.
    assert world.running_lifecycles() == len(world.rows(sa.select(tables.managed.c.id))) == 2
    assert not world.rows(sa.select(tables.notices.c.id).where(tables.notices.c.sent_at.is_(None)))
    # One certificate per order, one order per case, and it is what the world sees.
    issued = world.rows(sa.select(tables.ca_issued.c.order_key, tables.ca_issued.c.serial, tables.ca_issued.c.der))
    orders = world.rows(sa.select(tables.orders.c.order_key, tables.orders.c.fingerprint))
    assert len(issued) == len(orders) == 2
    assert {row[0] for row in issued} == {row[0] for row in orders}
    leaves = [served(port) for port in world.ports]
    assert {f"{leaf.serial_number:x}" for leaf in leaves} == {row[1] for row in issued}
    prints = {hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest() for leaf in leaves}
    assert prints == {row[1] for row in orders}
    outcomes = world.rows(sa.select(tables.cases.c.outcome))
    assert [row[0] for row in outcomes] == ["verified", "verified"]
    # Decided exactly once; a code whose check took too long was refused for that and for nothing else.
    assert [receipt.outcome for receipt in world.receipts[-1:]] == (["accepted"] if world.asks else [])
    assert all(is_worth_a_new_code(receipt) for receipt in world.receipts[:-1]), world.receipts


@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("send.")])
def test_the_letter_of_a_killed_worker_arrives(worlds: dict[str, World], home: Path, point: str) -> None:
    """At least once: a worker killed between the server's yes and its note sends it again."""
    asked = [row[0] for row in worlds[point].rows(sa.select(tables.approvals.c.managed_id))]
    mails = [file.read_text() for file in (home / "demo" / "mail").glob("*.eml")]
    arrived = sum(all(f"certificates/{one}" in mail.replace("=\n", "") for one in asked) for mail in mails)
    assert asked and arrived >= (2 if point == "send.delivered" else 1)
    states = worlds[point].rows(sa.select(tables.deliveries.c.state))
    assert {row[0] for row in states} == {"delivered"}
