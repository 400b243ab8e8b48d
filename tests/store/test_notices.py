"""Notices leave the store in the order of their writing, page by page, and are marked once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.contracts import Observation
from domain.errors import NotFound
from store import tables
from store.sightings.notices import OBSERVATION, mark_sent, notice_of, unsent
from tests.activities.conftest import govern

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def write(database: Engine, at: datetime, *told: tuple[str, str]) -> None:
    """``told``: (managed id, notice id) in the order of writing."""
    with database.begin() as connection:
        for managed_id, notice_id in told:
            said = OBSERVATION.dump_python(Observation(notice_id, "looked", at), mode="json")
            row = {"id": notice_id, "managed_id": managed_id, "observation": said, "written_at": at}
            connection.execute(sa.insert(tables.notices).values(**row))


def pages(database: Engine, most: int) -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    while page := unsent(database, most, after=found[-1][-1][1] if found else ""):
        found.append(page)
    return found


@pytest.fixture
def governed(database: Engine) -> Engine:
    for managed_id in ("mc-1", "mc-2"):
        govern(database, managed_id)
    return database


def test_notices_are_paged_in_the_order_of_their_writing(governed: Engine) -> None:
    first: Sequence[tuple[str, str]] = [("mc-2", "d1.a"), ("mc-1", "d1.b"), ("mc-2", "d1.c")]
    write(governed, NOW, *first)
    write(governed, NOW + timedelta(hours=1), ("mc-1", "d0.later"), ("mc-2", "d0.last"))

    assert pages(governed, 2) == [[*first[:2]], [first[2], ("mc-1", "d0.later")], [("mc-2", "d0.last")]]


def test_what_cannot_be_sent_hides_nothing_behind_it(governed: Engine) -> None:
    write(governed, NOW, ("mc-1", "stuck"), ("mc-1", "stuck.too"), ("mc-2", "well"))

    assert unsent(governed, 2) == [("mc-1", "stuck"), ("mc-1", "stuck.too")]
    assert unsent(governed, 2, after="stuck.too") == [("mc-2", "well")]


def test_a_page_is_marked_at_once_and_keeps_the_first_time(governed: Engine) -> None:
    write(governed, NOW, ("mc-1", "a"), ("mc-1", "b"), ("mc-2", "c"))
    mark_sent(governed, ["b", "a"], NOW)
    mark_sent(governed, ["a", "c"], NOW + timedelta(hours=1))
    mark_sent(governed, [], NOW)

    assert unsent(governed, 9) == []
    with governed.connect() as connection:
        rows = connection.execute(sa.select(tables.notices.c.id, tables.notices.c.sent_at)).all()
    assert {row.id: row.sent_at - NOW for row in rows} == {
        "a": timedelta(),
        "b": timedelta(),
        "c": timedelta(hours=1),
    }


def test_a_notice_is_its_certificates_alone(governed: Engine) -> None:
    write(governed, NOW, ("mc-1", "a"))

    assert notice_of(governed, "mc-1", "a") == Observation("a", "looked", NOW)
    with pytest.raises(NotFound):
        notice_of(governed, "mc-2", "a")
