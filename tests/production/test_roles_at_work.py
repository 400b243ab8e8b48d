"""What each process asks of the store beside a good day's renewal, under its own role: refusals and repetitions."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import psycopg
import pytest
from sqlalchemy.engine import Engine

from activities.retention import FORGET
from domain.certificate import KeyRef, Look, LookOutcome, Slot, TrustClass
from domain.contracts import Delivery, Message, Plan, RedeemWarrant, SlotLook
from domain.tiers import Person, Role
from store import access, ca, custody, deliveries, histories, orders, reader, tables
from store.access import Actor, Binding
from store.batches import delete_in_batches
from store.engine import conninfo, create_engine
from store.migrate import upgrade
from store.roles import MIGRATOR
from store.sightings import adoptions, looks
from tests.activities.sightings import NOW as SEEN_AT
from tests.activities.sightings import Sky, place, url
from tests.production.conftest import Installation

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATER = SEEN_AT + timedelta(hours=1)
SLOT = Slot("tls://127.0.0.1:8443", "ecdsa")
PLAN = Plan("private", "private-ca", TrustClass.PRIVATE, "server", 86_400, ("a.example.com",), "ecdsa", 256, ("t",))
HEAD = Actor("person/head", Role.SECURITY_HEAD, may_decide=True)
BINDING = Binding("mc-none", "decide", 1, 1, "v")
Enter = Callable[[str], Engine]


@pytest.fixture(scope="module")
def workshop(installation: Installation) -> str:
    """A database of its own beside the installation's, with the same roles: what is written here is no certificate."""
    with psycopg.connect(conninfo(installation.url("postgres", "postgres")), autocommit=True) as connection:
        connection.execute("CREATE DATABASE workshop OWNER everleaf_owner")
    upgrade(installation.url(MIGRATOR, "workshop"))
    return "workshop"


@pytest.fixture
def enter(installation: Installation, workshop: str) -> Iterator[Enter]:
    """An engine under a role."""
    opened: list[Engine] = []

    def enter(role: str) -> Engine:
        opened.append(create_engine(installation.url(f"everleaf_{role}", workshop)))
        return opened[-1]

    yield enter
    for engine in opened:
        engine.dispose()


def test_the_scanner_keeps_looks_looks_again_and_fails(enter: Enter) -> None:
    engine = enter("scan")
    begun = looks.Discovery("d-role", "test", {}, 1, 1)
    seen = [looks.SeenCertificate("a" * 64, b"der", None)]

    for _ in range(2):
        looks.begin(engine, begun, NOW)
        look = Look(SLOT.url, SLOT.algorithm, NOW, LookOutcome.SEEN, ("a" * 64,))
        looks.save_page(engine, ("d-role", 0), [look], seen)
    looks.keep_certificates(engine, seen, NOW)
    adoptions.record_looks(engine, [SlotLook(SLOT, NOW, LookOutcome.SEEN, "a" * 64)])
    assert looks.slots_at(engine, ["127.0.0.2"]) == ()
    looks.mark_failed(engine, begun, "on purpose", NOW)
    looks.mark_failed(engine, looks.Discovery("d-refused", "test", {}, 0, 0), "outside of the scope", NOW)

    assert looks.find(engine, "d-role").state == "failed"
    assert looks.begin(engine, replace(begun, id="d-refused"), NOW).pages == 1


def test_the_lifecycle_worker_adopts_what_the_scanner_saw(enter: Enter) -> None:
    scan, lifecycle = enter("scan"), enter("lifecycle")
    scanned, adopting = Sky(scan), Sky(lifecycle)
    adopting.rules = scanned.rules
    leaf = scanned.leaf("a.example")

    scanned.look("d-adopt-1", {url(1): leaf, url(2): leaf})
    assert adopting.adopt("d-adopt-1").new == 1
    adoptions.record_looks(scan, [SlotLook(place(1), LATER, LookOutcome.SEEN, "a" * 64, flaw="f", rooted=True)])
    assert looks.slots_at(scan, ["10.0.0.2"]) == (place(1),)
    adopting.rules = replace(scanned.rules, version="sha256:another")
    scanned.look("d-adopt-2", {url(3): scanned.leaf("b.example")}, LATER)

    assert adopting.adopt("d-adopt-2").notices == 2
    assert len(adopting.heard()) == 3


def test_an_order_passes_from_the_deploy_worker_to_the_issue_worker_and_back(enter: Enter) -> None:
    deploy, issue = enter("deploy"), enter("issue")

    for key in ("o-1", "o-2"):
        custody.keep_key(deploy, custody.WrappedKey(KeyRef(f"k-{key}", "b" * 64), key, b"wrapped"), NOW)
        orders.place_order(deploy, orders.Order(key, "mc-none", PLAN, "", f"k-{key}", b"csr"), NOW)
    ca.keep_authority(issue, ca.Authority("Role CA", "", b"certificate", b"key"), NOW)
    ca.intend(issue, ca.Issued("o-1", "Role CA", "01", "c" * 64, b"tbs"), NOW)
    ca.release(issue, "o-1", b"der", NOW)
    orders.issue_order(issue, "o-1", (b"der",), NOW)
    orders.fail_order(issue, "o-2", ("refused", ""), NOW)
    assert access.uploads_for(issue, "o-2") == []
    orders.place_order(deploy, orders.Order("o-4", "mc-none", PLAN, "", "k", b"csr"), NOW)
    orders.note_order(issue, "o-4", "what was brought is refused")
    assert orders.order_of(issue, "o-4").detail == "what was brought is refused"
    # What a person brings is held against the certificate that the order replaces.
    assert reader.present_der(issue, "mc-none") == b""
    ca.revoke(issue, "o-1", "superseded", NOW)
    ca.keep_crl(issue, "Role CA", ca.next_crl_number(issue, "Role CA", NOW), (b"crl", NOW))

    assert ca.newest_crl(issue, "Role CA") == b"crl"
    assert [issued.order_key for issued in ca.revoked_by(issue, "Role CA")] == ["o-1"]
    # What a roll-back asks before it puts something back.
    order = orders.find_by_fingerprint(deploy, sha256(b"der").hexdigest())
    issued = ca.find_issued(deploy, order.order_key) if order else None
    assert issued is not None
    assert issued.revoked_at == NOW
    assert adoptions.terms_of(deploy, "mc-none") is None
    for outcome in ("installed", "rolled back"):
        orders.save_receipt(deploy, orders.PutReceipt("o-1", SLOT, "f" * 64, "", outcome), NOW)
    assert custody.wrapped_key(deploy, "k-o-1") == b"wrapped"


def test_the_lifecycle_worker_tells_redeems_archives_and_forgets(enter: Enter) -> None:
    engine = enter("lifecycle")
    people = [Person("head", "H", "h@example.com", Role.SECURITY_HEAD), Person("gone", "G", "g@example.com", Role.NOC)]
    message = Message("m-1", "mc-none", "head", "security-head", "ask", NOW)

    access.sync_people(engine, people)
    access.sync_people(engine, people[:1])
    for _ in range(2):
        deliveries.queue_delivery(engine, message, "email", NOW)
    assert deliveries.unfinished(engine, ["m-1"], "email") == {"m-1"}
    deliveries.finish_deliveries(engine, ["m-1"], "email", (Delivery("delivered"), NOW))
    assert reader.find_approval(engine, "mc-none.1.1") is None

    code = access.mint_warrant(engine, actor=HEAD, bound_to=BINDING, lives=timedelta(minutes=15), now=NOW)
    asked = RedeemWarrant("", code, "c-1", "mc-none", "decide", 1, 1, "v")
    assert access.redeem(engine, asked, NOW) == access.redeem(engine, asked, NOW)
    unknown = RedeemWarrant("", "unknown", "c-2", "mc-none", "decide")
    assert not access.redeem(engine, unknown, NOW).allowed

    histories.keep_history(engine, histories.History("certificate/mc-none", "r", 1, "0.1.0", "{}", 1), NOW)
    assert histories.has_history(engine, "certificate/mc-none", "r")
    with adoptions.adopting(engine) as connection:
        adoptions.release_slots(connection, "mc-none", [(SLOT.url, SLOT.algorithm)])


def test_the_lifecycle_worker_forgets_what_is_old(enter: Enter) -> None:
    engine, long_ago = enter("lifecycle"), datetime(2000, 1, 1, tzinfo=UTC)
    assert [forget(engine, long_ago, 100) for forget in FORGET.values()] == [0] * len(FORGET)
    # Of discoveries that are over, which there are none of here.
    assert delete_in_batches(tables.looks, engine, tables.looks.c.discovery_id == "none", 100) == 0
    assert delete_in_batches(tables.findings, engine, tables.findings.c.discovery_id == "none", 100) == 0


def test_the_api_lets_people_in_and_keeps_what_they_bring(enter: Enter) -> None:
    engine, deploy = enter("api"), enter("deploy")
    orders.place_order(deploy, orders.Order("o-3", "mc-none", PLAN, "", "k", b"csr"), NOW)

    token = access.create_token(engine, name="test", role=Role.OPERATOR, may_decide=False)
    actor = access.authenticate(engine, token)
    assert actor is not None
    assert access.revoke_token(engine, actor.id.removeprefix("token/"))
    cookie = access.log_in(engine, access.create_login_link(engine, Role.NOC))
    assert cookie is not None
    session = access.session_of(engine, cookie)
    assert session is not None
    assert access.living_sessions(engine)
    access.end_session(engine, session.id, "test")
    access.add_comment(engine, "c-1", access.Comment("mc-none", "mc-none.1.1", "person/head", "seen", NOW))
    assert access.comments_on(engine, "mc-none") == []
    access.say_comment(engine, "c-1")
    access.claim_key(engine, "r-1", "what was asked", NOW)
    assert access.forget_keys(enter("lifecycle"), NOW + timedelta(days=30), 100) == 1
    assert len(access.comments_on(engine, "mc-none")) == 1
    access.add_upload(engine, "u-1", access.Upload("o-3", (b"der",), "person/head", NOW))
    assert access.uploads_for(enter("issue"), "o-3")
    for _ in range(2):
        access.keep_policy(enter("lifecycle"), "sha256:1", "people: []", NOW)
    assert access.policy_text(engine, "sha256:1")
    # Each goes on by it where it starts while the file is bad.
    for role in ("api", "lifecycle", "scan", "issue", "deploy"):
        last = access.last_policy(enter(role))
        assert last is not None
        assert last.version == "sha256:1"
    access.mint_warrant(engine, actor=HEAD, bound_to=BINDING, lives=timedelta(minutes=2), now=NOW)
    assert access.security_events(engine)
