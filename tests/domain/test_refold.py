"""Recovery from the store: what was recorded, folded anew, is the state; going on from it doubles nothing.

Longer than 300 lines because the random lives use the stories' own world and deeds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.contracts import CollectOrder, Deploy, EventRecord, LookAgain, Observation, PlaceOrder, RevokeOrder
from domain.errors import BadInput
from domain.lifecycle import events as e
from domain.lifecycle import old_events
from domain.lifecycle.commands import NoticeArrived, RecordForked, Redeemed, Reserve, Step, StepBroke
from domain.lifecycle.decoding import KINDS, happened_of
from domain.lifecycle.refold import refold
from domain.lifecycle.state import LifecycleState, Stage
from domain.people.messages import Answer, RenewNow, Resume, Retire
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, broken, life, stored, terms

DAY = timedelta(days=1)


def folded(world: World) -> LifecycleState:
    """Through the form in which the store keeps events."""
    return refold(world.state.managed_id, [happened_of(stored(fact)) for fact in world.happened])


def live(world: World) -> LifecycleState:
    """``roll`` is of a run: the next one begins without it, and no event says so."""
    return replace(world.state, roll=False)


def mid_case(tier: Tier = Tier.INTERNAL) -> World:
    """A certificate is issued, and its target does not answer."""
    world = World(tier=tier, age=310 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    world.adopt()
    world.run_until(world.now + timedelta(minutes=1))
    assert world.state.case is not None
    assert world.state.case.stage is Stage.UNREACHABLE_TARGET
    return world


def lived() -> World:
    """Two generations on, in the third, with an open case whose target does not answer."""
    world = World(tier=Tier.INTERNAL)
    world.adopt()
    world.run_until(world.now + 620 * DAY)
    assert world.state.generation == 3
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    world.run_until(world.now + 300 * DAY)
    assert world.state.case is not None
    assert world.state.case.order_open
    return world


def act(world: World) -> None:
    world.run_until(world.now + timedelta(seconds=10))


# --- a lifecycle that was ended by other means than ours ------------------------------------------------------------


def test_an_ended_lifecycle_is_whole_again_with_its_next_notice_and_asks_nobody() -> None:
    world = lived()
    before, orders = world.state, dict(world.orders)
    slots = before.slots
    world.end_by_hand()
    world.notice(Observation("n-late", "slots", world.now, slots=slots))
    assert world.state.life is None
    act(world)
    after = world.state
    assert after.generation == before.generation
    assert (after.life, after.terms, after.case_count) == (before.life, before.terms, before.case_count)
    assert after.case is not None
    assert before.case is not None
    assert (after.case.number, after.case.order_number) == (before.case.number, before.case.order_number)
    assert "n-late" in after.read
    assert not after.forked
    assert "forked" not in world.kinds()
    assert [question.kind for question in after.questions] == [question.kind for question in before.questions]
    assert world.orders == orders
    assert folded(world) == live(world)


def test_an_ended_lifecycle_goes_on_to_its_next_generation_without_a_second_order() -> None:
    world = lived()
    world.end_by_hand()
    world.fail = lambda step: None
    world.notice(Observation("n-late", "terms", world.now, terms=terms(Tier.INTERNAL, world.length)))
    world.run_until(world.now + 2 * DAY)
    assert world.state.generation == 4
    assert sorted(world.orders) == ["mc-1.1.1.1", "mc-1.2.1.1", "mc-1.3.1.1"]
    assert "order_revoked" not in world.kinds()


def test_the_numbers_of_what_is_recorded_go_on_behind_the_last() -> None:
    world = lived()
    head = len(world.happened) - 1
    world.end_by_hand()
    world.notice(Observation("n-late", "looked", world.now))
    act(world)
    recalled = next(fact for fact in world.happened if isinstance(fact.event, e.StateRecalled))
    assert recalled.seq == head + 1
    assert recalled.event == e.StateRecalled(head, "ended")
    assert recalled.by == "everleaf"
    assert [fact.seq for fact in world.happened] == list(range(len(world.happened)))
    assert "recall_asked" not in world.kinds()


def test_a_record_that_is_answered_forked_recalls_before_any_notice_could_be_read() -> None:
    world = lived()
    generation = world.state.generation
    world.end_by_hand()
    # Its first notice cannot be looked up; that alone is recorded, under a number that the store has.
    world.tell(NoticeArrived("n-unknown"))
    assert world.state.recall is not None
    world.notices["n-unknown"] = Observation("n-unknown", "looked", world.now)
    act(world)
    assert world.state.generation == generation
    assert not world.state.forked


def test_what_was_not_recorded_is_done_again_and_found_by_its_key() -> None:
    world = World(tier=Tier.INTERNAL, age=304 * DAY + timedelta(hours=23))
    world.adopt()
    world.run_until(world.now + timedelta(minutes=1))
    world.store_is_away = True
    world.fail = lambda step: broken(step) if isinstance(step, LookAgain) else None
    world.run_until(world.now + 2 * DAY)
    assert list(world.orders) == ["mc-1.1.1.1"]
    served = set(world.served.values())
    world.end_by_hand()
    world.store_is_away = False
    world.fail = lambda step: None
    world.notice(Observation("n-late", "terms", world.now, terms=terms(Tier.INTERNAL, world.length)))
    world.run_until(world.now + DAY)
    assert world.state.generation == 2
    assert list(world.orders) == ["mc-1.1.1.1"]
    assert set(world.served.values()) == served
    assert "order_revoked" not in world.kinds()


def test_a_retired_lifecycle_that_is_begun_again_stays_retired() -> None:
    world = mid_case()
    world.send(Retire(world.code(), "decommissioned"))
    world.work()
    world.end_by_hand()
    world.notice(Observation("n-late", "looked", world.now))
    act(world)
    assert world.state.retired
    assert world.state.is_over
    assert world.count("order_revoked") == 1


def test_a_notice_about_nothing_that_was_ever_recorded_is_read_once_and_says_nothing() -> None:
    world = World()
    world.notice(Observation("n-late", "looked", world.now))
    act(world)
    assert world.state.life is None
    assert world.state.read == ("n-late",)
    assert world.steps <= 4
    world.adopt()
    act(world)
    assert world.state.life is not None


def test_a_store_that_is_away_is_asked_again() -> None:
    world = lived()
    world.end_by_hand()
    world.fail = lambda step: broken(step) if type(step).__name__ == "Recall" else None
    world.notice(Observation("n-late", "terms", world.now, terms=terms(Tier.INTERNAL, world.length)))
    world.run_until(world.now + timedelta(minutes=20))
    assert world.state.life is None
    world.fail = lambda step: None
    world.run_until(world.now + timedelta(minutes=6))
    assert world.state.generation >= 3


# --- a fork ---------------------------------------------------------------------------------------------------------


def reset_mid_case(tier: Tier = Tier.INTERNAL) -> World:
    """Reset to before its order was made; the CA does not answer this time, so events differ."""
    world = mid_case(tier)
    world.reset_to(world.first("order_accepted").seq + 1)
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    world.now += timedelta(minutes=1)
    act(world)
    assert world.state.forked
    return world


def test_a_fork_waits_for_a_person_and_does_nothing_meanwhile() -> None:
    world = reset_mid_case()
    world.fail = lambda step: None
    steps = world.steps
    world.run_until(world.now + 5 * DAY)
    assert world.state.forked
    assert world.steps == steps
    assert any(question.kind == "forked" for question in world.state.questions)


def test_a_fork_ends_no_question_about_what_is_served() -> None:
    """Nothing was seen again: the branch that knew of it is about to be given up."""
    world = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    world.adopt()
    world.work()
    world.dead = {SLOTS[0]}
    world.discover("n-1")
    world.run_until(START + 8 * DAY)
    assert world.asked() == ["unseen"]
    world.tell(RecordForked(len(world.happened) - 1))
    assert set(world.asked()) == {"unseen", "forked"}
    assert world.count("question_ended") == 0


@pytest.mark.parametrize("how", ["resume", "answer"])
def test_a_resumed_fork_takes_the_state_of_the_store_and_says_by_whom(how: str) -> None:
    world = reset_mid_case()
    head = next(fact.event.head for fact in world.happened if isinstance(fact.event, e.Forked))
    truth = refold("mc-1", world.happened[: head + 1])
    code = world.code()
    about = world.question("forked").about
    message = Resume(code) if how == "resume" else Answer(code, "forked", "resume", about=about)
    assert world.send(message, "person/ops").outcome == "accepted"
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    world.work()
    recalled = world.first("state_recalled")
    assert recalled.by == "person/ops"
    assert recalled.event == e.StateRecalled(recalled.seq - 1, "forked")
    assert world.state.case is not None
    assert truth.case is not None
    assert world.state.case.issued == truth.case.issued
    assert not world.state.questions
    assert folded(world) == live(world)
    world.fail = lambda step: None
    world.run_until(world.now + DAY)
    assert world.state.generation == 2
    assert list(world.orders) == ["mc-1.1.1.1"]
    assert world.count("state_recalled") == 1


def test_an_order_that_the_reset_run_made_meanwhile_is_found_by_its_key() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    world.adopt()
    world.work()
    world.send(world.decision("reject"))
    world.reset_to(world.first("rejected").seq - 3)
    world.store_is_away = True
    world.fail = lambda step: broken(step) if isinstance(step, LookAgain) else None
    world.send(world.decision("approve"))
    act(world)
    assert len(world.orders) == 1
    world.store_is_away = False
    world.fail = lambda step: None
    world.run_until(world.now + timedelta(hours=1))
    assert world.state.forked
    world.send(Resume(world.code()))
    act(world)
    # The store says that it was rejected, and asks again in its time.
    assert world.state.case is not None
    assert world.state.case.approved_by == ""
    world.run_until(world.now + 10 * DAY)
    world.send(world.decision("approve"))
    world.run_until(world.now + 1 * DAY)
    assert world.state.generation == 2
    assert list(world.orders) == ["mc-1.1.1.1"]
    assert "order_revoked" not in world.kinds()


def test_a_reset_to_an_earlier_generation_comes_back_in_the_present_one() -> None:
    world = lived()
    orders = dict(world.orders)
    world.reset_to(world.first("verification_looked").seq - 1)
    act(world)
    assert world.state.forked
    assert world.state.generation == 1
    world.send(Resume(world.code()))
    act(world)
    assert world.state.generation == 3
    assert world.orders == orders
    world.fail = lambda step: None
    world.run_until(world.now + 40 * DAY)
    assert world.state.generation == 4
    assert "order_revoked" not in world.kinds()


def test_rungs_of_the_branch_that_ends_do_not_silence_the_ladder() -> None:
    world = lived()
    world.reset_to(world.first("verification_looked").seq - 1)
    act(world)
    world.run_until(world.now + DAY)
    assert world.state.climbs
    world.send(Resume(world.code()))
    world.work()
    assert not world.state.climbs
    before = world.count("rung_fired")
    assert world.state.life is not None
    world.run_until(world.state.life.ends_at)
    assert world.count("rung_fired") > before
    assert [climb.to for climb in world.state.climbs] == ["security-head"]


def test_nothing_but_a_resumption_or_an_acknowledgement_is_taken_while_forked() -> None:
    world = reset_mid_case()
    assert world.send(Retire(world.code(), "decommissioned")).outcome == "refused"
    assert world.send(RenewNow(world.code())).outcome == "refused"
    until = world.now + DAY
    world.run_until(world.state.life.ends_at if world.state.life else world.now)
    assert world.acknowledge("security-head", max(until, world.now + DAY)).outcome == "accepted"


def test_a_message_that_was_reserved_before_the_fork_was_known_is_refused() -> None:
    world = mid_case()
    world.reset_to(world.first("order_accepted").seq + 1)
    world.store_is_away = True
    retire = Retire(world.code(), "decommissioned")
    assert world.tell(Reserve(retire)).outcome == "accepted"
    world.store_is_away = False
    world.record()
    assert world.state.forked
    assert world.tell(Redeemed(retire, "person/head")).outcome == "refused"
    assert not world.state.retired


def test_notices_that_the_reset_run_heard_are_not_lost() -> None:
    world = mid_case()
    changed = terms(Tier.INTERNAL, world.length, service="other")
    world.reset_to(world.first("order_accepted").seq + 1)
    world.store_is_away = True
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    world.notice(Observation("n-new", "terms", world.now, terms=changed))
    act(world)
    assert "n-new" in world.state.read
    world.store_is_away = False
    world.run_until(world.now + timedelta(hours=1))
    assert world.state.forked
    world.notice(Observation("n-newer", "slots", world.now, slots=tuple(world.served)))
    world.send(Resume(world.code()))
    act(world)
    assert world.state.terms == changed
    assert "n-newer" in world.state.read


# --- random lives ---------------------------------------------------------------------------------------------------

DEEDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["time", "break", "mend", "approve", "reject", "notice", "away", "back", "end", "reset", "resume"]
        ),
        st.integers(0, 1000),
    ),
    min_size=5,
    max_size=40,
)
PLACED = {"n": PlaceOrder, "c": CollectOrder, "d": Deploy, "l": LookAgain}


class Trial:
    """A random life with ends and resets by hand in it."""

    def __init__(self, tier: Tier, length: timedelta, share: int) -> None:
        self.world = World(tier=tier, length=length, age=length * share // 1000)
        self.down: set[type] = set()
        self.revoked: list[str] = []
        self.notices = 0
        self.world.fail = self.fail
        self.world.adopt()
        self.world.run_until(self.world.now)

    def fail(self, step: Step) -> StepBroke | None:
        if isinstance(step, RevokeOrder):
            self.revoked.append(step.order_key)
        return broken(step) if type(step) in self.down else None

    def do(self, deed: str, share: int) -> None:
        world = self.world
        match deed:
            case "time":
                world.run_until(world.now + min(world.length * share // 3000, 40 * DAY))
            case "break":
                self.down.add(list(PLACED.values())[share % len(PLACED)])
            case "mend":
                self.down.clear()
            case "approve" | "reject" if world.state.case is not None and world.state.case.plan is not None:
                world.send(world.decision(deed))
            case "away":
                world.store_is_away = True
            case "back":
                world.store_is_away = False
                world.record()
            case "end":
                world.end_by_hand()
                self.notice()
            case "notice":
                self.notice()
            case "reset" if len(world.happened) > 10:
                world.reset_to(8 + share * (len(world.happened) - 8) // 1001)
            case "resume":
                world.send(Resume(world.code()))
        world.run_until(world.now + timedelta(seconds=1))

    def notice(self) -> None:
        self.notices += 1
        name, world = f"t-{self.notices}", self.world
        world.notice(Observation(name, "looked", world.now, looks=world.looks(tuple(world.served))))


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    tier=st.sampled_from(list(Tier)),
    length=st.sampled_from([timedelta(minutes=30), 47 * DAY, 365 * DAY]),
    share=st.integers(0, 1100),
    deeds=DEEDS,
)
def test_for_random_lives_with_ends_and_resets_the_fold_is_the_state(
    tier: Tier, length: timedelta, share: int, deeds: list[tuple[str, int]]
) -> None:
    trial = Trial(tier, length, share)
    world = trial.world
    for deed, share in deeds:
        trial.do(deed, share)
    for deed in ("mend", "back", "end", "resume"):
        trial.do(deed, 0)
    world.run_until(world.now + timedelta(hours=7))
    if world.state.forked:
        trial.do("resume", 0)
        world.run_until(world.now + timedelta(minutes=1))
    assert world.state.life is not None
    assert not world.state.forked
    assert world.state.recall is None
    assert not world.outbox
    assert folded(world) == live(world)
    # Whatever was issued came under a key of its own, and none that became a generation was ever revoked.
    assert len(set(world.orders.values())) == len(world.orders)
    lives = {fact.event.life.fingerprint for fact in world.happened if isinstance(fact.event, e.GenerationBegan)}
    assert not lives & {world.orders[key] for key in trial.revoked if key in world.orders}


# --- the stored form ------------------------------------------------------------------------------------------------


def test_every_kind_of_event_can_be_read_back() -> None:
    known = {**vars(e), **vars(old_events)}
    told = {value for value in known.values() if isinstance(value, type) and issubclass(value, e.Event)}
    assert set(KINDS.values()) == told - {e.Event}


def test_an_event_that_this_release_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="of_tomorrow"):
        happened_of(EventRecord(0, "of_tomorrow", World().now, "", 1, 0, "everleaf"))
    with pytest.raises(BadInput, match=r"resumed\.mood"):
        happened_of(EventRecord(0, "resumed", World().now, "", 1, 0, "everleaf", {"mood": "good"}))


def test_a_missing_event_is_noticed() -> None:
    world = mid_case()
    with pytest.raises(BadInput, match="missing"):
        refold("mc-1", world.happened[:5] + world.happened[6:])


def test_a_life_by_hand_and_one_that_is_foreign_are_read_back_too() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=290 * DAY)
    world.adopt()
    world.work()
    world.replace_by_hand(life("by hand", world.now, 365 * DAY), "n-1")
    world.run_until(world.now + DAY)
    assert world.state.last_outcome == "superseded"
    assert folded(world) == live(world)
