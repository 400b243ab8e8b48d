"""Nothing seen from outside lowers an alarm unchecked: what may succeed ours, and what a person may accept (rule 9)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.certificate import Life, TrustClass
from domain.lifecycle.served import lives, present
from domain.lifecycle.standing import severity
from domain.lifecycle.succession import candidates
from domain.tiers import Tier
from tests.domain.simulation import NAMES, SLOTS, START, World, fingerprint, life, plan, terms

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SERVER, CLIENT, CODE = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.3"


def world(tier: Tier = Tier.CUSTOMER_FACING, age: timedelta = 290 * DAY) -> World:
    made = World(tier=tier, age=age)
    made.adopt()
    made.work()
    return made


def good(name: str = "good", length: timedelta = 365 * DAY, **changes: Any) -> Life:
    return life(name, START - timedelta(minutes=1), length, **changes)


BAD: dict[str, dict[str, Any]] = {
    "ca-certificate": {"is_ca": True},
    "trust-class": {"trust_class": TrustClass.PUBLIC},
    "other-ca": {"issuer_spki": fingerprint("another CA")},
    "weaker-key": {"algorithm": "rsa", "key_bits": 1024},
    "weak-signature": {"signature_hash": "sha1"},
    "not-begun": {"not_before": START + 5 * DAY},
    "ended": {"ends_at": START - timedelta(seconds=30)},
    "no-common-name": {"names": ("other.example.in",)},
    "ends-too-soon": {"ends_at": START + 20 * DAY},
}
DIFFERENT: dict[str, dict[str, Any]] = {
    "names-lost": {"names": ("pay.example.in",)},
    "other-names-lost": {},
    "usages-lost": {"extended_key_usages": (SERVER,)},
    "usages-gained": {"extended_key_usages": (SERVER, CLIENT, CODE)},
}


@pytest.mark.parametrize("reason", sorted(BAD))
def test_what_is_bad_in_a_stranger_no_answer_mends(reason: str) -> None:
    w = world()
    w.replace_by_hand(good(**BAD[reason]), "n-1")
    w.work()
    [candidate] = candidates(w.state, w.now)
    assert reason in [one.reason for one in candidate.bad]
    assert w.finding("foreign-certificate")
    assert "different" not in w.asked()
    w.answer("foreign-certificate", "known")
    w.run_until(START + 3 * DAY)
    assert w.state.generation == 1
    assert w.finding("foreign-certificate"), "known is not mended"


def test_a_path_that_is_bad_is_told_with_its_flaw_and_does_not_succeed() -> None:
    w = world()
    w.gaps = set(SLOTS)
    w.replace_by_hand(good(), "n-1")
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 1
    assert "it has a gap" in str(w.finding("foreign-certificate"))


def asked(reason: str) -> World:
    w = World(tier=Tier.CUSTOMER_FACING, age=290 * DAY)
    first = life("first", START - 290 * DAY, 365 * DAY, extended_key_usages=(SERVER, CLIENT))
    if reason == "other-names-lost":
        first = life("first", START - 290 * DAY, 365 * DAY, other_names=("URI:spiffe://a",))
    w.adopt_this(first)
    w.work()
    changes = {"extended_key_usages": first.extended_key_usages, **DIFFERENT[reason]}
    w.replace_by_hand(good(**changes), "n-1")
    w.work()
    return w


@pytest.mark.parametrize("reason", sorted(DIFFERENT))
def test_what_is_different_is_asked_and_a_named_answer_accepts_exactly_that(reason: str) -> None:
    w = asked(reason)
    [candidate] = candidates(w.state, w.now)
    assert [one.reason for one in candidate.different] == [reason] and not candidate.bad
    assert w.answer("different", "take", actor="person/asha").outcome == "accepted"
    said = next(fact for fact in w.happened if fact.event.kind == "judged")
    assert said.by == "person/asha"
    w.run_until(START + 3 * HOUR)
    assert w.state.generation == 2


@pytest.mark.parametrize("reason", sorted(DIFFERENT))
def test_keep_keeps_ours_and_the_stranger_stays_a_finding(reason: str) -> None:
    w = asked(reason)
    assert w.answer("different", "keep").outcome == "accepted"
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 1
    assert w.finding("foreign-certificate") and "different" not in w.asked()


def test_an_earlier_end_that_is_as_long_as_a_new_one_would_be_is_different() -> None:
    """Lives shrink from 398 to 47 days: a renewal by hand that ends sooner is ordinary then."""
    w = World(tier=Tier.CUSTOMER_FACING, length=398 * DAY, age=10 * DAY)
    w.adopt()
    w.work()
    w.tell_terms(terms(w.tier, w.length, plan=plan(47 * DAY, "p47")))
    w.replace_by_hand(good(length=47 * DAY), "n-1")
    w.work()
    [candidate] = candidates(w.state, w.now)
    assert [one.reason for one in candidate.different] == ["ends-sooner"]
    w.answer("different", "take")
    w.run_until(START + 3 * HOUR)
    assert w.state.generation == 2


def test_an_answer_about_one_certificate_accepts_no_other() -> None:
    """Asked about C; D came, self-signed, of another name; the answer was still about C."""
    w = world()
    w.replace_by_hand(good("C", names=("pay.example.in",)), "n-1")
    w.work()
    about = w.question("different").about
    w.replace_by_hand(good("D", trust_class=TrustClass.SELF_SIGNED, names=("d.example.in",), key_bits=160), "n-2")
    w.work()
    refused = w.answer("foreign-certificate", "known", about=about)
    assert refused.outcome == "refused" and refused.detail.startswith("stale")
    assert w.state.generation == 1
    assert severity(w.state, w.now) != "cleared"


def test_an_answer_about_one_difference_accepts_no_other_of_the_same_certificate() -> None:
    w = asked("usages-lost")
    about = w.question("different").about
    # Meanwhile the policy plans as long a life as before, and it is seen on a path that ends sooner than ours.
    w.tell_terms(terms(w.tier, w.length, plan=plan(30 * DAY, "short")))
    w.paths = dict.fromkeys(SLOTS, START + 40 * DAY)
    [fingerprint_of_it] = {*w.served.values()}
    w.certificates[fingerprint_of_it] = replace(w.certificates[fingerprint_of_it], ends_at=START + 40 * DAY)
    w.now += timedelta(minutes=1)
    w.discover("n-9")
    w.work()
    [candidate] = candidates(w.state, w.now)
    assert [one.reason for one in candidate.different] == ["ends-sooner", "usages-lost"]
    refused = w.answer("different", "take", about=about)
    assert refused.outcome == "refused" and refused.detail.startswith("stale")
    assert w.answer("different", "take").outcome == "accepted"


def test_two_looks_must_see_it_and_they_are_an_hour_apart() -> None:
    w = world()
    w.replace_by_hand(good(), "n-1")
    w.work()
    for number in range(5):
        w.now += timedelta(seconds=10)
        w.discover(f"again-{number}")
        w.work()
    assert w.state.generation == 1
    w.run_until(START + 2 * HOUR)
    assert w.state.generation == 2


def test_it_must_stand_alone_at_every_place_that_answers() -> None:
    w = world()
    new = good()
    w.certificates[new.fingerprint] = new
    w.served[SLOTS[0]] = new.fingerprint
    w.discover("n-1")
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 1
    assert "not served at every endpoint" in str(w.finding("foreign-certificate"))
    w.served[SLOTS[1]] = new.fingerprint
    w.pools[SLOTS[1]] = (present(w.state).fingerprint,)
    w.discover("n-2")
    w.run_until(START + 4 * DAY)
    assert w.state.generation == 1, "half a pool still serves ours"
    w.pools.clear()
    w.discover("n-3")
    w.run_until(START + 5 * DAY)
    assert w.state.generation == 2


def with_dead_places() -> World:
    w = world(Tier.INTERNAL, age=250 * DAY)
    w.dead = {SLOTS[1]}
    w.replace_by_hand(good(), "n-1")
    w.work()
    return w


def test_while_only_silent_places_lack_nothing_is_ordered_over_it_and_one_question_names_them() -> None:
    w = with_dead_places()
    assert w.asked() == ["unseen"] and SLOTS[1].url in w.question("unseen").detail
    w.run_until(START + 75 * DAY)
    assert w.count("order_intended") == 0, "the case would have ordered at 60 days"
    assert w.question("unseen").level == "security-head", "unanswered, it climbs"


@pytest.mark.parametrize("answer", ["retired", "moved", "broken"])
def test_one_answer_for_the_silent_places_lets_it_succeed(answer: str) -> None:
    w = with_dead_places()
    w.run_until(START + 2 * HOUR)
    first = present(w.state).fingerprint
    assert w.answer("unseen", answer).outcome == "accepted"
    w.run_until(START + 5 * HOUR)
    assert w.state.generation == 2
    on_the_ladder = {one.fingerprint for one in lives(w.state)}
    # What a place that will be repaired showed last stays on the ladder; of one that is gone nothing does.
    assert (first in on_the_ladder) is (answer == "broken")


def test_a_private_one_by_another_ca_succeeds_only_under_a_root_that_the_policy_names() -> None:
    for rooted in (False, True):
        w = world()
        w.rooted = set(SLOTS) if rooted else set()
        w.replace_by_hand(good(issuer_spki=fingerprint("another CA")), "n-1")
        w.run_until(START + 2 * DAY)
        assert (w.state.generation == 2) is rooted


def test_one_whose_issuer_nobody_has_seen_does_not_succeed() -> None:
    w = world()
    w.replace_by_hand(good(issuer_spki=""), "n-1")
    w.run_until(START + 2 * DAY)
    assert w.state.generation == 1


def test_every_name_of_ours_must_be_there_and_more_are_welcome() -> None:
    w = world()
    w.replace_by_hand(good(names=(*NAMES, "more.example.in")), "n-1")
    w.run_until(START + 2 * HOUR)
    assert w.state.generation == 2
