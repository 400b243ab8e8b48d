"""What a store that was put back lacks and nobody can make again: a person signs for it, and it is said for ever."""

from datetime import timedelta

import pytest

from domain.lifecycle import events as e
from domain.lifecycle.commands import RecordRefused
from domain.people.messages import Answer
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.domain.test_refold import DAY, folded, live, reset_mid_case

MISSED = "mc-1: event 40 came, 12 is missing; nothing was written."


def put_back(lost: int) -> World:
    """In its second generation; the store has forgotten the last ``lost`` events, and says so."""
    world = World(tier=Tier.INTERNAL)
    world.adopt()
    world.run_until(world.now + 400 * DAY)
    assert world.state.generation == 2
    del world.happened[len(world.happened) - lost :]
    world.tell(RecordRefused(MISSED))
    return world


@pytest.mark.parametrize("lost", [1, 5])
def test_a_gap_that_a_person_signs_stands_in_the_stream_and_the_lifecycle_goes_on_behind_it(lost: int) -> None:
    world = put_back(lost)
    head, seq = len(world.happened) - 1, world.state.seq
    about, code = world.question("forked").about, world.code()
    said = world.send(Answer(code, "forked", "gap", about=about), "person/head")
    assert (said.outcome, "gap for ever" in said.detail) == ("accepted", True)
    world.run_until(world.now + timedelta(minutes=1))
    gap = world.first("record_gap")
    assert isinstance(gap.event, e.RecordGap)
    assert (gap.by, gap.event.why) == ("person/head", MISSED)
    assert (gap.event.first, gap.event.last >= seq - 1) == (head + 1, True)
    assert world.first("state_recalled").event == e.StateRecalled(head, "gap")
    assert [fact.seq for fact in world.happened] == list(range(len(world.happened)))
    assert world.asked() == []
    assert folded(world) == live(world)
    world.run_until(world.now + 400 * DAY)
    assert world.state.generation > 2
    assert world.count("record_gap") == 1


def test_a_certificate_that_only_the_lost_events_knew_is_named() -> None:
    world = World(tier=Tier.INTERNAL)
    world.adopt()
    world.run_until(world.now + 400 * DAY)
    assert world.state.life is not None
    known = world.state.life.fingerprint
    issued = next(fact.seq for fact in world.happened if isinstance(fact.event, e.CertificateIssued))
    del world.happened[issued:]
    world.tell(RecordRefused(MISSED))
    world.send(Answer(world.code(), "forked", "gap", about=world.question("forked").about), "person/head")
    world.run_until(world.now + timedelta(minutes=1))
    gap = world.first("record_gap").event
    assert isinstance(gap, e.RecordGap)
    assert gap.fingerprints == (known,)


def test_nobody_signs_for_a_gap_where_nothing_is_missing() -> None:
    world = reset_mid_case()
    said = world.answer("forked", "gap")
    assert (said.outcome, "nothing is missing" in said.detail) == ("refused", True)
    assert world.count("record_gap") == 0


def test_what_was_made_again_meanwhile_is_no_gap() -> None:
    world = World(tier=Tier.INTERNAL)
    world.adopt()
    world.work()
    world.tell(RecordRefused(MISSED))
    assert world.answer("forked", "gap").outcome == "accepted"
    world.run_until(world.now + timedelta(minutes=1))
    assert (world.count("record_gap"), world.asked()) == (0, [])


def test_a_store_that_has_forgotten_the_adoption_too_is_no_answer_and_asked_about_again() -> None:
    world = World(tier=Tier.INTERNAL)
    world.adopt()
    world.work()
    world.happened.clear()
    world.tell(RecordRefused(MISSED))
    assert world.answer("forked", "gap").outcome == "accepted"
    world.run_until(world.now + timedelta(hours=2))
    assert world.question("forked").detail == MISSED
    assert world.state.life is not None
