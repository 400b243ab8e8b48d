"""Each question and each answer has a way on: a next moment, and a rung or a question that climbs (DESIGN rule 5).

Longer than 300 lines because all questions and their answers stand together.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.certificate import LookOutcome, TrustClass
from domain.contracts import Consult, Deploy, Observation, Revoked, RevokeOrder
from domain.lifecycle import events as e
from domain.lifecycle.agenda import agenda, next_moment
from domain.lifecycle.commands import DeliveryReported, DueMoments, Outcome, RecordRefused, Step, StepDone
from domain.lifecycle.looking import next_look
from domain.lifecycle.served import earlier_at
from domain.people.messages import ANSWERS, Answer, Retire
from domain.tiers import Tier
from tests.domain.moving import move_away
from tests.domain.simulation import SLOTS, START, World, broken, life, terms

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def world(tier: Tier = Tier.CUSTOMER_FACING, age: timedelta = 200 * DAY) -> World:
    made = World(tier=tier, age=age)
    made.adopt()
    made.work()
    return made


def unseen() -> World:
    w = world()
    w.dead = {SLOTS[0]}
    w.discover("n-1")
    w.run_until(START + 8 * DAY)
    return w


def taken() -> World:
    w = world()
    move_away(w, "n-1", SLOTS[0])
    w.work()
    return w


def moved_to() -> World:
    w = unseen()
    w.answer("unseen", "moved")
    return w


def repair() -> World:
    w = unseen()
    w.answer("unseen", "broken")
    return w


def different() -> World:
    w = world()
    w.replace_by_hand(life("other", START, 365 * DAY, names=("pay.example.in",)), "n-1")
    w.work()
    return w


def foreign() -> World:
    w = world()
    w.replace_by_hand(life("foreign", START, 365 * DAY, trust_class=TrustClass.SELF_SIGNED), "n-1")
    w.work()
    return w


def drift() -> World:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.adopt()
    w.run_until(START + DAY)
    w.served[SLOTS[0]] = w.state.earlier[-1]
    w.discover("n-1")
    w.work()
    return w


class _ByHand(World):
    def perform(self, step: Step) -> Outcome:
        return Revoked(step.order_key, False, "by hand") if isinstance(step, RevokeOrder) else super().perform(step)


def revocation() -> World:
    w = _ByHand(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.work()
    return w


def forked() -> World:
    w = world()
    w.tell(RecordRefused("the store does not take it"))
    return w


def undeliverable() -> World:
    w = world()
    w.tell(DeliveryReported("m", "undeliverable", "p-owner"))
    return w


ASKING: dict[str, Callable[[], World]] = {
    "unseen": unseen,
    "taken": taken,
    "moved-to": moved_to,
    "repair": repair,
    "different": different,
    "foreign-certificate": foreign,
    "drift": drift,
    "revocation": revocation,
    "forked": forked,
    "undeliverable": undeliverable,
}
PAIRS = [(kind, answer) for kind, answers in ANSWERS.items() for answer in answers]


def test_every_question_that_can_be_answered_has_its_world() -> None:
    assert set(ASKING) == set(ANSWERS)


@pytest.mark.parametrize("kind", sorted(ASKING))
def test_an_open_question_climbs_to_the_head_and_repeats(kind: str) -> None:
    w = ASKING[kind]()
    question = w.question(kind)
    assert question.about, "an answer must be able to say what it is about"
    assert any(moment.what == f"the question {kind} climbs" for moment in agenda(w.state, w.now))
    w.fail = lambda step: None
    w.run_until(w.now + 8 * DAY)
    asked = [fact for fact in w.happened if getattr(fact.event, "question", "") == kind]
    assert w.question(kind).level == "security-head" and len(asked) >= 2


# What the answer leaves: nothing is open, another question, our own look, or the end of the lifecycle.
LEFT: dict[tuple[str, str], str] = {
    ("unseen", "retired"): "settled",
    ("unseen", "moved"): "moved-to",
    ("unseen", "broken"): "repair",
    ("taken", "retired"): "settled",
    ("taken", "moved"): "moved-to",
    ("moved-to", "nowhere"): "settled",
    ("repair", "repaired"): "look",
    ("repair", "retired"): "settled",
    ("different", "take"): "look",
    ("different", "keep"): "look",
    ("foreign-certificate", "known"): "look",
    ("drift", "known"): "look",
    ("revocation", "revoked"): "over",
    ("forked", "gap"): "settled",
    ("forked", "resume"): "settled",
    ("undeliverable", "mended"): "settled",
}


@pytest.mark.parametrize(("kind", "answer"), PAIRS)
def test_every_answer_has_a_way_on(kind: str, answer: str) -> None:
    w = ASKING[kind]()
    assert w.answer(kind, answer).outcome == "accepted"
    left = LEFT[(kind, answer)]
    assert kind not in w.asked(), "answered"
    if left == "over":
        w.work()
        assert w.state.is_over
        return
    moment = next_moment(w.state, w.now)
    assert moment is not None
    told = [m for m in agenda(w.state, w.now) if "head of IT security is told" in m.what or "repeated" in m.what]
    assert told, "the ladder goes on"
    if left in ANSWERS:
        assert left in w.asked()
        assert w.question(left).climbs_at > w.now
    elif left == "look":
        look = next_look(w.state)
        assert look is not None and look.at <= w.now + 7 * DAY
    else:
        assert not w.asked() or w.asked() == ["moved-to"]


@pytest.mark.parametrize(("kind", "answer"), PAIRS)
def test_an_answer_about_something_else_is_stale_and_leaves_no_trace(kind: str, answer: str) -> None:
    w = ASKING[kind]()
    before = len(w.happened)
    refused = w.answer(kind, answer, about="something else")
    assert refused.outcome == "refused" and refused.detail.startswith("stale")
    assert kind in w.asked()
    assert all(fact.by != "person/a" for fact in w.happened[before:])


def test_an_answer_without_what_it_is_about_is_told_what_to_write() -> None:

    w = unseen()
    refused = w.send(Answer(w.code(), "unseen", "broken"))
    assert refused.outcome == "refused" and w.question("unseen").about in refused.detail


def test_another_silent_place_makes_the_answer_that_was_read_before_stale_and_mails_nobody_anew() -> None:
    w = unseen()
    about, told = w.question("unseen").about, w.count("question_asked")
    w.dead.add(SLOTS[1])
    w.discover("n-2")
    w.run_until(w.now + 7 * DAY + HOUR)
    assert w.question("unseen").about != about
    stale = w.answer("unseen", "retired", about=about)
    assert stale.detail.startswith("stale")
    assert w.state.slots == SLOTS, "nothing was given up that was not meant"
    assert w.count("question_changed") == 1
    assert w.count("question_asked") <= told + 1, "it climbs, and says no more than that"


def test_broken_keeps_asking_for_the_repair_and_looks_again() -> None:
    w = repair()
    looked = w.state.places[0].looked_at
    w.run_until(w.now + 30 * DAY)
    assert w.state.places[0].looked_at != looked
    assert w.question("repair").level == "security-head"
    w.dead.clear()
    w.discover("n-9")
    w.work()
    assert "repair" not in w.asked() and not w.state.places[0].to_repair


def test_repaired_is_not_believed_by_a_look_from_before_the_repair() -> None:
    w = repair()
    old = replace(w.looks((SLOTS[0],))[0], at=w.now - 30 * DAY, outcome=LookOutcome.SEEN, fingerprint="ab" * 32)
    w.answer("repair", "repaired")
    before = w.state.places[0]
    w.notice(Observation("n-8", "looked", w.now, looks=(old,)))
    w.tell(StepDone(Consult("mc-1", "n-8"), w.notices["n-8"]))
    assert w.state.places[0] == before and before.due_since == w.now
    # Nor by one that was taken after the last look and before the repair, and is told only now.
    assert before.looked_at is not None
    late = replace(old, at=before.looked_at, outcome=LookOutcome.REFUSED, fingerprint="")
    w.notice(Observation("n-9", "looked", w.now, looks=(late,)))
    w.tell(StepDone(Consult("mc-1", "n-9"), w.notices["n-9"]))
    assert w.state.places[0].due_since == w.now
    look = next_look(w.state)
    assert look is not None and look.at <= w.now and SLOTS[0] in look.slots


def test_what_was_repaired_is_looked_at_also_where_nobody_has_looked_before() -> None:
    w = world()
    new = replace(SLOTS[1], url="tls://127.40.0.9:443")
    w.notice(Observation("n-1", "slots", w.now, slots=(*SLOTS, new)))
    w.work()
    here = replace(w.state.places[-1], to_repair=True)
    w.state = replace(w.state, places=(*w.state.places[:-1], here))
    w.tell(DueMoments())
    w.answer("repair", "repaired")
    look = next_look(w.state)
    assert look is not None and look.at <= w.now and new in look.slots


def test_repaired_is_believed_when_it_is_seen_and_asked_again_where_it_is_not() -> None:
    w = repair()
    w.answer("repair", "repaired")
    w.work()
    assert w.state.places[0].looked_at == w.now
    w.run_until(w.now + 20 * DAY)
    assert "unseen" in w.asked()


def test_moved_asks_where_to_until_a_new_place_joins() -> None:
    w = moved_to()
    new = replace(SLOTS[1], url="tls://127.40.0.9:443")
    w.served[new] = w.served[SLOTS[1]]
    w.run_until(w.now + 8 * DAY)
    assert w.question("moved-to").level == "security-head"
    w.notice(Observation("n-9", "slots", w.now, slots=(SLOTS[1], new), looks=w.looks((new,))))
    w.work()
    assert w.asked() == []


def test_of_two_that_moved_one_that_joins_answers_for_one() -> None:
    w = world()
    w.dead = set(SLOTS)
    w.discover("n-1")
    w.run_until(START + 8 * DAY)
    w.answer("unseen", "moved")
    first = w.question("moved-to").about
    new = replace(SLOTS[1], url="tls://127.40.0.9:443")
    w.served[new] = w.served[SLOTS[1]]
    w.notice(Observation("n-9", "slots", w.now, slots=(new,), looks=w.looks((new,))))
    w.work()
    assert w.state.moved == (SLOTS[1].url,)
    assert w.question("moved-to").about != first


def test_known_drift_is_known_of_that_certificate_at_that_place_alone() -> None:
    w = ASKING["drift"]()
    assert w.question("drift").about
    first = w.question("drift").about
    w.answer("drift", "known")
    assert "drift" not in w.asked()
    old = next(iter(earlier_at(w.state, next(one for one in w.state.own_places if earlier_at(w.state, one)))))
    w.served = dict.fromkeys(w.served, old)
    w.now += HOUR
    w.discover("n-9")
    w.work()
    assert w.question("drift").about != first, "another place serves it too"


def test_the_answer_of_a_person_is_what_is_recorded() -> None:
    """A question that a state has no more ends by itself; what was answered stands in the record all the same."""
    w = foreign()
    w.answer("foreign-certificate", "known")
    ended = [fact.event for fact in w.happened if isinstance(fact.event, e.QuestionEnded)]
    assert [(one.question, one.answer) for one in ended] == [("foreign-certificate", "known")]


def test_drift_that_was_known_and_went_is_asked_about_when_it_comes_back() -> None:
    w = ASKING["drift"]()
    old, mine = w.served[SLOTS[0]], w.served[SLOTS[1]]
    w.answer("drift", "known")
    w.served[SLOTS[0]] = mine
    w.now += HOUR
    w.discover("n-8")
    w.work()
    w.served[SLOTS[0]] = old
    w.now += HOUR
    w.discover("n-9")
    w.work()
    assert "drift" in w.asked()


def test_tier_and_owner_are_answered_by_the_policy_alone() -> None:
    w = world()
    w.tell_terms(terms(w.tier, w.length, placed=False, owner=""))
    assert {"tier", "owner"} <= set(w.asked())
    assert w.answer("tier", "internal").detail.startswith("invalid")
    w.tell_terms(terms(w.tier, w.length))
    assert w.asked() == []


def test_questions_of_one_kind_are_bounded_and_every_stranger_is_a_finding() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    w.adopt()
    w.work()
    many = tuple(replace(SLOTS[1], url=f"tls://10.0.0.{n}:443") for n in range(30))
    for number, slot in enumerate(many):
        other = life(f"s-{number}", START, 300 * DAY, trust_class=TrustClass.SELF_SIGNED)
        w.certificates[other.fingerprint] = other
        w.served[slot] = other.fingerprint
    w.notice(
        Observation(
            "n-1",
            "slots",
            w.now,
            slots=(*SLOTS, *many),
            looks=w.looks(many),
            candidates=tuple(w.certificates[w.served[slot]] for slot in many),
        )
    )
    w.work()
    assert w.asked().count("foreign-certificate") == 10
    assert w.finding("foreign-certificate")
