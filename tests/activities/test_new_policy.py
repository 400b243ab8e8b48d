"""What a changed policy means to what is governed already: real PostgreSQL, a fake Temporal."""

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.tiers import Tier
from store import tables
from tests.activities.estates import TestCA, policy
from tests.activities.test_adoption import House


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
