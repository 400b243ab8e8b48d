"""What a changed policy means to what is governed already: real PostgreSQL, a fake Temporal."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from activities.resolution import resolving
from activities.resolution.policy_change import remake_terms
from domain.errors import NotReady
from domain.tiers import Tier
from store import tables
from store.facts import record
from store.sightings import known
from store.sightings.known import of_other_policies
from tests.activities.estates import TestCA, policy
from tests.activities.sightings import NOW, SILENT, Sky, url
from tests.activities.test_adoption import House
from tests.activities.test_adoption_at_size import LATER, versions
from tests.store.test_facts import batch, snapshot
from tests.store.test_facts import event as fact

pytestmark = pytest.mark.server


@pytest.fixture
def sky(database: Engine) -> Sky:
    return Sky(database)


async def test_a_new_policy_is_told_as_new_terms(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    ca.issue(tmp_path / "a.pem", "a.example")
    house = House(database, policy(ca, (), (), (str(tmp_path / "*.pem"),)))
    await house.discover("d1")
    house.rules = replace(house.rules, version="sha256:next", rules=())
    assert (await house.discover("d2")).changed == 1
    terms = house.told(1).terms
    assert terms is not None and not terms.placed and terms.tier is Tier.CUSTOMER_FACING
    with database.connect() as connection:
        kinds = connection.scalars(sa.select(tables.findings.c.kind).where(tables.findings.c.discovery_id == "d2"))
        assert set(kinds) == {"unplaced"}


async def test_another_command_at_its_target_is_another_plan(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    ca.issue(tmp_path / "a.pem", "a.example")
    house = House(database, policy(ca, (), (), (str(tmp_path / "*.pem"),)))
    await house.discover("d1")
    house.rules = replace(house.rules, version="sha256:2")
    await house.discover("d2")
    [target] = house.rules.targets
    house.rules = replace(house.rules, version="sha256:3", targets=(replace(target, reload=("/bin/sh", "-c", "id")),))
    await house.discover("d3")
    plans = [terms.plan for terms in (house.told(number).terms for number in range(3)) if terms is not None]
    assert plans[0] is not None and plans[1] is not None and plans[2] is not None
    # The policy changed and the target did not: what was read is still what is approved.
    assert plans[1] == plans[0]
    assert plans[2].targets == plans[0].targets
    assert plans[2].version != plans[0].version


def test_a_policy_that_changes_between_two_attempts_is_told_again(sky: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    sky.discover("d1", {url(n): sky.leaf(f"h{n}.example") for n in range(3)})
    sky.heard()

    def fails(*_given: Any) -> None:
        raise NotReady("the worker is shut down")

    monkeypatch.setattr(resolving, "read", fails)
    sky.rules = replace(sky.rules, version="sha256:2")
    with pytest.raises(NotReady):
        sky.discover("d2", {url(9): SILENT})
    monkeypatch.undo()
    sky.rules = replace(sky.rules, version="sha256:3")
    sky.adopt("d2")

    versions = sorted((managed_id, told.terms.policy_version) for managed_id, told in sky.heard() if told.terms)
    assert versions == [(f"mc-{n:04}", version) for n in (1, 2, 3) for version in ("sha256:2", "sha256:3")]


def test_another_policy_reaches_those_that_no_discovery_looks_at(sky: Sky, database: Engine) -> None:
    saw = {url(n): sky.leaf(f"h{n}.example") for n in range(6)}
    sky.discover("d1", saw)
    gone = snapshot("mc-0006", retired=True)
    record(database, batch(fact(0), managed_id="mc-0006", read_model=gone), "test", NOW)
    sky.heard()
    sky.rules = replace(sky.rules, version="sha256:2")
    # Whatever is seen of a retired one is adopted anew; which of them is where is for their fingerprints to say.
    with database.connect() as connection:
        here = connection.scalars(sa.select(tables.slots.c.url).where(tables.slots.c.managed_id == "mc-0001")).one()

    report = sky.discover("d2", {here: saw[here]}, LATER)

    assert (report.changed, report.notices) == (5, 5)
    heard = sky.heard()
    assert sorted(managed_id for managed_id, _ in heard) == [f"mc-{n:04}" for n in range(1, 6)]
    assert {told.terms.policy_version for _, told in heard if told.terms is not None} == {"sha256:2"}
    before = versions(database)
    assert sky.discover("d3", {here: saw[here]}, LATER + timedelta(hours=1)).notices == 0
    written = [table for (table, row), version in versions(database).items() if before.get((table, row)) != version]
    assert sorted(written) == ["looks", "slots"], "a policy that did not change costs nothing"


def test_under_another_policy_the_one_with_a_plan_keeps_its_files(sky: Sky) -> None:
    [target] = sky.rules.targets

    def to(chain: str, version: str) -> None:
        both = replace(target, chain=chain, key=f"{chain}.key")
        sky.rules = replace(sky.rules, version=version, targets=(both,))

    to("/srv/one.pem", "sha256:1")
    saw = {url(n): sky.leaf(f"h{n}.example") for n in range(4)}
    sky.discover("d1", saw)
    [planned] = [managed_id for managed_id, told in sky.heard() if told.terms and told.terms.plan]
    to("/srv/another.pem", "sha256:2")
    sky.discover("d2", {url(9): SILENT}, LATER)

    assert [managed_id for managed_id, told in sky.heard() if told.terms and told.terms.plan] == [planned]


def at_other_places(sky: Sky) -> None:
    """Four certificates: at five places, at two, at two and at one; and then another policy."""
    many, two, other, one = (sky.leaf(f"{name}.example") for name in ("many", "two", "other", "one"))
    sky.discover("d1", dict(zip(map(url, range(10)), [many] * 5 + [two] * 2 + [other] * 2 + [one], strict=True)))
    sky.rules = replace(sky.rules, version="sha256:2")


def test_a_page_has_so_many_slots_or_one_certificate(
    sky: Sky, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST_SLOTS", 3)
    at_other_places(sky)
    sizes: list[int] = []
    with database.connect() as connection:
        for has_plan in (True, False):
            last = ("", "")
            while (page := of_other_policies(connection, "sha256:2", has_plan=has_plan, after=last)) is not None:
                slots = sum(len(known.slots_owned_by(connection, [row.id])) for row in page.governed)
                assert slots <= 3 or len(page.governed) == 1
                sizes.append(slots)
                last = page.last

    assert sum(sizes) == 10
    assert 5 in sizes, "whoever has more alone has a page alone"


def test_new_terms_are_written_before_the_files_of_slots_with_heartbeats_between(sky: Sky, database: Engine) -> None:
    """Slots last, and locked in their order, as in an adoption: whoever looks writes into the same rows."""
    at_other_places(sky)
    said: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(database, "before_cursor_execute", note)
    remake_terms(database, "d1", (sky.rules, NOW), lambda: said.append("beat"))
    event.remove(database, "before_cursor_execute", note)

    begun = next(number for number, one in enumerate(said) if one.startswith("INSERT INTO managed"))
    [files] = [number for number, one in enumerate(said) if "UPDATE slots" in one]
    assert begun < files
    assert "FOR UPDATE OF slots" in said[files]
    assert said[:begun].count("beat") >= 3, "of what was read, of its slots, and of the files of its targets"
    assert "beat" in said[files:]


@pytest.mark.parametrize("has_plan", [True, False])
def test_whose_terms_are_old_is_found_in_an_index_alone(sky: Sky, database: Engine, has_plan: bool) -> None:
    """Of a million without a plan, one statement would else read them all before it met the first with one."""
    sky.discover("d1", {url(1): sky.leaf("h.example")})
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database, "before_cursor_execute", note)
    with database.connect() as connection:
        of_other_policies(connection, sky.rules.version, has_plan=has_plan, after=("", ""))
    event.remove(database, "before_cursor_execute", note)

    assert len(asked) == 2
    for statement, parameters in asked:
        with database.connect() as connection:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
        assert "managed_by_policy" in plan
        assert "Filter" not in plan
        assert "Sort" not in plan
