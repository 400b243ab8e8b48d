"""Orders, approvals, holds and revocations: what was said is bound, and what is owed is never told as done."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.contracts import CollectOrder, Deploy, DeployReport, Revoked, RevokeOrder, SlotReceipt, Terms
from domain.lifecycle import events as e
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.commands import Outcome, Step
from domain.lifecycle.evolve import evolve
from domain.lifecycle.explaining import explain
from domain.lifecycle.state import Stage
from domain.lifecycle.view import is_escalated
from domain.people.messages import Retire
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, broken, plan, terms

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def world(tier: Tier = Tier.CUSTOMER_FACING, age: timedelta = 276 * DAY, length: timedelta = 365 * DAY) -> World:
    made = World(tier=tier, age=age, length=length)
    made.adopt()
    made.work()
    return made


class Manual(World):
    """A CA that revokes nothing for us."""

    def perform(self, step: Step) -> Outcome:
        return (
            Revoked(step.order_key, False, "it is asked by hand")
            if isinstance(step, RevokeOrder)
            else super().perform(step)
        )


# --- retiring -------------------------------------------------------------------------------------------------------


def test_a_retirement_while_a_ca_is_pending_still_collects_and_revokes_the_result() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.run_until(START + 3 * DAY)
    assert not w.state.is_over, "the CA may still issue"
    assert next_moment(w.state, w.now) is not None
    w.pending = False
    w.run_until(START + 4 * DAY)
    assert w.state.is_over
    assert w.revoked == set(w.orders) != set()


def test_a_revocation_that_could_not_be_done_is_a_duty_that_climbs_and_is_never_told_as_done() -> None:
    w = Manual(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.work()
    assert w.state.retired and not w.state.is_over
    assert w.count("order_revoked") == 0
    assert w.asked() == ["revocation"]
    told = [fact for fact in w.happened if fact.event.kind == "question_asked"]
    w.run_until(START + 20 * DAY)
    assert len([f for f in w.happened if f.event.kind == "question_asked"]) > len(told), "it repeats until it is done"
    assert w.answer("revocation", "revoked", actor="person/asha").outcome == "accepted"
    done = w.first("order_revoked")
    assert (done.by, done.event.done) == ("person/asha", True)  # type: ignore[attr-defined]  # of that kind
    w.work()
    assert w.state.is_over


def test_a_revocation_that_keeps_failing_becomes_a_persons_after_four_hours() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy | RevokeOrder) else None
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.run_until(START + 3 * HOUR)
    assert w.asked() == []
    w.run_until(START + 6 * HOUR)
    assert w.asked() == ["revocation"]


def test_a_failed_order_leaves_nothing_to_revoke() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.pending, w.ca_refuses = False, True
    w.run_until(START + 2 * HOUR)
    assert w.state.is_over and not w.revoked


# --- failing --------------------------------------------------------------------------------------------------------


def test_backoff_belongs_to_a_step_and_begins_anew_when_another_fails() -> None:
    """Hours without a CA must not make the first failure of a target wait for hours."""
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    back = START + 2 * DAY
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) and w.now < back else None
    w.adopt()
    w.run_until(START + DAY)
    waited = [fact.event for fact in w.happened if isinstance(fact.event, e.StepFailed)]
    assert waited[-1].retry_at - w.now > HOUR
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.run_until(START + 2 * DAY)
    first = next(fact for fact in w.happened if isinstance(fact.event, e.StepFailed) and fact.event.step == "deploy")
    assert isinstance(first.event, e.StepFailed)
    assert first.event.retry_at - first.at == timedelta(seconds=30)


def test_backoff_belongs_to_a_place() -> None:
    class Turns(World):
        tries = 0

        def perform(self, step: Step) -> Outcome:
            if not isinstance(step, Deploy):
                return super().perform(step)
            self.tries += 1
            which = SLOTS[0] if self.tries <= 6 else SLOTS[1]
            done = tuple(
                SlotReceipt(slot, "unreachable" if slot == which else "installed", "down") for slot in step.slots
            )
            return DeployReport(done)

    w = Turns(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.run_until(START + HOUR)
    failures = [(fact.at, fact.event) for fact in w.happened if isinstance(fact.event, e.StepFailed)]
    waits = [(event.place, event.retry_at - at) for at, event in failures if event.step == "deploy"]
    first, second = ([wait for place, wait in waits if place == slot.url] for slot in SLOTS)
    assert first[-1] > 10 * timedelta(minutes=1)
    assert second[0] == timedelta(seconds=30), "another place begins anew"


# --- approving ------------------------------------------------------------------------------------------------------


def test_an_approval_ends_thirty_days_after_it_may_act_and_is_asked_anew() -> None:
    w = world()
    w.ca_refuses = True
    assert w.send(w.decision()).outcome == "accepted"
    w.work()
    approved = w.first("approved").event
    assert isinstance(approved, e.Approved) and approved.ends_at == START + 30 * DAY
    w.run_until(START + 29 * DAY)
    assert w.count("approval_asked") == 1
    w.run_until(START + 31 * DAY)
    assert w.count("approval_ended") == 1 and w.count("approval_asked") == 2
    assert w.state.case is not None and w.state.case.stage is Stage.AWAITING_APPROVAL


def test_an_approval_that_is_held_lasts_from_the_end_of_its_hold() -> None:
    w = world()
    w.send(w.decision("hold"))
    approved = w.first("approved").event
    assert isinstance(approved, e.Approved) and approved.hold_until == START + 29 * DAY
    assert approved.ends_at == START + 59 * DAY


def test_an_open_order_keeps_its_approval() -> None:
    w = world()
    w.pending = True
    w.send(w.decision())
    w.run_until(START + 40 * DAY)
    assert w.count("approval_ended") == 0
    w.pending = False
    w.run_until(START + 41 * DAY)
    assert w.state.generation == 2


def changed(by: str, w: World, policy: str = "sha256:2") -> Terms:
    """Another plan, which ``by`` made by changing the policy."""
    return terms(w.tier, w.length, policy_version=policy, plan=plan(300 * DAY, "p2"), changed_by=by)


def test_who_changed_the_plan_before_its_case_opened_may_not_approve_it_either() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=200 * DAY)
    w.adopt()
    w.work()
    w.tell_terms(changed("person/asha", w))
    w.run_until(START + 80 * DAY)
    refused = w.send(w.decision(), "person/asha")
    assert refused.outcome == "refused" and "changed its plan" in refused.detail
    assert w.send(w.decision(), "person/ravi").outcome == "accepted"


def test_everybody_who_changed_the_plan_is_one_of_its_eyes() -> None:
    w = world()
    w.tell_terms(changed("person/asha", w))
    w.tell_terms(
        terms(w.tier, w.length, policy_version="sha256:3", plan=plan(200 * DAY, "p3"), changed_by="person/ravi")
    )
    for one in ("person/asha", "person/ravi"):
        assert w.send(w.decision(), one).outcome == "refused"
    assert w.send(w.decision(), "person/meera").outcome == "accepted"


def test_a_plan_that_changed_with_its_places_under_the_same_policy_was_changed_by_nobody() -> None:
    w = world()
    w.tell_terms(changed("person/asha", w, "sha256:1"))
    assert w.send(w.decision(), "person/asha").outcome == "accepted"


def test_who_changed_the_policy_that_changed_the_plan_may_not_approve_it() -> None:
    w = world()
    w.tell_terms(changed("person/asha", w))
    refused = w.send(w.decision(), "person/asha")
    assert refused.outcome == "refused" and "changed its plan" in refused.detail
    assert w.send(w.decision(), "person/ravi").outcome == "accepted"


def test_who_changed_the_policy_and_not_this_plan_may_approve_it() -> None:
    w = world()
    w.tell_terms(terms(w.tier, w.length, subscribers=5, changed_by="person/asha"))
    assert w.send(w.decision(), "person/asha").outcome == "accepted"


# --- holding, and stepping down -------------------------------------------------------------------------------------


def test_a_hold_past_the_escalation_mark_is_refused_with_the_latest_date() -> None:
    w = world()
    late = replace(w.decision("hold"), until=START + 60 * DAY)
    refused = w.send(late)
    assert refused.outcome == "refused"
    assert "until is later than 2026-12-23 04:00 UTC, the latest date to hold to" in refused.detail
    assert w.send(replace(w.decision("hold"), until=START + 20 * DAY)).detail == "approved, held"
    w.run_until(START + 19 * DAY)
    assert w.count("order_intended") == 0
    w.run_until(START + 21 * DAY)
    assert w.state.generation == 2


def test_a_hold_where_only_a_late_order_gains_is_refused() -> None:
    """A 30-day plan gains only within its last 15 days: a hold until then would call the head meanwhile."""
    w = world(length=398 * DAY, age=330 * DAY)
    w.tell_terms(terms(w.tier, w.length, plan=plan(30 * DAY, "p30")))
    w.now = START + 40 * DAY
    refused = w.send(w.decision("hold"))
    assert refused.outcome == "refused" and "latest moment to hold has passed" in refused.detail


@pytest.mark.parametrize("tier", list(Tier))
def test_a_step_down_in_life_is_ordered_a_week_before_the_escalation_mark(tier: Tier) -> None:
    w = World(tier=tier, length=398 * DAY)
    w.adopt()
    w.tell_terms(terms(tier, w.length, plan=plan(47 * DAY, "p47")))
    mark = 30 if tier is not Tier.INTERNAL else 14
    if tier is not Tier.INTERNAL:
        w.run_until(START + 310 * DAY)
        assert w.send(w.decision()).detail == "approved, held"
    w.run_until(START + (398 - mark) * DAY)
    ordered = w.first("order_intended").at
    lead = START + 398 * DAY - ordered
    assert lead == max(mark + 7, 23.5) * DAY
    assert not is_escalated(w.state) and w.state.generation == 2


def test_a_step_down_that_gains_nothing_yet_waits_and_says_so() -> None:
    w = world(length=398 * DAY, age=330 * DAY)
    w.tell_terms(terms(w.tier, w.length, plan=plan(30 * DAY, "p30")))
    assert w.send(w.decision()).detail == "approved, held past the escalation mark until it gains time"
    assert any("half of the next life" in line.sum for line in explain(w.state))


def test_an_approval_lasts_from_where_a_moved_hold_lets_it_act() -> None:
    w = world()
    w.send(replace(w.decision("hold"), until=START + 20 * DAY))
    case = w.state.case
    assert case is not None and case.retry_at is not None and case.approval_ends_at is not None
    lasts = case.approval_ends_at - case.retry_at
    moved = evolve(
        w.state, e.Happened(w.state.seq, w.now, "test", "everleaf", e.HoldMoved(case.retry_at + 5 * DAY))
    ).case
    assert moved is not None and moved.retry_at is not None and moved.approval_ends_at is not None
    assert moved.approval_ends_at - moved.retry_at == lasts
