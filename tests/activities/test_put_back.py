"""After the store was put back our CAs sign nothing until a person says so, and no number of a list comes twice."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from cryptography import x509

from activities.issuers.private_ca import renew_old_crls
from domain.contracts import CollectOrder, PlaceOrder, Plan, Reconciled, RevokeOrder
from domain.errors import CAUnavailable
from store import tables
from store.ca import newest_crl
from store.reconciliations import note
from tests.activities.conftest import CA_KEK, House
from tests.activities.test_issuance import issued


def test_a_list_of_a_store_that_was_put_back_has_a_higher_number_than_the_lists_it_has_forgotten(house: House) -> None:
    renew_old_crls(house.engine, CA_KEK, house.clock())
    with house.engine.connect() as connection:
        before = connection.execute(sa.select(tables.ca_authorities.c.crl_number)).scalars().all()
    house.clock.advance(timedelta(days=3))
    renew_old_crls(house.engine, CA_KEK, house.clock())
    forgotten = _number(house)
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.ca_authorities).values(crl_number=before[0]))
        connection.execute(sa.delete(tables.ca_crls))
    house.clock.advance(timedelta(minutes=1))
    renew_old_crls(house.engine, CA_KEK, house.clock())
    assert _number(house) > forgotten


def _number(house: House) -> int:
    der = newest_crl(house.engine, "Everleaf Root")
    assert der is not None
    number = x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert isinstance(number, int)
    return number


def test_nothing_is_signed_after_the_store_was_put_back_until_a_person_says_so(house: House, plan: Plan) -> None:
    def compared(comparison_id: str, *, held: bool) -> None:
        house.clock.advance(timedelta(minutes=5))
        now = house.clock()
        found = Reconciled(comparison_id, "workflow", "run", now, True, 1, 1, held_since=now if held else None)
        note(house.engine, found, now)

    first = issued(house, plan)
    compared("r-1", held=True)
    house.orders.place_order(PlaceOrder("mc-2.1.1.1", "mc-2", plan))
    with pytest.raises(CAUnavailable, match="everleaf reconcile --apply"):
        house.issuance.collect_order(CollectOrder("mc-2.1.1.1"))
    with house.engine.connect() as connection:
        signed = connection.execute(sa.select(tables.ca_issued.c.order_key)).scalars().all()
    assert signed == [first.order_key]
    # What was signed before is still given, and still revoked.
    assert house.issuance.collect_order(CollectOrder(first.order_key)) == first
    assert house.issuance.revoke_order(RevokeOrder(first.order_key, "superseded")).done
    compared("r-2", held=False)
    assert house.issuance.collect_order(CollectOrder("mc-2.1.1.1")).state == "issued"
