import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from activities.issuance import IssuanceActivities
from activities.issuers import IssuerParts
from activities.issuers.manual import ManualIssuer
from domain.certificate import TrustClass
from domain.contracts import CollectOrder, PlaceOrder, Plan, RevokeOrder
from formats import paths
from formats.x509 import pem_of
from store import tables
from store.access import Upload, add_upload
from store.orders import fail_order, order_of
from tests.activities.conftest import CA_KEK, PUBLIC, House, manual

DAY = timedelta(days=1)


class OutsideCA:
    """A CA that is not ours."""

    def __init__(self, now: datetime, name: str = "Bharat Trust", is_ca: bool = True) -> None:
        self.now = now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.key.public_key(), self.name, now - DAY, now + 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _builder(self, key: object, subject: x509.Name, begins: datetime, ends: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)  # type: ignore[arg-type]  # of any kind
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )

    def crossed(self, by: "OutsideCA", ends: datetime) -> bytes:
        """A certificate of this CA's key by another one, that begins a year before it ends."""
        builder = by._builder(self.key.public_key(), self.name, ends - 365 * DAY, ends)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def sign(self, csr: bytes, days: int = 90, names: tuple[str, ...] = (), key: object = None) -> bytes:
        request = x509.load_der_x509_csr(csr)
        alternative = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = self._builder(key or request.public_key(), request.subject, self.now, self.now + days * DAY)
        builder = builder.add_extension(alternative, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


KEY = "mc-1.1.1.1"


def placed(house: House, plan: Plan) -> bytes:
    house.orders.place_order(PlaceOrder(KEY, "mc-1", manual(plan)))
    return order_of(house.engine, KEY).csr


def bring(house: House, *chain: bytes) -> None:
    add_upload(house.engine, uuid.uuid4().hex, Upload(KEY, chain, "person/asha", house.clock()))


def known(house: House) -> OutsideCA:
    """A CA whose root the policy names for the manual issuer."""
    outside = OutsideCA(house.clock())
    house.knows(pem_of([outside.certificate]).decode())
    return outside


def refusal(house: House) -> str:
    """What stands beside the order after it was asked again; it stays open."""
    assert house.issuance.collect_order(CollectOrder(KEY)).state == "pending"
    order = order_of(house.engine, KEY)
    assert (order.state, order.chain) == ("placed", ())
    return order.detail


def test_a_manual_order_is_pending_until_something_good_is_brought(house: House, plan: Plan) -> None:
    csr = placed(house, plan)
    assert house.issuance.collect_order(CollectOrder(KEY)).state == "pending"
    outside = known(house)
    bring(house, outside.certificate, outside.sign(csr))
    outcome = house.issuance.collect_order(CollectOrder(KEY))
    assert outcome.state == "issued", outcome.detail
    assert outcome.life is not None
    assert outcome.life.trust_class is TrustClass.PUBLIC
    assert outcome.life.names == plan.names
    assert len(order_of(house.engine, KEY).chain) == 1
    revoked = house.issuance.revoke_order(RevokeOrder(KEY, "superseded"))
    assert not revoked.done
    assert "ask it to revoke" in revoked.detail


def test_a_chain_that_is_too_long_to_build_is_not_said_to_lack_anything(
    house: House, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    csr, outside = placed(house, plan), known(house)
    monkeypatch.setattr(paths, "LONGEST_PATH", 1)
    bring(house, outside.sign(csr), outside.certificate)
    detail = refusal(house)
    assert "nobody can say whether clients take its chain (too long to build: it goes on above" in detail
    assert "add the CA's certificate" not in detail


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("names", "it lacks 127.0.0.1, nms.example.in, and evil.example.in was not ordered"),
        ("key", "another key than the request"),
        ("chain", "chain does not lead"),
        ("issuer", "clients refuse its chain (issuer is no CA"),
        ("short", "sooner than half the ordered life"),
        ("long", "longer than ordered"),
        ("trust", "trust class is private"),
        ("trust", "it does not come from Bharat Trust"),
        ("garbage", "is not readable X.509"),
    ],
)
def test_what_is_brought_wrong_leaves_the_order_open_and_says_why(
    house: House, plan: Plan, wrong: str, said: str
) -> None:
    csr = placed(house, plan)
    outside = OutsideCA(house.clock(), "Somebody" if wrong == "trust" else "Bharat Trust", wrong != "issuer")
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = outside.sign(
        csr,
        days={"short": 20, "long": 3650}.get(wrong, 90),
        names=("evil.example.in",) if wrong == "names" else (),
        key=other if wrong == "key" else None,
    )
    chain = (made,) if wrong == "chain" else (made, outside.certificate)
    bring(house, *((b"\x30\x00",) if wrong == "garbage" else chain))
    assert said in refusal(house)


@pytest.mark.parametrize("behind", ["nothing", "its ended cross-certificate"])
def test_what_a_root_of_the_policy_issued_is_good_whatever_else_is_brought(
    house: House, plan: Plan, behind: str
) -> None:
    csr = placed(house, plan)
    outside, ancient = OutsideCA(house.clock()), OutsideCA(house.clock(), "ancient root")
    cross = outside.crossed(ancient, house.clock() - 30 * DAY)
    bring(house, outside.sign(csr), *(() if behind == "nothing" else (cross,)))
    roots = (pem_of([outside.certificate]).decode(),)
    issuer = replace(PUBLIC, roots=roots)
    parts = IssuerParts(house.engine, CA_KEK, house.clock, lambda: (issuer,), roots=lambda: roots)
    issuance = IssuanceActivities(house.engine, {"manual": ManualIssuer(parts)}, house.clock, lambda: roots)
    outcome = issuance.collect_order(CollectOrder(KEY))
    assert outcome.state == "issued", outcome.detail
    assert outcome.life is not None
    assert outcome.life.ends_at == house.clock() + 90 * DAY


def test_after_a_wrong_one_the_right_one_is_taken_and_nothing_is_held_against_the_order(
    house: House, plan: Plan
) -> None:
    csr, outside = placed(house, plan), known(house)
    bring(house, b"\x30\x00")
    assert refusal(house)
    house.clock.advance(timedelta(minutes=1))
    bring(house, outside.sign(csr), outside.certificate)
    assert house.issuance.collect_order(CollectOrder(KEY)).state == "issued"
    assert order_of(house.engine, KEY).detail == ""


def test_a_failed_order_stays_failed(house: House, plan: Plan) -> None:
    csr, outside = placed(house, plan), known(house)
    fail_order(house.engine, KEY, ("the CA said no", ""), house.clock())
    failed = house.issuance.collect_order(CollectOrder(KEY))
    bring(house, outside.sign(csr), outside.certificate)
    assert failed.state == "failed"
    assert house.issuance.collect_order(CollectOrder(KEY)) == failed


def test_without_roots_the_key_that_signed_the_present_certificate_is_its_issuer(house: House, plan: Plan) -> None:
    csr, outside = placed(house, plan), OutsideCA(house.clock())
    bring(house, outside.sign(csr), outside.certificate)
    assert "does not come from" in refusal(house)

    present = outside.sign(csr, key=ec.generate_private_key(ec.SECP256R1()).public_key())
    fingerprint = sha256(present).hexdigest()
    times = {name: house.clock() for name in ("not_before", "not_after", "began_at")}
    life = {"managed_id": "mc-1", "generation": 1, "fingerprint": fingerprint, "issuer": "CN=Bharat Trust"}
    with house.engine.begin() as connection:
        kept = sa.insert(tables.certificates).values(fingerprint=fingerprint, der=present, first_seen_at=house.clock())
        connection.execute(kept)
        connection.execute(sa.insert(tables.lives).values(**life, **times))
    stranger = OutsideCA(house.clock())
    house.clock.advance(timedelta(minutes=1))
    bring(house, stranger.sign(csr), stranger.certificate)
    assert "does not come from" in refusal(house)
    house.clock.advance(timedelta(minutes=1))
    bring(house, outside.sign(csr), outside.certificate)
    assert house.issuance.collect_order(CollectOrder(KEY)).state == "issued"


def test_what_was_issued_stays_issued(house: House, plan: Plan) -> None:
    csr = placed(house, replace(plan, validity_seconds=90 * 86_400))
    outside = known(house)
    bring(house, outside.sign(csr), outside.certificate)
    first = house.issuance.collect_order(CollectOrder(KEY))
    house.clock.advance(400 * DAY)
    assert house.issuance.collect_order(CollectOrder(KEY)) == first
