"""After the store was put back our CAs sign nothing until a person says so, and no number of a list comes twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from activities.issuers.private_ca import regaining as regaining_module
from activities.issuers.private_ca import renew_old_crls
from activities.issuers.private_ca.regaining import RegainingActivities
from activities.scanners.sweep import seen_certificate
from domain.comparison import (
    FindForgotten,
    Forgotten,
    LostOrder,
    LostOrders,
    LostRevocation,
    LostRevocations,
    Reconciled,
    Regained,
)
from domain.contracts import CollectOrder, OrderOutcome, PlaceOrder, Plan, RevokeOrder
from domain.errors import CAUnavailable
from store import ca, tables
from store.ca import newest_crl
from store.orders import order_of
from store.reconciliations import note
from store.sightings.looks import keep_certificates
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
        found = Reconciled(comparison_id, "workflow", "run", now, True, 1, 1)
        note(house.engine, replace(found, held_since=now if held else None, release=not held))

    first = issued(house, plan)
    compared("r-1", held=True)
    house.orders.place_order(PlaceOrder("mc-2.1.1.1", "mc-2", plan))
    with pytest.raises(CAUnavailable, match="everleaf reconcile --apply"):
        house.issuance.collect_order(CollectOrder("mc-2.1.1.1"))
    with house.engine.connect() as connection:
        signed = connection.execute(sa.select(tables.ca_issued.c.order_key)).scalars().all()
    assert signed == [first.order_key]
    # What was signed before is still given; what is revoked is kept, and not said to be done before a list says it.
    house.clock.advance(timedelta(hours=1))
    before = newest_crl(house.engine, "Everleaf NMS Server CA")
    assert house.issuance.collect_order(CollectOrder(first.order_key)) == first
    with pytest.raises(CAUnavailable, match="no list is signed"):
        house.issuance.revoke_order(RevokeOrder(first.order_key, "superseded"))
    assert newest_crl(house.engine, "Everleaf NMS Server CA") == before
    revoked_at = ca.issued_of(house.engine, first.order_key).revoked_at
    assert revoked_at == house.clock()
    compared("r-2", held=False)
    assert house.issuance.revoke_order(RevokeOrder(first.order_key, "superseded")).done
    assert list(listed(house).values()) == [(revoked_at.replace(microsecond=0), "superseded")]
    assert house.issuance.collect_order(CollectOrder("mc-2.1.1.1")).state == "issued"


def met(house: House, plan: Plan) -> OrderOutcome:
    """What was issued, and a look has met."""
    outcome = issued(house, plan)
    der = order_of(house.engine, outcome.order_key).chain[0]
    keep_certificates(house.engine, [seen_certificate(der)], house.clock())
    return outcome


def forgotten(house: House, outcome: OrderOutcome) -> LostOrder:
    """``outcome`` as a lifecycle knows it, in a store that knows neither the order nor what was signed."""
    with house.engine.begin() as connection:
        connection.execute(sa.delete(tables.ca_issued))
        connection.execute(sa.delete(tables.orders))
    assert outcome.life is not None
    return LostOrder(outcome.order_key, "mc-1", outcome.life.fingerprint, outcome.life.serial, outcome.life.issuer)


def test_what_our_ca_signed_and_forgot_is_entered_again_where_a_look_has_met_it(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    der = order_of(house.engine, outcome.order_key).chain[0]
    lost = forgotten(house, outcome)
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)

    gone = regaining.regain_issued(LostOrders((lost,)))
    assert gone.orders == 0
    assert gone.lost == (("mc-1", f"serial {lost.serial} of Everleaf NMS Server CA was signed and is served nowhere"),)

    keep_certificates(house.engine, [seen_certificate(der)], house.clock())
    for _ in range(2):
        found = regaining.regain_issued(LostOrders((lost,)))
    assert (found.orders, found.lost) == (1, (("mc-1", "the key and the request of order mc-1.1.1.1 are lost"),))
    [row] = rows(house)
    assert (row.serial, bytes(row.der), row.ca) == (lost.serial, der, "Everleaf NMS Server CA")
    # So it can be revoked, and stands on the list.
    ca.revoke(house.engine, lost.order_key, "superseded", house.clock())
    assert [one.serial for one in ca.revoked_by(house.engine, row.ca)] == [lost.serial]
    # And no request is ever answered with it.
    house.orders.place_order(PlaceOrder(lost.order_key, "mc-1", plan))
    assert house.issuance.collect_order(CollectOrder(lost.order_key)).state == "failed"


def rows(house: House) -> Sequence[sa.Row[tuple[object, ...]]]:
    with house.engine.connect() as connection:
        return connection.execute(sa.select(tables.ca_issued)).all()


def test_a_certificate_of_another_ca_is_none_that_ours_forgot(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    lost = replace(forgotten(house, outcome), issuer="CN=Somebody else")
    assert RegainingActivities(house.engine, CA_KEK, house.clock).regain_issued(LostOrders((lost,))) == Regained(0)


def listed(house: House) -> dict[str, tuple[datetime, str]]:
    """Serial -> when and why it was revoked, by the newest list of the CA of ``plan``."""
    der = newest_crl(house.engine, "Everleaf NMS Server CA")
    assert der is not None
    return {
        f"{one.serial_number:x}": (
            one.revocation_date_utc,
            one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value,
        )
        for one in x509.load_der_x509_crl(der)
    }


def test_what_our_ca_forgot_to_be_revoked_is_revoked_with_its_reason_and_stands_on_the_list(
    house: House, plan: Plan
) -> None:
    outcome = issued(house, plan)
    at = house.clock().replace(microsecond=0)
    lost = LostRevocation(outcome.order_key, "cessationOfOperation", at)
    assert house.issuance.revoke_order(RevokeOrder(lost.order_key, lost.reason)).done
    [serial] = listed(house)
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.ca_issued).values(revoked_at=None, revocation_reason=""))
    house.clock.advance(timedelta(days=1))
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    unknown = LostRevocation("mc-9.1.1.1", "superseded", at)
    assert regaining.revoke_again(LostRevocations((lost, unknown), after="more")) == Regained(1)
    assert regaining.revoke_again(LostRevocations((lost,))) == Regained(0)
    assert listed(house) == {serial: (at, "cessationOfOperation")}


def test_a_held_ca_makes_a_list_only_where_the_present_one_would_end(house: House) -> None:
    renew_old_crls(house.engine, CA_KEK, house.clock())
    now = house.clock()
    note(house.engine, Reconciled("r-1", "workflow", "run", now, True, 1, 1, held_since=now))
    before = _number(house)
    house.clock.advance(timedelta(days=5, hours=23))
    assert renew_old_crls(house.engine, CA_KEK, house.clock()) == 0
    house.clock.advance(timedelta(hours=1))
    assert renew_old_crls(house.engine, CA_KEK, house.clock()) > 0
    assert _number(house) > before


def test_what_our_ca_signed_and_does_not_remember_is_found_by_its_key_where_a_look_has_met_it(
    house: House, plan: Plan
) -> None:
    outcome = met(house, plan)
    der = order_of(house.engine, outcome.order_key).chain[0]
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    assert regaining.find_forgotten(FindForgotten()) == Forgotten()
    lost = forgotten(house, outcome)
    [(_, name, told)] = regaining.find_forgotten(FindForgotten()).found
    assert (name, lost.serial in told, "does not remember" in told) == (plan.names[0], True, True)
    assert rows(house) == []
    assert len(regaining.find_forgotten(FindForgotten(regain=True)).found) == 1
    assert regaining.find_forgotten(FindForgotten()) == Forgotten()
    [row] = rows(house)
    assert (bytes(row.der), row.ca) == (der, "Everleaf NMS Server CA")
    # Past its end it is nobody's concern.
    forgotten(house, outcome)
    house.clock.advance(timedelta(days=1000))
    assert regaining.find_forgotten(FindForgotten()) == Forgotten()


def named_after_ours(house: House) -> bytes:
    authority = next(one for one in ca.authorities(house.engine) if one.name == "Everleaf NMS Server CA")
    ours = x509.load_der_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    now = house.clock()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.in")]))
        .issuer_name(ours.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def test_who_merely_names_our_ca_as_issuer_stops_nobody(house: House) -> None:
    keep_certificates(house.engine, [seen_certificate(named_after_ours(house))], house.clock())
    assert RegainingActivities(house.engine, CA_KEK, house.clock).find_forgotten(FindForgotten()) == Forgotten()


def test_what_was_found_by_its_certificate_gets_the_key_of_its_order_once_that_is_known(
    house: House, plan: Plan
) -> None:
    outcome = met(house, plan)
    lost = forgotten(house, outcome)
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    regaining.find_forgotten(FindForgotten(regain=True))
    for _ in range(2):
        assert regaining.regain_issued(LostOrders((lost,))).orders == 1
    [row] = rows(house)
    assert row.order_key == lost.order_key


def test_what_was_revoked_without_ever_being_in_use_is_revoked_again_where_a_look_has_met_it(
    house: House, plan: Plan
) -> None:
    outcome = met(house, plan)
    lost = forgotten(house, outcome)
    regaining = RegainingActivities(house.engine, CA_KEK, house.clock)
    regaining.find_forgotten(FindForgotten(regain=True))
    at = house.clock().replace(microsecond=0)
    revoked = LostRevocation(lost.order_key, "superseded", at, lost.fingerprint)
    assert regaining.revoke_again(LostRevocations((revoked,))) == Regained(1)
    assert list(listed(house).values()) == [(at, "superseded")]
    assert len(rows(house)) == 1


def test_many_that_merely_name_our_ca_hide_none_that_it_signed(
    house: House, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regaining_module, "PAGE", 1)
    outcome = met(house, plan)
    for _ in range(4):
        keep_certificates(house.engine, [seen_certificate(named_after_ours(house))], house.clock())
    forgotten(house, outcome)
    found = RegainingActivities(house.engine, CA_KEK, house.clock).find_forgotten(FindForgotten())
    assert [one[0] for one in found.found] == [outcome.life.fingerprint if outcome.life else ""]
