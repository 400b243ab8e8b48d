"""What must not live on: orders that nobody needs any more, collected and revoked, or owed by a person."""

from datetime import timedelta

from domain.contracts import CollectOrder, RevokeOrder
from domain.people.messages import Retire
from domain.tiers import Tier
from tests.domain.simulation import START, World, broken

DAY = timedelta(days=1)


def pending_and_retired() -> World:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    w.adopt()
    w.work()
    w.send(Retire(w.code(), "decommissioned"))
    w.work()
    assert w.state.to_revoke and not w.state.to_revoke[0].collected
    return w


def test_an_order_that_its_ca_never_answers_is_owed_by_a_person_in_the_end() -> None:
    w = pending_and_retired()
    w.run_until(START + 6 * DAY)
    assert w.asked() == []
    w.run_until(START + 8 * DAY)
    assert w.asked() == ["revocation"]
    w.answer("revocation", "revoked")
    assert w.state.is_over or not w.state.to_revoke


def test_an_order_that_can_never_be_collected_is_owed_by_a_person_at_once() -> None:
    w = pending_and_retired()
    w.fail = lambda step: broken(step, permanent=True) if isinstance(step, CollectOrder) else None
    w.run_until(w.now + DAY)
    assert w.asked() == ["revocation"]


def test_a_step_of_an_order_that_has_closed_fails_no_other() -> None:
    w = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    w.adopt()
    w.work()
    assert w.state.case is not None
    for late in (CollectOrder("mc-1.9.9.9"), RevokeOrder("mc-1.9.9.9", "superseded")):
        before = w.state
        w.tell(broken(late))
        assert w.state.case == before.case and w.count("step_failed") == 0
