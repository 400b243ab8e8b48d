"""The three sentences of every certificate: what happened, who must act, what happens next."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.web import history, overview, words
from api.web.pages.approvals import who_may
from api.web.times import Times
from domain.tiers import Person, Role
from store.access import Actor

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
MEERA = Person("meera", "Meera Kulkarni", "meera@example.in", Role.SECURITY_HEAD)
ARUN = Person("arun", "Arun Nair", "arun@example.in", Role.SECURITY_HEAD)
HEAD = Actor("person/meera", Role.SECURITY_HEAD, True, "Meera Kulkarni")
NOC = Actor("person/noc", Role.NOC, False)


def reads(actor: Actor = HEAD, *people: Person) -> words.Reader:
    return words.Reader(actor, Times(NOW, ZoneInfo("UTC")), people or (MEERA, ARUN))


def row(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": "mc-1",
        "owner": "payments",
        "service": "billing",
        "subscribers": 0,
        "questions": [],
        "blocked_by": "",
        "findings": [],
        "retired": False,
        "escalated": False,
        "stage": None,
        "next_action": "",
        "next_action_at": None,
        "not_after": NOW + timedelta(days=20),
    }
    return plain | changes


ASKED = {"approval_id": "mc-1.1.1", "approval_state": "pending", "stage": "awaiting-approval", "asked_at": NOW}
ASKED |= {"deadline": NOW + timedelta(days=6)}
OWNERLESS = {"owner": "", "questions": [{"kind": "owner", "level": "owner"}]}


@pytest.mark.parametrize(
    ("actor", "asked", "said"),
    [
        (HEAD, ASKED, "You."),
        (NOC, ASKED, "The head of IT security."),
        (HEAD, {**ASKED, "requested_by": "person/meera"}, "Another head of IT security"),
        (NOC, {**ASKED, "requested_by": "person/meera"}, "The head of IT security."),
        (HEAD, OWNERLESS, "You: nobody owns it"),
        (NOC, {"questions": [{"kind": "unseen", "level": "owner"}]}, "Its owner, payments"),
        (NOC, {"rolled_back": True, "escalated": True}, "Its owner, payments: what broke must be mended"),
        (NOC, {"stage": "unroutable", "owner": ""}, "The head of IT security, for nobody owns it"),
        (NOC, {}, "Nobody: Everleaf does it by itself."),
    ],
)
def test_who_must_act_is_a_person_where_one_must(actor: Actor, asked: dict[str, Any], said: str) -> None:
    assert words.who_must_act(row(**asked), reads(actor)).startswith(said)


def test_a_renewal_that_its_only_head_asked_for_says_that_nobody_can_approve_it() -> None:
    asked = row(**ASKED, requested_by="person/meera")
    assert words.who_must_act(asked, reads(HEAD, MEERA)).startswith("Nobody can: you asked for it")
    assert words.verb(asked, reads(HEAD, MEERA))[0] == "Read the question"
    assert words.verb(row(**ASKED), reads())[0] == "Review and approve"


@pytest.mark.parametrize(
    ("more", "hours"),
    [
        ({"next_action": "the rung is repeated", "next_action_at": NOW + timedelta(hours=3)}, 3),
        ({"next_action": "look again", "last_rung_at": NOW - timedelta(hours=4)}, 20),
        ({"next_action": "look again", "acknowledged_until": NOW + timedelta(days=2), "last_rung_at": NOW}, 48),
        ({"next_action": "look again", "last_rung_at": None}, 6 * 24),
    ],
)
def test_it_asks_again_when_the_head_really_hears_of_it(more: dict[str, Any], hours: int) -> None:
    assert words.asks_again_at(row(**ASKED | more)) == NOW + timedelta(hours=hours)


def test_a_rejection_says_who_and_a_failure_its_cause_alone() -> None:
    rejected = row(stage="rejected", answered_by="person/arun", retry_at=NOW + timedelta(days=7))
    assert words.happened(rejected, reads()).startswith("Its renewal was rejected by Arun Nair; it asks again")
    failed = row(stage="unroutable", failure="its issuer ends first. Traceback:\n" + "x" * 500)
    assert words.happened(failed, reads()) == "No plan can renew it: its issuer ends first."


def test_what_happened_again_and_again_stands_once_and_names_people_once() -> None:
    def told(kind: str, minute: int, by: str = "everleaf", **facts: str) -> dict[str, Any]:
        return {"kind": kind, "at": (NOW + timedelta(minutes=minute)).isoformat(), "by": by, "facts": facts}

    failures = [told("step_failed", minute, step="deploy", detail="no such folder") for minute in (9, 8, 7)]
    approved = told("approved", 1, "person/meera", approver="person/meera")
    first, second = history.happenings([*failures, approved], reads().name_of)
    assert (first.said, first.times, first.since) == ("deploy failed: no such folder", 3, NOW + timedelta(minutes=7))
    assert (second.said, second.by) == ("Approved by Meera Kulkarni.", "")


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=6, hours=23), "in 6 days"),
        (timedelta(days=7), "in 7 days"),
        (timedelta(days=7, minutes=1), "in 7 days 1 h"),
        (timedelta(days=7, hours=23), "in 7 days 23 h"),
        (timedelta(days=7, hours=23, minutes=30), "in 8 days"),
        (timedelta(days=14, hours=23), "in 14 days 23 h"),
        (timedelta(days=30), "in 30 days"),
        (timedelta(days=30, hours=5), "in 30 days 5 h"),
        (timedelta(days=31, hours=5), "in 31 days"),
        (timedelta(0), "1 s ago"),
        (timedelta(days=-7, hours=-5), "7 days ago"),
    ],
)
def test_what_is_left_before_the_marks_of_a_long_life_is_told_with_its_hours(left: timedelta, said: str) -> None:
    assert Times(NOW, ZoneInfo("UTC")).until(NOW + left) == said


@pytest.mark.parametrize(
    ("actor", "stage", "said"),
    [
        (HEAD, None, "Place it"),
        (NOC, None, "See it"),
        (HEAD, "unroutable", "See what is missing"),
    ],
)
def test_placing_is_offered_where_it_helps_and_to_whoever_may(actor: Actor, stage: str | None, said: str) -> None:
    unplaced = row(stage=stage, failure="", questions=[{"kind": "tier", "level": "owner"}])
    assert overview.attention_row(unplaced, reads(actor)).verb == said


def test_a_question_of_names_comes_before_the_approval_that_it_blocks() -> None:
    asked = {"questions": [{"kind": "different", "level": "owner"}], "blocked_by": "its names have changed"}
    blocked = row(**{**ASKED, **asked})
    assert words.verb(blocked, reads(HEAD)) == ("Answer…", f"/certificates/{blocked['id']}#questions")
    assert words.who_must_act(blocked, reads(HEAD)).startswith("Its owner, payments")
    assert all(not may for may, _, _ in who_may(reads(HEAD, MEERA), blocked))
