"""What a changed policy means to what is governed already: real PostgreSQL, a fake Temporal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.resolution import resolving
from domain.errors import NotReady
from domain.tiers import Tier
from store import tables
from tests.activities.estates import TestCA, policy
from tests.activities.sightings import SILENT, Sky, url
from tests.activities.test_adoption import House

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
