"""One climb per audience and life: rungs, repeats and acknowledgements of its own (DESIGN rules 1 and 3)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.certificate import TrustClass
from domain.contracts import CollectOrder, Deploy
from domain.lifecycle import events as e
from domain.lifecycle.ladder import failure_about
from domain.lifecycle.served import present
from domain.lifecycle.state import Case
from domain.lifecycle.state import Stage as CaseStage
from domain.lifecycle.view import is_escalated
from domain.people.approval import calls
from domain.people.messages import Acknowledge
from domain.tiers import Audience, Rung, Tier
from tests.domain.simulation import SLOTS, START, World, broken, life, terms

DAY = timedelta(days=1)
Call = tuple[Audience, timedelta]


def world(*rungs: tuple[int, Audience], age: timedelta = 100 * DAY, tier: Tier = Tier.CUSTOMER_FACING) -> World:
    """With a ladder of these rungs: (days before the end, whom it reaches)."""
    made = World(tier=tier, age=age)
    table = terms(tier, made.length).table
    made.table = replace(table, rungs=tuple(Rung(days * DAY, to) for days, to in rungs)) if rungs else table
    made.adopt()
    made.work()
    return made


def heard(w: World, to: Audience, fingerprint: str = "") -> list[datetime]:
    rungs = [(fact.at, fact.event) for fact in w.happened if isinstance(fact.event, e.RungFired)]
    return [at for at, fired in rungs if fired.to == to and fingerprint in ("", fired.fingerprint)]


def test_the_owner_acknowledges_what_the_owner_was_told_and_the_head_what_the_head_was() -> None:
    w = world((45, "owner"), (30, "security-head"), age=330 * DAY)
    assert heard(w, "owner") and not heard(w, "security-head")
    assert not is_escalated(w.state)
    until = START + 10 * DAY
    refused = w.acknowledge("security-head", until)
    assert refused.outcome == "refused" and "no rung has reached the security head" in refused.detail
    assert w.acknowledge("owner", until).outcome == "accepted"
    w.run_until(START + 9 * DAY)
    assert len(heard(w, "owner")) == 1, "quiet until its date"
    assert len(heard(w, "security-head")) == 5, "the head is called at 30 days and every day, whatever the owner said"
    w.run_until(START + 11 * DAY)
    assert len(heard(w, "owner")) == 3


def test_an_owners_rung_below_the_heads_stops_no_repeat_to_the_head() -> None:
    w = world((30, "security-head"), (21, "owner"), (7, "security-head"), age=335 * DAY)
    w.run_until(START + 15 * DAY)
    assert len(heard(w, "security-head")) == 16
    assert heard(w, "owner")[0] == START + 9 * DAY


def test_adopted_late_the_deepest_passed_rung_fires_for_each_audience() -> None:
    w = world((60, "owner"), (30, "security-head"), (21, "owner"), (7, "security-head"), age=345 * DAY)
    fired = [fact.event for fact in w.happened if isinstance(fact.event, e.RungFired)]
    assert [(one.to, one.mark) for one in fired] == [
        ("owner", "21 days before the end"),
        ("security-head", "30 days before the end"),
    ]
    assert is_escalated(w.state)


def test_escalated_means_that_the_head_was_told() -> None:
    w = world((45, "owner"), (30, "security-head"), age=330 * DAY)
    assert not is_escalated(w.state)
    w.run_until(START + 5 * DAY)
    assert is_escalated(w.state)


def test_a_dead_place_past_its_end_never_masks_the_rung_of_the_present_certificate() -> None:
    w = world(age=334 * DAY)
    old = life("old", START - 400 * DAY, 390 * DAY, trust_class=TrustClass.SELF_SIGNED)
    w.certificates[old.fingerprint] = old
    w.served[SLOTS[1]] = old.fingerprint
    w.discover("n-1")
    w.work()
    w.dead = {SLOTS[1]}
    assert heard(w, "security-head", old.fingerprint)
    mine = present(w.state).fingerprint
    about = next(call.about for call in calls(w.state) if call.fingerprint == old.fingerprint)
    assert w.acknowledge("security-head", START + 10 * DAY, about).outcome == "accepted"
    w.run_until(START + 2 * DAY)
    assert heard(w, "security-head", mine) == [START + DAY, START + 2 * DAY]
    assert len(heard(w, "security-head", old.fingerprint)) == 1


def test_an_acknowledgement_is_about_one_rung_of_one_life() -> None:
    w = world(age=335 * DAY)
    about = next(calls(w.state)).about
    w.run_until(START + 9 * DAY)
    stale = w.acknowledge("security-head", START + 12 * DAY, about)
    assert stale.outcome == "refused" and stale.detail.startswith("stale") and "21 days" in stale.detail
    assert w.acknowledge("security-head", START + 12 * DAY, "").outcome == "accepted"


def test_the_rung_after_an_acknowledged_one_is_repeated_from_the_next_day_on() -> None:
    w = world((30, "security-head"), (28, "security-head"), age=336 * DAY)
    assert w.acknowledge("security-head", w.now + 10 * DAY).outcome == "accepted"
    w.run_until(START + 6 * DAY)
    told = [(at - START) // DAY for at in heard(w, "security-head")]
    assert told == [0, 1, 2, 3, 4, 5, 6], "the first is quiet, the second fires a day later and repeats daily"


def test_an_acknowledgement_about_nothing_is_refused_with_what_to_write() -> None:
    w = world(age=335 * DAY)
    refused = w.send(Acknowledge(w.code(), "security-head", START + DAY))
    assert refused.outcome == "refused" and "about is empty" in refused.detail
    assert "30 days before the end" in refused.detail


@pytest.mark.parametrize("nearer", [True, False])
def test_a_rung_that_was_told_is_not_told_as_new_when_the_end_moves(nearer: bool) -> None:
    w = world(age=335 * DAY)
    w.paths = dict.fromkeys(SLOTS, START + (25 if nearer else 30) * DAY)
    w.discover("n-1")
    w.work()
    assert len(heard(w, "security-head")) == 1
    w.run_until(START + 5 * DAY)
    marks = [fact.event.mark for fact in w.happened if isinstance(fact.event, e.RungFired) and not fact.event.again]
    assert marks == ["30 days before the end", *(["21 days before the end"] if nearer else [])]


def test_a_life_that_ended_before_it_began_is_told_of_daily_and_not_every_few_minutes() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, length=180 * DAY, age=10 * DAY)
    w.adopt()
    w.tell_terms(terms(w.tier, w.length, plan=None, unroutable="no target of the policy matches it"))
    w.paths = dict.fromkeys(SLOTS, START - 20 * DAY)
    w.discover("n-1")
    w.work()
    assert present(w.state).length < timedelta()
    w.run_until(START + 7 * DAY - timedelta(hours=1))
    assert w.count("became_unroutable") <= 9
    assert 7 <= len(heard(w, "security-head")) <= 9


# --- the owner's call for a failure ---------------------------------------------------------------------------------


def test_the_owner_is_called_for_a_failure_that_still_stands_and_not_for_one_that_was_mended() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    w.fail = lambda step: (
        broken(step) if isinstance(step, CollectOrder) and w.now < START + timedelta(minutes=1) else None
    )
    w.adopt()
    w.run_until(START + 3 * DAY)
    assert w.state.case is not None and w.state.case.first_failed_at is None
    assert w.count("owner_called") == 0


def test_the_owner_may_acknowledge_the_call_for_a_failure() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.run_until(START + 2 * DAY)
    before = w.count("owner_called")
    assert before
    assert w.acknowledge("owner", w.now + 5 * DAY).outcome == "accepted"
    w.run_until(w.now + 4 * DAY)
    assert w.count("owner_called") == before
    w.run_until(w.now + 3 * DAY)
    assert w.count("owner_called") > before


def test_an_acknowledgement_is_good_for_14_days_at_most() -> None:
    w = world(age=340 * DAY)
    refused = w.acknowledge("security-head", w.now + 14 * DAY + timedelta(seconds=1))
    assert refused.outcome == "refused" and "more than 14 days away" in refused.detail
    assert w.acknowledge("security-head", w.now + 14 * DAY).outcome == "accepted"


def test_an_acknowledged_failure_leaves_the_acknowledgement_of_a_rung_as_it_is() -> None:
    w = World(tier=Tier.INTERNAL, age=330 * DAY)
    w.table = replace(
        terms(Tier.INTERNAL, w.length).table, rungs=(Rung(45 * DAY, "owner"), Rung(14 * DAY, "security-head"))
    )
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.work()
    until = START + 10 * DAY
    assert w.acknowledge("owner", until).outcome == "accepted"
    w.run_until(START + 2 * DAY)
    about = next(call.about for call in calls(w.state) if "a failure" in call.about)
    assert w.acknowledge("owner", START + 5 * DAY, about).outcome == "accepted"
    assert [call.quiet_until for call in calls(w.state) if "a failure" not in call.about] == [until]


def test_what_a_failure_is_about_can_be_sent_back_whatever_its_address() -> None:
    case = Case(1, START, "x", CaseStage.DEPLOYING, failed_step="roll back", failed_place=f"file://host/{'a' * 9000}")
    about = failure_about("f" * 64, case)
    assert len(about) <= 200
    assert about != failure_about("f" * 64, replace(case, failed_place=f"file://host/{'a' * 9001}"))


def test_an_acknowledged_failure_keeps_no_other_failure_quiet() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) and not w.unreachable else None
    w.adopt()
    w.run_until(START + 2 * DAY)
    about = next(call.about for call in calls(w.state) if call.level == "owner")
    assert "a failure: deploy" in about
    assert w.acknowledge("owner", w.now + 10 * DAY).outcome == "accepted"
    called = w.count("owner_called")
    w.unreachable = {*SLOTS}
    w.run_until(w.now + 3 * DAY)
    assert w.count("owner_called") > called
    assert SLOTS[0].url in next(call.about for call in calls(w.state) if call.level == "owner")


def test_untold_messages_of_one_thing_do_not_pile_up() -> None:
    """A mail server that is away for a month leaves one message of each thing, not thirty."""
    w = world(age=335 * DAY)
    w.mail_is_away = True
    w.run_until(START + 28 * DAY)
    topics = [(message.person, message.topic, message.subject) for message in w.state.untold]
    assert len(topics) == len(set(topics)) <= 5
