"""Verified deployment is the only way a case closes well, place by place (DESIGN rule 4)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.certificate import LookOutcome, Slot
from domain.contracts import Consult, Deploy, LookAgain, LookReport, Observation, PlaceOrder, SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.commands import DueMoments, Step, StepDone
from domain.lifecycle.looking import next_look
from domain.lifecycle.next_step import next_step
from domain.lifecycle.served import lives, present
from domain.lifecycle.standing import severity
from domain.lifecycle.state import Stage
from domain.lifecycle.transition import Turn
from domain.lifecycle.view import snapshot
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, life, plan, terms

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def world(**changes: object) -> World:
    made = World(tier=Tier.INTERNAL, age=306 * DAY, **changes)  # type: ignore[arg-type]  # fields of its own
    made.adopt()
    step_by_step(made, PlaceOrder)
    return made


def step_by_step(w: World, until: type) -> Step:
    """Do what is due until the next step is of the kind ``until``; that one is not done."""
    for _ in range(20):
        step = next_step(w.state, w.now)
        assert step is not None
        if isinstance(step, until):
            return step
        w.tell(StepDone(step, w.perform(step)))
    raise AssertionError("it did not come to that")


def test_a_place_that_answered_before_our_install_and_does_not_after_it_is_wrong() -> None:
    w = world()
    step = step_by_step(w, Deploy)
    w.tell(StepDone(step, w.perform(step)))
    w.dead = {SLOTS[1]}
    w.run_until(START + MINUTE)
    ordered = next(fact.event for fact in w.happened if isinstance(fact.event, e.RollbackOrdered))
    assert ordered.slots == (SLOTS[1],)
    assert "answers no more since the new certificate was put there" in ordered.why
    assert w.state.generation == 1


def test_a_place_that_our_first_install_silenced_is_wrong_after_a_second_one_too() -> None:
    """It was silent when the second one came: that silence is of the first, and nobody may close over it."""
    w = world()
    step = step_by_step(w, Deploy)
    w.tell(StepDone(step, w.perform(step)))
    w.dead = {SLOTS[1]}
    w.run_until(START + 9 * DAY)
    assert w.count("installed") > 1 and w.count("rollback_ordered") > 1
    assert w.state.generation == 1 and "unseen" in w.asked()
    # A person's word for the place is the way on: it is broken, and nothing waits for it.
    w.answer("unseen", "broken")
    w.run_until(w.now + 2 * DAY)
    assert w.state.generation == 2


def test_two_places_that_are_wrong_by_turns_are_tried_ever_more_seldom() -> None:
    w = world()
    step_by_step(w, Deploy)
    turn = Turn(w.state, w.now, "test")
    pauses = []
    for number in range(40):
        place = SLOTS[number % 2].url
        pauses.append(turn.backoff("verify", place) - turn.now)
        turn.emit(e.StepFailed("verify", "wrong", Stage.WAITING_FOR_PERSON, turn.now + pauses[-1], place))
    assert pauses[0] == pauses[1] == w.state.led_by.first_retry
    assert pauses[-2:] == [w.state.led_by.longest_retry] * 2


def test_a_place_that_was_silent_before_too_is_silent_and_not_wrong() -> None:
    w = world()
    w.dead = {SLOTS[1]}
    w.discover("n-1")
    w.run_until(START + 2 * DAY)
    assert w.count("rollback_ordered") == 0
    assert w.state.case is not None and w.state.case.stage is Stage.VERIFYING
    assert w.state.places[1].wrong == 0


def test_a_look_of_before_the_install_that_is_told_after_it_is_not_wrong() -> None:
    w = world()
    step = step_by_step(w, Deploy)
    late = w.looks(SLOTS)
    w.now += 5 * MINUTE
    w.tell(StepDone(step, w.perform(step)))
    w.notice(Observation("n-1", "looked", w.now, looks=late))
    w.tell(StepDone(Consult("mc-1", "n-1"), w.notices["n-1"]))
    assert [place.wrong for place in w.state.places] == [0, 0]


def test_one_target_that_works_mends_nothing_of_another() -> None:
    w = world()
    step_by_step(w, Deploy)
    turn = Turn(w.state, w.now, "test")
    for slot in (*SLOTS, *SLOTS):
        again = turn.backoff("deploy", slot.url)
        turn.emit(e.StepFailed("deploy", f"down: {slot.url}", Stage.UNREACHABLE_TARGET, again, slot.url))
    since = turn.case.first_failed_at
    turn.emit(e.Installed((SLOTS[1],)))
    assert [(one.place, one.failures) for one in turn.case.failing] == [(SLOTS[0].url, 2)]
    assert (turn.case.failed_place, turn.case.failures) == (SLOTS[0].url, 2)
    assert turn.case.failure == f"down: {SLOTS[0].url}" and turn.case.first_failed_at == since
    turn.emit(e.Installed((SLOTS[0],)))
    assert (turn.case.failing, turn.case.first_failed_at) == ((), None)


def test_wrong_looks_are_counted_for_each_place_by_itself() -> None:
    """Two places that are wrong in turn are not one that is wrong for long; only the one that stays so is put back."""
    w = world()
    step = step_by_step(w, Deploy)
    w.tell(StepDone(step, w.perform(step)))
    case = w.state.case
    assert case is not None and case.issued is not None
    new, old = case.issued.fingerprint, present(w.state).fingerprint
    for number, (first, second) in enumerate([(old, old), (old, old), (new, old), (old, old)]):
        w.now += timedelta(seconds=3)
        w.served = {SLOTS[0]: first, SLOTS[1]: second}
        look = step_by_step(w, LookAgain)
        w.tell(StepDone(look, w.perform(look)))
        ordered = [fact.event.slots for fact in w.happened if isinstance(fact.event, e.RollbackOrdered)]
        assert ordered == ([] if number < 2 else [(SLOTS[1],)])
        if ordered:
            break


def test_a_case_that_closes_while_a_place_was_left_out_says_so_and_keeps_its_finding_and_next_look() -> None:
    w = world()
    w.dead = {SLOTS[1]}
    w.discover("n-1")
    w.run_until(START + 30 * MINUTE)
    old = present(w.state).fingerprint
    w.run_until(START + 5 * DAY)
    assert w.asked() == [], "it is not unseen yet"
    w.run_until(START + 9 * DAY)
    assert w.state.generation == 2
    closed = w.first("case_closed").event
    assert isinstance(closed, e.CaseClosed) and closed.left_out == (SLOTS[1],)
    assert w.finding("unseen") and severity(w.state, w.now) != "cleared"
    assert "unseen" in w.asked()
    look = next_look(w.state)
    assert look is not None and look.slots == (SLOTS[1],)
    # What it showed last ends in the old certificate's time, and the head hears of it then.
    assert old in {one.fingerprint for one in lives(w.state)}
    w.run_until(START + 46 * DAY)
    assert any(isinstance(f.event, e.RungFired) and f.event.fingerprint == old for f in w.happened)


def test_a_place_that_is_unseen_while_a_case_verifies_asks_its_owner() -> None:
    w = world()
    w.dead = set(SLOTS)
    w.discover("n-1")
    w.run_until(START + 9 * DAY)
    assert w.state.case is not None and w.state.case.stage is Stage.VERIFYING
    assert w.asked() == ["unseen"]
    w.run_until(START + 60 * DAY)
    assert w.state.generation == 1, "where all are left out nobody has seen the new one"
    assert w.state.last_outcome == ""


def test_the_old_algorithms_slot_is_expected_to_be_silent_and_its_old_leaf_is_drift() -> None:
    """A plan that changes the key from RSA to ECDSA: the RSA slot goes silent, or still serves the old leaf."""
    for still_served in (False, True):
        rsa = Slot(SLOTS[1].url, "rsa")
        w = World(tier=Tier.INTERNAL, age=290 * DAY)
        w.adopt()
        w.work()
        first = present(w.state).fingerprint
        w.served[rsa] = first
        w.notice(Observation("n-1", "slots", w.now, slots=(SLOTS[0], rsa), looks=w.looks((rsa,))))
        w.work()
        w.answer("taken", "retired")
        w.lying = {rsa}
        w.now = START + 16 * DAY
        step = step_by_step_at(w, Deploy)
        w.tell(StepDone(step, w.perform(step)))
        if not still_served:
            w.dead = {rsa}
        w.run_until(w.now + 30 * MINUTE)
        assert w.count("rollback_ordered") == 0
        assert w.state.generation == 2
        w.discover("n-2")
        w.work()
        assert (w.finding("drift") is not None) is still_served


def step_by_step_at(w: World, until: type) -> Step:
    w.tell(DueMoments())
    return step_by_step(w, until)


def test_verified_asks_for_a_good_path_and_a_life_that_is_gained_there() -> None:
    w = world()
    step = step_by_step(w, Deploy)
    w.tell(StepDone(step, w.perform(step)))
    w.gaps = {SLOTS[0]}
    w.run_until(START + MINUTE)
    assert w.state.generation == 1
    assert "it has a gap" in str(w.finding("rolled-back"))


def test_verified_asks_that_every_connection_saw_it() -> None:
    w = world()
    step = step_by_step(w, Deploy)
    old = present(w.state).fingerprint
    w.tell(StepDone(step, w.perform(step)))
    w.pools = {SLOTS[0]: (old,)}
    look = step_by_step(w, LookAgain)
    w.tell(StepDone(look, w.perform(look)))
    assert w.state.generation == 1
    assert [place.slot for place in w.state.places if place.wrong] == [SLOTS[0]]


def test_a_look_that_nobody_had_time_for_neither_verifies_nor_rolls_back_nor_spins() -> None:
    w = world(skipped=set(SLOTS))
    w.run_until(START + 3 * timedelta(hours=1))
    assert w.state.case is not None and w.state.case.stage is Stage.VERIFYING
    assert w.count("rollback_ordered") == 0 and w.steps < 40
    w.skipped.clear()
    w.run_until(START + 5 * timedelta(hours=1))
    assert w.state.generation == 2


def test_looks_that_are_late_belong_to_no_case() -> None:
    w = world()
    step = step_by_step(w, Deploy)
    w.tell(StepDone(step, w.perform(step)))
    look = step_by_step(w, LookAgain)
    assert isinstance(look, LookAgain)
    # Of as many connections as the looks before, so that its date alone is what is wrong with it.
    late = SlotLook(SLOTS[0], START - DAY, LookOutcome.SEEN, look.expected, connections=2)
    report = LookReport(tuple(replace(late, slot=slot) for slot in SLOTS))
    w.tell(StepDone(look, report))
    assert w.state.generation == 1, "a look from before the install has seen nothing of it"


@pytest.mark.parametrize("kept", [True, False])
def test_the_snapshot_shows_the_stranger_of_two_lives_at_one_place(kept: bool) -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    w.adopt()
    w.work()
    other = life("other", START - DAY, 200 * DAY)
    w.certificates[other.fingerprint] = other
    if kept:
        w.pools[SLOTS[0]] = (other.fingerprint,)
    w.discover("n-1")
    w.work()
    row = snapshot(w.state, w.now)
    assert row is not None
    assert row.endpoints[0].matches is not kept


def test_the_gain_of_an_order_is_weighed_against_the_end_it_was_placed_for() -> None:
    w = world()
    w.tell_terms(replace(terms(w.tier, w.length, plan=plan(365 * DAY))))
    w.run_until(START + MINUTE)
    intended = w.first("order_intended").event
    assert isinstance(intended, e.OrderIntended) and intended.against == START + 59 * DAY
