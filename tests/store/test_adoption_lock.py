"""One adoption at a time: the others wait for it, say so, and take nothing for an absent database."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from domain.errors import NotReady
from store.sightings import adoptions
from store.sightings.adoptions import ADOPTION_LOCK, adopting, release_slots

pytestmark = pytest.mark.server


@contextmanager
def another_adopts(database: Engine) -> Iterator[Connection]:
    with database.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADOPTION_LOCK)))
        yield connection


def test_an_adoption_waits_for_another_one_and_says_meanwhile_that_it_lives(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoptions, "WAIT_MILLISECONDS", 20)
    beats = 0

    with another_adopts(database) as other:

        def beat() -> None:
            nonlocal beats
            beats += 1
            if beats == 3:
                other.rollback()

        with adopting(database, beat) as connection:
            patience = connection.scalar(sa.text("SHOW lock_timeout"))

    assert beats >= 3
    assert patience == "10s", "of every other statement"


def test_who_gives_a_place_up_during_an_adoption_is_told_of_it(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoptions, "WAIT_MILLISECONDS", 20)
    with (
        another_adopts(database),
        pytest.raises(NotReady, match="an adoption is under way"),
        database.begin() as connection,
    ):
        release_slots(connection, "mc-1", [("tls://10.0.0.1:443", "rsa")])
