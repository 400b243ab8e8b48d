"""Adoption costs what changed, not what is known (DESIGN section 4): counted in rows and statements, never in time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import event
from sqlalchemy.engine import Engine
from temporalio.testing import ActivityEnvironment

from activities.resolution import resolving, seen
from domain.contracts import MOST_PLACES, AdoptDiscovery, Terms
from domain.errors import NotReady
from domain.findings import Kind
from store import tables
from store.batches import AT_ONCE
from store.sightings import adoptions
from store.sightings.known import TERMS
from tests.activities.sightings import NOW, SILENT, Sky, place, url
from tests.activities.test_adoption import House

pytestmark = pytest.mark.server

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def sky(database: Engine) -> Sky:
    return Sky(database)


def versions(database: Engine) -> dict[tuple[str, str], int]:
    """The transaction that wrote each row of what adoption writes."""
    found: dict[tuple[str, str], int] = {}
    with database.connect() as connection:
        for table in ("managed", "slots", "notices", "findings", "certificates", "looks"):
            rows = connection.execute(
                sa.text(f"SELECT {table}::text AS row, xmin::text::bigint AS version FROM {table}")
            )
            found |= {(table, row.row): row.version for row in rows}
    return found


@contextmanager
def statements(database: Engine) -> Iterator[list[int]]:
    """How many values the longest list of each statement had."""
    longest: list[int] = []

    def note(_c: Any, _cursor: Any, _statement: str, parameters: Any, *_rest: Any) -> None:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        longest.append(max([len(value) for value in values if isinstance(value, list)], default=0) + len(values))

    event.listen(database, "before_cursor_execute", note)
    try:
        yield longest
    finally:
        event.remove(database, "before_cursor_execute", note)


def test_one_host_writes_its_own_rows_and_no_others(sky: Sky, database: Engine) -> None:
    leaves = {url(n): sky.leaf(f"h{n}.example") for n in range(40)}
    assert sky.discover("d1", leaves).new == 40
    before = versions(database)

    report = sky.discover("d2", {url(7): leaves[url(7)]}, LATER)

    assert (report.new, report.changed, report.missed, report.notices) == (0, 0, 0, 0)
    written = [table for (table, row), version in versions(database).items() if before.get((table, row)) != version]
    assert sorted(written) == ["looks", "slots"]


def test_the_statements_of_one_host_do_not_grow_with_the_estate(sky: Sky, database: Engine) -> None:
    leaves = {url(n): sky.leaf(f"h{n}.example") for n in range(60)}
    counts: list[int] = []
    for discovery, size in (("few", 3), ("many", 60)):
        sky.discover(discovery, {url(n): leaves[url(n)] for n in range(size)}, LATER)
        sky.look(f"one-of-{discovery}", {url(1): leaves[url(1)]}, LATER + timedelta(hours=1))
        with statements(database) as longest:
            sky.adopt(f"one-of-{discovery}")
        counts += [len(longest), max(longest)]

    assert counts[:2] == counts[2:]


def test_no_statement_has_a_list_that_grows_with_the_discovery(sky: Sky, database: Engine) -> None:
    leaf = sky.leaf("h.example")
    sky.look("d1", {url(n): leaf for n in range(2 * AT_ONCE + 1)})
    with statements(database) as longest:
        assert sky.adopt("d1").new == 1

    # A chain of two beside it, and the words of the statement itself.
    assert max(longest) <= AT_ONCE + 10
    assert sky.beats >= 3, "a beat for every batch"


def test_an_unchanged_repetition_tells_nobody_and_writes_what_it_looked_at(sky: Sky, database: Engine) -> None:
    saw = {url(n): sky.leaf(f"h{n}.example") for n in range(5)}
    sky.discover("d1", saw)
    before = versions(database)

    report = sky.discover("d2", saw, LATER)

    assert (report.new, report.notices) == (0, 0)
    written = {table for (table, row), version in versions(database).items() if before.get((table, row)) != version}
    assert written == {"looks", "slots"}


def test_who_loses_a_place_hears_what_is_served_there_now(sky: Sky) -> None:
    mine, taken = sky.leaf("mine.example"), sky.leaf("other.example")
    sky.discover("d1", {url(1): mine, url(2): mine})
    sky.heard()

    sky.discover("d2", {url(1): taken, url(2): mine}, LATER)

    heard = {(managed_id, told.kind): told for managed_id, told in sky.heard()}
    told = heard["mc-0001", "slots"]
    assert told.slots == (place(2),)
    [look] = told.looks
    [candidate] = told.candidates
    assert look.slot == place(1)
    assert look.fingerprint == candidate.fingerprint != ""
    assert candidate.names == ("other.example",)
    assert heard["mc-0002", "adopted"].slots == (place(1),)


def test_a_leaf_without_the_name_that_was_asked_for_is_told_to_the_owner_of_the_place(
    sky: Sky, database: Engine
) -> None:
    asked = "a.example"
    sky.discover("d1", {url(1, asked): sky.leaf(asked)})
    sky.heard()

    report = sky.discover("d2", {url(1, asked): sky.leaf("default.host")}, LATER)

    assert (report.new, report.changed) == (0, 1)
    [(managed_id, told)] = sky.heard()
    assert (managed_id, told.kind) == ("mc-0001", "looked")
    assert [life.names for life in told.candidates] == [("default.host",)]
    with database.connect() as connection:
        assert connection.scalars(sa.select(tables.slots.c.managed_id)).all() == ["mc-0001"]
        kinds = connection.scalars(
            sa.select(tables.findings.c.kind).where(tables.findings.c.discovery_id == "d2")
        ).all()
    assert Kind.WRONG_NAME.value in kinds


def test_a_look_says_when_its_leaf_begins_and_where_its_path_leads(sky: Sky) -> None:
    sky.discover("d1", {url(1): sky.leaf("h.example")})

    [(_, told)] = sky.heard()
    [look] = told.looks
    assert told.life is not None
    assert (look.not_before, look.ends_at) == (told.life.not_before, told.life.ends_at)
    assert (look.rooted, look.flaw, look.chain_ok, look.connections) == (True, "", True, 1)
    assert (told.life.signature_hash, len(told.life.issuer_spki)) == ("sha256", 64)


def test_a_certificate_with_too_many_places_is_told_of_the_first_and_says_so(sky: Sky, database: Engine) -> None:
    leaf = sky.leaf("h.example")
    report = sky.discover("d1", {url(n): leaf for n in range(MOST_PLACES + 3)})

    assert (report.new, report.notices) == (1, 1)
    [(_, told)] = sky.heard()
    every = sorted(place(n) for n in range(MOST_PLACES + 3))
    assert told.slots == tuple(every[:MOST_PLACES])
    assert [look.slot for look in told.looks] == every[:MOST_PLACES]
    assert told.terms is not None
    assert told.terms.plan is not None
    # Named for a person to read; all of them are bound by the digest.
    assert 1 < len(told.terms.plan.targets) < 200
    assert told.terms.plan.targets_sha256
    c = tables.findings.c
    with database.connect() as connection:
        [detail] = connection.scalars(sa.select(c.detail).where(c.kind == Kind.TOO_MANY_PLACES.value))
    assert detail.startswith(f"it is served at {MOST_PLACES + 3} places")


def test_a_key_that_is_served_elsewhere_is_shared_also_where_only_one_place_is_looked_at(
    sky: Sky, database: Engine
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    first, second = sky.leaf("a.example", key=key), sky.leaf("b.example", key=key)
    sky.discover("d1", {url(1): first, url(2): second})

    sky.discover("d2", {url(1): first}, LATER)
    # A renewal in the same place that keeps its key shares it with nobody else than before.
    sky.discover("d3", {url(1): sky.leaf("a.example", key=key), url(2): SILENT}, LATER + timedelta(hours=1))

    c = tables.findings.c
    with database.connect() as connection:
        query = sa.select(c.discovery_id, c.detail).where(c.kind == Kind.SHARED_KEY.value, c.url == url(1))
        found = {row.discovery_id: row.detail for row in connection.execute(query)}
    assert found == dict.fromkeys(("d1", "d2", "d3"), "its key serves 1 more certificate(s)")


def test_findings_of_one_host_leave_those_of_others_alone(sky: Sky, database: Engine) -> None:
    saw = {url(n): sky.leaf(f"h{n}.elsewhere") for n in range(3)}
    sky.discover("d1", saw)

    sky.discover("d2", {url(0): saw[url(0)]}, LATER)

    c = tables.findings.c
    with database.connect() as connection:
        counted = sa.select(c.discovery_id, sa.func.count()).where(c.kind == Kind.UNPLACED.value)
        rows = connection.execute(counted.group_by(c.discovery_id)).all()
        slots = connection.execute(sa.select(tables.slots.c.url, tables.slots.c.found)).all()
    found = {row.url: row.found for row in slots}
    assert sorted(tuple(row) for row in rows) == [("d1", 3), ("d2", 1)]
    assert found == {url(n): ["unplaced"] for n in range(3)}


def test_a_page_that_is_scanned_again_meanwhile_is_not_adopted(sky: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sky.leaf("a.example"), sky.leaf("b.example")
    sky.look("d1", {url(1): first})
    read = seen.read

    def read_and_be_overtaken(*given: Any) -> object:
        found = read(*given)
        sky.look("d1", {url(1): second}, LATER)
        return found

    monkeypatch.setattr(resolving, "read", read_and_be_overtaken)
    with pytest.raises(NotReady, match="scanned again"):
        sky.adopt("d1")
    assert sky.heard() == []
    monkeypatch.undo()

    assert sky.adopt("d1").new == 1
    [(_, told)] = sky.heard()
    assert told.life is not None
    assert told.life.names == ("b.example",)


def test_terms_are_written_as_json_once_for_each_certificate(sky: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    dumps: list[str] = []

    class Counting:
        def dump_json(self, terms: Terms) -> bytes:
            dumps.append("json")
            return TERMS.dump_json(terms)

        def dump_python(self, terms: Terms, mode: Literal["json"]) -> object:
            dumps.append("python")
            return TERMS.dump_python(terms, mode=mode)

    monkeypatch.setattr(adoptions, "TERMS", Counting())
    assert sky.discover("d1", {url(n): sky.leaf(f"h{n}.example") for n in range(3)}).new == 3
    assert dumps == ["json"] * 3


async def test_resolving_heartbeats_from_its_own_thread(sky: Sky, database: Engine) -> None:
    sky.look("d1", {url(n): sky.leaf(f"h{n}.example") for n in range(3)})
    environment, beats = ActivityEnvironment(), 0

    def count(*_details: Any) -> None:
        nonlocal beats
        beats += 1

    environment.on_heartbeat = count
    house = House(database, sky.rules)
    report = await environment.run(house.adoption.adopt, AdoptDiscovery("d1"))

    assert report.new == 3
    assert beats >= 3


def test_a_verification_that_looked_later_is_not_overwritten(sky: Sky, database: Engine) -> None:
    leaf = sky.leaf("a.example")
    sky.discover("d1", {url(1): leaf}, LATER)

    assert sky.discover("d2", {url(1): sky.leaf("a.example")}, NOW).notices == 0
    with database.connect() as connection:
        assert connection.scalar(sa.select(tables.slots.c.last_looked_at)) == LATER
