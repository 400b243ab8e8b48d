"""Silence closes nothing: what was wrong with a place stays wrong until something else is seen there."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import LookOutcome
from domain.contracts import SlotLook
from store import reader, tables
from store.facts import record
from store.sightings.adoptions import record_looks
from tests.activities.sightings import NOW, SILENT, Sky, place, url
from tests.store.test_facts import batch, event, snapshot

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)


@pytest.fixture
def sky(database: Engine) -> Sky:
    return Sky(database)


def found(database: Engine) -> tuple[list[str], str]:
    """(The kinds of what was found at the only slot, the discovery that saw something there last)"""
    with database.connect() as connection:
        slot = connection.execute(sa.select(tables.slots)).one()
    return list(slot.found), slot.judged_in


def test_a_silent_place_keeps_what_was_found_there(sky: Sky, database: Engine) -> None:
    leaf = sky.leaf("h.elsewhere")
    sky.discover("d1", {url(1): leaf})
    [(managed_id, adopted)] = sky.heard()
    assert adopted.looks[0].found == ("unplaced",)

    sky.discover("d2", {url(1): SILENT}, NOW + HOUR)

    assert found(database) == (["missed", "unplaced"], "d1")
    [(_, told)] = sky.heard()
    assert told.looks[0].found == ("missed", "unplaced")
    assert adopted.life is not None
    model = snapshot(managed_id, fingerprint=adopted.life.fingerprint, findings=())
    record(database, batch(event(0), managed_id=managed_id, read_model=model), "test", NOW)
    kinds = [one.partition(":")[0] for one in reader.get_certificate(database, managed_id)["findings"]]
    assert kinds == ["missed", "unplaced"]

    # Silent once more says nothing new; and what is seen again is judged anew.
    assert sky.discover("d3", {url(1): SILENT}, NOW + 2 * HOUR).notices == 0
    assert found(database) == (["missed", "unplaced"], "d1")
    sky.discover("d4", {url(1): leaf}, NOW + 3 * HOUR)
    assert found(database) == (["unplaced"], "d4")


def test_what_was_found_of_another_certificate_is_not_said_of_the_one_that_fell_silent(
    sky: Sky, database: Engine
) -> None:
    sky.discover("d1", {url(1): sky.leaf("h.elsewhere")})
    record_looks(database, [SlotLook(place(1), NOW + HOUR, LookOutcome.SEEN, "ab" * 32)])

    sky.discover("d2", {url(1): SILENT}, NOW + 2 * HOUR)

    assert found(database)[0] == ["missed"]
