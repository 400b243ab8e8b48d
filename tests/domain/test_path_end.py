"""E is the earliest end on the path as it is served: the ladder hears when a chain changes under the same leaf."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.contracts import CollectOrder, Observation, SlotLook
from domain.lifecycle.served import present
from domain.lifecycle.standing import own_findings, severity
from domain.lifecycle.state import Stage
from domain.lifecycle.view import is_escalated, snapshot
from domain.people.messages import RenewNow
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, broken, life, plan, terms

DAY = timedelta(days=1)


def world(tier: Tier = Tier.CUSTOMER_FACING, length: timedelta = 365 * DAY, age: timedelta = 100 * DAY) -> World:
    made = World(tier=tier, length=length, age=age)
    made.adopt()
    made.work()
    return made


def serve(w: World, notice: str, *ends: timedelta | None, gaps: bool = False) -> None:
    """What ends first on the path of each endpoint, from now; None: the leaf itself."""
    w.paths = {slot: w.now + left for slot, left in zip(SLOTS, ends, strict=False) if left is not None}
    w.gaps = set(SLOTS) if gaps else set()
    w.discover(notice)
    w.work()


def end(w: World) -> datetime:
    return present(w.state).ends_at


def stage(w: World) -> Stage | None:
    return w.state.case.stage if w.state.case is not None else None


def fired(w: World) -> list[datetime]:
    return [fact.at for fact in w.happened if fact.event.kind == "rung_fired"]


def test_a_chain_that_ends_sooner_alarms_at_once() -> None:
    w = world()
    w.run_until(START + DAY)
    assert fired(w) == []
    serve(w, "n-1", 2 * DAY, 2 * DAY)
    assert end(w) == START + 3 * DAY
    assert fired(w) == [START + DAY]
    assert is_escalated(w.state)
    assert severity(w.state, w.now) == "critical"
    row = snapshot(w.state, w.now)
    assert row is not None
    assert row.not_after == START + 3 * DAY


def test_an_expired_intermediate_is_critical_and_opens_a_case() -> None:
    w = world()
    serve(w, "n-1", -2 * DAY, -2 * DAY)
    assert severity(w.state, w.now) == "critical"
    assert w.state.case is not None
    assert w.state.case.cause == "expired"
    assert is_escalated(w.state)


def test_the_earliest_of_several_endpoints_counts() -> None:
    w = world()
    serve(w, "n-1", 50 * DAY, 20 * DAY)
    assert end(w) == START + 20 * DAY


def test_a_chain_that_is_gone_lowers_no_alarm_and_one_that_is_mended_does() -> None:
    w = world()
    serve(w, "n-1", 2 * DAY, 2 * DAY)
    serve(w, "n-2", gaps=True)
    assert end(w) == START + 2 * DAY
    assert w.finding("broken-chain")
    serve(w, "n-3", None, 2 * DAY)
    assert end(w) == START + 2 * DAY
    assert w.finding("broken-chain") is None
    serve(w, "n-4")
    assert end(w) == START + 265 * DAY
    assert not is_escalated(w.state)
    assert severity(w.state, w.now) == "minor"  # its case is open, and asks
    w.run_until(START + 240 * DAY)
    assert START + 235 * DAY in fired(w)


def test_an_endpoint_that_falls_silent_mends_nothing_until_a_person_answers_for_it() -> None:
    w = world()
    serve(w, "n-1", 100 * DAY, None)
    w.dead = {SLOTS[0]}
    serve(w, "n-2")
    assert end(w) == START + 100 * DAY
    w.run_until(START + 20 * DAY)
    assert w.finding("unseen")
    assert end(w) == START + 100 * DAY
    assert w.answer("unseen", "retired").outcome == "accepted"
    assert end(w) == START + 265 * DAY


def test_a_later_end_is_believed_only_where_every_place_shows_it_whole() -> None:
    """Adopted behind an intermediate that ends in 100 days; one place is mended, the other serves a stranger."""
    w = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    leaf = life("first", START - 100 * DAY, 365 * DAY)
    w.adopt_this(replace(leaf, ends_at=START + 100 * DAY))
    w.work()
    w.certificates[leaf.fingerprint] = leaf
    other = life("other", START - DAY, 300 * DAY)
    w.certificates[other.fingerprint] = other
    w.served[SLOTS[1]] = other.fingerprint
    w.discover("n-1")
    w.work()
    assert end(w) == START + 100 * DAY
    w.served[SLOTS[1]] = leaf.fingerprint
    w.discover("n-2")
    w.work()
    assert end(w) == START + 265 * DAY


def test_an_endpoint_that_is_seen_again_counts_as_it_is_seen() -> None:
    w = world()
    serve(w, "n-1", 100 * DAY, None)
    w.dead = {SLOTS[0]}
    serve(w, "n-2")
    w.run_until(START + 20 * DAY)
    w.dead.clear()
    serve(w, "n-3")
    assert end(w) == START + 265 * DAY
    assert w.finding("unseen") is None
    assert "unseen" not in w.asked()


def test_the_same_discovery_twice_tells_nothing_twice() -> None:
    w = world()
    serve(w, "n-1", 2 * DAY, 2 * DAY)
    w.discover("n-2")
    w.work()
    assert len(fired(w)) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_looks_in_any_order_come_to_the_same(order: tuple[int, int]) -> None:
    w = world()
    told = []
    for hours, left in ((1, 2 * DAY), (2, 30 * DAY)):
        w.now = START + timedelta(hours=hours)
        w.paths = dict.fromkeys(SLOTS, w.now + left)
        told.append(Observation(f"n-{hours}", "looked", w.now, looks=w.looks(SLOTS)))
    for number in order:
        w.notice(told[number])
        w.work()
    assert end(w) == START + 30 * DAY + timedelta(hours=2)


def test_a_release_that_told_no_end_moves_none() -> None:
    w = world()
    looks = tuple(SlotLook(look.slot, look.at, look.outcome, look.fingerprint) for look in w.looks(SLOTS))
    w.notice(Observation("n-1", "looked", w.now, looks=looks))
    w.work()
    assert end(w) == START + 265 * DAY
    serve(w, "n-2", 2 * DAY, 2 * DAY)
    w.paths.clear()
    w.notice(Observation("n-3", "looked", w.now, looks=looks))
    w.work()
    assert end(w) == START + 2 * DAY


def test_what_is_ordered_goes_on_with_the_end_it_was_weighed_against() -> None:
    w = world(Tier.INTERNAL, length=90 * DAY, age=10 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    serve(w, "n-1", 2 * DAY, 2 * DAY)
    assert w.state.case is not None
    assert w.state.case.order_open
    serve(w, "n-2")
    assert end(w) == START + 80 * DAY
    w.fail = lambda step: None
    w.run_until(START + DAY)
    assert (w.state.generation, len(w.orders), w.count("order_closed")) == (2, 1, 0)


def test_a_held_order_follows_an_end_that_comes_nearer() -> None:
    w = world(length=365 * DAY, age=280 * DAY)
    w.send(w.decision("hold"))
    case = w.state.case
    assert case is not None
    assert (case.stage, case.retry_at) == (Stage.HELD, START + 25 * DAY)
    serve(w, "n-1", 2 * DAY, 2 * DAY)
    assert (w.state.generation, len(w.orders)) == (1, 1)
    w.paths.clear()
    w.run_until(w.now + DAY)
    assert (w.state.generation, len(w.orders)) == (2, 1)


def test_a_new_one_behind_a_path_on_which_it_gains_nothing_is_not_verified_and_ordered_no_second_time() -> None:
    w = world(Tier.INTERNAL, length=90 * DAY, age=85 * DAY)
    generation = w.state.generation
    serve(w, "n-1", -DAY, -DAY)
    w.run_until(w.now + 3 * DAY)
    assert w.state.generation == generation
    assert len(w.orders) <= 1 + generation
    assert "behind a certificate of its own that ends too early" in str(own_findings(w.state, w.now))
    w.paths.clear()
    w.run_until(w.now + DAY)
    assert w.state.generation == generation + 1


def test_what_was_asked_for_under_a_shorter_end_is_not_ordered_in_vain() -> None:
    w = world(length=365 * DAY, age=1 * DAY)
    shorter = terms(Tier.CUSTOMER_FACING, w.length, plan=plan(180 * DAY, "half"))
    w.notice(Observation("n-0a", "terms", w.now, terms=shorter))
    serve(w, "n-1", 170 * DAY, 170 * DAY)
    w.send(RenewNow(w.code()), "person/a")
    assert stage(w) is Stage.AWAITING_APPROVAL
    serve(w, "n-2")
    assert stage(w) is Stage.UNROUTABLE
    serve(w, "n-3", 170 * DAY, 170 * DAY)
    assert stage(w) is Stage.AWAITING_APPROVAL
