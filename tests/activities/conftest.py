"""A clock that stands, an order that can be placed, and a CA that signs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import Engine

from activities.issuance import IssuanceActivities, OrderActivities
from activities.issuers import ISSUERS, IssuerParts
from activities.issuers.private_ca import ensure_authorities
from activities.keys.custodian import StoreCustodian
from domain.certificate import Slot, TrustClass
from domain.contracts import AdoptionReport, Plan, Terms
from domain.tiers import DEFAULT_TIERS, Issuer, Profile, Tier
from store.sightings.adoptions import adopting, finish, write
from store.sightings.looks import Discovery, begin
from store.sightings.rows import Changes, ManagedRow, SlotRow

CA_KEK = bytes(range(32))
LEAF_KEK = bytes(range(32, 64))

ISSUER = Issuer("Everleaf NMS", "private-ca", TrustClass.PRIVATE, ("*CN=Everleaf NMS*",))
PUBLIC = Issuer("Bharat Trust", "manual", TrustClass.PUBLIC, ("*CN=Bharat Trust*",))

PROFILE = Profile("nms", timedelta(days=90), ("server", "client"), ("rsa", "ecdsa", "ed25519"), ("*.in", "127.*"))

PLAN = Plan(
    issuer="Everleaf NMS",
    issuer_kind="private-ca",
    trust_class=TrustClass.PRIVATE,
    profile="nms",
    validity_seconds=90 * 86_400,
    names=("127.0.0.1", "nms.example.in"),
    algorithm="ecdsa",
    key_bits=256,
    targets=("nms",),
    version="v1",
)


def govern(engine: Engine, managed_id: str, *slots: Slot) -> None:
    """As a discovery adopts it: an internal one under the default lead times, which owns ``slots`` from now on."""
    row = next(row for row in DEFAULT_TIERS if row.tier is Tier.INTERNAL)
    terms = Terms("sha256:1", row.tier, "rule x", row, "it", "nms", "p-owner", "p-head")
    now, print_ = datetime.now(UTC), "ff" * 32
    begin(engine, Discovery("d-1", "test", {}, 0, 0), now)
    managed = [ManagedRow(managed_id, (print_,), ("nms.example.in",), terms)]
    owned = [SlotRow(slot, managed_id, "seen", print_, now, now) for slot in slots]
    with adopting(engine) as connection:
        write(connection, "d-1", Changes(managed=managed, slots=owned), now)
        finish(connection, AdoptionReport("d-1", new=1), now)


class Clock:
    """Stands until it is told."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class Crash(BaseException):
    """What a failpoint does in a test: nothing after it runs, as after kill -9."""


class Failpoint:
    """Crashes once at the named point."""

    def __init__(self) -> None:
        self.at = ""
        self.passed: list[str] = []

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if name == self.at:
            self.at = ""
            raise Crash(name)


@dataclass
class House:
    """The two halves of issuance over one database."""

    engine: Engine
    clock: Clock
    failpoint: Failpoint
    custodian: StoreCustodian
    orders: OrderActivities
    issuance: IssuanceActivities
    terms: list[Issuer]

    def knows(self, root: str) -> None:
        """The policy names ``root`` (PEM) for the manual issuer."""
        self.terms[1] = replace(PUBLIC, roots=(root,))


@pytest.fixture
def house(database: Engine) -> House:
    clock, failpoint = Clock(), Failpoint()
    custodian = StoreCustodian(database, LEAF_KEK, clock)
    terms = [ISSUER, PUBLIC]
    made_of = IssuerParts(database, CA_KEK, clock, lambda: terms, lambda: (PROFILE,), failpoint)
    parts = replace(made_of, roots=lambda: terms[1].roots)
    ensure_authorities(database, (ISSUER,), CA_KEK, clock())
    issuers = {kind: make(parts) for kind, make in ISSUERS.items()}
    orders = OrderActivities(database, custodian, clock, failpoint)
    return House(database, clock, failpoint, custodian, orders, IssuanceActivities(database, issuers, clock), terms)


@pytest.fixture
def plan() -> Plan:
    return PLAN


def manual(plan: Plan) -> Plan:
    return replace(plan, issuer=PUBLIC.name, issuer_kind="manual", trust_class=TrustClass.PUBLIC)
