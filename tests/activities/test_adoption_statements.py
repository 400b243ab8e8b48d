"""How many statements an adoption says and how often it beats: so many for each page, whatever is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from activities.resolution import seen, telling
from store import batches
from store.sightings import adoptions, looks
from tests.activities.sightings import NOW, Sky, url

pytestmark = pytest.mark.server

PAGE = 10


@pytest.fixture
def sky(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Sky:
    """Reads looks and tells lifecycles ten at a time; everything else that is read here fits into one page."""
    monkeypatch.setattr(looks, "AT_ONCE", PAGE)
    monkeypatch.setattr(telling, "AT_ONCE", PAGE)
    return Sky(database)


@contextmanager
def said(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that reached the server, COPY too, which SQLAlchemy does not see."""
    statements: list[str] = []
    copy = batches.copy_rows

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    def copied(*given: Any) -> int:
        count = copy(*given)
        if count:
            statements.append("COPY")
        return count

    monkeypatch.setattr(adoptions, "copy_rows", copied)
    event.listen(database, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database, "before_cursor_execute", note)
        monkeypatch.setattr(adoptions, "copy_rows", copy)


@pytest.mark.parametrize("is_known", [False, True])
def test_the_statements_of_an_adoption_are_so_many_for_each_page(
    sky: Sky, database: Engine, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    counts: dict[int, int] = {}
    first = 0
    for size in (11, 20, 30, 40, 50):
        places = [url(first + number) for number in range(size)]
        first += size
        if is_known:
            sky.discover(f"before-{size}", {place: sky.leaf(f"old.{size}.example") for place in places})
        sky.look(f"d{size}", {place: sky.leaf(f"h{number}.{size}.example") for number, place in enumerate(places)})
        with said(database, monkeypatch) as statements:
            sky.adopt(f"d{size}")
        counts[size] = len(statements)

    assert counts[11] == counts[20], "a full page says no more than one with a single row"
    a_page = counts[30] - counts[20]
    assert [counts[size] - counts[20] for size in (30, 40, 50)] == [a_page, 2 * a_page, 3 * a_page]
    assert a_page <= 20


def test_chains_that_are_judged_anew_beat_within_a_page(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile one may cost half a second of signatures, and a page has two thousand."""
    monkeypatch.setattr(seen, "BEAT_EVERY", 4)
    sky = Sky(database)
    sky.look("d1", {url(number): sky.leaf(f"h{number}.example") for number in range(12)})
    beats: list[int] = []

    def beat() -> None:
        beats.append(len(beats))

    seen.read(database, "d1", (sky.rules, NOW), beat)
    assert len(beats) == 3 + 1, "of its chains, and of the page"
