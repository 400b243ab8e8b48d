"""What somebody else put in the place of ours is told with where its chain leads, for rule 9 to judge."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from domain.certificate import Slot, TrustClass
from domain.contracts import LookAgain
from tests.activities.estates import TestCA, policy
from tests.activities.test_adoption import House

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    ("trust", "is_known", "is_named", "is_rooted"),
    [
        (TrustClass.PRIVATE, True, True, True),
        (TrustClass.PRIVATE, False, True, False),
        (TrustClass.PUBLIC, False, True, False),
        (TrustClass.PRIVATE, True, False, False),
    ],
)
async def test_the_chain_of_a_stranger_is_held_against_our_roots(
    database: Engine, tmp_path: Path, trust: TrustClass, is_known: bool, is_named: bool, is_rooted: bool
) -> None:
    ca, path = TestCA(), tmp_path / "a.pem"
    first = ca.issue(path, "a.example")
    rules = policy(ca, (), (), (str(path),))
    issuers = tuple(replace(one, trust_class=trust) for one in rules.issuers)
    house = House(database, replace(rules, issuers=issuers, roots=rules.roots if is_named else ()))
    assert (await house.discover("d1")).new == 1
    assert house.told(0).looks[0].chain_ok

    second = (ca if is_known else TestCA()).issue(path, "a.example", days=300)
    assert (await house.discover("d2")).changed == 1
    told = house.told(1)
    # Both are told; whether a stranger may end elsewhere is the domain's to judge.
    assert [(look.fingerprint, look.chain_ok, look.rooted) for look in told.looks] == [(second, True, is_rooted)]
    assert [life.trust_class for life in told.candidates] == [trust]
    slot = Slot(f"file://localhost{path}", "ecdsa")
    looked = await house.verification.look_again(LookAgain("mc-0", (slot,), first))
    assert [(look.fingerprint, look.chain_ok, look.rooted) for look in looked.looks] == [(second, True, is_rooted)]


async def test_a_whole_chain_is_told_as_whole_whoever_expects_it_and_wherever_it_ends(
    database: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "a.pem"
    first = TestCA().issue(path, "a.example")
    house = House(database, policy(TestCA(), (), (), (str(path),)))
    assert (await house.discover("d1")).new == 1
    assert house.told(0).looks[0].chain_ok
    slot = Slot(f"file://localhost{path}", "ecdsa")
    for expected in (first, "00" * 32):
        looked = await house.verification.look_again(LookAgain("mc-0", (slot,), expected))
        assert [(look.chain_ok, look.rooted) for look in looked.looks] == [(True, False)]
