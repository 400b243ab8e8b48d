"""Places in numbers and at odds: thousands of them, hostile ones, the same look twice, clocks, what is owed."""

import json
import sys
from dataclasses import replace
from datetime import timedelta

from domain.certificate import Slot, TrustClass
from domain.contracts import Consult, Observation
from domain.findings import severity_of_kind
from domain.lifecycle import events as e
from domain.lifecycle.commands import DueMoments, StepDone, TakeRules
from domain.lifecycle.decide import decide
from domain.lifecycle.events import facts
from domain.lifecycle.evolve import evolve
from domain.lifecycle.looking import next_look
from domain.lifecycle.rules import NEWEST
from domain.lifecycle.served import lives, whose
from domain.lifecycle.standing import severity
from domain.lifecycle.state import OrderToRevoke, Question
from domain.lifecycle.succession import NO_ROOM, candidates
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, life, terms

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def world() -> World:
    made = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    made.adopt()
    made.work()
    return made


def test_no_event_of_a_certificate_in_thousands_of_places_is_larger_than_the_store_takes() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    many = tuple(Slot(f"tls://{'n' * 180}-{n}.example.in:443", "ecdsa") for n in range(1500))
    first = life("first", START - 306 * DAY, 365 * DAY)
    w.served = dict.fromkeys(many, first.fingerprint)
    w.certificates[first.fingerprint] = first
    told = terms(w.tier, w.length)
    w.tell(TakeRules(NEWEST))
    w.notice(Observation("n-0", "adopted", w.now, told, first, many, w.looks(many)))
    w.run_until(START + HOUR)
    assert w.state.generation == 2 and len(w.state.slots) == 1500
    w.notice(Observation("n-1", "slots", w.now, slots=many[:700]))
    w.work()
    assert len(w.state.slots) == 700 and w.asked() == ["taken"]
    w.answer("taken", "retired")
    assert len(w.state.places) == 700
    largest = max(len(json.dumps(facts(fact.event))) for fact in w.happened)
    assert largest < 60_000


def test_no_event_is_too_large_where_each_of_hundreds_of_places_shows_another_stranger_with_hundreds_of_names() -> None:
    w = world()
    many = tuple(Slot(f"tls://10.0.{n // 250}.{n % 250}:443", "ecdsa") for n in range(300))
    wide = tuple(f"{chr(0x905 + n % 50) * 4}{n}.example.in" for n in range(400))
    others = [life(f"s-{n}", START, 300 * DAY, names=wide, trust_class=TrustClass.SELF_SIGNED) for n in range(300)]
    w.certificates |= {one.fingerprint: one for one in others}
    w.served |= {slot: one.fingerprint for slot, one in zip(many, others, strict=True)}
    looks = w.looks(many)
    w.notice(Observation("n-1", "slots", w.now, slots=(*SLOTS, *many), looks=looks, candidates=tuple(others)))
    w.work()
    assert max(len(json.dumps(facts(fact.event), ensure_ascii=False).encode()) for fact in w.happened) < 60_000
    # All of them alarm; the facts of those are kept for which there is room, and the others say so.
    assert len({one.fingerprint for one in lives(w.state)}) == 301
    assert 0 < len(w.state.strangers) < 30
    assert {NO_ROOM} == {one.why_not for one in candidates(w.state, w.now) if one.life is None}
    assert w.finding("foreign-certificate")


def test_a_thousand_strangers_are_judged_in_a_count_of_steps_that_grows_as_they_do() -> None:
    """Each place is read as often as there are strangers, or none of this ends in a task of Temporal's."""
    asked = []
    for count in (50, 100):
        w = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
        w.adopt()
        w.work()
        many = tuple(Slot(f"tls://10.0.0.{n}:443", "ecdsa") for n in range(count))
        others = [life(f"s-{n}", START, 300 * DAY, trust_class=TrustClass.SELF_SIGNED) for n in range(count)]
        w.certificates |= {one.fingerprint: one for one in others}
        w.served |= {slot: one.fingerprint for slot, one in zip(many, others, strict=True)}
        w.notice(
            Observation("n-1", "slots", w.now, slots=(*SLOTS, *many), looks=w.looks(many), candidates=tuple(others))
        )
        w.work()
        calls = 0

        def count_calls(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count_calls)
        try:
            decide(w.state, DueMoments(), w.now)
            severity(w.state, w.now)
        finally:
            sys.setprofile(None)
        asked.append(calls)
    assert asked[1] < 2.5 * asked[0]


def test_an_old_certificate_of_ours_is_ours_for_as_long_as_a_place_shows_it() -> None:
    """Twenty generations later too: forgotten, it would be a stranger there."""
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.run_until(START + DAY)
    old = w.state.earlier[0]
    w.served[SLOTS[0]] = old
    w.now += HOUR
    w.discover("n-1")
    w.work()
    for generation in range(w.state.generation + 1, w.state.generation + 25):
        begun = e.GenerationBegan(generation, life(f"g-{generation}", w.now, w.length))
        w.state = evolve(w.state, e.Happened(w.state.seq, w.now, "test", "everleaf", begun))
    assert whose(w.state, old) == "earlier"
    assert len(w.state.earlier) <= w.state.led_by.earlier_kept + 2


def test_a_clock_that_is_doubted_at_two_places_is_told_once_and_trusted_when_its_place_is_gone() -> None:
    w = world()
    w.now += DAY
    w.clock_ahead = HOUR
    w.discover("n-1")
    w.work()
    assert w.count("clock_doubted") == 1 and w.finding("clock")
    w.clock_ahead = timedelta()
    w.notice(Observation("n-2", "slots", w.now, slots=(SLOTS[1],)))
    w.work()
    assert w.finding("clock") is None


def test_a_clock_that_is_right_at_one_place_is_still_wrong_where_another_is_ahead() -> None:
    w = world()
    w.now += DAY
    w.clock_ahead = HOUR
    w.discover("n-1")
    w.work()
    w.clock_ahead = timedelta()
    w.now += HOUR
    right, other = w.looks(SLOTS)
    looks = (right, replace(other, at=w.now + DAY))
    w.notice(Observation("n-2", "looked", w.now, looks=looks))
    w.work()
    assert SLOTS[1].url in str(w.finding("clock"))


def test_a_stranger_beside_an_earlier_one_at_one_place_is_looked_at_soon() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.run_until(START + DAY)
    stranger = life("s", w.now, 300 * DAY, trust_class=TrustClass.SELF_SIGNED)
    w.certificates[stranger.fingerprint] = stranger
    w.served[SLOTS[0]] = w.state.earlier[0]
    w.pools = {SLOTS[0]: (stranger.fingerprint,)}
    w.now += HOUR
    w.discover("n-1")
    w.tell(StepDone(Consult("mc-1", "n-1"), w.notices["n-1"]))
    look = next_look(w.state)
    assert look is not None and look.at <= w.now + 2 * HOUR
    assert look.why == "a foreign certificate is looked at twice"


def test_the_same_look_told_twice_is_one_look() -> None:
    w = world()
    w.dead = {SLOTS[0]}
    w.now += HOUR
    w.discover("n-1")
    w.tell(StepDone(Consult("mc-1", "n-1"), w.notices["n-1"]))
    before = [(place.silent, [seen.looks for seen in place.lives]) for place in w.state.places]
    w.discover("n-2")
    w.tell(StepDone(Consult("mc-1", "n-2"), w.notices["n-2"]))
    assert [(place.silent, [seen.looks for seen in place.lives]) for place in w.state.places] == before


def test_a_retired_one_that_owes_a_revocation_is_not_cleared() -> None:
    w = world()
    owed = replace(w.state, retired=True, to_revoke=(OrderToRevoke("k", "superseded", True, owed="by hand"),))
    asked = Question("revocation", w.now, w.now + DAY, "security-head", "it is owed", "k", "k")
    assert severity(replace(owed, questions=(asked,)), w.now) == "minor"


def test_what_a_discovery_found_of_one_that_was_replaced_is_not_said_of_its_successor() -> None:
    """An expired one is critical; the one that was renewed, and seen in its place, is not."""
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    looks = tuple(replace(look, at=w.now, found=("expired",)) for look in w.looks(SLOTS))
    w.tell(StepDone(Consult("mc-1", "n-0"), w.notices["n-0"]))
    w.notice(Observation("n-1", "looked", w.now, looks=looks))
    w.tell(StepDone(Consult("mc-1", "n-1"), w.notices["n-1"]))
    assert severity(w.state, w.now) == "critical"
    w.run_until(START + HOUR)
    assert w.state.generation == 2
    assert [place.found for place in w.state.places] == [(), ()]
    assert severity(w.state, w.now) == "cleared"
    # Silence ends nothing that was found.
    silent = replace(w.state.places[0], found=("expired",), found_of=(w.state.places[0].lives[0].fingerprint,))
    w.state = replace(w.state, places=(silent, *w.state.places[1:]))
    w.dead = {SLOTS[0]}
    w.now += HOUR
    w.discover("n-2")
    w.work()
    assert w.state.places[0].found == ("expired",)


def test_what_a_discovery_found_counts_for_the_severity_and_an_open_question_is_minor() -> None:
    w = world()
    assert severity(w.state, w.now) == "cleared"
    first = replace(w.state.places[0], found=("weak key",))
    found = replace(w.state, places=(first, *w.state.places[1:]))
    assert severity(found, w.now) == severity_of_kind("weak key").value != "cleared"
    asked = Question("taken", w.now, w.now + DAY, "owner", "it was taken", "x")
    assert severity(replace(w.state, questions=(asked,)), w.now) == "minor"
