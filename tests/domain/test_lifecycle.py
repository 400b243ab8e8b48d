"""The promises of a lifecycle, each as one short story in a simulated world.

Longer than 300 lines because one promise of a lifecycle after the other is easier to read than two half lists.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.certificate import TrustClass
from domain.contracts import CollectOrder, Consult, Deploy, LookAgain, Observation, PlaceOrder, RollBack
from domain.lifecycle.commands import DeliveryReported, Redeemed, Reserve
from domain.lifecycle.events import PlacesReleased, RollbackWithheld, RolledBack
from domain.lifecycle.ladder import escalates_at, opens_at
from domain.lifecycle.standing import severity
from domain.lifecycle.state import Stage
from domain.lifecycle.view import details, is_escalated, snapshot
from domain.people.messages import RenewNow, Resume, Retire
from domain.tiers import Tier
from tests.domain.moving import move_a_slot
from tests.domain.simulation import SLOTS, START, World, broken, life, plan, terms

DAY = timedelta(days=1)
ASKING = (Tier.CUSTOMER_FACING, Tier.NETWORK_CRITICAL)


def world(tier: Tier, length: timedelta = 365 * DAY, age: timedelta = timedelta()) -> World:
    made = World(tier=tier, length=length, age=age)
    made.adopt()
    made.work()
    return made


def stage(w: World) -> Stage | None:
    return w.state.case.stage if w.state.case is not None else None


def test_an_internal_certificate_renews_by_itself_for_two_generations() -> None:
    w = world(Tier.INTERNAL)
    w.run_until(START + 700 * DAY)
    assert w.state.generation == 3
    assert w.count("approval_asked") == 0
    assert w.count("rung_fired") == 0
    assert w.first("case_opened").at == START + 305 * DAY


@pytest.mark.parametrize("tier", ASKING)
def test_an_asking_tier_opens_at_90_days_and_escalates_at_30(tier: Tier) -> None:
    w = world(tier)
    w.run_until(START + 336 * DAY)
    assert w.first("approval_asked").at == START + 275 * DAY
    assert w.first("rung_fired").at == START + 335 * DAY
    assert is_escalated(w.state)
    assert severity(w.state, w.now) == "major"


@pytest.mark.parametrize("tier", ASKING)
def test_an_approval_renews_and_a_second_one_is_refused(tier: Tier) -> None:
    w = world(tier, age=300 * DAY)
    decision = w.decision()
    assert w.send(decision).outcome == "accepted"
    again = w.send(w.decision())
    assert again.outcome == "refused"
    assert again.detail.startswith("decided")
    w.run_until(START + 183 * DAY)
    assert w.state.generation == 2
    assert len(w.orders) == 1


def test_an_approved_order_waits_until_half_of_the_new_life_is_gained() -> None:
    w = world(Tier.CUSTOMER_FACING, length=100 * DAY, age=55 * DAY)
    w.send(w.decision())
    w.run_until(START + 200 * DAY)
    assert w.state.generation == 2
    assert w.first("order_intended").at >= START


def test_a_rejected_plan_is_asked_again_and_the_ladder_goes_on() -> None:
    w = world(Tier.CUSTOMER_FACING, age=276 * DAY)
    assert w.send(w.decision("reject")).detail == "rejected"
    w.run_until(START + 8 * DAY)
    assert w.count("approval_asked") == 2
    w.run_until(START + 61 * DAY)
    assert w.count("rung_fired") >= 1


def test_a_lying_reload_is_rolled_back_and_the_owner_is_told() -> None:
    w = World(tier=Tier.INTERNAL, age=310 * DAY, reload_lies=True)
    w.adopt()
    w.run_until(START + 2 * DAY)
    assert w.count("rolled_back") >= 1
    assert w.count("owner_called") >= 1
    assert w.finding("rolled-back")
    assert len(w.orders) == 1
    w.reload_lies = False
    w.run_until(START + 3 * DAY)
    assert w.state.generation == 2
    assert len(w.orders) == 1


def test_a_refused_rollback_is_withheld_and_never_said_to_be_one() -> None:
    w = World(tier=Tier.INTERNAL, age=310 * DAY, reload_lies=True, unreturnable=set(SLOTS))
    w.adopt()
    w.run_until(START + timedelta(hours=1))
    assert w.count("rolled_back") == 0
    assert w.count("rollback_withheld") >= 1
    assert w.finding("rolled-back") is None
    assert w.finding("not-served") == f"{SLOTS[0].url}: was revoked"
    assert w.state.case is not None
    assert not w.state.case.rolled_back
    assert severity(w.state, w.now) == "major"
    assert stage(w) is Stage.WAITING_FOR_PERSON
    w.reload_lies = False
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 2


def test_what_was_put_back_and_what_was_not_are_told_apart() -> None:
    w = World(tier=Tier.INTERNAL, age=310 * DAY, reload_lies=True, unreturnable={SLOTS[0]})
    w.adopt()
    w.run_until(START + timedelta(hours=1))
    assert w.first("rolled_back").event == RolledBack((SLOTS[1],))
    assert w.first("rollback_withheld").event == RollbackWithheld((SLOTS[0],), f"{SLOTS[0].url}: was revoked")
    assert w.finding("rolled-back") and w.finding("not-served")


def test_past_its_escalation_mark_the_old_one_is_never_put_back() -> None:
    w = World(tier=Tier.INTERNAL, age=355 * DAY, reload_lies=True)
    w.adopt()
    w.run_until(START + DAY)
    assert w.count("rolled_back") == 0
    assert w.count("rollback_withheld") >= 1
    assert w.finding("not-served")
    w.reload_lies = False
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 2


def change(w: World, notice: str, tier: Tier, version: str = "p1", validity: timedelta | None = None) -> None:
    new_plan = plan(validity or w.length, version)
    w.notice(Observation(notice, "terms", w.now, terms=terms(tier, w.length, plan=new_plan)))
    w.work()


def held() -> World:
    """An internal case that waits for the day on which half of a life of 40 days is gained."""
    w = world(Tier.INTERNAL, length=100 * DAY, age=60 * DAY)
    change(w, "n-0a", Tier.INTERNAL, "p1", 40 * DAY)
    w.run_until(START + 8 * DAY)
    assert stage(w) is Stage.HELD
    return w


def test_a_tier_that_changes_after_a_deep_rung_keeps_its_ladder() -> None:
    w = world(Tier.CUSTOMER_FACING, age=363 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    change(w, "n-1", Tier.INTERNAL)
    w.run_until(START + 4 * DAY)
    fired = [fact.at for fact in w.happened if fact.event.kind == "rung_fired"]
    assert START + DAY in fired
    assert START + 2 * DAY in fired


def test_an_internal_case_orders_under_the_plan_of_now() -> None:
    w = held()
    change(w, "n-1", Tier.INTERNAL, "p2", 40 * DAY)
    assert w.state.case is not None
    assert w.state.case.plan is not None
    assert w.state.case.plan.version == "p2"


def test_a_held_internal_case_is_asked_when_its_tier_begins_to_ask() -> None:
    w = held()
    change(w, "n-1", Tier.CUSTOMER_FACING)
    assert stage(w) is Stage.AWAITING_APPROVAL


def expired_unused(w: World) -> None:
    """Issued, never installed, and expired: a further order is due."""
    assert w.state.case is not None
    assert w.state.case.issued is not None
    w.run_until(w.state.case.issued.ends_at)


def refused_by_the_ca(w: World) -> None:
    """The order is closed as failed, and its pause goes by."""
    w.ca_refuses, w.pending = True, False
    w.run_until(w.now + timedelta(hours=7))


def resumed_after_a_refusal(w: World) -> None:
    w.ca_refuses, w.pending = True, False
    w.run_until(w.now + timedelta(hours=1))
    if stage(w) is Stage.WAITING_FOR_PERSON:
        w.send(Resume(w.code()))


CLOSINGS = (expired_unused, refused_by_the_ca, resumed_after_a_refusal)


def ordered(tier: Tier, closing: Callable[[World], None]) -> World:
    """With an order open, which ``closing`` is about to close."""
    w = World(tier=tier, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.pending = closing is not expired_unused
    w.adopt()
    w.work()
    if tier is not Tier.INTERNAL:
        assert w.send(w.decision()).outcome == "accepted"
        w.work()
    assert w.count("order_intended") == 1
    return w


@pytest.mark.parametrize("closing", CLOSINGS)
def test_a_further_order_is_asked_for_where_the_tier_has_begun_to_ask(closing: Callable[[World], None]) -> None:
    w = ordered(Tier.INTERNAL, closing)
    change(w, "n-1", Tier.CUSTOMER_FACING)
    closing(w)
    assert stage(w) is Stage.AWAITING_APPROVAL
    assert w.count("order_intended") == 1


@pytest.mark.parametrize("closing", CLOSINGS)
def test_a_further_order_of_another_plan_is_asked_for_and_under_the_plan_of_now(
    closing: Callable[[World], None],
) -> None:
    w = ordered(Tier.CUSTOMER_FACING, closing)
    change(w, "n-1", Tier.CUSTOMER_FACING, "p2")
    closing(w)
    assert stage(w) is Stage.AWAITING_APPROVAL
    assert w.state.case is not None
    assert w.state.case.plan is not None
    assert w.state.case.plan.version == "p2"


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("tier", list(Tier))
def test_a_further_order_of_the_approved_plan_is_not_asked_for_again(
    tier: Tier, closing: Callable[[World], None]
) -> None:
    w = ordered(tier, closing)
    asked = w.count("approval_asked")
    closing(w)
    w.work()
    assert w.count("order_intended") >= 2
    assert w.count("approval_asked") == asked


def test_without_a_plan_there_is_no_further_order() -> None:
    w = ordered(Tier.INTERNAL, refused_by_the_ca)
    w.notice(Observation("n-1", "terms", w.now, terms=terms(w.tier, w.length, plan=None, unroutable="no issuer")))
    refused_by_the_ca(w)
    assert stage(w) is Stage.UNROUTABLE
    assert w.count("order_intended") == 1


def test_a_silent_endpoint_holds_the_case_until_it_is_unseen() -> None:
    w = World(tier=Tier.INTERNAL, age=304 * DAY)
    w.adopt()
    w.work()
    w.dead.add(SLOTS[1])
    w.now += timedelta(minutes=1)
    w.discover("n-1")
    w.run_until(START + 3 * DAY)
    assert w.state.generation == 1
    assert stage(w) is Stage.VERIFYING
    w.run_until(START + 12 * DAY)
    assert w.state.generation == 2


def test_drift_is_asked_about_and_the_ladder_runs_on_what_is_served() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.run_until(START + DAY)
    old = life("first", START - 306 * DAY, 365 * DAY)
    w.served = dict.fromkeys(w.served, old.fingerprint)
    w.discover("n-1")
    w.run_until(START + 58 * DAY)
    assert any(question.kind == "drift" for question in w.state.questions)
    assert w.count("rung_fired") >= 1
    assert is_escalated(w.state)


def test_names_that_changed_hold_every_deployment_until_the_owner_says() -> None:
    w = world(Tier.INTERNAL, age=200 * DAY)
    fewer = life("fewer", START, 365 * DAY, names=("pay.example.in",))
    w.replace_by_hand(fewer, "n-1")
    w.run_until(START + 120 * DAY)
    assert w.blocked_by
    assert w.count("order_intended") == 0
    w.answer("different", "keep")
    w.run_until(START + 121 * DAY)
    assert w.state.generation == 2


def test_the_names_that_were_found_may_be_taken() -> None:
    w = world(Tier.INTERNAL, age=200 * DAY)
    w.replace_by_hand(life("fewer", START, 365 * DAY, names=("pay.example.in",)), "n-1")
    w.work()
    w.answer("different", "take")
    # A named answer accepts the difference; that it is really served is seen twice all the same.
    assert w.state.generation == 1
    w.run_until(START + 2 * timedelta(hours=1))
    assert w.state.generation == 2
    assert w.state.life is not None
    assert w.state.life.names == ("pay.example.in",)


def test_a_slot_that_moves_during_a_deployment_is_served_too() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, lying={SLOTS[0]})
    w.adopt()
    w.work()
    move_a_slot(w, "n-1")
    w.lying.clear()
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 2
    assert len(w.orders) == 1


def test_a_slot_given_up_while_a_rollback_waits_does_not_spin() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, reload_lies=True, dead={SLOTS[0]})
    w.fail = lambda step: broken(step) if isinstance(step, RollBack) else None
    w.adopt()
    w.run_until(START + 8 * DAY)
    assert stage(w) is Stage.ROLLING_BACK
    assert w.answer("unseen", "moved").outcome == "accepted"
    w.work()
    assert stage(w) is Stage.ROLLING_BACK
    w.fail = lambda step: None
    w.reload_lies = False
    w.run_until(START + 10 * DAY)
    assert w.state.generation == 2


def test_a_certificate_whose_last_slot_moved_away_is_asked_about_and_keeps_its_alarm() -> None:
    w = world(Tier.INTERNAL)
    w.notice(Observation("n-1", "slots", w.now, slots=()))
    w.work()
    assert w.state.slots == () and len(w.state.places) == 2
    assert w.asked() == ["taken"]
    w.run_until(START + 364 * DAY)
    assert is_escalated(w.state)


def test_a_certificate_that_moved_from_all_its_places_owns_none_and_keeps_its_alarm() -> None:
    w = World(tier=Tier.INTERNAL, length=365 * DAY, dead=set(SLOTS))
    w.adopt()
    w.run_until(START + 20 * DAY)
    assert [question.kind for question in w.state.questions] == ["unseen"]
    w.answer("unseen", "moved")
    assert w.first("places_released").event == PlacesReleased(SLOTS, "moved")
    assert w.asked() == ["moved-to"] and not w.state.retired
    w.run_until(START + 364 * DAY)
    assert is_escalated(w.state)


def test_a_short_life_that_is_unroutable_does_not_write_a_mail_a_minute() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, length=timedelta(minutes=30), age=timedelta(minutes=20))
    w.adopt()
    w.work()
    w.notice(Observation("n-1", "terms", w.now, terms=terms(w.tier, w.length, plan=None, unroutable="no issuer")))
    w.run_until(START + 10 * DAY)
    assert stage(w) is Stage.UNROUTABLE
    # Looked at from one minute on, ever more seldom, and past its end daily.
    assert 15 <= w.count("became_unroutable") <= 25


def test_a_revocation_and_a_silent_ca_are_asked_about_at_most_hourly_in_the_long_run() -> None:
    w = World(tier=Tier.INTERNAL, length=timedelta(minutes=30), age=timedelta(minutes=20))
    w.pending = True
    w.adopt()
    w.run_until(START + 2 * DAY)
    assert w.count("order_pending") <= 60
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    w.send(Retire(w.code(), "decommissioned"))
    w.run_until(START + 4 * DAY)
    assert 10 <= w.count("revocation_delayed") <= 50


def test_a_hold_is_not_resumed_but_may_be_decided_anew() -> None:
    w = world(Tier.CUSTOMER_FACING, age=276 * DAY)
    assert w.send(w.decision("hold")).detail == "approved, held"
    assert w.send(Resume(w.code())).outcome == "refused"
    assert w.send(w.decision()).outcome == "accepted"
    w.work()
    assert w.state.case is None or w.state.case.order_open or w.state.generation == 2


def test_an_undeliverable_message_is_a_question_of_its_own_that_can_be_answered() -> None:
    w = world(Tier.INTERNAL)
    w.tell(DeliveryReported("m", "undeliverable", "p-owner"))
    assert [question.kind for question in w.state.questions] == ["undeliverable"]
    assert w.answer("undeliverable", "mended").outcome == "accepted"
    assert w.state.questions == ()


def test_an_answer_that_no_question_has_is_refused_and_the_question_stays() -> None:
    w = world(Tier.INTERNAL)
    w.tell(DeliveryReported("m", "undeliverable", "p-owner"))
    receipt = w.answer("undeliverable", "whatever")
    assert receipt.detail.startswith("invalid")
    assert [question.kind for question in w.state.questions] == ["undeliverable"]


def test_a_notice_that_cannot_be_looked_up_is_tried_again_without_a_spin() -> None:
    w = World(tier=Tier.INTERNAL)
    w.fail = lambda step: broken(step) if isinstance(step, Consult) and w.now < START + DAY else None
    w.adopt()
    w.run_until(START + 2 * DAY)
    assert w.state.life is not None
    assert w.steps < 320


def test_a_look_that_stays_broken_is_tried_ever_more_seldom_and_soon_after_it_is_mended() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, length=47 * DAY, age=20 * DAY)
    w.adopt()
    w.work()
    w.replace_by_hand(life("by hand", START, 47 * DAY), "n-1")
    w.fail = lambda step: broken(step) if isinstance(step, LookAgain) else None
    w.run_until(START + timedelta(hours=2))
    # A foreign certificate waits to be looked at twice: at first at the pace of this life.
    assert w.steps >= 8
    before = w.steps
    w.run_until(START + 20 * DAY)
    assert w.steps - before <= 20 * 24 + 40
    w.fail = lambda step: None
    w.run_until(w.now + timedelta(hours=1))
    assert w.state.generation == 2


def test_four_days_without_a_ca_end_in_one_certificate() -> None:
    back = START + 4 * DAY
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) and w.now < back else None
    w.adopt()
    w.run_until(START + 6 * DAY)
    assert w.state.generation == 2
    assert len(w.orders) == 1
    assert w.count("owner_called") >= 3


def test_a_certificate_replaced_by_hand_becomes_the_next_generation_after_two_looks() -> None:
    w = world(Tier.CUSTOMER_FACING, age=290 * DAY)
    w.replace_by_hand(life("by hand", START, 365 * DAY), "n-1")
    w.work()
    assert w.state.generation == 1
    w.run_until(START + DAY)
    assert w.state.generation == 2
    assert w.state.case is None
    assert w.state.last_outcome == "superseded"


def test_a_foreign_certificate_that_would_not_pass_is_a_finding_and_the_case_stays_open() -> None:
    w = world(Tier.CUSTOMER_FACING, age=290 * DAY)
    w.replace_by_hand(life("foreign", START, 365 * DAY, trust_class=TrustClass.SELF_SIGNED), "n-1")
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 1
    assert w.finding("foreign-certificate")
    assert w.state.case is not None


def test_three_silent_looks_over_a_week_make_it_unseen_and_ask_the_owner() -> None:
    w = world(Tier.INTERNAL)
    w.dead = set(w.served)
    w.discover("n-1")
    w.run_until(START + 5 * DAY)
    assert w.finding("unseen") is None
    w.run_until(START + 12 * DAY)
    assert w.finding("unseen")
    assert any(question.kind == "unseen" for question in w.state.questions)


def test_an_issuer_that_ends_first_is_unroutable_and_does_not_spin() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, ca_ends_at=START + 80 * DAY)
    w.adopt()
    w.run_until(START + 60 * DAY)
    assert w.state.case is not None
    assert w.state.case.stage is Stage.UNROUTABLE
    assert w.steps < 80
    assert w.count("rung_fired") >= 1
    # Whatever was issued and cannot be used is revoked.
    assert w.count("order_revoked") == len(w.orders)


def test_without_an_issuer_it_is_unroutable_until_the_policy_names_one() -> None:
    w = world(Tier.CUSTOMER_FACING, age=280 * DAY)
    none = terms(Tier.CUSTOMER_FACING, 365 * DAY, plan=None, unroutable="no issuer of its trust class")
    w.notice(Observation("n-1", "terms", w.now, terms=none))
    w.work()
    assert stage(w) is Stage.UNROUTABLE
    w.notice(Observation("n-2", "terms", w.now, terms=terms(Tier.CUSTOMER_FACING, 365 * DAY)))
    w.work()
    assert stage(w) is Stage.AWAITING_APPROVAL


def test_an_approval_never_applies_to_another_plan() -> None:
    w = world(Tier.CUSTOMER_FACING, age=280 * DAY)
    old = w.decision()
    changed = terms(Tier.CUSTOMER_FACING, 365 * DAY, plan=plan(90 * DAY, "p2"))
    w.notice(Observation("n-1", "terms", w.now, terms=changed))
    w.work()
    answer = w.send(old)
    assert answer.outcome == "refused"
    assert answer.detail.startswith("stale")
    assert w.orders == {}


def test_who_asked_may_not_approve() -> None:
    w = world(Tier.CUSTOMER_FACING)
    assert w.send(RenewNow(w.code()), "person/a").outcome == "accepted"
    assert w.send(w.decision(), "person/a").outcome == "refused"
    assert w.send(w.decision(), "person/b").outcome == "accepted"
    w.work()
    assert w.state.generation == 2


def test_who_asked_with_a_token_may_not_approve_in_person() -> None:
    w = world(Tier.CUSTOMER_FACING)
    assert w.send(RenewNow(w.code()), "token/7").outcome == "accepted"
    for actor, person, asker, outcome in (
        ("person/a", "person/a", "person/a", "refused"),
        ("token/9", "person/a", "person/a", "refused"),
        ("person/b", "person/b", "person/a", "accepted"),
    ):
        message = w.decision()
        w.tell(Reserve(message))
        assert w.tell(Redeemed(message, actor, person, asker)).outcome == outcome


def test_an_acknowledgement_stops_repeats_but_not_the_next_rung() -> None:
    w = world(Tier.CUSTOMER_FACING, age=335 * DAY)
    assert w.count("rung_fired") == 1
    receipt = w.acknowledge("security-head", START + 10 * DAY)
    assert receipt.outcome == "accepted"
    w.run_until(START + 8 * DAY)
    assert w.count("rung_fired") == 1
    w.run_until(START + 9 * DAY + timedelta(hours=1))
    assert w.count("rung_fired") == 2


def test_adopted_late_only_the_deepest_passed_rung_fires() -> None:
    w = world(Tier.CUSTOMER_FACING, age=360 * DAY)
    assert w.count("rung_fired") == 1
    assert w.count("rungs_passed") == 1


def test_found_expired_opens_a_case_and_escalates_at_once() -> None:
    w = world(Tier.CUSTOMER_FACING, age=400 * DAY)
    assert w.state.case is not None
    assert w.state.case.cause == "expired"
    assert is_escalated(w.state)
    assert severity(w.state, w.now) == "critical"


def test_a_retirement_during_issue_still_collects_the_result_and_revokes_it() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    assert not w.state.is_over
    w.fail = lambda step: None
    w.run_until(START + 2 * DAY)
    assert w.state.is_over
    assert w.count("order_revoked") == 1


def test_an_unreachable_target_is_tried_again_and_named() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) and w.now < START + DAY else None
    w.adopt()
    w.work()
    assert w.state.case is not None
    assert w.state.case.stage is Stage.UNREACHABLE_TARGET
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 2


def test_lead_times_scale_with_short_lives() -> None:
    short = life("short", START, timedelta(minutes=30))
    table = terms(Tier.CUSTOMER_FACING, timedelta(minutes=30)).table
    assert opens_at(short, table) == short.ends_at - timedelta(minutes=15)
    assert escalates_at(short, table) == short.ends_at - timedelta(minutes=5)


def test_a_short_life_that_cannot_be_renewed_is_tried_ever_more_seldom() -> None:
    w = World(tier=Tier.INTERNAL, length=timedelta(minutes=30), age=timedelta(minutes=20))
    w.fail = lambda step: broken(step) if isinstance(step, PlaceOrder) else None
    w.adopt()
    w.run_until(START + timedelta(minutes=5))
    assert w.count("step_failed") >= 20
    w.run_until(START + 10 * DAY)
    assert w.count("step_failed") <= 200
    w.fail = lambda step: None
    w.run_until(START + 10 * DAY + timedelta(hours=6))
    assert w.state.generation >= 2


def test_a_life_of_thirty_minutes_renews_for_a_day_without_a_spin() -> None:
    w = world(Tier.INTERNAL, length=timedelta(minutes=30))
    w.run_until(START + DAY)
    assert 48 <= w.state.generation <= 100
    assert w.steps < 100 * 6


def test_the_snapshot_names_what_is_next() -> None:
    w = world(Tier.CUSTOMER_FACING)
    row = snapshot(w.state, w.now)
    assert row is not None
    assert row.next_action == "the renewal case opens"
    assert row.next_action_at == START + 275 * DAY


def asked_while_names_changed() -> World:
    w = world(Tier.CUSTOMER_FACING, age=300 * DAY)
    assert stage(w) is Stage.AWAITING_APPROVAL
    w.replace_by_hand(life("fewer", START, 365 * DAY, names=("pay.example.in",)), "n-1")
    w.work()
    assert w.blocked_by
    return w


@pytest.mark.parametrize("what", ["approve", "hold", "reject"])
def test_nothing_is_decided_before_it_is_said_which_names_hold(what: str) -> None:
    w = asked_while_names_changed()
    refused = w.send(w.decision(what))
    assert refused.outcome == "refused"
    assert refused.detail.startswith("blocked") and "answer the open question" in refused.detail
    # What is asked stays asked and climbs; nothing was burnt.
    assert stage(w) is Stage.AWAITING_APPROVAL
    assert w.count("code_burnt") == 0
    assert "plan_version" not in details(w.state, w.now)
    w.run_until(START + 36 * DAY)
    assert is_escalated(w.state)
    assert w.answer("different", "keep").outcome == "accepted"
    assert "plan_version" in details(w.state, w.now)
    assert w.send(w.decision()).outcome == "accepted"
    w.work()
    assert w.state.generation == 2


def test_names_that_change_while_a_decision_is_checked_refuse_it() -> None:
    w = world(Tier.CUSTOMER_FACING, age=300 * DAY)
    message = w.decision()
    w.tell(Reserve(message))
    w.replace_by_hand(life("fewer", START, 365 * DAY, names=("pay.example.in",)), "n-1")
    w.work()
    answer = w.tell(Redeemed(message, "person/head"))
    assert answer.outcome == "refused" and answer.detail.startswith("blocked")
    assert stage(w) is Stage.AWAITING_APPROVAL
    assert w.state.reservation is None
    assert w.count("order_intended") == 0
