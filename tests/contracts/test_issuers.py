"""What every issuer promises.  A new one adds to ANSWERS how its CA is brought to answer."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy.engine import Engine

from activities.issuers import ISSUERS, CertificateAuthority, IssuerParts
from activities.issuers.private_ca import ensure_authorities
from activities.keys.custodian import StoreCustodian
from domain.contracts import Plan
from domain.errors import CARefused
from formats.paths import PathBuilder
from formats.x509 import life_of, parse_certificate, pem_of
from store.access import Upload, add_upload
from store.orders import Order, place_order
from tests.activities.conftest import CA_KEK, ISSUER, LEAF_KEK, PLAN, PROFILE, PUBLIC, Clock, manual
from tests.activities.test_issuance_manual import OutsideCA


@dataclass
class Desk:
    """An issuer over one database; ``answer`` is what makes its CA answer an order."""

    kind: str
    engine: Engine
    clock: Clock
    issuer: CertificateAuthority
    plan: Plan
    roots: list[str]

    def order(self, number: int, plan: Plan | None = None) -> Order:
        key = f"mc-1.1.1.{number}"
        wanted = plan or self.plan
        ref, csr = StoreCustodian(self.engine, LEAF_KEK, self.clock).make(key, wanted)
        return place_order(self.engine, Order(key, "mc-1", wanted, "policy", ref.id, csr), self.clock())

    def answer(self, order: Order) -> None:
        ANSWERS[self.kind](self, order)


def nothing_to_do(desk: Desk, order: Order) -> None:
    """Our own CA answers at once."""


def bring(desk: Desk, order: Order) -> None:
    outside = OutsideCA(desk.clock())
    desk.roots.append(pem_of([outside.certificate]).decode())
    chain = (outside.sign(order.csr), outside.certificate)
    add_upload(desk.engine, uuid.uuid4().hex, Upload(order.order_key, chain, "person/asha", desk.clock()))


ANSWERS: dict[str, Callable[[Desk, Order], None]] = {"private-ca": nothing_to_do, "manual": bring}


@pytest.fixture(params=sorted(ISSUERS))
def desk(request: pytest.FixtureRequest, database: Engine) -> Desk:
    clock = Clock()
    ensure_authorities(database, (ISSUER,), CA_KEK, clock())
    roots: list[str] = []
    parts = IssuerParts(
        database, CA_KEK, clock, lambda: (ISSUER, replace(PUBLIC, roots=tuple(roots))), lambda: (PROFILE,)
    )
    plan = manual(PLAN) if request.param == "manual" else PLAN
    return Desk(request.param, database, clock, ISSUERS[request.param](parts), plan, roots)


def test_every_issuer_has_a_way_to_answer() -> None:
    assert set(ANSWERS) == set(ISSUERS)


def test_the_certificate_holds_the_requests_key_and_the_plans_names(desk: Desk) -> None:
    order = desk.order(1)
    desk.answer(order)
    chain = desk.issuer.issue(order)
    assert chain is not None
    leaf = parse_certificate(chain[0])
    assert leaf.names == order.plan.names
    request = x509.load_der_x509_csr(order.csr)
    assert x509.load_der_x509_certificate(chain[0]).public_key() == request.public_key()
    assert not any(parse_certificate(der).is_self_signed for der in chain)
    assert len(chain) == 1 or PathBuilder().ways(chain).at_any_time().is_good


def test_an_order_issued_twice_gives_the_first_certificate(desk: Desk) -> None:
    order = desk.order(1)
    desk.answer(order)
    first = desk.issuer.issue(order)
    desk.clock.advance(timedelta(hours=1))
    assert desk.issuer.issue(order) == first


def test_two_orders_give_two_certificates(desk: Desk) -> None:
    chains = []
    for number in (1, 2):
        order = desk.order(number)
        desk.answer(order)
        chains.append(desk.issuer.issue(order))
    assert chains[0] != chains[1]


def test_the_life_is_the_ordered_one_and_backdated_by_no_more_than_a_twentieth(desk: Desk) -> None:
    order = desk.order(1)
    desk.answer(order)
    chain = desk.issuer.issue(order) or ()
    life = life_of(chain[0], (), PathBuilder().ways(chain).at_any_time())
    length = timedelta(seconds=order.plan.validity_seconds)
    assert life.length == length
    assert desk.clock() - life.not_before <= length / 20


def test_an_order_with_another_request_is_given_nothing(desk: Desk) -> None:
    order = desk.order(1)
    desk.answer(order)
    desk.issuer.issue(order)
    other = replace(order, csr=desk.order(2).csr)
    # A CA refuses for good; where people bring the answer, the order stays open for the right one.
    try:
        given = desk.issuer.issue(other)
    except CARefused:
        given = None
    assert given is None


def test_revoking_says_what_is_left_to_do(desk: Desk) -> None:
    order = desk.order(1)
    desk.answer(order)
    desk.issuer.issue(order)
    said = desk.issuer.revoke(order, "superseded")
    assert said == "" or order.plan.issuer in said
