"""What is weighed is never lighter than what is written, whatever stands in it."""

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.certificate import LookOutcome, Slot
from domain.contracts import SlotLook
from domain.lifecycle.events import plain
from domain.lifecycle.portions import lives_that_fit, slots_that_fit, weight_of_life, weight_of_look, weight_of_slot
from domain.lifecycle.rules import NEWEST, rule_set
from tests.domain.simulation import START, life

RULES = rule_set(NEWEST)
TEXTS = st.lists(st.text(max_size=80), max_size=30).map(tuple)
FIRST = life("first", START, timedelta(days=90))


def written(value: object) -> int:
    return len(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


@given(TEXTS, TEXTS, TEXTS, st.text(max_size=1000), st.text(max_size=42))
def test_a_life_is_weighed_as_it_is_written(
    names: tuple[str, ...], other: tuple[str, ...], usages: tuple[str, ...], issuer: str, serial: str
) -> None:
    made = replace(FIRST, names=names, other_names=other, extended_key_usages=usages, issuer=issuer, serial=serial)
    assert weight_of_life(made, RULES) >= written(made)


@given(st.text(max_size=300), st.text(max_size=300), TEXTS)
def test_a_look_and_a_slot_are_weighed_as_they_are_written(url: str, flaw: str, found: tuple[str, ...]) -> None:
    slot = Slot(url, "ed25519")
    look = SlotLook(
        slot,
        START,
        LookOutcome.OUT_OF_SCOPE,
        "f" * 64,
        False,
        START,
        START,
        flaw,
        rooted=True,
        connections=99,
        found=found,
    )
    assert weight_of_look(look, RULES) >= written(look)
    assert weight_of_slot(slot, RULES) >= written(slot)


@given(st.lists(st.integers(1, 3000), max_size=60))
def test_the_first_that_fit_are_taken_and_one_at_least(lengths: list[int]) -> None:
    slots = [Slot("x" * length, "ecdsa") for length in lengths]
    left, taken = list(slots), list[Slot]()
    while left:
        some = slots_that_fit(left, 5000, RULES)
        assert some
        assert len(some) == 1 or sum(weight_of_slot(one, RULES) for one in some) <= 5000
        taken += some
        left = left[len(some) :]
    assert taken == slots
    assert lives_that_fit([], 10, RULES) == ()
