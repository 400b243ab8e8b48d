"""What is served has one home: each place keeps what was seen there; the alarm is the earliest rung over all of it.

Longer than 300 lines because what places keep is one subject.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.certificate import LookOutcome, Slot, TrustClass
from domain.contracts import Observation, SlotLook
from domain.lifecycle.commands import StepDone
from domain.lifecycle.explaining import explain
from domain.lifecycle.looking import next_look
from domain.lifecycle.next_step import next_step
from domain.lifecycle.served import drifted, lives, present, proof_of, whose
from domain.lifecycle.standing import severity
from domain.lifecycle.view import is_escalated, snapshot
from domain.people.messages import Retire
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, life

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def world(tier: Tier = Tier.CUSTOMER_FACING, age: timedelta = 10 * DAY, length: timedelta = 365 * DAY) -> World:
    made = World(tier=tier, length=length, age=age)
    made.adopt()
    made.work()
    return made


def stranger(w: World, name: str, left: timedelta, slot: Slot, **changes: object) -> str:
    """One that ends in ``left`` stands at ``slot``."""
    began = w.now - 365 * DAY + left if "began" not in changes else changes.pop("began")
    assert isinstance(began, datetime)
    made = life(name, began, w.now + left - began, **{"trust_class": TrustClass.SELF_SIGNED, **changes})
    w.certificates[made.fingerprint] = made
    w.served[slot] = made.fingerprint
    return made.fingerprint


def ends(w: World) -> dict[str, datetime]:
    return {life.fingerprint: life.ends_at for life in lives(w.state)}


def called(w: World, fingerprint: str) -> list[datetime]:
    return [f.at for f in w.happened if f.event.kind == "rung_fired" and f.event.fingerprint == fingerprint]  # type: ignore[attr-defined]  # of that kind


# --- several lives --------------------------------------------------------------------------------------------------


def test_a_second_stranger_at_another_place_never_hides_a_first() -> None:
    w = world()
    first = stranger(w, "A", 5 * DAY, SLOTS[0])
    w.discover("n-1")
    w.work()
    w.now += DAY
    stranger(w, "B", 200 * DAY, SLOTS[1])
    w.notice(
        Observation(
            "n-2", "looked", w.now, looks=w.looks((SLOTS[1],)), candidates=(w.certificates[w.served[SLOTS[1]]],)
        )
    )
    w.work()
    assert ends(w)[first] == START + 5 * DAY
    assert called(w, first)
    w.run_until(START + 6 * DAY)
    assert severity(w.state, w.now) == "critical"
    assert called(w, first)[-1] >= START + 5 * DAY


@pytest.mark.parametrize("outcome", [one for one in LookOutcome if one is not LookOutcome.SEEN])
def test_a_look_that_sees_nothing_lowers_no_alarm_ends_no_question_and_closes_no_finding(outcome: LookOutcome) -> None:
    w = world()
    bad = stranger(w, "A", 5 * DAY, SLOTS[0])
    w.discover("n-1")
    w.work()
    before = ends(w), severity(w.state, w.now), w.asked(), w.finding("foreign-certificate") is not None
    w.now += HOUR
    w.notice(Observation("n-2", "looked", w.now, looks=(SlotLook(SLOTS[0], w.now, outcome),)))
    w.work()
    assert ends(w)[bad] == START + 5 * DAY
    assert severity(w.state, w.now) == before[1]
    assert "foreign-certificate" in w.asked() or "unseen" in w.asked() or outcome is LookOutcome.NOT_LOOKED
    w.run_until(START + 5 * DAY + HOUR)
    assert called(w, bad)[-1] >= START + 5 * DAY


def test_the_ladder_of_each_life_runs_on_its_own_length() -> None:
    """Of the previous one with 19 days left the 14-day rung comes in five, whatever the present one's dates are."""
    w = world(Tier.INTERNAL, age=306 * DAY)
    w.run_until(START + DAY)
    assert w.state.generation == 2
    old = w.state.earlier[-1]
    w.now = START + 40 * DAY
    w.served[SLOTS[0]] = old
    w.discover("n-1")
    w.work()
    [seen] = [one for one in lives(w.state) if one.fingerprint == old]
    assert (seen.length, seen.ends_at, seen.whose) == (365 * DAY, START + 59 * DAY, "earlier")
    w.run_until(START + 45 * DAY + HOUR)
    assert called(w, old) == [START + 45 * DAY]
    told = [line for line in explain(w.state) if line.fingerprint == old]
    assert told and all(
        (line.place, line.ends_at, line.whose) == (SLOTS[0].url, seen.ends_at, "earlier") for line in told
    )


def test_a_place_keeps_two_lives_while_half_a_pool_is_renewed() -> None:
    w = world(Tier.INTERNAL, age=306 * DAY)
    w.run_until(START + DAY)
    old = w.state.earlier[-1]
    w.pools[SLOTS[0]] = (old,)
    w.discover("n-1")
    w.work()
    assert {seen.fingerprint for seen in w.state.places[0].lives} == {old, present(w.state).fingerprint}
    assert ends(w)[old] == START + 59 * DAY
    assert drifted(w.state) == (w.state.places[0],)
    w.pools.clear()
    w.discover("n-2")
    w.work()
    assert old not in ends(w)


def test_a_look_of_fewer_connections_does_not_out_see_what_only_some_of_more_had_shown() -> None:
    w = world(Tier.INTERNAL, age=306 * DAY)
    w.run_until(START + DAY)
    old = w.state.earlier[-1]
    w.pools[SLOTS[0]] = (old,)
    looks = tuple(replace(look, connections=3) for look in w.look_at(SLOTS[0]))
    w.notice(Observation("n-1", "looked", w.now, looks=looks))
    w.work()
    w.pools.clear()
    w.now += HOUR
    w.notice(Observation("n-2", "looked", w.now, looks=w.look_at(SLOTS[0])))
    w.work()
    assert old in ends(w)
    w.now += HOUR
    w.notice(Observation("n-3", "looked", w.now, looks=(replace(w.look_at(SLOTS[0])[0], connections=6),)))
    w.work()
    assert old not in ends(w)


def test_a_revoked_life_counts_as_ended() -> None:
    w = world(Tier.INTERNAL, age=306 * DAY)
    w.run_until(START + DAY)
    mine = present(w.state).fingerprint
    w.state = replace(w.state, revoked=((mine, w.now),))
    w.run_until(w.now + HOUR)
    assert ends(w)[mine] == START + DAY
    assert severity(w.state, w.now) == "critical" and is_escalated(w.state)


def test_what_is_not_ours_is_told_from_what_is_by_fingerprint() -> None:
    w = world(Tier.INTERNAL, age=306 * DAY)
    first = w.state.earlier[-1]
    assert (whose(w.state, first), whose(w.state, present(w.state).fingerprint)) == ("earlier", "present")
    assert whose(w.state, "0" * 64) == "stranger"


# --- kinds of places ------------------------------------------------------------------------------------------------


def test_a_file_and_a_client_are_never_called_silent() -> None:
    file, client = Slot("file://host/a.pem", "ecdsa"), Slot("client://phone", "ecdsa")
    assert (proof_of(file), proof_of(client), proof_of(SLOTS[0])) == ("read-back", "first-use", "handshake")


def test_a_file_that_is_gone_is_asked_about_after_two_looks() -> None:
    w = World(tier=Tier.INTERNAL)
    file = Slot("file://host/a.pem", "ecdsa")
    w.adopt()
    w.work()
    w.served = {file: present(w.state).fingerprint}
    w.notice(Observation("n-1", "slots", w.now, slots=(file,), looks=w.looks((file,))))
    w.work()
    w.answer("taken", "retired")
    w.dead = {file}
    w.discover("n-2")
    w.run_until(START + timedelta(minutes=30))
    assert "unseen" not in w.asked()
    w.run_until(START + 2 * HOUR)
    assert "is not there" in w.question("unseen").detail


def test_at_a_slot_with_sni_a_leaf_without_that_name_is_a_stranger_and_a_wrong_name() -> None:
    w = world()
    stranger(w, "other", 200 * DAY, SLOTS[0], names=("other.example.in",), trust_class=TrustClass.PRIVATE)
    w.discover("n-1")
    w.work()
    assert w.finding("wrong-name") and w.finding("foreign-certificate")
    assert w.question("foreign-certificate").detail.count("it holds none of the names of the present one") == 1
    assert w.state.slots == SLOTS


def test_a_place_that_another_took_stays_on_the_ladder_until_its_owner_answers() -> None:
    w = world(Tier.INTERNAL, age=300 * DAY)
    first = present(w.state).fingerprint
    w.notice(Observation("n-1", "slots", w.now, slots=(SLOTS[0],)))
    w.run_until(START + 7 * DAY)
    assert w.state.generation == 2 and w.asked() == ["taken"]
    assert ends(w)[first] == START + 65 * DAY
    w.run_until(START + 52 * DAY)
    assert called(w, first), "the head hears of what was served there last"
    assert w.answer("taken", "retired").outcome == "accepted"
    assert first not in ends(w) and w.state.slots == (SLOTS[0],)


# --- clocks, and looks that were not taken --------------------------------------------------------------------------


def test_a_look_from_the_future_is_a_clock_finding_and_moves_nothing() -> None:
    w = world()
    bad = stranger(w, "A", 4 * DAY, SLOTS[0])
    w.clock_ahead = 365 * DAY
    w.discover("n-1")
    w.work()
    assert bad not in ends(w)
    assert "is wrong" in str(w.finding("clock"))
    assert severity(w.state, w.now) == "major"
    w.clock_ahead = timedelta()
    w.now += HOUR
    w.discover("n-2")
    w.work()
    assert bad in ends(w), "a true look is not out-seen by a false one"
    assert w.finding("clock") is None


def test_a_look_within_the_skew_that_clocks_may_have_counts() -> None:
    w = world()
    bad = stranger(w, "A", 4 * DAY, SLOTS[0])
    w.clock_ahead = timedelta(seconds=60)
    w.discover("n-1")
    w.work()
    assert bad in ends(w) and w.finding("clock") is None


def test_a_place_that_a_look_had_no_time_for_is_neither_silent_nor_seen() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.skipped = {SLOTS[1]}
    w.run_until(START + timedelta(minutes=5))
    assert w.state.case is not None and w.state.places[1].silent == 0
    assert w.state.generation == 1
    w.skipped.clear()
    w.run_until(START + 2 * HOUR)
    assert w.state.generation == 2


# --- one hop from an alarm to where it stands -----------------------------------------------------------------------


def test_page_and_mail_name_the_life_the_place_and_the_end_that_a_rung_stands_on() -> None:
    w = world()
    bad = stranger(w, "A", 5 * DAY, SLOTS[1])
    w.discover("n-1")
    step = next_step(w.state, w.now)
    assert step is not None
    w.tell(StepDone(step, w.perform(step)))
    rung = next(message for message in w.state.untold if message.topic == "rung")
    facts = dict(rung.facts)
    assert (facts["place"], facts["whose"], rung.ends_at) == (SLOTS[1].url, "other", START + 5 * DAY)
    assert facts["about"].startswith(bad[:16])
    row = snapshot(w.state, w.now)
    assert row is not None
    [other] = [one for one in row.served if one.fingerprint == bad]
    assert (other.whose, other.ends_at, other.place) == ("stranger", START + 5 * DAY, SLOTS[1].url)


# --- our own next look ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["silent", "unseen", "stranger", "drift"])
def test_what_waits_for_a_look_has_its_next_one(what: str) -> None:
    w = world(Tier.INTERNAL, age=100 * DAY)
    if what in ("silent", "unseen"):
        w.dead = {SLOTS[0]}
    elif what == "stranger":
        stranger(w, "A", 200 * DAY, SLOTS[0])
    else:
        w.state = replace(w.state, earlier=("e" * 64,))
        w.certificates["e" * 64] = life("e", START - 300 * DAY, 600 * DAY)
        w.served[SLOTS[0]] = "e" * 64
    w.discover("n-1")
    w.work()
    if what == "unseen":
        w.run_until(START + 9 * DAY)
    look = next_look(w.state)
    assert look is not None and look.slots == (SLOTS[0],)
    assert w.now < look.at <= w.now + 7 * DAY
    w.run_until(look.at)
    assert w.state.places[0].looked_at == look.at


def test_one_step_looks_at_no_more_places_than_it_may_and_the_longest_unseen_first() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    many = tuple(Slot(f"tls://10.0.{n // 250}.{n % 250}:443", "ecdsa") for n in range(1200))
    first = life("first", START - 306 * DAY, 365 * DAY)
    w.adopt()
    w.served |= dict.fromkeys(many, first.fingerprint)
    w.notice(Observation("n-1", "slots", w.now, slots=(*SLOTS, *many), looks=w.looks(many)))
    sizes = []
    for _ in range(12):
        step = next_step(w.state, w.now)
        if step is None:
            break
        if hasattr(step, "slots") and type(step).__name__ == "LookAgain":
            sizes.append(len(step.slots))
        w.tell(StepDone(step, w.perform(step)))
        w.now += timedelta(seconds=10)
    assert max(sizes) == 1000
    w.run_until(w.now + HOUR)
    assert w.state.generation == 2


def test_a_retired_one_has_no_alarm_and_no_next_look() -> None:
    w = world()
    w.send(Retire(w.code(), "decommissioned"))
    assert next_look(w.state) is None
    assert severity(w.state, w.now) == "cleared"
