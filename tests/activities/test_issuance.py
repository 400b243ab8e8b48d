import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from activities.issuers.base import IssuerEndsFirst, IssuerParts
from activities.issuers.private_ca import PrivateCA, ensure_authorities, publish_roots, renew_old_crls
from domain.certificate import Algorithm, TrustClass
from domain.contracts import CollectOrder, OrderOutcome, PlaceOrder, Plan, RevokeOrder
from domain.errors import CAUnavailable, Conflict, NotFound, NotReady
from domain.profiles import plan_breaches
from domain.tiers import Issuer
from formats.x509 import parse_certificate, pem_of
from store import tables
from store.ca import newest_crl
from store.orders import order_of
from tests.activities.conftest import CA_KEK, ISSUER, PLAN, PROFILE, Crash, House
from tests.launcher.waiting import LONG_SECONDS


def issued(house: House, plan: Plan, order_key: str = "mc-1.1.1.1") -> OrderOutcome:
    house.orders.place_order(PlaceOrder(order_key, "mc-1", plan))
    return house.issuance.collect_order(CollectOrder(order_key))


def openssl_verify(house: House, folder: Path, order_key: str) -> None:
    roots = b"".join(path.read_bytes() for path in publish_roots(house.engine, folder) if path.stem.endswith("root"))
    (folder / "trusted.pem").write_bytes(roots)
    chain = order_of(house.engine, order_key).chain
    (folder / "leaf.pem").write_bytes(pem_of(chain[:1]))
    (folder / "chain.pem").write_bytes(pem_of(chain[1:]))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "trusted.pem", "-untrusted", "chain.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONG_SECONDS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("algorithm", "bits"), [("rsa", 2048), ("ecdsa", 256), ("ecdsa", 384), ("ed25519", 256)])
@pytest.mark.parametrize("usages", [("server",), ("client",), ("server", "client")])
def test_openssl_accepts_what_is_issued_strictly(
    house: House, plan: Plan, tmp_path: Path, algorithm: Algorithm, bits: int, usages: tuple[str, ...]
) -> None:
    wanted = replace(plan, algorithm=algorithm, key_bits=bits, usages=usages)
    outcome = issued(house, wanted)
    assert outcome.state == "issued"
    assert outcome.life is not None
    assert outcome.life.names == wanted.names
    assert outcome.life.trust_class is TrustClass.PRIVATE
    assert outcome.life.length == timedelta(days=90)
    openssl_verify(house, tmp_path, outcome.order_key)


def test_the_first_order_to_an_issuer_that_a_policy_has_just_named_finds_its_ca(house: House, plan: Plan) -> None:
    new = replace(ISSUER, name="Everleaf New")

    def load() -> tuple[Issuer, ...]:
        """As the policy's file does: who looks at it after a change makes what it needs."""
        ensure_authorities(house.engine, (ISSUER, new), CA_KEK, house.clock())
        return ISSUER, new

    parts = IssuerParts(house.engine, CA_KEK, house.clock, load, lambda: (PROFILE,))
    house.orders.place_order(PlaceOrder("mc-1.1.1.1", "mc-1", replace(plan, issuer=new.name)))
    assert PrivateCA(parts).issue(order_of(house.engine, "mc-1.1.1.1")) is not None


def test_a_life_beyond_the_calendar_is_an_issuer_that_ends_first(house: House, plan: Plan) -> None:
    endless = replace(plan, validity_seconds=int(timedelta(days=2_950_000).total_seconds()))
    same = replace(PROFILE, validity=timedelta(0))
    parts = IssuerParts(house.engine, CA_KEK, house.clock, lambda: (ISSUER,), lambda: (same,))
    house.orders.place_order(PlaceOrder("mc-1.1.1.1", "mc-1", endless))
    with pytest.raises(IssuerEndsFirst):
        PrivateCA(parts).issue(order_of(house.engine, "mc-1.1.1.1"))


@pytest.mark.parametrize("minutes", [20, 40])
def test_a_life_of_minutes_is_backdated_by_a_twentieth(house: House, plan: Plan, minutes: int) -> None:
    life = issued(house, replace(plan, validity_seconds=minutes * 60)).life
    assert life is not None
    assert life.length == timedelta(minutes=minutes)
    assert house.clock() - life.not_before == timedelta(minutes=minutes) / 20


def test_an_order_placed_twice_has_one_key_and_one_request(house: House, plan: Plan) -> None:
    asked = PlaceOrder("mc-1.1.1.1", "mc-1", plan)
    assert house.orders.place_order(asked) == house.orders.place_order(asked)
    with pytest.raises(Conflict):
        house.orders.place_order(replace(asked, plan=replace(plan, names=("other.example.in",))))


def test_a_crash_after_the_key_was_made_leaves_one_key(house: House, plan: Plan) -> None:
    house.failpoint.at = "order.key_made"
    with pytest.raises(Crash):
        issued(house, plan)
    assert issued(house, plan).state == "issued"
    with house.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.keys)).scalar() == 1


@pytest.mark.parametrize("point", ["issue.intended", "issue.signed", "issue.committed"])
def test_whatever_crashes_one_certificate_comes_out_of_an_order(house: House, plan: Plan, point: str) -> None:
    house.failpoint.at = point
    with pytest.raises(Crash):
        issued(house, plan)
    with house.engine.connect() as connection:
        intended = connection.execute(sa.select(tables.ca_issued.c.serial)).scalar_one()
    house.clock.advance(timedelta(minutes=10))
    outcome = issued(house, plan)
    assert outcome.life is not None
    assert outcome.life.serial == intended
    assert issued(house, plan) == outcome
    with house.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.ca_issued)).all()
    assert [row.number for row in rows] == [1]


def test_eight_workers_at_once_release_one_certificate_per_order(house: House, plan: Plan) -> None:
    keys = [f"mc-1.1.1.{number}" for number in range(4)]
    for key in keys:
        house.orders.place_order(PlaceOrder(key, "mc-1", plan))
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda key: house.issuance.collect_order(CollectOrder(key)), keys * 4))
    assert len({outcome.life.fingerprint for outcome in outcomes if outcome.life}) == len(keys)
    with house.engine.connect() as connection:
        numbers = connection.execute(sa.select(tables.ca_issued.c.number)).scalars().all()
    assert sorted(numbers) == [1, 2, 3, 4]


def test_an_issuer_that_ends_first_is_a_refusal(house: House, plan: Plan) -> None:
    short = replace(ISSUER, name="Everleaf Short")
    ensure_authorities(house.engine, (short,), CA_KEK, house.clock(), lives=timedelta(days=30))
    outcome = issued(house, replace(plan, issuer="Everleaf Short"))
    assert outcome.state == "failed"
    assert "its issuer ends first" in outcome.detail
    assert outcome.cause == "issuer-ends-first"
    assert issued(house, plan, "mc-1.1.1.2").state == "issued"


def test_an_intent_that_lapsed_is_never_signed(house: House, plan: Plan) -> None:
    house.failpoint.at = "issue.intended"
    with pytest.raises(Crash):
        issued(house, replace(plan, validity_seconds=1200))
    house.clock.advance(timedelta(hours=1))
    assert issued(house, replace(plan, validity_seconds=1200)).state == "failed"


def test_a_ca_that_is_not_made_yet_is_asked_again(house: House, plan: Plan) -> None:
    with pytest.raises(CAUnavailable):
        issued(house, replace(plan, issuer="Nobody"))
    with pytest.raises(NotFound):
        house.issuance.collect_order(CollectOrder("none"))


def test_authorities_are_made_once(house: House) -> None:
    before = list(_authorities(house))
    ensure_authorities(house.engine, (ISSUER,), CA_KEK, house.clock() + timedelta(days=1))
    assert list(_authorities(house)) == before
    assert len(before) == 4


def _authorities(house: House) -> list[bytes]:
    with house.engine.connect() as connection:
        return list(connection.execute(sa.select(tables.ca_authorities.c.certificate)).scalars())


def test_a_revoked_certificate_stands_on_the_list(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    assert outcome.life is not None
    for _ in range(2):
        assert house.issuance.revoke_order(RevokeOrder(outcome.order_key, "superseded")).done
    der = newest_crl(house.engine, "Everleaf NMS Server CA")
    assert der is not None
    crl = x509.load_der_x509_crl(der)
    assert [f"{entry.serial_number:x}" for entry in crl] == [outcome.life.serial]
    # The second within one second.
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == int(house.clock().timestamp()) + 1
    assert not house.issuance.revoke_order(RevokeOrder("none", "superseded")).done


def test_lists_are_renewed_daily_and_accepted_by_openssl(house: House, plan: Plan, tmp_path: Path) -> None:
    assert renew_old_crls(house.engine, CA_KEK, house.clock()) == 4
    assert renew_old_crls(house.engine, CA_KEK, house.clock()) == 0
    house.clock.advance(timedelta(days=1, seconds=1))
    assert renew_old_crls(house.engine, CA_KEK, house.clock()) == 4
    der = newest_crl(house.engine, "Everleaf Root")
    assert der is not None
    (tmp_path / "root.crl").write_bytes(der)
    publish_roots(house.engine, tmp_path)
    command = ["openssl", "crl", "-inform", "der", "-in", "root.crl", "-CAfile", "everleaf-root.pem", "-noout"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LONG_SECONDS)
    assert "verify OK" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"names": ("bank.example.com",)}, "does not permit the name"),
        ({"validity_seconds": 91 * 86_400}, "at most"),
        ({"profile": "other"}, "has no profile"),
    ],
)
def test_the_ca_keeps_to_the_profile_of_the_policy_in_force(
    house: House, plan: Plan, wrong: dict[str, Any], said: str
) -> None:
    outcome = issued(house, replace(plan, **wrong))
    assert outcome.state == "failed"
    assert said in outcome.detail
    with house.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.ca_issued)).scalar() == 0


def test_a_profile_without_a_life_of_its_own_allows_any() -> None:
    assert plan_breaches(PLAN, replace(PROFILE, validity=timedelta())) == ()


def test_our_ca_signs_nothing_self_signed(house: House, plan: Plan) -> None:
    outcome = issued(house, replace(plan, trust_class=TrustClass.SELF_SIGNED))
    assert outcome.state == "failed"


def test_an_order_revoked_before_it_was_signed_never_gives_a_certificate(house: House, plan: Plan) -> None:
    house.failpoint.at = "issue.intended"
    with pytest.raises(Crash):
        issued(house, plan)
    assert house.issuance.revoke_order(RevokeOrder("mc-1.1.1.1", "cessationOfOperation")).done
    assert issued(house, plan).state == "failed"


def test_keys_open_only_under_the_right_key_encryption_key(house: House, plan: Plan) -> None:
    placed = house.orders.place_order(PlaceOrder("mc-1.1.1.1", "mc-1", plan))
    key = load_pem_private_key(house.custodian.open_pem(placed.key_id), None)
    csr = x509.load_der_x509_csr(order_of(house.engine, "mc-1.1.1.1").csr)
    assert key.public_key() == csr.public_key()
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.keys).values(wrapped=b"x" * 100))
    with pytest.raises(NotReady, match="does not open"):
        house.custodian.open_pem(placed.key_id)


def test_what_leaves_is_the_leaf_and_its_ca_without_the_root(house: House, plan: Plan) -> None:
    outcome = issued(house, plan)
    chain = order_of(house.engine, outcome.order_key).chain
    facts = [parse_certificate(der) for der in chain]
    assert [one.is_ca for one in facts] == [False, True]
    assert not facts[1].is_self_signed
    assert facts[0].extended_key_usages == ("1.3.6.1.5.5.7.3.1",)
    leaf = x509.load_der_x509_certificate(chain[0])
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier.authority_cert_issuer is None
    assert leaf.public_bytes(Encoding.DER) == chain[0]
