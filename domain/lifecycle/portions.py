"""How much one event holds: a certificate may have thousands of places, and each of them may show another stranger.

An event is kept as at most 65,535 bytes (``store.canonical``), and a state travels in payloads of at most 512 KiB.
"""

import json
from collections.abc import Iterable, Sequence

from domain.certificate import Life, Slot
from domain.contracts import SlotLook
from domain.lifecycle.rules import RuleSet


def weight_of_slot(slot: Slot, rules: RuleSet) -> int:
    return rules.slot_frame + _weight_of((slot.url,))


def weight_of_look(look: SlotLook, rules: RuleSet) -> int:
    return rules.look_frame + _weight_of((look.slot.url, look.flaw, *(look.found or ())))


def weight_of_life(life: Life, rules: RuleSet) -> int:
    """In bytes, and rather more: names may hold quotes and letters of any script."""
    texts = (life.issuer, life.serial, life.key_flaw, *life.extended_key_usages, *life.names, *life.other_names)
    return rules.life_frame + _weight_of(texts)


def _weight_of(texts: Iterable[str]) -> int:
    """As JSON writes them, with quotes and a comma."""
    return sum(len(json.dumps(text, ensure_ascii=False).encode()) + 1 for text in texts)


def slots_that_fit(slots: Sequence[Slot], most: int, rules: RuleSet) -> tuple[Slot, ...]:
    """The first of ``slots`` that ``most`` bytes hold; one at least, where there is any."""
    return tuple(slots[: _count((weight_of_slot(slot, rules) for slot in slots), most)])


def lives_that_fit(lives: Sequence[Life], most: int, rules: RuleSet) -> tuple[Life, ...]:
    """The first of ``lives`` that ``most`` bytes hold; one at least, where there is any."""
    return tuple(lives[: _count((weight_of_life(life, rules) for life in lives), most)])


def _count(weights: Iterable[int], most: int) -> int:
    total = count = 0
    for weight in weights:
        total += weight
        if total > most and count:
            break
        count += 1
    return count
