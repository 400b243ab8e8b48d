"""Two managed certificates may not own one file of a target, chain or key (DESIGN rule 10)."""

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
        values = {name: getattr(rules, name) for name in Policy.__dataclass_fields__}
        target = type(rules.targets[0])("t", rules.targets[0].when, "file", chain, key)
        house = House(database, Policy(**{**values, "targets": (target,)}))
        assert (await house.discover("d1")).new == 2
    terms = [house.told(n).terms for n in (0, 1)]
    assert sorted(t is not None and t.plan is not None for t in terms) == [False, True]
    assert any(t is not None and told in t.unroutable and "a.example already" in t.unroutable for t in terms)
