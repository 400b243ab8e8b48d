"""No chain costs more than its bounds, in time or in memory, and what they end is told as that."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509

from domain.paths import Reason, reason_of
from formats import links, name_constraints, paths
from formats.links import Link
from formats.paths import LONGEST_PATH, MOST_SIGNATURES, MOST_STEPS, PathBuilder
from tests.formats.chains import DAY, NOW, is_accepted
from tests.formats.test_paths import CA, ISSUING, KEYS, LEAF, OTHER, ROOT, SERVER, STRANGER, TOP, path_of


def test_a_chain_that_was_made_to_be_slow_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of CAs of two names that issued each other: the ways through them have no end."""
    asked: list[object] = []

    def counted(lower: Link, upper: Link) -> bool:
        asked.append(upper)
        return links.signed_by(lower, upper)

    monkeypatch.setattr(paths, "signed_by", counted)
    one, two = replace(CA, name="one", aki=""), replace(ROOT, name="two", aki="")
    maze = [low.signed(high) for _ in range(80) for low, high in ((one, two), (two, one))]
    ways = PathBuilder().ways((replace(SERVER, aki="").signed(one), *maze))
    assert len(ways.found) <= MOST_STEPS
    assert len(asked) <= MOST_SIGNATURES
    assert reason_of(ways.at(NOW).flaw) is Reason.TOO_LONG
    assert len(PathBuilder().ways((LEAF, *[STRANGER] * 5000)).above) == 1


class Emptied(dict[Any, Any]):
    """As another thread leaves it that empties it at the worst moment."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.clear()


@pytest.mark.parametrize("memory", ["_links", "_signed"])
def test_another_thread_may_empty_what_is_remembered(memory: str) -> None:
    builder = PathBuilder((TOP,))
    setattr(builder, memory, Emptied())
    assert is_accepted(builder.ways((LEAF, ISSUING)).at(NOW))


TOO_LONG = "too long to build: it goes on above CN=CA 11,O=Everleaf Test, number 12 of it"


@pytest.mark.parametrize(("height", "flaw"), [(LONGEST_PATH - 1, ""), (LONGEST_PATH, TOO_LONG)])
def test_a_path_that_is_too_long_to_be_built_is_told_as_that(height: int, flaw: str) -> None:
    row = [SERVER, *(replace(OTHER, name=f"CA {place}", key=KEYS[place % 5]) for place in range(1, height)), ROOT]
    made = [low.signed(high) for low, high in pairwise([*row, ROOT])]
    path = path_of(*made[:-1], roots=(made[-1],))
    assert path.flaw == flaw


def test_what_leads_in_a_circle_is_told_as_that() -> None:
    one, two = replace(CA, aki=""), replace(ROOT, aki="")
    path = path_of(replace(SERVER, aki="").signed(one), one.signed(two), two.signed(one))
    assert path.flaw == "missing issuer: what was served leads in a circle, and to no root"


def test_bounds_that_end_the_building_are_told_as_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MOST_STEPS", 2)
    path = path_of(LEAF, ISSUING, TOP, roots=(TOP,))
    assert path.flaw == "too long to build: no root was found in 2 steps"
    monkeypatch.undo()
    monkeypatch.setattr(paths, "MOST_SIGNATURES", 1)
    twin = replace(CA, key=KEYS[4], ends=CA.ends + DAY).signed(ROOT)
    path = path_of(LEAF, twin, ISSUING)
    assert path.flaw == "too long to build: who issued CN=leaf,O=Everleaf Test was not found with 1 signatures"


def test_constraints_that_were_made_to_be_slow_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_constraints, "MOST_COMPARISONS", 100)
    trees = tuple(x509.DNSName(f"t{number}.example") for number in range(101))
    slow = replace(CA, excluded=trees).signed(ROOT)
    quick = replace(CA, excluded=trees[:100]).signed(ROOT)
    nameless = replace(SERVER, names=(), name="no host").signed(CA)
    path = path_of(LEAF, slow, roots=(TOP,))
    assert path.flaw == f"name constraints violated: {Link(slow)}: more names and subtrees than can be compared"
    # Its subject is a name as well.
    assert is_accepted(path_of(nameless, quick, roots=(TOP,)))
    assert not is_accepted(path_of(LEAF, quick, roots=(TOP,)))
