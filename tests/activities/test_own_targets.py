"""Two managed certificates may not own one file of a target, chain or key (DESIGN rule 10)."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy.engine import Engine

from domain.tiers import Policy
from tests.activities.estates import TestCA, context, listening, policy
from tests.activities.test_adoption import House


@pytest.mark.parametrize(
    ("chain", "key", "told"),
    [
        ("/srv/{port}.pem", "/srv/{algorithm}.key", "chain file of its target, /srv/"),
        ("/srv/{algorithm}.pem", "/srv/k", "key file of its target, /srv/k,"),
        ("/srv/both.pem", "/srv/both.pem", "chain file of its target, /srv/both.pem,"),
    ],
)
async def test_two_certificates_may_not_own_one_file(
    database: Engine, tmp_path: Path, chain: str, key: str, told: str
) -> None:
    ca = TestCA()
    ca.issue(tmp_path / "ec.pem", "a.example")
    ca.issue(tmp_path / "rsa.pem", "a.example", key=rsa.generate_private_key(65537, 2048))
    async with listening(context(tmp_path / "ec.pem", tmp_path / "rsa.pem")) as port:
        rules = policy(ca, (port,))
        target = replace(rules.targets[0], chain=chain, key=key)
        house = House(database, replace(rules, targets=(target,)))
        assert (await house.discover("d1")).new == 2
    terms = [house.told(n).terms for n in (0, 1)]
    assert sorted(t is not None and t.plan is not None for t in terms) == [False, True]
    assert any(t is not None and told in t.unroutable and "a.example already" in t.unroutable for t in terms)


async def test_who_has_no_plan_is_asked_for_one_again_at_each_discovery_and_told_only_of_a_change(
    database: Engine, tmp_path: Path
) -> None:
    ca = TestCA()
    for name in ("a", "b"):
        ca.issue(tmp_path / f"{name}.pem", f"{name}.example")
    rules = policy(ca, (), (), (str(tmp_path / "*.pem"),))

    def with_target(chain: str) -> Policy:
        """Of one version: what changed is in the estate, and this stands for it."""
        target = replace(rules.targets[0], chain=chain, key=f"{chain}.key")
        return replace(rules, targets=(target,))

    house = House(database, with_target("/srv/both.pem"))
    assert (await house.discover("d1")).new == 2
    assert (await house.discover("d2")).notices == 0
    house.rules = with_target("{path}")
    assert (await house.discover("d3")).notices == 1
    told = house.told(2)
    assert told.kind == "terms" and told.terms is not None and told.terms.plan is not None
    assert (await house.discover("d4")).notices == 0
