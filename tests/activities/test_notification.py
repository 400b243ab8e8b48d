import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.notification import NotificationActivities, NotificationParts
from activities.notifiers import NOTIFIERS, Post
from activities.notifiers.text import Code, compose
from cli.process import free_port
from domain.contracts import Deliver, Delivery, Message, RedeemWarrant
from domain.errors import BadInput, NotReady
from domain.tiers import Person, Role
from store import access, reader, tables
from store.engine import create_engine
from store.facts import record
from tests.activities.conftest import Clock, Crash, Failpoint
from tests.mail import Mailbox, mail_server
from tests.store.test_facts import batch, event, snapshot

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
FACTS = (
    ("generation", "1"),
    ("tier", "network-critical"),
    ("names", "vpn.example.in"),
    ("more_names", "2"),
    ("case", "1"),
    ("stage", "awaiting-approval"),
    ("plan_version", "v1"),
)
ASK = Message("mc-1.4", "mc-1", "asha", "security-head", "ask", NOW, NOW + timedelta(days=30), FACTS)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp_url(mailbox: Mailbox) -> Iterator[str]:
    port = free_port()
    with mail_server(mailbox, port):
        yield f"smtp://127.0.0.1:{port}"


class Couriers:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)


def activities(engine: Engine, smtp_url: str, failpoint: Failpoint | None = None) -> NotificationActivities:
    post = Post(smtp_url, "everleaf@example.in")
    notifiers = {name: make(post) for name, make in NOTIFIERS.items()}
    clock = Clock()
    clock.now = NOW
    point = failpoint or Failpoint()
    return NotificationActivities(NotificationParts(engine, notifiers, Couriers(), "http://api", clock, point))


def people(database: Engine, address: str = "asha@example.in") -> None:
    access.sync_people(database, [Person("asha", "Asha Rao", address, Role.SECURITY_HEAD)])


def batched(*messages: Message) -> Deliver:
    return Deliver("asha", "email", messages or (ASK,))


def test_an_approver_gets_a_code_that_decides_this_case_and_nothing_else(
    database: Engine, mailbox: Mailbox, smtp_url: str
) -> None:
    people(database)
    row = snapshot().approval
    assert row is not None
    asked = replace(row, deadline=NOW + timedelta(days=3))
    record(database, batch(event(0), read_model=snapshot(approval=asked)), "0.1.0", NOW)
    telling = activities(database, smtp_url)
    assert telling.deliver(batched()) == Delivery("delivered")
    assert mailbox.letters[0]["To"] == "asha@example.in"
    assert "vpn.example.in and 2 more: its renewal waits for your approval" in str(mailbox.letters[0]["Subject"])
    assert "27 Nov 2026 06:00 UTC" in mailbox.text()
    pasted = json.loads(next(line for line in mailbox.text().splitlines() if line.startswith("{")))
    assert (pasted["decision"], pasted["case"], pasted["generation"], pasted["plan_version"]) == ("approve", 1, 1, "v1")
    code = pasted["code"]
    spend = RedeemWarrant(sha256(code.encode()).hexdigest(), code, pasted["command_id"], "mc-1", "decide", 1, 1, "v1")
    assert access.redeem(database, spend, NOW + timedelta(days=2)).actor == "person/asha"


def test_a_letter_is_posted_once_and_noted(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    telling = activities(database, smtp_url)
    asyncio.run(telling.send(ASK))
    asyncio.run(telling.send(ASK))
    assert [row["state"] for row in reader.deliveries_for(database, "mc-1")] == ["queued"]
    telling.deliver(batched())
    assert telling.deliver(batched()) == Delivery("delivered", "was delivered before")
    assert len(mailbox.letters) == 1
    assert [row["state"] for row in reader.deliveries_for(database, "mc-1")] == ["delivered"]


def test_many_messages_are_one_letter_the_most_urgent_first(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    closed = Message("mc-2.9", "mc-2", "asha", "security-head", "closed", NOW, None, (("outcome", "verified"),))
    rung = replace(ASK, id="mc-3.1", managed_id="mc-3", topic="rung")
    activities(database, smtp_url).deliver(batched(closed, rung))
    subject = str(mailbox.letters[0]["Subject"])
    assert "vpn.example.in" in subject and subject.endswith("and news of 1 more; no other needs attention")
    assert mailbox.text().index("mc-3") < mailbox.text().index("mc-2")
    assert mailbox.text().count('"code"') == 1


def test_a_refused_address_is_undeliverable_and_said_without_the_address(
    database: Engine, mailbox: Mailbox, smtp_url: str
) -> None:
    people(database)
    mailbox.answer = "550 no such user asha@example.in"
    outcome = activities(database, smtp_url).deliver(batched())
    assert outcome.state == "undeliverable"
    assert "550" in outcome.detail
    assert "asha@example.in" not in outcome.detail
    assert reader.deliveries_for(database, "mc-1")[0]["state"] == "undeliverable"


def test_a_server_that_is_busy_is_asked_again(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    mailbox.answer = "451 try later"
    telling = activities(database, smtp_url)
    with pytest.raises(NotReady):
        telling.deliver(batched())
    mailbox.answer = "250 OK"
    assert telling.deliver(batched()).state == "delivered"


def test_no_server_nobody_and_no_address_are_undeliverable(database: Engine, smtp_url: str) -> None:
    assert "names no person" in activities(database, smtp_url).deliver(batched()).detail
    people(database, "nowhere")
    fresh = replace(ASK, id="mc-1.5")
    assert "no e-mail address" in activities(database, smtp_url).deliver(batched(fresh)).detail
    people(database)
    fresh = replace(ASK, id="mc-1.6")
    assert "EVERLEAF_SMTP_URL" in activities(database, "").deliver(batched(fresh)).detail
    with pytest.raises(BadInput, match="EVERLEAF_SMTP_URL"):
        activities(database, "http://mail")


def test_a_server_that_is_gone_is_not_ready(database: Engine) -> None:
    people(database)
    with pytest.raises(NotReady):
        activities(database, "smtp://127.0.0.1:1").deliver(batched())


def test_a_rung_still_goes_out_while_the_database_is_down(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    telling = activities(database, smtp_url)
    telling.deliver(batched())
    gone = create_engine("postgresql://nobody@127.0.0.1:1/none")
    telling._parts = replace(telling._parts, engine=gone)
    asyncio.run(telling.send(replace(ASK, id="mc-1.7", topic="rung")))
    assert telling.deliver(batched(replace(ASK, id="mc-1.7", topic="rung"))).state == "delivered"
    assert len(mailbox.letters) == 2
    assert '"code"' not in mailbox.text()


def test_a_crash_after_the_server_took_it_sends_it_again(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    failpoint = Failpoint()
    failpoint.at = "send.delivered"
    telling = activities(database, smtp_url, failpoint)
    with pytest.raises(Crash):
        telling.deliver(batched())
    assert telling.deliver(batched()).state == "delivered"
    assert len(mailbox.letters) == 2


@pytest.mark.parametrize("change", [{"level": "owner"}, {"topic": "failed"}, {"facts": (("names", "a"),)}])
def test_no_code_is_made_where_there_is_nothing_to_decide(
    database: Engine, mailbox: Mailbox, smtp_url: str, change: dict[str, Any]
) -> None:
    people(database)
    activities(database, smtp_url).deliver(batched(replace(ASK, **change)))
    assert '"code"' not in mailbox.text()
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.warrants)).scalar() == 0


def test_names_of_strangers_cannot_write_a_line_of_their_own() -> None:
    hostile = replace(ASK, facts=(("names", "x\r\nBcc: evil@example.com\x1b[2J"), ("why", "a\nb")))
    letter = compose([(hostile, Code("c", "id", 1, 1, "v1", NOW))], "http://api")
    assert "\n" not in letter.subject
    assert "\r" not in letter.subject + letter.body
    assert "\x1b" not in letter.subject + letter.body
    assert not any(line.startswith("Bcc") for line in letter.body.splitlines())


def closed(managed_id: str, outcome: str = "verified") -> Message:
    return replace(ASK, managed_id=managed_id, topic="closed", facts=(("names", managed_id), ("outcome", outcome)))


def test_a_closed_renewal_says_that_the_old_one_ends() -> None:
    letter = compose([(closed("a"), None)], "http://api")
    assert letter.subject == "[Everleaf] a: its renewal is closed (verified)"
    assert "Old one ends: " in letter.body and "\nEnds:" not in letter.body
    assert "\nEnds: " in compose([(closed("a", "retired"), None)], "http://api").body


def test_only_what_needs_attention_is_counted_as_needing_it() -> None:
    def subject(*messages: Message) -> str:
        return compose([(message, None) for message in messages], "http://api").subject

    ask = replace(ASK, facts=(("names", "z"),))
    nothing = subject(closed("a"), closed("b"), closed("c"))
    assert nothing.endswith("a: its renewal is closed (verified), and news of 2 more; nothing needs attention")
    assert subject(ask, closed("a")).endswith("approval, and news of 1 more; no other needs attention")
    assert "2 certificates need attention; first z: " in subject(ask, closed("a"), replace(ask, managed_id="mc-z"))
    # Two messages about one certificate are one.
    assert subject(ask, replace(ask, topic="failed")) == subject(ask)
