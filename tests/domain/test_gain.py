"""What can gain no time is not ordered, not put up for approval, and refused to whoever asks for it (rules 1 and 7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.contracts import Observation
from domain.lifecycle.commands import NoticeArrived, Redeemed
from domain.lifecycle.explaining import explain
from domain.lifecycle.renewal_value import gains, gains_from, in_vain, orders_at
from domain.lifecycle.rules import NEWEST, rule_set
from domain.lifecycle.state import Stage
from domain.lifecycle.view import details, snapshot
from domain.people.messages import RenewNow
from domain.profiles import backdate
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, life, plan, terms

DAY = timedelta(days=1)
SHORT = plan(180 * DAY, "short")
TABLE, RULES = terms(Tier.INTERNAL, DAY).table, rule_set(NEWEST)


def world(tier: Tier, age: timedelta = timedelta()) -> World:
    made = World(tier=tier, length=300 * DAY, age=age)
    made.adopt()
    made.work()
    return made


def shorten(w: World, notice: str = "t-1") -> None:
    w.notice(Observation(notice, "terms", w.now, terms=terms(w.tier, w.length, plan=SHORT)))
    w.work()


@pytest.mark.parametrize("tier", list(Tier))
def test_a_renewal_that_gains_nothing_is_refused_to_whoever_asks(tier: Tier) -> None:
    w = world(tier)
    shorten(w)
    refused = w.send(RenewNow(w.code()), "person/a")
    assert refused.outcome == "refused"
    assert refused.detail.startswith("decided: it would gain nothing: ordered now it would end at 2027-05-23 03:55 UTC")
    assert "2027-09-20 04:00 UTC; it can gain from 2027-03-15 04:05 UTC on" in refused.detail
    assert w.state.case is None
    w.run_until(START + 112 * DAY)
    assert w.send(RenewNow(w.code()), "person/a").outcome == "accepted"
    w.work()
    assert w.count("order_intended") == (0 if tier is not Tier.INTERNAL else 1)
    assert w.count("became_unroutable") == 0


@pytest.mark.parametrize("tier", list(Tier))
def test_a_case_whose_plan_comes_to_gain_nothing_is_unroutable_and_not_ordered(tier: Tier) -> None:
    """Accepted under the old terms, or asked already: the new terms decide."""
    w = world(tier)
    w.pending = True
    if tier is Tier.INTERNAL:
        # The terms change between the validator and the redeemed code.
        shorten(w)
        w.tell(Redeemed(RenewNow(w.code()), "person/a"))
        w.work()
    else:
        assert w.send(RenewNow(w.code()), "person/a").outcome == "accepted"
        assert w.state.case is not None and w.state.case.stage is Stage.AWAITING_APPROVAL
        shorten(w)
    assert w.state.case is not None and w.state.case.stage is Stage.UNROUTABLE
    assert w.state.case.failure.startswith("it would gain nothing")
    assert w.count("order_intended") == 0
    w.run_until(START + 200 * DAY)
    # It is judged anew each week, and goes its way as soon as it gains.
    assert w.count("order_intended" if tier is Tier.INTERNAL else "approval_asked") == (
        1 if tier is Tier.INTERNAL else 2
    )


@pytest.mark.parametrize("age", [0, 1, 150, 299, 300, 400])
def test_for_as_long_as_before_always_gains(age: int) -> None:
    present, same = life("x", START - age * DAY, 300 * DAY), plan(300 * DAY)
    assert in_vain(present, same, START, RULES) == ""
    assert in_vain(replace(present, not_before=START - 400 * DAY), same, START, RULES) == ""


def test_an_expired_certificate_always_gains() -> None:
    for validity in (timedelta(seconds=30), timedelta(minutes=10), DAY):
        assert (
            in_vain(life("x", START - 300 * DAY, 300 * DAY - timedelta(seconds=1)), plan(validity), START, RULES) == ""
        )
        assert in_vain(life("x", START - 300 * DAY, 300 * DAY), plan(validity), START, RULES) == ""


@pytest.mark.parametrize("validity", [timedelta(minutes=10), timedelta(hours=1), DAY, 47 * DAY, 180 * DAY])
@pytest.mark.parametrize("fraction", [0, 1, 999_999])
def test_what_may_be_asked_for_is_never_refused_when_it_is_issued(validity: timedelta, fraction: int) -> None:
    present, short = life("x", START, 400 * DAY), plan(validity)
    edge = gains_from(present, short, RULES) + timedelta(microseconds=fraction)
    assert in_vain(present, short, edge - timedelta(seconds=2), RULES)
    for at in (edge, edge + timedelta(seconds=1)):
        # As our own CA dates what it issues at that very instant.
        ends_at = (at - backdate(validity)).replace(microsecond=0) + validity
        assert bool(in_vain(present, short, at, RULES)) != gains(ends_at, present, short, TABLE, RULES, requested=True)
    assert not in_vain(present, short, edge + timedelta(seconds=1), RULES)


FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("ends_at", [FOREVER, datetime(1, 1, 2, tzinfo=UTC), datetime(1950, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("begins", [START, datetime(1, 1, 1, tzinfo=UTC), FOREVER])
@pytest.mark.parametrize("validity", [timedelta(0), DAY, 3650 * DAY, 2_950_000 * DAY, -2_950_000 * DAY])
def test_no_date_is_beyond_the_calendar(ends_at: datetime, begins: datetime, validity: timedelta) -> None:
    present, planned = life("x", begins, ends_at - begins), plan(validity)
    for tier in Tier:
        w = World(tier=tier)
        now = terms(tier, w.length, plan=planned)
        w.notices["n-0"] = Observation("n-0", "adopted", w.now, now, present, SLOTS)
        w.tell(NoticeArrived("n-0"))
        w.ca_ends_at = START
        w.certificates[present.fingerprint] = present
        w.served = dict.fromkeys(SLOTS, present.fingerprint)
        w.work()
        assert explain(w.state)
        assert snapshot(w.state, w.now) is not None
        assert details(w.state, w.now)
        w.send(RenewNow(w.code()), "person/a")
        if w.state.case is not None and w.state.case.stage is Stage.AWAITING_APPROVAL:
            w.send(w.decision("hold"))
            w.send(w.decision())
        w.work()


def test_a_certificate_without_an_end_may_be_renewed_for_as_long() -> None:
    present = life("x", START, FOREVER - START)
    assert in_vain(present, plan(present.length), START, RULES) == ""
    assert "it can gain from" in in_vain(present, plan(DAY), START, RULES)


def test_a_plan_of_no_length_holds_nothing_back() -> None:
    backwards = life("x", START, -24 * DAY)
    held = orders_at(backwards, TABLE, backwards.length, RULES)
    assert held == backwards.ends_at
