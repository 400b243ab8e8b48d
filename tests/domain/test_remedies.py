"""Each answer is given to the state that makes its question: it repairs, or its receipt says that it does not.

Longer than 300 lines because the whole table stands together.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from domain.certificate import TrustClass
from domain.contracts import Deploy, Observation
from domain.lifecycle.commands import DeliveryReported, RecordRefused, RecordTaken
from domain.lifecycle.remedies import ON_YOUR_WORD, SAID
from domain.people.messages import ANSWERS, Receipt, Resume
from domain.tiers import Tier
from tests.domain import test_answers
from tests.domain.simulation import SLOTS, World, broken, life, terms

DAY = timedelta(days=1)
MISSED = "event 7 came, 5 is missing; nothing was written."


@dataclass(frozen=True)
class After:
    """What is true once an answer was given, with its cause as it was.

    ``says``: of the receipt.  ``asked``: kinds that are asked at once.  ``comes_again``: the question that is asked
    within a month where nobody has mended anything; ``holds``: whatever else is true then.
    """

    says: str
    asked: tuple[str, ...] = ()
    comes_again: str = ""
    holds: Callable[[World], bool] = lambda world: True


def gives_up_the_first(world: World) -> bool:
    return SLOTS[0] not in world.state.slots and all(place.slot != SLOTS[0] for place in world.state.places)


def is_taken_over(world: World) -> bool:
    assert world.state.life is not None
    return world.state.life.serial == "other"


def refused_again(world: World) -> bool:
    """The store refuses it once more, as long as nobody has mended it: the lane of the run hears it within a step."""
    world.tell(RecordRefused("the store does not take it"))
    return world.asked() == ["forked"]


def lost_again(world: World) -> bool:
    world.tell(DeliveryReported("m-2", "undeliverable", "p-owner"))
    return world.asked() == ["undeliverable"]


AFTER: dict[tuple[str, str], After] = {
    ("unseen", "retired"): After("given up", holds=gives_up_the_first),
    ("unseen", "moved"): After("now moved-to is asked", ("moved-to",), "moved-to", gives_up_the_first),
    ("unseen", "broken"): After("now repair is asked", ("repair",), "repair"),
    ("taken", "retired"): After("given up", holds=gives_up_the_first),
    ("taken", "moved"): After("now moved-to is asked", ("moved-to",), "moved-to", gives_up_the_first),
    ("moved-to", "nowhere"): After("looked for no more", holds=lambda world: not world.state.moved),
    ("repair", "repaired"): After("looked at now; where they show nothing still, this is asked again", (), "unseen"),
    ("repair", "retired"): After("given up", holds=gives_up_the_first),
    ("different", "take"): After("once two looks have seen it", holds=is_taken_over),
    ("different", "keep"): After("a finding while it is served", holds=lambda world: not world.blocked_by),
    ("foreign-certificate", "known"): After(
        "stays a finding", holds=lambda world: bool(world.finding("foreign-certificate"))
    ),
    ("drift", "known"): After("stays a finding", holds=lambda world: bool(world.finding("drift"))),
    ("revocation", "revoked"): After(f"{ON_YOUR_WORD}: nobody has asked its CA", holds=lambda w: w.state.is_over),
    ("forked", "gap"): After("stays a gap for ever", holds=lambda world: not world.state.record_refused),
    ("forked", "resume"): After("refused again, it is asked again", holds=refused_again),
    ("undeliverable", "mended"): After("this is asked again", holds=lost_again),
}
PAIRS = [(kind, answer) for kind, answers in ANSWERS.items() for answer in answers]


def test_every_pair_of_the_product_has_its_row_and_its_words() -> None:
    assert set(AFTER) == set(PAIRS) == set(SAID)
    assert set(test_answers.ASKING) == set(ANSWERS)


@pytest.mark.parametrize(("kind", "answer"), PAIRS)
def test_an_answer_repairs_or_its_receipt_says_that_it_did_not(kind: str, answer: str) -> None:
    world, after = test_answers.ASKING[kind](), AFTER[(kind, answer)]
    receipt = world.answer(kind, answer)
    assert receipt.outcome == "accepted"
    assert after.says in receipt.detail
    assert set(after.asked) <= set(world.asked())
    assert kind not in world.asked()
    world.run_until(world.now + 30 * DAY)
    assert after.holds(world)
    if after.comes_again:
        assert world.question(after.comes_again).level == "security-head", "nothing was mended: it is asked, and climbs"


# --- the cause is mended: nobody is asked any more ------------------------------------------------------------------


@pytest.mark.parametrize("first", ["broken", "moved"])
def test_a_place_that_is_back_is_asked_about_no_more(first: str) -> None:
    world = test_answers.ASKING["unseen"]()
    world.answer("unseen", first)
    if first == "broken":
        world.dead.clear()
        assert world.answer("repair", "repaired").outcome == "accepted"
    else:
        new = replace(SLOTS[1], url="tls://127.40.0.9:443")
        world.served[new] = world.served[SLOTS[1]]
        slots = (*world.state.slots, new)
        world.notice(Observation("n-9", "slots", world.now, slots=slots, looks=world.looks((new,))))
    world.run_until(world.now + 20 * DAY)
    assert world.asked() == []


def test_what_the_store_takes_in_the_end_is_asked_about_no_more_without_anybody() -> None:
    world = test_answers.ASKING["forked"]()
    world.tell(RecordTaken())
    assert world.asked() == []
    assert world.state.record_refused == ""


def test_what_the_store_says_now_stands_in_the_question_that_is_open() -> None:
    world = test_answers.ASKING["forked"]()
    before = world.question("forked")
    world.tell(RecordRefused(MISSED))
    assert world.question("forked").detail == MISSED
    assert world.question("forked").about == before.about, "an answer that was begun still holds"
    assert MISSED in world.answer("forked", "resume").detail


# --- forks ----------------------------------------------------------------------------------------------------------


def reset() -> World:
    """Reset by hand to an instant of the past, and on since then."""
    world = test_answers.world(age=280 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    stood = len(world.happened)
    world.send(world.decision())
    world.work()
    world.reset_to(stood)
    world.run_until(world.now + 60 * DAY)
    assert world.state.forked
    return world


def test_a_fork_that_is_resumed_goes_on_as_the_store_says_and_asks_no_more() -> None:
    world = reset()
    said = world.answer("forked", "resume")
    assert said.detail.startswith("resumed: it goes on as the store says once")
    world.work()
    assert not world.state.forked
    assert "forked" not in world.asked()


def test_a_fork_whose_store_is_behind_stays_asked_and_its_receipt_says_so() -> None:
    """The reconciler makes events again that a store lacks; until it has, nothing is promised."""
    world = reset()
    world.store_is_away = True
    world.tell(RecordRefused(MISSED))
    said = world.answer("forked", "resume")
    assert "until then this stays asked" in said.detail
    assert MISSED in said.detail
    world.work()
    assert world.question("forked").detail == MISSED
    world.store_is_away = False
    world.record()
    world.work()
    assert "forked" not in world.asked()
    assert not world.state.forked


# --- resuming a case ------------------------------------------------------------------------------------------------


def resumed(world: World) -> Receipt:
    return world.send(Resume(world.code()))


def test_resuming_what_waits_for_an_approval_says_that_there_is_nothing_to_try() -> None:
    world = test_answers.world(age=280 * DAY)
    assert "waits for an approval" in resumed(world).detail


def test_resuming_what_nothing_can_renew_says_so_and_tries() -> None:
    world = test_answers.world(age=280 * DAY)
    world.tell_terms(terms(world.tier, world.length, plan=None, unroutable="no issuer of its trust class"))
    assert resumed(world).detail == "tried, and nothing can renew it still: no issuer of its trust class"


def test_resuming_what_another_certificate_blocks_says_what_is_in_the_way() -> None:
    world = test_answers.world(age=280 * DAY)
    world.replace_by_hand(life("other", world.now, 365 * DAY, names=("pay.example.in",)), "n-1")
    world.work()
    assert "its names have changed" in resumed(world).detail


def test_resuming_what_the_store_refused_is_heard_also_without_a_case() -> None:
    world = test_answers.ASKING["forked"]()
    assert world.state.case is None
    assert "offered to the store once more" in resumed(world).detail
    assert world.asked() == []
    old = World(tier=Tier.CUSTOMER_FACING, age=200 * DAY, rules="0.2")
    old.adopt()
    old.work()
    old.tell(RecordRefused(MISSED))
    assert resumed(old).detail == "invalid: nothing waits"


# --- who was not reached --------------------------------------------------------------------------------------------


def test_who_missed_a_question_hears_it_again_once_that_is_mended() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    world.adopt()
    world.work()
    other = life("foreign", world.now, 365 * DAY, trust_class=TrustClass.SELF_SIGNED)
    world.replace_by_hand(other, "n-1")
    world.work()
    world.tell(DeliveryReported("m-1", "undeliverable", "p-owner"))
    world.tell(DeliveryReported("m-2", "undeliverable", "p-head"))
    world.work()
    asked, approvals = world.count("question_asked"), world.count("approval_asked")
    assert world.answer("undeliverable", "mended").outcome == "accepted"
    told = {(message.person, message.topic) for message in world.state.untold}
    assert told == {("p-owner", "question"), ("p-head", "ask")}
    assert world.count("question_asked") == asked + 1
    assert world.count("approval_asked") == approvals + 1


# --- under the rules of before --------------------------------------------------------------------------------------


def test_lives_under_the_older_rules_answer_as_they_did() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=200 * DAY, rules="0.2")
    world.adopt()
    world.work()
    world.tell(RecordRefused(MISSED))
    world.tell(RecordRefused("something else"))
    assert world.question("forked").detail == MISSED
    assert world.answer("forked", "resume").detail == "resumed"
    world.tell(DeliveryReported("m-1", "undeliverable", "p-owner"))
    assert world.answer("undeliverable", "mended").detail == "answered"
