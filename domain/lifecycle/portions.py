"""How much one event holds: a certificate may have thousands of places, and each of them may show another stranger.

An event is kept as at most 65,535 bytes (``store.canonical``), and a state travels in payloads of at most 512 KiB.
"""

from collections.abc import Iterable, Sequence

from domain.certificate import Life, Slot
from domain.contracts import SlotLook

# What stands beside the texts: names of fields, dates, fingerprints, marks.
_SLOT_FRAME, _LOOK_FRAME, _LIFE_FRAME = 40, 450, 900


def weight_of_slot(slot: Slot) -> int:
    return _SLOT_FRAME + len(slot.url)


def weight_of_look(look: SlotLook) -> int:
    return _LOOK_FRAME + len(look.slot.url) + len(look.flaw.encode())


def weight_of_life(life: Life) -> int:
    """In bytes, at least: names may hold quotes and letters of any script."""
    texts = (life.issuer, life.key_flaw, *life.extended_key_usages)
    return _LIFE_FRAME + sum(len(text.encode()) for text in texts) + weight_of_names((*life.names, *life.other_names))


def weight_of_names(names: Iterable[str]) -> int:
    return sum(len(name.encode()) + name.count('"') + name.count("\\") + 3 for name in names)


def slots_that_fit(slots: Sequence[Slot], most: int) -> tuple[Slot, ...]:
    """The first of ``slots`` that ``most`` bytes hold; one at least, where there is any."""
    return tuple(slots[: _count(map(weight_of_slot, slots), most)])


def lives_that_fit(lives: Sequence[Life], most: int) -> tuple[Life, ...]:
    """The first of ``lives`` that ``most`` bytes hold; one at least, where there is any."""
    return tuple(lives[: _count(map(weight_of_life, lives), most)])


def _count(weights: Iterable[int], most: int) -> int:
    total = count = 0
    for weight in weights:
        total += weight
        if total > most and count:
            break
        count += 1
    return count
