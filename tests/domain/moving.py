"""What may become of the places of a simulated lifecycle, as a discovery tells it (DESIGN rule 10)."""

from domain.certificate import Slot
from domain.contracts import Observation
from tests.domain.simulation import World, life


def move_a_slot(w: World, notice: str) -> None:
    """The last endpoint is given up and another one takes its place, serving what the first one serves."""
    slots = w.state.slots
    new = Slot(f"tls://127.40.1.{len(w.served)}:443", "ecdsa")
    w.served[new] = w.served[slots[0]]
    kept = (*slots[:-1], new) if len(slots) > 1 else (*slots, new)
    w.notice(Observation(notice, "slots", w.now, slots=tuple(sorted(kept)), looks=w.looks((new,))))


def move_away(w: World, notice: str, *slots: Slot) -> None:
    """Another service's certificate stands at ``slots``, by default everywhere; they belong to it now."""
    gone = slots or w.state.slots
    other = life("another", w.now, w.length, names=("other.example.in",))
    w.certificates[other.fingerprint] = other
    w.served.update(dict.fromkeys(gone, other.fingerprint))
    w.anothers.update(gone)
    left = tuple(slot for slot in w.state.slots if slot not in gone)
    w.notice(Observation(notice, "slots", w.now, slots=left))


def come_back(w: World, notice: str) -> None:
    """Our certificate is found again where it was last seen."""
    slots = tuple(place.slot for place in w.state.places)
    assert w.state.life is not None
    w.anothers.difference_update(slots)
    w.served.update(dict.fromkeys(slots, w.state.life.fingerprint))
    w.notice(Observation(notice, "slots", w.now, slots=slots, looks=w.looks(slots)))
