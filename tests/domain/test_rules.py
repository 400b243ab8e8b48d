"""A released rule set is never edited; a run takes one by an event, and everything is decided by the set it took."""

import ast
from dataclasses import asdict, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from domain.errors import BadInput
from domain.lifecycle import rules
from domain.lifecycle.commands import TakeRules, Upgrade
from domain.lifecycle.refold import refold
from domain.lifecycle.rules import NEWEST, OLDEST, RULES, rule_set
from domain.objections import LEAST_BITS, RSA_STRENGTH, WEAK_HASHES
from domain.profiles import backdate
from domain.tiers import Tier
from tests.domain.simulation import START, World

DAY = timedelta(days=1)

# SHA-256 over each set as it was released.  Never change one: add a set, and its line.
RELEASED = {
    "0.2": "0028a110e8613fb6039cb9a90d56e8ef0acbe44d3344a0bd9cb9fcd10808a217",
    "0.3": "34e2207aa4838750a3924ddb34fd7e81e3de1ea2d8a7646db0fb80686d72018a",
}


def digest(name: str) -> str:
    told = sorted(
        (key, sorted(value) if isinstance(value, frozenset) else value) for key, value in asdict(RULES[name]).items()
    )
    return sha256(repr(told).encode()).hexdigest()


def test_a_released_set_is_never_edited() -> None:
    assert {name: digest(name) for name in RULES} == RELEASED


def test_the_newest_and_the_oldest_are_there_and_an_unknown_one_is_named() -> None:
    assert rule_set(NEWEST).name == NEWEST and rule_set("") is rule_set(OLDEST)
    with pytest.raises(BadInput, match="this release has no rule set '9'"):
        rule_set("9")


def test_taking_a_set_is_an_event_so_that_a_refold_knows_where_it_began() -> None:
    w = World(tier=Tier.INTERNAL)
    w.adopt()
    w.work()
    taken = w.first("rules_taken")
    assert (taken.seq, taken.event.rules) == (0, NEWEST)  # type: ignore[attr-defined]  # of that kind
    w.tell(TakeRules(NEWEST))
    assert w.count("rules_taken") == 1, "a set that is taken is not taken again"
    assert refold("mc-1", w.happened).rules == NEWEST


def test_an_upgrade_asks_for_the_set_of_the_next_run_and_changes_none_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RULES, "9.9", replace(RULES[NEWEST], name="9.9", silent_looks=9))
    w = World(tier=Tier.INTERNAL)
    w.adopt()
    w.work()
    w.tell(Upgrade("9.9"))
    assert (w.state.rules, w.state.rules_wanted, w.state.roll) == (NEWEST, "9.9", True)
    w.tell(TakeRules("9.9"))
    assert (w.state.rules, w.state.rules_wanted) == ("9.9", "")
    assert w.state.led_by.silent_looks == 9


def test_a_set_that_this_release_does_not_have_is_not_asked_for() -> None:
    w = World(tier=Tier.INTERNAL)
    w.adopt()
    w.tell(Upgrade("from-the-future"))
    assert w.state.rules_wanted == "" and w.state.roll


def test_two_lives_are_led_each_by_its_own_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that changes leaves every life that is under way as it is."""
    patient = replace(RULES[NEWEST], name="9.9", question_climbs=30 * DAY)
    monkeypatch.setitem(RULES, "9.9", patient)
    levels = {}
    for name in (NEWEST, "9.9"):
        w = World(tier=Tier.INTERNAL)
        w.adopt()
        w.tell(TakeRules(name))
        w.work()
        w.dead = set(w.served)
        w.discover("n-1")
        w.run_until(START + 16 * DAY)
        levels[name] = w.question("unseen").level
    assert levels == {NEWEST: "security-head", "9.9": "owner"}


# What a lifecycle may write as a number all the same: no choice of ours, or how much of a text is told.
NUMBERS = {
    0: "nothing, the first",
    1: "one, the next",
    2: "a half, a pair",
    3: "texts told of many",
    4: "texts told of many",
    8: "digits of a digest",
    16: "digits of a fingerprint, and doublings that are longer than any pause",
    80: "characters told of a text that is refused",
    200: "characters told of a text",
}
ROOMS_OF_NUMBERS = {
    ("scheduling.py", "MOST_ROUNDS"): "beyond it a turn spins, whatever the rules are",
    ("ladder.py", "0.05"): "when a span reads as a whole number",
    ("explaining.py", "5"): "what a page warns of",
    ("explaining.py", "MOST_EXPLAINED"): "what a query answers",
    ("agenda.py", "MOST_MOMENTS"): "what a query answers",
    ("renewal_value.py", "JUST_UNDER"): "a whole minute",
    ("succession.py", "LONGER_THAN_ANY"): "no life is that long",
    ("ladder.py", "place"): "characters of an address in what is sent back",
}


def test_no_number_of_a_lifecycle_stands_outside_its_set() -> None:
    lifecycle = Path(rules.__file__).parent
    rooms = [room for room in lifecycle.glob("*.py") if room.name != "rules.py"]
    rooms += (lifecycle.parent / "people").glob("*.py")
    strays = []
    for room in rooms:
        lines = room.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
                continue
            if not isinstance(node.value, int | float) or node.value in NUMBERS:
                continue
            line = lines[node.lineno - 1].strip()
            if not any(room.name == name and told in line for name, told in ROOMS_OF_NUMBERS):
                strays.append(f"{room.name}:{node.lineno}: {line}")
    assert not strays, strays


def test_a_set_says_of_today_what_uploads_and_our_own_ca_go_by() -> None:
    """Until somebody changes one of them for new lives alone, and says so here."""
    newest = RULES[NEWEST]
    assert dict(newest.least_bits) == LEAST_BITS and newest.weak_hashes == WEAK_HASHES
    assert newest.rsa_strength == RSA_STRENGTH
    for validity in (timedelta(minutes=10), timedelta(days=90)):
        assert backdate(validity) == min(newest.largest_backdate, validity / newest.backdate_share)
