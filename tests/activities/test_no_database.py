"""A rung's message goes out while the database is down, and workers start: a PostgreSQL that is really stopped, a real
mail server."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from temporalio.client import Client

from activities.notification import NotificationActivities
from activities.policy_file import PolicyFile
from domain.contracts import Deliver, Delivery, Undelivered
from domain.errors import NotReady
from domain.settings import Settings
from domain.tiers import Person, Role
from store import ca, reader
from tests.activities.test_discovery_policy import EXAMPLE
from tests.activities.test_notification import ASK, activities, batched, mailbox, people, smtp_url
from tests.mail import Mailbox
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster
from worker import Parts, follow, issue

__all__ = ["mailbox", "smtp_url"]

RUNG = replace(ASK, id="mc-1.7", topic="rung")
HEAD = Person("asha", "Asha Rao", "asha.of.the.file@example.in", Role.SECURITY_HEAD)


def telling(engine: Engine, smtp: str, *named: Person) -> NotificationActivities:
    made = activities(engine, smtp)
    made._parts = replace(made._parts, people=lambda: named)
    return made


def test_a_rung_goes_out_says_so_and_is_noted_later(
    mortal: tuple[PostgresServer, Engine], mailbox: Mailbox, smtp_url: str
) -> None:
    cluster, engine = mortal
    people(engine)
    worker = telling(engine, smtp_url, HEAD)
    cluster.interrupt()

    # A worker that has never written to this person: the policy's file says where to.
    asyncio.run(worker.send(RUNG))
    assert worker.deliver(batched(RUNG)) == Delivery("delivered")

    assert mailbox.letters[0]["To"] == "asha.of.the.file@example.in"
    assert "not replaced yet" in str(mailbox.letters[0]["Subject"])
    assert "details could not be read" in mailbox.text()
    assert '"code"' not in mailbox.text()
    # This worker knows what it posted, although it could not note it.
    assert worker.deliver(batched(RUNG)) == Delivery("delivered", "was delivered before")
    assert len(mailbox.letters) == 1

    cluster.start()
    assert worker.deliver(batched(ASK)) == Delivery("delivered")
    states = {row["message_id"]: row["state"] for row in reader.deliveries_for(engine, "mc-1")}
    assert states == {RUNG.id: "delivered", ASK.id: "delivered"}
    assert "details could not be read" not in mailbox.text()


def test_another_worker_sends_it_again_rather_than_not_at_all(
    mortal: tuple[PostgresServer, Engine], mailbox: Mailbox, smtp_url: str
) -> None:
    cluster, engine = mortal
    cluster.interrupt()
    for _ in range(2):
        assert telling(engine, smtp_url, HEAD).deliver(batched(RUNG)).state == "delivered"
    assert len(mailbox.letters) == 2


def test_a_database_that_takes_no_writes_is_none(
    mortal: tuple[PostgresServer, Engine], mailbox: Mailbox, smtp_url: str
) -> None:
    """A standby, just after a failover: it reads, and noting anything in it fails."""
    cluster, engine = mortal
    people(engine)
    Cluster(cluster.socket).execute(f"ALTER DATABASE {TEMPLATE} SET default_transaction_read_only = on")
    engine.dispose()
    worker = telling(engine, smtp_url, HEAD)
    asyncio.run(worker.send(RUNG))
    assert worker.deliver(batched(RUNG)) == Delivery("delivered")
    assert worker.deliver(batched(RUNG)).state == "delivered"
    assert len(mailbox.letters) == 1
    worker.note_what_waits()

    # Once it takes writes again, what waited is noted without another letter.
    Cluster(cluster.socket).execute(f"ALTER DATABASE {TEMPLATE} SET default_transaction_read_only = off")
    engine.dispose()
    worker.note_what_waits()
    assert [row["state"] for row in reader.deliveries_for(engine, "mc-1")] == ["delivered"]


def test_nobody_is_given_up_on_a_guess(mortal: tuple[PostgresServer, Engine], smtp_url: str) -> None:
    cluster, engine = mortal
    cluster.interrupt()
    with pytest.raises(NotReady, match="names no person"):
        telling(engine, smtp_url).deliver(batched(RUNG))


def test_what_a_courier_gave_up_is_noted_unless_it_arrived(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    worker = telling(database, smtp_url)
    worker.deliver(batched(ASK))
    asyncio.run(worker.send(RUNG))
    both = Deliver("asha", "email", (ASK, RUNG))
    assert worker.note_undelivered(Undelivered(both, "the mail server is gone")).state == "undeliverable"
    rows = {row["message_id"]: (row["state"], row["detail"]) for row in reader.deliveries_for(database, "mc-1")}
    assert rows == {ASK.id: ("delivered", ""), RUNG.id: ("undeliverable", "the mail server is gone")}


async def test_an_issue_worker_starts_without_the_database_and_makes_its_authorities_when_it_answers(
    mortal: tuple[PostgresServer, Engine], tmp_path: Path
) -> None:
    cluster, engine = mortal
    kek, policy = tmp_path / "ca.kek", tmp_path / "policy.yaml"
    kek.write_bytes(b"k" * 32)
    kek.chmod(0o600)
    policy.write_bytes(EXAMPLE.read_bytes())
    settings = Settings(database_url="", temporal_address="", home=str(tmp_path), ca_kek=str(kek), policy=str(policy))
    file = PolicyFile(policy, *follow(settings, engine, ["issue"]))
    client = await Client.connect("127.0.0.1:1", lazy=True)
    cluster.interrupt()

    assert issue(Parts(settings, client, engine, file.load, lambda _: None, []))

    cluster.start()
    file.load()
    assert ca.authorities(engine)
