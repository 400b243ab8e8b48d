"""Adoption and verification: real listeners, real PostgreSQL, a fake Temporal."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy.engine import Engine

from activities.adoption import AdoptionActivities
from activities.discovery import DiscoveryActivities
from activities.telling import TellingActivities
from activities.verification import VerificationActivities
from domain.certificate import LookOutcome, Slot
from domain.contracts import (
    AdoptDiscovery,
    AdoptionReport,
    Consult,
    DiscoveryRequest,
    EndpointRow,
    EventRecord,
    LookAgain,
    Observation,
    ScanPage,
    Snapshot,
    TellLifecycles,
)
from domain.errors import NotFound, NotReady
from domain.tiers import Policy, Tier
from store import tables
from store.facts import record
from tests.activities.estates import TestCA, clock, context, listening, policy
from tests.store.test_facts import batch, event, snapshot

pytestmark = pytest.mark.server


class Lifecycles:
    """Stands for Temporal: remembers what it acknowledged, or refuses."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.is_down = False

    async def send(self, managed_id: str, notice_id: str) -> None:
        if self.is_down:
            raise ConnectionError("Temporal is away")
        self.heard.append((managed_id, notice_id))


class House:
    """The activities around one database."""

    def __init__(self, database: Engine, rules: Policy) -> None:
        self.database, self.rules = database, rules
        self.lifecycles = Lifecycles()
        self.failpoint: Callable[[str], None] = lambda name: None
        ids = (f"mc-{n}" for n in itertools.count())
        self.adoption = AdoptionActivities(
            database, lambda: self.rules, clock, lambda: next(ids), lambda n: self.failpoint(n)
        )
        self.telling = TellingActivities(database, clock, self.lifecycles.send, lambda n: self.failpoint(n))
        self.verification = VerificationActivities(database, lambda: self.rules, clock)

    async def discover(self, discovery_id: str) -> AdoptionReport:
        scanning = DiscoveryActivities(self.database, lambda: self.rules, clock)
        plan = await scanning.begin_discovery(DiscoveryRequest(discovery_id))
        for page in range(plan.pages):
            await scanning.scan_page(ScanPage(discovery_id, page))
        return await self.adopt(discovery_id)

    async def adopt(self, discovery_id: str) -> AdoptionReport:
        """As a Discovery does it: adopted, then told."""
        report = await self.adoption.adopt(AdoptDiscovery(discovery_id))
        await self.telling.tell_lifecycles(TellLifecycles(discovery_id))
        return report

    def told(self, number: int) -> Observation:
        return self.adoption.consult(Consult(*self.lifecycles.heard[number]))


async def test_what_is_seen_is_adopted_told_once_and_told_again_only_when_it_changed(
    database: Engine, tmp_path: Path
) -> None:
    ca, path = TestCA(), tmp_path / "a.pem"
    first = ca.issue(path, "a.example")
    async with listening(context(path)) as port:
        house = House(database, policy(ca, (port,)))
        report = await house.discover("d1")
        assert (report.new, report.notices) == (1, 1)
        adopted = house.told(0)
        assert adopted.kind == "adopted" and adopted.terms is not None and adopted.life is not None
        assert adopted.terms.tier is Tier.INTERNAL and adopted.terms.plan is not None
        assert adopted.life.fingerprint == first and adopted.slots == (Slot(f"tls://127.0.0.1:{port}", "ecdsa"),)
        assert adopted.looks[0].chain_ok
        assert (await house.discover("d2")).notices == 0
        assert (await house.adopt("d1")) == report
    assert len(house.lifecycles.heard) == 1
    missed = await house.discover("d3")
    assert (missed.new, missed.missed, missed.changed) == (0, 1, 1)
    assert house.told(1).looks[0].outcome is LookOutcome.REFUSED
    with pytest.raises(NotFound):
        house.adoption.consult(Consult("mc-other", house.lifecycles.heard[0][1]))


async def test_a_replacement_is_a_candidate_and_a_stranger_moves_the_slot(database: Engine, tmp_path: Path) -> None:
    ca, path = TestCA(), tmp_path / "a.pem"
    ca.issue(path, "a.example")
    async with listening(tls := context(path)) as port:
        house = House(database, policy(ca, (port,)))
        await house.discover("d1")
        second = ca.issue(path, "a.example", "b.example")
        tls.load_cert_chain(path)
        assert (await house.discover("d2")).changed == 1
        observed = house.told(1)
        assert observed.kind == "looked" and [life.fingerprint for life in observed.candidates] == [second]
        ca.issue(path, "z.example")
        tls.load_cert_chain(path)
        report = await house.discover("d3")
        assert (report.new, report.changed) == (1, 1)
    told = {house.told(n).kind: house.told(n) for n in (2, 3, 4) if n < len(house.lifecycles.heard)}
    assert told["slots"].slots == () and told["adopted"].life is not None


async def test_notices_survive_a_crash_after_the_commit_and_an_absent_temporal(
    database: Engine, tmp_path: Path
) -> None:
    ca = TestCA()
    for name in ("a", "b"):
        ca.issue(tmp_path / f"{name}.pem", f"{name}.example")
    house = House(database, policy(ca, (), (), (str(tmp_path / "*.pem"),)))

    def die(name: str) -> None:
        if name == "adopt.committed":
            raise SystemError("killed")

    house.failpoint = die
    with pytest.raises(SystemError):
        await house.discover("d1")
    house.failpoint = lambda name: None
    house.lifecycles.is_down = True
    with pytest.raises(NotReady, match=r"2 of 2 lifecycles could not be told.* Temporal is away"):
        await house.adopt("d1")
    house.lifecycles.is_down = False
    report = await house.adopt("d1")
    await house.adopt("d1")
    assert report.new == 2
    assert sorted(managed for managed, _ in house.lifecycles.heard) == ["mc-0", "mc-1"]


async def test_look_again_sees_the_key_of_its_slot_and_names_strangers(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    curve = ca.issue(tmp_path / "ec.pem", "a.example")
    other = ca.issue(tmp_path / "rsa.pem", "a.example", key=rsa.generate_private_key(65537, 2048))
    async with listening(context(tmp_path / "ec.pem", tmp_path / "rsa.pem")) as port:
        house = House(database, policy(ca, (port, 1), (), (str(tmp_path / "*.pem"),)))
        slots = (
            Slot(f"tls://127.0.0.1:{port}", "rsa"),
            Slot(f"tls://127.0.0.1:{port}", "ecdsa"),
            Slot("tls://127.0.0.1:1", "rsa"),
            Slot("tls://127.0.0.2:1", "rsa"),
            Slot(f"file://localhost{tmp_path}/ec.pem", "ecdsa"),
        )
        report = await house.verification.look_again(LookAgain("mc-0", slots, expected=other))
    assert [look.fingerprint for look in report.looks] == [other, curve, "", "", curve]
    assert [look.outcome for look in report.looks[2:4]] == [LookOutcome.REFUSED, LookOutcome.OUT_OF_SCOPE]
    assert [life.fingerprint for life in report.candidates] == [curve]


async def test_what_a_discovery_saw_before_a_verification_is_the_past(database: Engine, tmp_path: Path) -> None:
    ca, path = TestCA(), tmp_path / "a.pem"
    ca.issue(path, "a.example")
    async with listening(tls := context(path)) as port:
        house = House(database, policy(ca, (port,)))
        await house.discover("d1")
        scanning = DiscoveryActivities(database, lambda: house.rules, clock)
        await scanning.begin_discovery(DiscoveryRequest("d2"))
        await scanning.scan_page(ScanPage("d2", 0))
        renewed = ca.issue(path, "a.example")
        tls.load_cert_chain(path)
        slot = Slot(f"tls://127.0.0.1:{port}", "ecdsa")
        looked = await house.verification.look_again(LookAgain("mc-0", (slot,), renewed))
        assert (await house.adoption.adopt(AdoptDiscovery("d2"))).notices == 0
        assert (await house.discover("d3")).notices == 0
    assert looked.looks[0].fingerprint == renewed and looked.candidates == ()


async def test_a_slot_that_its_owner_gave_up_starts_a_new_managed_certificate(database: Engine, tmp_path: Path) -> None:
    """Rule 10: a slot belongs to at most one managed certificate, and a given-up one to none."""
    ca, paths = TestCA(), (tmp_path / "a.pem", tmp_path / "b.pem")
    first = ca.issue(paths[0], "a.example")
    paths[1].write_bytes(paths[0].read_bytes())
    async with listening(context(paths[0])) as kept, listening(there := context(paths[1])) as given:
        house = House(database, policy(ca, (kept, given)))
        assert (await house.discover("d1")).new == 1
        rows = tuple(EndpointRow(f"tls://127.0.0.1:{port}", "ecdsa") for port in (kept, given))
        both = snapshot("mc-0", names=("a.example",), fingerprint=first, endpoints=rows)
        left = replace(both, endpoints=rows[:1])

        def told(seq: int, kind: str, cause: str, slots: tuple[EndpointRow, ...]) -> EventRecord:
            facts = {"slots": [{"url": row.url, "algorithm": row.algorithm} for row in slots]}
            return replace(event(seq, kind), cause=cause, facts=facts)

        def recorded(read_model: Snapshot, *events: EventRecord) -> dict[str, str]:
            record(database, batch(*events, managed_id="mc-0", read_model=read_model), "test", clock())
            return owners(database)

        # A slot that a discovery moved is its new owner's; only an answer gives one up.
        assert len(recorded(both, told(0, "adopted", "notice/n-0", rows))) == 2
        assert len(recorded(left, told(1, "slots_changed", "notice/n-1", rows[:1]))) == 2
        assert len(recorded(both, told(2, "slots_changed", "notice/n-2", rows))) == 2
        # What it had again before its answer was recorded is its own.
        again = told(3, "places_released", "update/answer/u-0", rows[1:]), told(4, "slots_changed", "notice/n-3", rows)
        assert len(recorded(both, *again)) == 2
        # Of a backlog the first batch has the read model of now, and the answer comes with a later one.
        assert len(recorded(left, event(5))) == 2
        assert recorded(left, told(6, "places_released", "update/answer/u-1", rows[1:])) == {rows[0].url: "mc-0"}

        ca.issue(paths[1], "a.example")
        there.load_cert_chain(paths[1])
        assert (await house.discover("d2")).new == 1
        assert owners(database) == {rows[0].url: "mc-0", rows[1].url: "mc-1"}

        # Moved from everywhere: the lifecycle remembers where it was, and owns nothing.
        assert recorded(replace(left, endpoints=()), told(7, "places_released", "update/answer/u-2", rows[:1])) == {
            rows[1].url: "mc-1"
        }


def owners(database: Engine) -> dict[str, str]:
    with database.connect() as connection:
        c = tables.slots.c
        return {row.url: row.managed_id for row in connection.execute(sa.select(c.url, c.managed_id))}


async def test_what_cannot_be_read_is_missed_or_strange_is_a_finding(database: Engine, tmp_path: Path) -> None:
    ca, stranger, (here, there) = TestCA(), TestCA(), (tmp_path / "here", tmp_path / "there")
    here.mkdir()
    ca.issue(here / "good.pem", "a.example")
    ca.issue(here / "known.pem", "b.example")
    house = House(database, policy(ca, (), (), (str(here / "*.pem"),)))
    assert (await house.discover("d1")).new == 2
    assert found(database, "d1") == set()

    text = (here / "known.pem").read_bytes()
    (here / "known.pem").write_bytes(text[:200])
    (here / "cut.pem").write_bytes(text[:200])
    (here / "huge.pem").write_bytes(b" " * (1 << 21))
    (here / "key.pem").write_bytes(b"no certificate, and none expected")
    (here / "link.pem").symlink_to(there)
    stranger.issue(here / "strange.pem", "c.example")
    assert (await house.discover("d2")).missed == 1
    assert found(database, "d2") == {
        ("known", "unreadable"),
        ("known", "missed"),
        ("cut", "unreadable"),
        ("huge", "unreadable"),
        ("link", "unreadable"),
        ("strange", "unknown root"),
    }
    # Told, and no reason to call its chain broken: it was there when we came.
    adopted = [house.told(number) for number in range(len(house.lifecycles.heard))]
    assert [told.looks[0].chain_ok for told in adopted if told.life and told.life.names == ("c.example",)] == [True]


def found(database: Engine, discovery_id: str) -> set[tuple[str, str]]:
    c = tables.findings.c
    with database.connect() as connection:
        rows = connection.execute(sa.select(c.url, c.kind).where(c.discovery_id == discovery_id)).all()
    assert len(rows) == len({(row.url, row.kind) for row in rows})
    return {(Path(row.url).stem, row.kind) for row in rows}
