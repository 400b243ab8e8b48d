"""What a real SMTP server took, as its readers' mailboxes fold it; and what of an address is said nowhere."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from activities.notifiers import NOTIFIERS, Post
from activities.notifiers.text import compose
from domain.contracts import COMPARISON, Deliver, Message
from domain.errors import BadInput, NotReady
from domain.tiers import Person, Role
from store import access
from tests.activities.conftest import Crash, Failpoint
from tests.activities.test_notification import ASK, NOW, activities, batched, people
from tests.activities.test_notification import mailbox as mailbox
from tests.activities.test_notification import smtp_url as smtp_url
from tests.mail import Mailbox


def test_a_letter_that_is_sent_twice_has_one_message_id(database: Engine, mailbox: Mailbox, smtp_url: str) -> None:
    people(database)
    failpoint = Failpoint()
    failpoint.at = "send.delivered"
    telling = activities(database, smtp_url, failpoint)
    with pytest.raises(Crash):
        telling.deliver(batched())
    telling.deliver(batched())
    one, other = mailbox.letters
    # Each attempt makes a code of its own, so the words differ.
    assert one.get_content() != other.get_content()
    assert one["Message-ID"] == other["Message-ID"]
    assert len(one.get_all("Message-ID", [])) == 1
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.in>", one["Message-ID"])


def test_what_is_told_again_of_one_case_is_one_thread_for_each_reader(
    database: Engine, mailbox: Mailbox, smtp_url: str
) -> None:
    access.sync_people(
        database,
        [
            Person("asha", "Asha Rao", "asha@example.in", Role.SECURITY_HEAD),
            Person("ravi", "Ravi Iyer", "ravi@example.in", Role.SECURITY_HEAD),
        ],
    )
    telling = activities(database, smtp_url)
    rung = replace(ASK, id="mc-1.7", topic="rung", subject="0123456789abcdef")
    repeated = replace(rung, id="mc-1.9", at=NOW + timedelta(days=1))
    for message in (ASK, rung, repeated):
        telling.deliver(batched(message))
    telling.deliver(Deliver("ravi", "email", (replace(repeated, id="mc-1.10", person="ravi"),)))
    *ours, of_ravi = mailbox.letters
    assert len({letter["Message-ID"] for letter in mailbox.letters}) == 4
    assert len({letter["References"] for letter in ours}) == 1
    assert ours[0]["References"] == ours[0]["In-Reply-To"] is not None
    assert of_ravi["References"] not in (None, ours[0]["References"])


def test_another_case_another_question_and_other_company_are_other_threads() -> None:
    def thread(*messages: Message) -> str:
        return compose([(message, None) for message in messages], "http://api").thread

    next_case = replace(ASK, facts=(("generation", "1"), ("case", "2")))
    unseen = replace(ASK, topic="question", subject="unseen/", facts=(("generation", "1"),))
    moved = replace(unseen, subject="moved-to/")
    elsewhere = replace(ASK, managed_id="mc-2")
    told = [(ASK,), (next_case,), (unseen,), (moved,), (elsewhere,), (ASK, elsewhere)]
    assert len({thread(*messages) for messages in told}) == len(told)
    assert thread(elsewhere, ASK) == thread(ASK, elsewhere, replace(ASK, id="mc-1.5"))
    assert thread(ASK, replace(ASK, subject=COMPARISON)) == ""


@pytest.mark.parametrize("address", ["a b@example.in", "a@example.in\r\nBcc: evil", "@example.in", "asha@", "a@b..in"])
def test_what_is_no_address_is_refused_and_not_repeated(
    database: Engine, mailbox: Mailbox, smtp_url: str, address: str
) -> None:
    people(database, address)
    outcome = activities(database, smtp_url).deliver(batched())
    assert outcome.state == "undeliverable"
    assert outcome.detail == "asha has an e-mail address that no server would take: correct the policy."
    assert mailbox.letters == []


def test_a_sender_that_is_no_address_is_refused_at_the_start(smtp_url: str) -> None:
    with pytest.raises(BadInput, match="EVERLEAF_MAIL_FROM"):
        NOTIFIERS["email"](Post(smtp_url, "everleaf"))


def test_what_a_server_says_of_an_address_stays_out_of_the_causes(
    database: Engine, mailbox: Mailbox, smtp_url: str
) -> None:
    people(database)
    mailbox.answer = "451 asha@example.in is busy"
    with pytest.raises(NotReady) as raised:
        activities(database, smtp_url).deliver(batched())
    assert raised.value.__cause__ is None
    assert "asha@" not in str(raised.value)
