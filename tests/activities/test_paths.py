"""A chain that changes under the same leaf is heard: real PEM files and listeners, and the lifecycle that hears it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import Engine

from activities import verification
from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import Consult, LookAgain, Observation, SlotLook
from domain.lifecycle.commands import NoticeArrived, StepDone
from domain.lifecycle.decide import decide
from domain.lifecycle.evolve import evolve
from domain.lifecycle.served import present
from domain.lifecycle.standing import own_findings, severity
from domain.lifecycle.state import LifecycleState
from domain.lifecycle.view import is_escalated
from domain.paths import Reason, reason_of
from store import tables
from tests.activities.estates import TestCA, clock, context, listening, name_of, policy
from tests.activities.test_adoption import House

pytestmark = pytest.mark.server

DAY = timedelta(days=1)
DER, SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


class Tower:
    """A root, and one intermediate key whose certificate is issued again and again."""

    def __init__(self, name: str = "Test Issuing CA of the tower") -> None:
        self.root, self.key = TestCA(), ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(name)

    def intermediate(self, days: int) -> x509.Certificate:
        return self._sign((self.name, self.key), (self.root.name, self.root.key), days, is_ca=True)

    def leaf(self, path: Path, *names: str, days: int = 100) -> x509.Certificate:
        """Its key goes into ``path`` with a ``.key`` behind it."""
        key = ec.generate_private_key(ec.SECP256R1())
        Path(f"{path}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._sign((name_of(names[0]), key), (self.name, self.key), days, names=names)

    def _sign(
        self,
        subject: tuple[x509.Name, ec.EllipticCurvePrivateKey],
        issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey],
        days: int,
        *,
        names: Sequence[str] = (),
        is_ca: bool = False,
    ) -> x509.Certificate:
        now = clock()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject[0])
            .issuer_name(issuer[0])
            .public_key(subject[1].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 50 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(issuer[1], hashes.SHA256())


def write(path: Path, *chain: x509.Certificate) -> None:
    key = Path(f"{path}.key")
    secret = key.read_bytes() if key.exists() else b""
    path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain) + secret)


class Governed:
    """One house, and the lifecycle of its first certificate hearing every notice."""

    def __init__(self, house: House) -> None:
        self.house, self.state, self.heard, self.numbers = house, LifecycleState("mc-0"), 0, 0

    async def discover(self) -> int:
        """Look, adopt, and let the lifecycle hear what it is told; gives how much that was."""
        self.numbers += 1
        await self.house.discover(f"d{self.numbers}")
        new = self.house.lifecycles.heard[self.heard :]
        self.heard += len(new)
        for managed_id, notice in new:
            if managed_id == "mc-0":
                self.hear(NoticeArrived(notice))
                step = Consult(managed_id, notice)
                self.hear(StepDone(step, self.house.adoption.consult(step)))
        return len(new)

    async def look(self) -> None:
        assert self.state.life is not None
        step = LookAgain("mc-0", self.state.slots, self.state.life.fingerprint)
        self.hear(StepDone(step, await self.house.verification.look_again(step)))

    def hear(self, command: NoticeArrived | StepDone) -> None:
        for happened in decide(self.state, command, clock())[1]:
            self.state = evolve(self.state, happened)

    @property
    def left(self) -> int:
        return round((present(self.state).ends_at - clock()) / DAY)

    def finding(self, kind: str) -> str | None:
        return dict(own_findings(self.state, clock())).get(kind)

    @property
    def severity(self) -> str:
        return severity(self.state, clock())


def last(house: House) -> Observation:
    return house.told(len(house.lifecycles.heard) - 1)


@pytest.mark.parametrize("by", ["discovery", "own look"])
async def test_a_chain_that_changes_under_the_same_leaf_is_heard(database: Engine, tmp_path: Path, by: str) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    leaf = tower.leaf(path, "a.example")
    write(path, leaf, tower.intermediate(3000))
    governed = Governed(House(database, policy(tower.root, (), (), (str(path),))))
    assert await governed.discover() == 1
    assert (governed.left, governed.severity) == (100, "cleared")

    async def serve(*chain: x509.Certificate) -> None:
        write(path, leaf, *chain)
        if by == "own look":
            await governed.look()
            known = (governed.left, governed.severity)
            # Findings are a discovery's: it may tell those, and moves nothing else.
            await governed.discover()
            assert (governed.left, governed.severity) == known
        else:
            assert await governed.discover() == 1
        assert await governed.discover() == 0

    await serve(tower.intermediate(2))
    assert (governed.left, governed.severity, is_escalated(governed.state)) == (2, "critical", True)
    await serve(tower.intermediate(-2))
    assert (governed.left, governed.severity) == (-2, "critical")
    await serve()
    assert (governed.left, governed.severity) == (-2, "critical")
    assert governed.finding("broken-chain")


async def test_a_mended_chain_ends_the_alarm_and_a_root_of_the_policy_mends(database: Engine, tmp_path: Path) -> None:
    """Customer-facing, so that nothing is ordered meanwhile."""
    tower, path = Tower(), tmp_path / "a.pem"
    leaf = tower.leaf(path, "a.example")
    write(path, leaf)
    governed = Governed(House(database, replace(policy(TestCA(), (), (), (str(path),)), rules=())))
    await governed.discover()
    assert governed.finding("broken-chain")
    write(path, leaf, tower.intermediate(2))
    assert await governed.discover() == 1
    assert (governed.left, is_escalated(governed.state)) == (2, True)
    assert governed.finding("broken-chain") is None
    write(path, leaf)
    await governed.discover()
    assert (governed.left, governed.finding("broken-chain") is None) == (2, False)

    # The remedy of the runbook: the issuer becomes a root of the policy, and a lone leaf below it is whole.
    root = tower.intermediate(3000).public_bytes(serialization.Encoding.PEM).decode()
    governed.house.rules = replace(governed.house.rules, roots=(root,))
    assert await governed.discover() == 1
    assert governed.finding("broken-chain") is None
    assert (governed.left, is_escalated(governed.state)) == (100, False)
    assert await governed.discover() == 0


async def test_the_earliest_of_several_places_counts_whichever_is_longer(database: Engine, tmp_path: Path) -> None:
    tower, one, two = Tower(), tmp_path / "a.pem", tmp_path / "b.pem"
    leaf = tower.leaf(one, "a.example")
    write(one, leaf, tower.intermediate(20))
    Path(f"{two}.key").write_bytes(Path(f"{one}.key").read_bytes())
    write(two, leaf, tower.intermediate(90), tower.root.certificate)
    async with listening(context(one)) as short, listening(long := context(two)) as other:
        house = House(database, policy(tower.root, (short, other)))
        governed = Governed(house)
        assert await governed.discover() == 1
        adopted = house.told(0)
        assert adopted.life is not None
        assert adopted.terms is not None
        assert adopted.terms.plan is not None
        assert round((adopted.life.ends_at - clock()) / DAY) == governed.left == 20
        # What is planned is as long as the leaf, not as what is left of its path.
        assert adopted.terms.plan.validity_seconds == 150 * 86_400
        write(two, leaf, tower.intermediate(5))
        long.load_cert_chain(two)
        assert await governed.discover() == 1
        told = last(house)
        assert [look.slot for look in told.looks] == [Slot(f"tls://127.0.0.1:{other}", "ecdsa")]
        assert governed.left == 5


async def test_a_chain_out_of_order_is_told_as_such_and_its_earliest_end_counts(
    database: Engine, tmp_path: Path
) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    leaf = tower.leaf(path, "a.example")
    write(path, leaf, tower.root.certificate, tower.intermediate(5))
    async with listening(context(path)) as port:
        governed = Governed(House(database, policy(tower.root, (port,))))
        assert await governed.discover() == 1
    assert governed.left == 5
    with database.connect() as connection:
        details = connection.scalars(sa.select(tables.findings.c.detail)).all()
    assert [detail for detail in details if "out of order" in detail]


async def test_a_look_tells_why_a_chain_is_refused_where_it_leads_and_when_its_leaf_began(
    database: Engine, tmp_path: Path
) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    leaf = tower.leaf(path, "a.example")
    write(path, leaf, tower.intermediate(3000))
    house = House(database, policy(tower.root, (), (), (str(path),)))
    await house.discover("d1")
    slot = Slot(f"file://localhost{path}", "ecdsa")
    issuer = sha256(tower.key.public_key().public_bytes(DER, SPKI)).hexdigest()

    async def look() -> tuple[SlotLook, Life]:
        report = await house.verification.look_again(LookAgain("mc-0", (slot,)))
        return report.looks[0], report.candidates[0]

    seen, life = await look()
    assert (seen.chain_ok, seen.flaw, seen.rooted, seen.connections) == (True, "", True, 1)
    assert (seen.not_before, seen.ends_at) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    assert (life.signature_hash, life.issuer_spki) == ("sha256", issuer)
    write(path, leaf, tower.intermediate(-2))
    seen, life = await look()
    assert (seen.chain_ok, seen.rooted) == (False, True)
    assert reason_of(seen.flaw) is Reason.EXPIRED
    assert round((life.ends_at - clock()) / DAY) == -2
    write(path, leaf)
    seen, life = await look()
    assert (seen.chain_ok, seen.rooted, life.issuer_spki) == (False, False, "")
    assert reason_of(seen.flaw) is Reason.MISSING_ISSUER


async def test_a_place_that_no_time_was_left_for_is_told_as_not_looked_at(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    write(path, tower.leaf(path, "a.example"), tower.intermediate(3000))
    house = House(database, policy(tower.root, (), (), (str(path),)))
    await house.discover("d1")
    monkeypatch.setattr(verification, "TOTAL_SECONDS", -1.0)
    slot = Slot(f"file://localhost{path}", "ecdsa")
    (seen,) = (await house.verification.look_again(LookAgain("mc-0", (slot,)))).looks
    assert (seen.outcome, seen.fingerprint, seen.ends_at) == (LookOutcome.NOT_LOOKED, "", None)
    with database.connect() as connection:
        row = connection.execute(sa.select(tables.slots)).one()
    assert (row.last_outcome, row.misses) == ("seen", 0)


async def test_a_file_that_no_server_would_read_is_a_finding_with_its_line(database: Engine, tmp_path: Path) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    write(path, tower.leaf(path, "a.example"), tower.intermediate(3000))
    path.write_bytes(path.read_bytes().replace(b"-----\n-----", b"----------"))
    house = House(database, policy(tower.root, (), (), (str(path),)))
    assert (await house.discover("d1")).new == 1
    with database.connect() as connection:
        details = connection.scalars(sa.select(tables.findings.c.detail)).all()
    assert [detail for detail in details if "something stands behind -----END CERTIFICATE-----" in detail]
