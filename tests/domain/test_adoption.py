import itertools
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.adoption import Change, Changed, Joined, Known, KnownManaged, Moved, NewManaged, Sighting, adopt, unsettled
from domain.certificate import Slot
from tests.domain.policies import NOW


def slot(number: int) -> Slot:
    return Slot(f"tls://10.0.0.{number}:443", "ecdsa")


def saw(number: int, fingerprint: str, *names: str) -> Sighting:
    return Sighting(slot(number), NOW, fingerprint, names)


def run(sightings: list[Sighting], known: Known) -> tuple[Change, ...]:
    return adopt(sightings, known, (f"mc-{n}" for n in itertools.count()))


KNOWN = Known(
    {slot(1): "m1", slot(2): "m2"},
    {
        "m1": KnownManaged(frozenset({"a", "a-old"}), frozenset({"x.example", "y.example"})),
        "m2": KnownManaged(frozenset({"b"}), frozenset({"z.example"})),
    },
)


def test_equal_names_on_three_nodes_with_different_certificates_are_three() -> None:
    changes = run([saw(n, f"f{n}", "node.example") for n in (3, 1, 2)], Known())
    assert [(c.fingerprint, c.slots) for c in changes if isinstance(c, NewManaged)] == [
        ("f1", (slot(1),)),
        ("f2", (slot(2),)),
        ("f3", (slot(3),)),
    ]


def test_one_certificate_on_many_endpoints_is_one() -> None:
    changes = run([saw(2, "f", "n"), saw(1, "f", "n"), saw(2, "f", "n")], Known())
    assert changes == (NewManaged("mc-0", "f", (slot(1), slot(2))),)


def test_our_own_certificates_in_their_slots_change_nothing() -> None:
    assert run([saw(1, "a", "x.example", "y.example"), saw(2, "b", "z.example")], KNOWN) == ()
    assert run([saw(1, "a-old", "x.example")], KNOWN) == ()


def test_another_leaf_in_a_known_slot_is_judged_by_its_names() -> None:
    wider = run([saw(1, "n", "x.example", "y.example", "w.example")], KNOWN)
    narrower = run([saw(1, "n", "x.example")], KNOWN)
    overlapping = run([saw(1, "n", "x.example", "q.example")], KNOWN)
    wildcard = run([saw(1, "n", "*.example")], KNOWN)
    assert wider == (Changed("m1", slot(1), "n", "successor"),)
    assert narrower == (Changed("m1", slot(1), "n", "names"),)
    assert overlapping == narrower
    assert wildcard == (Moved("m1", slot(1), "n"), NewManaged("mc-0", "n", (slot(1),)))


def test_a_known_fingerprint_brings_its_slot_along() -> None:
    assert run([saw(9, "a", "x.example", "y.example")], KNOWN) == (Joined("m1", slot(9), "a"),)
    moved = run([saw(1, "b", "z.example")], KNOWN)
    assert moved == (Moved("m1", slot(1), "b"), Joined("m2", slot(1), "b"))


def test_a_successor_brings_its_new_slot_along_and_is_not_governed_twice() -> None:
    changes = run([saw(1, "n", "x.example", "y.example"), saw(9, "n", "x.example", "y.example")], KNOWN)
    assert changes == (Changed("m1", slot(1), "n", "successor"), Joined("m1", slot(9), "n"))


NAMED = Slot("tls://10.0.0.1:443?sni=x.example", "ecdsa")
KNOWN_BY_NAME = Known({NAMED: "m1"}, KNOWN.managed)


def at_name(fingerprint: str, *names: str) -> tuple[Change, ...]:
    return run([Sighting(NAMED, NOW, fingerprint, names)], KNOWN_BY_NAME)


def test_a_disjoint_leaf_that_lacks_the_name_asked_for_is_a_stranger_and_never_a_move() -> None:
    assert at_name("n", "default.host") == (Changed("m1", NAMED, "n", "stranger"),)
    # Another's certificate too: the place is still ours, and what it serves is wrong there.
    assert at_name("b", "z.example") == (Changed("m1", NAMED, "b", "stranger"),)


def test_a_disjoint_leaf_that_holds_the_name_asked_for_takes_the_slot() -> None:
    assert at_name("n", "*.example") == (Moved("m1", NAMED, "n"), NewManaged("mc-0", "n", (NAMED,)))


def test_a_stranger_in_a_place_of_ours_is_new_where_nobody_was() -> None:
    seen = [Sighting(NAMED, NOW, "n", ("default.host",)), saw(9, "n", "default.host")]
    assert run(seen, KNOWN_BY_NAME) == (
        Changed("m1", NAMED, "n", "stranger"),
        NewManaged("mc-0", "n", (slot(9),)),
    )


def place(number: int) -> Slot:
    """Every other one is asked for by a name that only some leaves have."""
    return slot(number) if number % 2 else Slot(f"tls://10.0.0.{number}:443?sni=a.example", "ecdsa")


SIGHTINGS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from("abcdefg"), st.integers(0, 3)).map(
        lambda t: Sighting(place(t[0]), NOW + timedelta(seconds=t[2]), t[1], (f"{t[1]}.example",))
    ),
    max_size=20,
)


@st.composite
def known_sets(draw: st.DrawFn) -> Known:
    managed = {
        f"m{n}": KnownManaged(
            frozenset(draw(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3))),
            frozenset(draw(st.sets(st.sampled_from([f"{c}.example" for c in "abcdefgh"]), min_size=1, max_size=3))),
        )
        for n in range(draw(st.integers(1, 4)))
    }
    owned = draw(st.dictionaries(st.integers(1, 6), st.sampled_from(sorted(managed)), max_size=6))
    return Known({place(n): owner for n, owner in owned.items()}, managed)


@given(SIGHTINGS, known_sets(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_sharding_and_repetition_gives_the_same_managed_set(
    sightings: list[Sighting], known: Known, chance: Random, shards: int
) -> None:
    shuffled = sightings * 2
    chance.shuffle(shuffled)
    pages = [shuffled[n::shards] for n in range(shards)]
    assert run([s for page in pages for s in page], known) == run(sightings, known)


@given(SIGHTINGS, known_sets())
def test_what_the_looks_do_not_touch_changes_nothing(sightings: list[Sighting], known: Known) -> None:
    looked = {s.slot for s in sightings}
    slots = {s: owner for s, owner in known.slots.items() if s in looked}
    holders = unsettled(sightings, Known(slots, {m: known.managed[m] for m in slots.values()}))
    touched = {m: row for m, row in known.managed.items() if m in slots.values() or row.fingerprints & holders}
    assert run(sightings, Known(slots, touched)) == run(sightings, known)


@given(SIGHTINGS, known_sets())
def test_every_slot_seen_ends_with_exactly_one_owner(sightings: list[Sighting], known: Known) -> None:
    owners = {s: {m} for s, m in known.slots.items()}
    for change in run(sightings, known):
        match change:
            case Moved(managed_id, place, _):
                owners[place].discard(managed_id)
            case Joined(managed_id, place, _):
                owners.setdefault(place, set()).add(managed_id)
            case NewManaged(managed_id, _, slots):
                for place in slots:
                    owners.setdefault(place, set()).add(managed_id)
    assert all(len(owners[s.slot]) == 1 for s in sightings)
