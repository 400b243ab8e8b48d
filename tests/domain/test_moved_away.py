"""A place that serves another's certificate now: nothing is put there, nor put back, and somebody is asked."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.contracts import Consult, Deploy, Observation, RollBack
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.commands import Step, StepBroke, StepDone
from domain.lifecycle.next_step import next_step
from domain.lifecycle.state import Stage
from domain.lifecycle.view import is_escalated, needs_human, snapshot, state_word
from domain.people.messages import Resume
from domain.tiers import Tier
from tests.domain.moving import come_back, move_away
from tests.domain.simulation import SLOTS, START, World, broken

DAY = timedelta(days=1)


def failing(*kinds: type) -> Callable[[Step], StepBroke | None]:
    return lambda step: broken(step) if isinstance(step, kinds) else None


def deploying() -> World:
    """The step is on its way when the places move."""
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    for _ in range(3):
        step = next_step(w.state, w.now)
        assert step is not None
        w.tell(StepDone(step, w.perform(step)))
    return w


def unreachable() -> World:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, fail=failing(Deploy))
    w.adopt()
    w.work()
    return w


def rolling_back() -> World:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, reload_lies=True, fail=failing(RollBack))
    w.adopt()
    w.run_until(START + timedelta(hours=1))
    return w


def waiting_for_a_person() -> World:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, reload_lies=True)
    w.adopt()
    w.run_until(START + timedelta(minutes=2))
    return w


STAGES = {
    Stage.DEPLOYING: deploying,
    Stage.UNREACHABLE_TARGET: unreachable,
    Stage.ROLLING_BACK: rolling_back,
    Stage.WAITING_FOR_PERSON: waiting_for_a_person,
}


def mend(w: World) -> None:
    w.fail = lambda step: None
    w.reload_lies = False


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_put_where_another_certificate_is_served_now(stage: Stage) -> None:
    w = STAGES[stage]()
    assert w.state.case is not None and w.state.case.stage is stage
    move_away(w, "n-1")
    mend(w)
    w.send(Resume(w.code()))
    # The simulated targets refuse to be written; the search has 40 days for a way around.
    w.run_until(START + 40 * DAY)
    assert w.state.generation == 1
    assert w.state.last_outcome == ""
    assert all("other.example.in" in w.certificates[w.served[slot]].names for slot in SLOTS)


@pytest.mark.parametrize("stage", STAGES)
def test_who_has_lost_every_place_keeps_its_ladder_and_its_question_climbs(stage: Stage) -> None:
    w = STAGES[stage]()
    move_away(w, "n-1")
    mend(w)
    w.run_until(START + 10 * DAY)
    [question] = [question for question in w.state.questions if question.kind == "taken"]
    assert question.level == "security-head"
    assert needs_human(w.state)
    assert next_moment(w.state, w.now) is not None
    w.run_until(START + 50 * DAY)
    assert is_escalated(w.state)


def test_what_is_asked_when_every_place_is_lost_is_asked_no_more() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)

    def stage() -> Stage | None:
        w.work()
        return w.state.case.stage if w.state.case is not None else None

    w.adopt()
    assert stage() is Stage.AWAITING_APPROVAL
    move_away(w, "n-1")
    assert stage() is Stage.UNROUTABLE
    row = snapshot(w.state, w.now)
    assert row is not None and (row.approval is None or row.approval.state == "closed")
    assert next_moment(w.state, w.now) is not None
    come_back(w, "n-2")
    assert stage() is Stage.AWAITING_APPROVAL


@pytest.mark.parametrize("stage", STAGES)
def test_a_certificate_that_is_found_again_is_renewed_with_the_order_that_is_open(stage: Stage) -> None:
    w = STAGES[stage]()
    move_away(w, "n-1")
    mend(w)
    w.run_until(START + 2 * DAY)
    come_back(w, "n-2")
    w.run_until(START + 4 * DAY)
    assert w.state.generation == 2
    assert len(w.orders) == 1
    assert not w.asked()


@pytest.mark.parametrize("stage", STAGES)
def test_of_several_places_only_those_that_are_left_are_renewed(stage: Stage) -> None:
    w = STAGES[stage]()
    move_away(w, "n-1", SLOTS[0])
    mend(w)
    w.run_until(START + 3 * DAY)
    assert w.state.generation == 2
    assert w.state.slots == (SLOTS[1],)
    assert w.served[SLOTS[0]] != w.served[SLOTS[1]]


def test_what_a_target_answers_of_a_place_that_moved_away_meanwhile_is_moot() -> None:
    w = deploying()
    step = next_step(w.state, w.now)
    assert isinstance(step, Deploy)
    report = w.perform(step)
    move_away(w, "n-1", SLOTS[0])
    w.tell(StepDone(Consult("mc-1", "n-1"), w.notices["n-1"]))
    w.tell(StepDone(step, report))
    assert w.state.case is not None
    assert SLOTS[0] not in w.state.installed


def test_where_its_places_went_is_answered_and_they_stay_the_other_ones() -> None:
    w = waiting_for_a_person()
    move_away(w, "n-1")
    w.work()
    assert w.answer("taken", "moved").outcome == "accepted"
    mend(w)
    w.run_until(START + 40 * DAY)
    assert w.state.places == ()
    row = snapshot(w.state, w.now)
    # Where to is the next question; it is answered by what discovery finds, or by a person.
    assert row is not None and [question.kind for question in row.questions] == ["moved-to"]
    assert w.answer("moved-to", "nowhere").outcome == "accepted"
    assert w.state.retired


def test_a_certificate_without_a_place_may_be_retired_by_its_answer() -> None:
    w = waiting_for_a_person()
    move_away(w, "n-1")
    w.work()
    w.answer("taken", "retired")
    assert w.state.retired


def test_an_approval_is_not_asked_for_what_has_no_place() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=276 * DAY, dead=set(SLOTS))
    w.adopt()
    w.run_until(START + 20 * DAY)
    assert state_word(w.state) == "awaiting-approval"
    w.answer("unseen", "moved")
    assert state_word(w.state) == "unroutable"
    w.dead.clear()
    w.notice(Observation("n-1", "slots", w.now, slots=SLOTS, looks=w.looks(SLOTS)))
    w.work()
    assert state_word(w.state) == "awaiting-approval"
