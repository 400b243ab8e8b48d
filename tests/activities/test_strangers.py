"""What somebody else put in the place of ours lowers no alarm unless its chain leads where ours may (rule 9)."""

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
    ("trust", "is_known", "is_named", "is_good"),
    [
        (TrustClass.PRIVATE, True, True, True),
        (TrustClass.PRIVATE, False, True, False),
        # Whose root stands where is not for our roots to say of a public one; without any root nothing can be said.
        (TrustClass.PUBLIC, False, True, True),
        (TrustClass.PRIVATE, False, False, True),
    ],
)
async def test_the_chain_of_a_stranger_is_held_against_our_roots(
    database: Engine, tmp_path: Path, trust: TrustClass, is_known: bool, is_named: bool, is_good: bool
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
    assert [(look.fingerprint, look.chain_ok) for look in told.looks] == [(second, is_good)]
    assert [life.trust_class for life in told.candidates] == [trust]
    slot = Slot(f"file://localhost{path}", "ecdsa")
    looked = await house.verification.look_again(LookAgain("mc-0", (slot,), first))
    assert [(look.fingerprint, look.chain_ok) for look in looked.looks] == [(second, is_good)]


async def test_what_was_there_when_we_came_and_what_we_expect_need_only_be_whole(
    database: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "a.pem"
    first = TestCA().issue(path, "a.example")
    house = House(database, policy(TestCA(), (), (), (str(path),)))
    assert (await house.discover("d1")).new == 1
    assert house.told(0).looks[0].chain_ok
    slot = Slot(f"file://localhost{path}", "ecdsa")
    for expected, is_good in ((first, True), ("00" * 32, False)):
        looked = await house.verification.look_again(LookAgain("mc-0", (slot,), expected))
        assert [look.chain_ok for look in looked.looks] == [is_good]
