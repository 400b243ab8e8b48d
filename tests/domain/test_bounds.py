"""Each bound holds at its edge: one step before it nothing happens, at it something does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.certificate import Slot, TrustClass
from domain.contracts import Deploy
from domain.lifecycle import events as e
from domain.lifecycle.commands import DueMoments
from domain.lifecycle.ladder import retry_window, scaled
from domain.lifecycle.served import present, unseen
from domain.lifecycle.state import Place
from domain.lifecycle.succession import candidates
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, broken, life

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def world() -> World:
    made = World(tier=Tier.CUSTOMER_FACING, age=100 * DAY)
    made.adopt()
    made.work()
    return made


@pytest.mark.parametrize(("looks", "short", "is_unseen"), [(2, False, False), (3, False, True), (3, True, False)])
def test_a_place_is_unseen_after_three_looks_over_a_week(looks: int, short: bool, is_unseen: bool) -> None:
    w = world()
    week = scaled(w.state.led_by.silent_for, present(w.state).length)
    since = w.now - week + (TICK if short else timedelta())
    silent = replace(w.state.places[0], silent=looks, silent_since=since)
    found = unseen(replace(w.state, places=(silent, *w.state.places[1:])), w.now)
    assert bool(found) == is_unseen


@pytest.mark.parametrize(("looks", "is_gone"), [(1, False), (2, True)])
def test_a_file_is_gone_after_two_looks(looks: int, is_gone: bool) -> None:
    w = world()
    file = Place(Slot("file://host/a.pem", "ecdsa"), silent=looks, silent_since=w.now)
    assert bool(unseen(replace(w.state, places=(*w.state.places, file)), w.now)) == is_gone


@pytest.mark.parametrize(("good", "short", "is_twice"), [(1, False, False), (2, False, True), (2, True, False)])
def test_a_successor_was_good_in_two_looks_an_hour_apart(good: int, short: bool, is_twice: bool) -> None:
    w = world()
    new = life("new", w.now, 365 * DAY, trust_class=TrustClass.PRIVATE)
    w.replace_by_hand(new, "n-1")
    w.work()
    hour = scaled(w.state.led_by.second_look, present(w.state).length)
    last = w.now + hour - (TICK if short else timedelta())
    places = tuple(
        replace(place, lives=tuple(replace(one, good=good, good_since=w.now, last=last) for one in place.lives))
        for place in w.state.places
    )
    [candidate] = candidates(replace(w.state, places=places), last)
    assert candidate.is_looked_at_twice == is_twice


def test_the_owner_is_called_at_the_failure_that_spends_the_budget() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.run_until(START + DAY / 4)
    spent = next(fact.event for fact in w.happened if isinstance(fact.event, e.BudgetSpent))
    assert w.state.terms is not None
    assert spent.failures == w.state.terms.table.retry_failures


def test_the_owner_is_called_when_the_retry_window_ends_though_few_tries_were_made() -> None:
    """A part that is asked seldom spends no budget of tries, and the failure still stands."""
    w = World(tier=Tier.INTERNAL, age=306 * DAY)
    w.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    w.adopt()
    w.work()
    case, terms = w.state.case, w.state.terms
    assert case is not None and terms is not None and case.first_failed_at is not None
    assert case.failures < terms.table.retry_failures
    window = retry_window(present(w.state), terms.table)
    w.state = replace(w.state, case=replace(case, retry_at=w.now + 9 * DAY))
    w.now = case.first_failed_at + window - TICK
    w.tell(DueMoments())
    assert w.count("owner_called") == 0
    w.now += TICK
    w.tell(DueMoments())
    assert w.count("owner_called") == 1


def test_an_approval_ends_at_its_instant() -> None:
    w = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    w.adopt()
    w.work()
    w.send(replace(w.decision("hold"), until=START + 10 * DAY))
    case = w.state.case
    assert case is not None and case.approval_ends_at is not None
    # Before its own date, as if something else had held it up.
    ends = START + 5 * DAY
    w.state = replace(w.state, case=replace(case, approval_ends_at=ends))
    w.now = ends - TICK
    w.tell(DueMoments())
    assert w.count("approval_ended") == 0
    w.now = ends
    w.tell(DueMoments())
    assert w.count("approval_ended") == 1


def test_questions_of_strangers_are_as_many_as_the_rules_say() -> None:
    w = world()
    most = w.state.led_by.most_questions
    many = tuple(replace(SLOTS[1], url=f"tls://10.0.0.{n}:443") for n in range(most + 1))
    others = [life(f"s-{n}", START, 300 * DAY, trust_class=TrustClass.SELF_SIGNED) for n in range(most + 1)]
    w.certificates |= {one.fingerprint: one for one in others}
    w.served |= {slot: one.fingerprint for slot, one in zip(many, others, strict=True)}
    w.join(many, "n-1")
    w.work()
    assert w.asked().count("foreign-certificate") == most
