"""The estate as discovery meets it: real listeners, real PostgreSQL, nothing read from the generator."""

import asyncio
import itertools
import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.adoption import AdoptionActivities
from activities.discovery import DiscoveryActivities
from activities.scanners.base import Ask, Patience
from activities.scanners.tls import TLSScanner
from cli.process import accepts
from demo.census import census
from demo.estate import extra, prepare
from domain.certificate import Endpoint, Slot
from domain.contracts import AdoptDiscovery, AdoptionReport, DiscoveryRequest, ScanPage
from domain.terms import expand_target
from domain.tiers import Policy
from formats.policy import parse_policy
from formats.x509 import fingerprint_of
from store import tables
from store.sightings.known import TERMS
from tests.activities.estates import clock
from tests.launcher.waiting import LONG_SECONDS
from tests.launcher.waiting import until as wait_until

PROJECT = Path(__file__).parents[2]


@contextmanager
def running(module: str, *arguments: str, until: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=PROJECT)
    try:
        wait_until(lambda: until.exists() or process.poll() is not None)
        assert process.poll() is None, f"{module} ended"
        yield
    finally:
        process.terminate()
        process.wait(LONG_SECONDS)


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    prepare(tmp_path, seed=getattr(request, "param", 1))
    with running("demo.estate", "serve", str(tmp_path), until=tmp_path / "demo" / "estate.ready"):
        yield tmp_path


def listens(place: str) -> bool:
    """Whether something answers at ``address:port``."""
    host, _, port = place.rpartition(":")
    return accepts(int(port), host)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110  # another process makes it true, and has no event
            await asyncio.sleep(0.1)


def rules(home: Path) -> Policy:
    return parse_policy((home / "policy.yaml").read_bytes())


async def discover(database: Engine, policy: Policy, discovery_id: str) -> AdoptionReport:
    ids = (f"{discovery_id}-{n:04d}" for n in itertools.count())
    scanning = DiscoveryActivities(database, lambda: policy, clock)
    adopting = AdoptionActivities(database, lambda: policy, clock, lambda: next(ids), lambda name: None)
    plan = await scanning.begin_discovery(DiscoveryRequest(discovery_id))
    for page in range(plan.pages):
        await scanning.scan_page(ScanPage(discovery_id, page))
    return await adopting.adopt(AdoptDiscovery(discovery_id))


def findings(database: Engine, discovery_id: str) -> Counter[str]:
    c = tables.findings.c
    with database.connect() as connection:
        return Counter(connection.scalars(sa.select(c.kind).where(c.discovery_id == discovery_id)))


@pytest.mark.server
async def test_discovery_finds_and_governs_the_whole_estate(database: Engine, home: Path) -> None:
    report = await discover(database, rules(home), "d1")
    assert (report.new, report.missed) == (320, 0)
    found = findings(database, "d1")
    assert found["expired"] == 1 and found["wrong name"] == 1 and found["weak key"] == 1
    assert found["no owner"] == 6 and found["unplaced"] == 2 and found["shared key"] >= 2
    assert found["broken chain"] == 2, "two send their leaf without its issuing CA"
    with database.connect() as connection:
        every = [TERMS.validate_python(terms) for terms in connection.scalars(sa.select(tables.managed.c.terms))]
    assert Counter(terms.tier.value for terms in every)["internal"] == 54
    unroutable = [terms.unroutable for terms in every if terms.plan is None]
    assert len(unroutable) == 9 and all("self-signed" in why for why in unroutable)
    assert sum(terms.plan is not None and terms.plan.issuer_kind == "manual" for terms in every) == 10
    with database.connect() as connection:
        slots = [Slot(row.url, row.algorithm) for row in connection.execute(sa.select(tables.slots))]
    targets = [expand_target(rules(home), slot) for slot in slots]
    assert len(slots) == sum(len(entry.places) for entry in census())
    assert all(t and Path(t.chain).exists() and Path(t.key).exists() for t in targets)
    again = await discover(database, rules(home), "d2")
    assert (again.new, again.changed, again.notices) == (0, 0, 0)
    added, removed = extra(home, add=7, remove=3)
    await eventually(lambda: all(map(listens, added)) and not any(map(listens, removed)))
    third = await discover(database, rules(home), "d3")
    assert (len(added), len(removed)) == (7, 3)
    assert (third.new, third.missed) == (7, 3)


@pytest.mark.server
@pytest.mark.parametrize("home", [2], indirect=True)
async def test_the_same_rules_place_an_estate_with_other_names(database: Engine, home: Path) -> None:
    report = await discover(database, rules(home), "d1")
    assert report.new == 320
    assert findings(database, "d1")["unplaced"] <= 32


@pytest.mark.server
async def test_listeners_reload_when_their_files_change_but_one_lies(home: Path) -> None:
    endpoints = home / "demo" / "endpoints"
    liar = next(endpoints.glob("*/lies")).parent
    honest = next(p for p in sorted(endpoints.glob("127.*.8.*")) if p != liar)
    scanner = TLSScanner(clock)

    async def served(folder: Path) -> str:
        host, _, port = folder.name.rpartition("_")
        asks = [Ask(Endpoint("tls", host, int(port)))]
        (sight,) = await scanner.look(asks, Patience(), lambda: None)
        return fingerprint_of(sight.chain[0])

    async def reloaded(wanted: str) -> None:
        while await served(honest) != wanted:  # noqa: ASYNC110  # another process makes it true
            await asyncio.sleep(0.1)

    before = {folder: await served(folder) for folder in (liar, honest)}
    spare = endpoints / next(p.name for p in sorted(endpoints.glob("127.*.6.*")))
    for folder in (liar, honest):
        for kind in ("chain", "key"):
            (folder / f"ecdsa.{kind}.pem").write_bytes((spare / f"ecdsa.{kind}.pem").read_bytes())
    wanted = await served(spare)
    await reloaded(wanted)
    assert wanted != before[honest]
    # A look at all folders lies between two reloads of the honest one: the liar's files were looked at as well.
    other = endpoints / next(p.name for p in sorted(endpoints.glob("127.*.7.*")))
    for kind in ("chain", "key"):
        (honest / f"ecdsa.{kind}.pem").write_bytes((other / f"ecdsa.{kind}.pem").read_bytes())
    await reloaded(await served(other))
    assert await served(liar) == before[liar]


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    prepare(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    keys = [path for path in tmp_path.rglob("*") if "key" in path.name]
    assert len(keys) > 300 and all(path.stat().st_mode & 0o077 == 0 for path in keys)


def test_the_census_is_what_the_readme_promises() -> None:
    for seed in (1, 2):
        entries = census(seed)
        sockets = {(p.address, p.port) for entry in entries for p in entry.places if p.address}
        assert len(entries) == 320 and len(sockets) >= 250
        assert sum(bool(entry.places[0].file) for entry in entries) == 20
        assert sum(entry.signer == "public" and "client" in entry.usages for entry in entries) == 40
        assert sum(entry.key != "ecdsa" for entry in entries) <= 40
        assert sum(20 * 60 <= entry.life.total_seconds() <= 40 * 60 for entry in entries) == 6
        assert census(seed) == entries


def test_the_example_policy_is_valid_as_it_stands() -> None:
    policy = parse_policy((PROJECT / "demo" / "policy.yaml").read_bytes())
    assert len(policy.rules) <= 30 and policy.scope.names == ()


@pytest.mark.server
def test_the_mailbox_keeps_every_mail(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    port = tmp_path / "demo" / "smtp.port"
    with running("demo.mailbox", str(tmp_path), until=port):
        with smtplib.SMTP("127.0.0.1", int(port.read_text())) as smtp:
            smtp.sendmail("a@example.in", ["b@example.in"], "Subject: one\r\n\r\nbody\r\n")
            smtp.sendmail("a@example.in", ["b@example.in"], "Subject: two\r\n\r\nbody\r\n")
    mails = sorted((tmp_path / "demo" / "mail").glob("*.eml"))
    assert [b"Subject: one" in mails[0].read_bytes(), b"Subject: two" in mails[1].read_bytes()] == [True, True]
