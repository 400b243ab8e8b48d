from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy.engine import Engine

from activities.warrants import WarrantActivities
from domain.contracts import RedeemWarrant
from domain.tiers import Person, Role
from store import access
from tests.activities.conftest import Clock, Crash, Failpoint


def test_a_crash_after_redeeming_repeats_the_same_answer(database: Engine) -> None:
    clock, failpoint = Clock(), Failpoint()
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.SECURITY_HEAD)])
    head = access.Actor("person/asha", Role.SECURITY_HEAD, True)
    bound_to = access.Binding("mc-1", "retire")
    lives = timedelta(minutes=15)
    code = access.mint_warrant(database, actor=head, bound_to=bound_to, lives=lives, now=clock())
    asked = RedeemWarrant(sha256(code.encode()).hexdigest(), code, "c-1", "mc-1", "retire")
    spending = WarrantActivities(database, clock, failpoint)
    failpoint.at = "redeem.committed"
    with pytest.raises(Crash):
        spending.redeem(asked)
    answer = spending.redeem(asked)
    assert (answer.allowed, answer.actor, answer.role) == (True, "person/asha", "security-head")
