"""What our CAs forgot to be revoked stands on their lists again, by its serial where nothing else is known of it."""

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from activities.issuers.private_ca.regaining import RegainingActivities
from domain.comparison import LostOrders, LostRevocation, LostRevocations, Regained
from domain.contracts import CollectOrder, OrderOutcome, PlaceOrder, Plan
from store import tables
from tests.activities.conftest import CA_KEK, House
from tests.activities.test_issuance import issued
from tests.activities.test_put_back import forgotten, listed, rows


def revoked(outcome: OrderOutcome, at: datetime) -> LostRevocations:
    """As its lifecycle knows it, which had it in use."""
    life = outcome.life
    assert life is not None
    one = LostRevocation(outcome.order_key, "superseded", at, life.fingerprint, life.serial, life.issuer)
    return LostRevocations((one,))


def test_what_was_revoked_and_is_served_nowhere_stands_on_the_list_by_its_serial(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    lost = forgotten(house, outcome)
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    assert regaining.regain_issued(LostOrders((lost,))).orders == 0
    at = house.clock().replace(microsecond=0)
    assert regaining.revoke_again(revoked(outcome, at)) == Regained(1)
    assert regaining.revoke_again(revoked(outcome, at)) == Regained(0)
    assert listed(house) == {lost.serial: (at, "superseded")}
    # No request is ever answered with it.
    house.orders.place_order(PlaceOrder(lost.order_key, "mc-1", plan))
    assert house.issuance.collect_order(CollectOrder(lost.order_key)).state == "failed"


def test_what_another_ca_revoked_stands_on_no_list_of_ours(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    forgotten(house, outcome)
    assert outcome.life is not None
    strange = replace(outcome, life=replace(outcome.life, issuer="CN=Somebody else"))
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    assert regaining.revoke_again(revoked(strange, house.clock())) == Regained(0)
    assert (listed(house), rows(house)) == ({}, [])


def test_what_was_signed_behind_the_intent_that_the_store_was_put_back_to_is_revoked_by_its_serial(
    house: House, plan: Plan
) -> None:
    outcome = issued(house, plan)
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.ca_issued).values(der=None, signed_at=None))
    at = house.clock().replace(microsecond=0)
    assert RegainingActivities(house.engine, CA_KEK, house.clock).revoke_again(revoked(outcome, at)) == Regained(1)
    assert outcome.life is not None
    assert listed(house) == {outcome.life.serial: (at, "superseded")}
