"""A rung's message goes out while the database is down: a real PostgreSQL that is stopped, a real mail server."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ProgrammingError
from temporalio.client import Client

import worker
from activities.notification import NotificationActivities
from domain.contracts import Deliver, Delivery, Undelivered
from domain.errors import NotReady
from domain.settings import Settings
from domain.tiers import Person, Role
from formats.policy import parse_policy
from store import reader, tables
from store.engine import create_engine
from store.migrate import upgrade
from tests.activities.test_notification import ASK, Mailbox, activities, batched, mailbox, people, smtp_url
from tests.conftest import TEMPLATE, Cluster, postgres_binaries

__all__ = ["mailbox", "smtp_url"]

RUNG = replace(ASK, id="mc-1.7", topic="rung")
EXAMPLE = Path(__file__).parents[2] / "demo" / "policy.yaml"
POLICY = parse_policy(EXAMPLE.read_bytes(), str(EXAMPLE))
HEAD = Person("asha", "Asha Rao", "asha.of.the.file@example.in", Role.SECURITY_HEAD)


@pytest.fixture
def mortal() -> Iterator[tuple[Cluster, Engine]]:
    """A PostgreSQL of this test alone, which it may stop."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("NO POSTGRESQL: nothing was stopped here")
    with tempfile.TemporaryDirectory(prefix="evl-pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        running = Cluster(binaries, Path(home))
        try:
            running.wait()
            running.execute(f"CREATE DATABASE {TEMPLATE}")
            upgrade(running.url(TEMPLATE))
            engine = create_engine(running.url(TEMPLATE))
            yield running, engine
            engine.dispose()
        finally:
            running.stop()


def telling(engine: Engine, smtp: str, *named: Person) -> NotificationActivities:
    made = activities(engine, smtp)
    made._parts = replace(made._parts, people=lambda: named)
    return made


def test_a_rung_goes_out_says_so_and_is_noted_later(
    mortal: tuple[Cluster, Engine], mailbox: Mailbox, smtp_url: str
) -> None:
    cluster, engine = mortal
    people(engine)
    teller = telling(engine, smtp_url, HEAD)
    cluster.interrupt()

    # A worker that has never written to this person: the policy's file says where to.
    asyncio.run(teller.send(RUNG))
    assert teller.deliver(batched(RUNG)) == Delivery("delivered")

    assert mailbox.letters[0]["To"] == "asha.of.the.file@example.in"
    assert "not replaced yet" in str(mailbox.letters[0]["Subject"])
    assert "details could not be read" in mailbox.text()
    assert '"code"' not in mailbox.text()
    # This worker knows what it posted, although it could not note it.
    assert teller.deliver(batched(RUNG)) == Delivery("delivered", "was delivered before")
    assert len(mailbox.letters) == 1

    cluster.start()
    cluster.wait()
    assert teller.deliver(batched(ASK)) == Delivery("delivered")
    states = {row["message_id"]: row["state"] for row in reader.deliveries_for(engine, "mc-1")}
    assert states == {RUNG.id: "delivered", ASK.id: "delivered"}
    assert "details could not be read" not in mailbox.text()


async def test_a_worker_that_starts_without_its_database_serves_mails_and_learns_people_later(
    mortal: tuple[Cluster, Engine], mailbox: Mailbox, smtp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster, engine = mortal
    rules = replace(POLICY, people=(HEAD,))
    settings = Settings(str(engine.url), "127.0.0.1:1", "/nowhere", smtp_url=smtp_url)
    nobody = cast(Client, None)
    parts = worker.Parts(settings, nobody, engine, lambda: rules, lambda _: None)
    cluster.interrupt()
    cluster.process.wait(30)

    knowing = await worker.begin_to_know_people(engine, lambda: rules)
    assert not knowing.done()
    assert "waiting for the database" in caplog.text
    assert "mails go where the policy's file says" in caplog.text
    serving = {made.__name__: made for made in worker.lifecycle(parts)}
    assert await asyncio.to_thread(serving["deliver"], batched(RUNG)) == Delivery("delivered")
    assert mailbox.letters[0]["To"] == HEAD.email

    cluster.start()
    await asyncio.to_thread(cluster.wait)
    await asyncio.wait_for(knowing, 60)
    with engine.connect() as connection:
        assert connection.execute(sa.select(tables.people.c.email)).scalars().all() == [HEAD.email]


async def test_a_worker_whose_database_answers_knows_its_people_before_it_serves(database: Engine) -> None:
    knowing = await worker.begin_to_know_people(database, lambda: replace(POLICY, people=(HEAD,)))
    assert knowing.done()


async def test_a_database_that_answers_without_tables_ends_the_start(mortal: tuple[Cluster, Engine]) -> None:
    cluster, _ = mortal
    empty = create_engine(cluster.url("postgres"))
    with pytest.raises(ProgrammingError):
        await worker.begin_to_know_people(empty, lambda: replace(POLICY, people=(HEAD,)))
    empty.dispose()


def test_another_worker_sends_it_again_rather_than_not_at_all(
    mortal: tuple[Cluster, Engine], mailbox: Mailbox, smtp_url: str
) -> None:
    cluster, engine = mortal
    cluster.interrupt()
    for _ in range(2):
        assert telling(engine, smtp_url, HEAD).deliver(batched(RUNG)).state == "delivered"
    assert len(mailbox.letters) == 2


def test_nobody_is_given_up_on_a_guess(mortal: tuple[Cluster, Engine], smtp_url: str) -> None:
    cluster, engine = mortal
    cluster.interrupt()
    with pytest.raises(NotReady, match="names no person"):
        telling(engine, smtp_url).deliver(batched(RUNG))


def test_what_a_courier_gave_up_is_noted_unless_it_arrived(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    teller = telling(database, smtp_url)
    teller.deliver(batched(ASK))
    asyncio.run(teller.send(RUNG))
    both = Deliver("asha", "email", (ASK, RUNG))
    assert teller.note_undelivered(Undelivered(both, "the mail server is gone")).state == "undeliverable"
    rows = {row["message_id"]: (row["state"], row["detail"]) for row in reader.deliveries_for(database, "mc-1")}
    assert rows == {ASK.id: ("delivered", ""), RUNG.id: ("undeliverable", "the mail server is gone")}
