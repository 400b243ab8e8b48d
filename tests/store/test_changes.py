"""What pages must show anew: nothing is passed over, whatever order transactions end in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import Look, LookOutcome
from domain.contracts import AdoptionReport
from domain.errors import BadInput
from store import tables
from store.changes import forget_changes, note_change
from store.reader.changes import changes_after, newest_place, oldest_place, read_place
from store.sightings.adoptions import adopting, finish
from store.sightings.looks import Discovery, begin, find, mark_failed, mark_scanned, save_page
from tests.servers import Cluster, own_postgres


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Not the one of the run: a change is shown once no transaction of the whole cluster is older."""
    with own_postgres() as (_, own):
        yield own


def note(database: Engine, subject: str) -> None:
    with database.begin() as connection:
        note_change(connection, "certificate", subject)


def test_a_reader_sees_each_change_once_and_in_order(database: Engine) -> None:
    start = newest_place(database)
    for subject in ("a", "b", "c"):
        note(database, subject)

    first = changes_after(database, start, 2)
    rest = changes_after(database, first[-1].place)

    assert [change.subject for change in first + rest] == ["a", "b", "c"]
    assert changes_after(database, rest[-1].place) == []


def test_a_transaction_that_ends_late_is_not_passed_over(database: Engine) -> None:
    start = newest_place(database)
    with database.begin() as slow:
        note_change(slow, "certificate", "slow")
        note(database, "quick")
        # The quick one waits for the slow one: whoever went on behind it would never see the slow one.
        assert changes_after(database, start) == []

    assert sorted(change.subject for change in changes_after(database, start)) == ["quick", "slow"]


def test_what_is_rolled_back_is_no_change(database: Engine) -> None:
    start = newest_place(database)
    with database.connect() as connection:
        note_change(connection, "certificate", "never")
        connection.rollback()
    note(database, "real")

    assert [change.subject for change in changes_after(database, start)] == ["real"]


def test_old_changes_are_forgotten_and_a_reader_can_tell(database: Engine) -> None:
    start = newest_place(database)
    note(database, "old")
    with database.connect() as connection:
        later = connection.execute(sa.select(sa.func.now() + sa.text("interval '1 hour'"))).scalar_one()

    assert oldest_place(database) is not None
    assert forget_changes(database, later, 100) >= 1

    assert changes_after(database, start) == []
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.changes)).scalar_one() == 0


def test_every_step_of_a_discovery_is_heard_of_and_a_repetition_is_not(database: Engine) -> None:
    start, now = newest_place(database), datetime(2026, 11, 24, 6, tzinfo=UTC)
    looked = Look("tls://127.0.0.1:1", "other", now, LookOutcome.REFUSED)

    def heard(step: Callable[[], object]) -> list[tuple[str, str]]:
        nonlocal start
        step()
        found = changes_after(database, start)
        start = found[-1].place if found else start
        return [(change.kind, change.subject) for change in found]

    def write_adoption() -> None:
        with adopting(database) as connection:
            finish(connection, AdoptionReport("d-1"), now)

    one = [("discovery", "d-1")]
    for step, again in (
        (lambda: begin(database, Discovery("d-1", "test", {}, 1, 1), now), []),
        (lambda: save_page(database, ("d-1", 0), [looked], []), one),
        (lambda: mark_scanned(database, "d-1"), []),
        (write_adoption, one),
    ):
        assert heard(step) == one
        assert heard(step) == again
    # What was adopted stays adopted.
    assert heard(lambda: mark_failed(database, Discovery("d-1", "test", {}, 1, 1), "late", now)) == []
    assert find(database, "d-1").state == "adopted"
    never = Discovery("d-2", "test", {}, 0, 0, workflow_id="nightly", run_id="r-1")
    assert heard(lambda: mark_failed(database, never, "outside the scope", now)) == [("discovery", "d-2")]
    assert (find(database, "d-2").state, find(database, "d-2").workflow_id) == ("failed", "nightly")


@pytest.mark.parametrize("text", ["", "7", "7-", "-7", "a-b", "1-2-3", "٣-٤", f"{2**70}-1"])
def test_an_id_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_place(text)


def test_a_place_reads_back() -> None:
    assert str(read_place("12-34")) == "12-34"
