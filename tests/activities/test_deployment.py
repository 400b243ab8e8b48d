import os
import signal
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from activities.deployers import DEPLOYERS, DeployerParts
from activities.deployers.files import held
from activities.deployment import DeploymentActivities, DeploymentParts, returnable
from domain.certificate import Slot
from domain.contracts import (
    CollectOrder,
    Deploy,
    DeployReport,
    PlaceOrder,
    Plan,
    RollBack,
)
from domain.errors import Conflict
from domain.terms import Target
from formats.x509 import load_pem_chain
from store.orders import receipts_of
from store.sightings.adoptions import release_slots
from tests.activities.conftest import Crash, House, govern

SLOT = Slot("tls://127.0.0.1:8443?sni=nms.example.in", "ecdsa")
TWIN = Slot("tls://127.0.0.1:8444?sni=nms.example.in", "ecdsa")

# Counts its calls, and fails while the file "broken" stands beside it.
RELOAD = "import sys,pathlib;d=pathlib.Path(sys.argv[1]);f=d/'calls';"
RELOAD += "f.write_text((f.read_text() if f.exists() else '')+'x');"
RELOAD += "b=d/'broken';n=int(b.read_text()) if b.exists() else 0;b.write_text(str(n-1)) if n else None;"
RELOAD += "print('config test failed',file=sys.stderr) if n else None;sys.exit(3 if n else 0)"


@dataclass
class Site:
    """One target on disk."""

    house: House
    folder: Path
    target: Target
    activities: DeploymentActivities

    def trust(self, roots: tuple[str, ...]) -> None:
        """As a policy that names ``roots`` (PEM)."""
        self.activities = activities_at(self.house, {SLOT: self.target, TWIN: self.target}, roots)

    def order(self, number: int, plan: Plan) -> str:
        key = f"mc-1.1.1.{number}"
        self.house.orders.place_order(PlaceOrder(key, "mc-1", plan))
        outcome = self.house.issuance.collect_order(CollectOrder(key))
        assert outcome.life is not None
        return outcome.life.fingerprint

    def deploy(self, number: int, fingerprint: str, *slots: Slot) -> DeployReport:
        return self.activities.deploy(Deploy("mc-1", f"mc-1.1.1.{number}", fingerprint, slots or (SLOT,)))

    def roll_back(self, number: int, fingerprint: str) -> DeployReport:
        return self.activities.roll_back(RollBack("mc-1", f"mc-1.1.1.{number}", fingerprint, (SLOT,)))

    @property
    def served(self) -> str:
        return sha256(load_pem_chain((self.folder / "chain.pem").read_bytes())[0]).hexdigest()

    @property
    def is_whole(self) -> bool:
        leaf = load_pem_x509_certificate((self.folder / "chain.pem").read_bytes())
        key = load_pem_private_key((self.folder / "key.pem").read_bytes(), None)
        return key.public_key() == leaf.public_key()

    @property
    def reloads(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text()) if calls.exists() else 0

    def break_reload(self, times: int) -> None:
        (self.folder / "broken").write_text(str(times))


def activities_at(house: House, found: dict[Slot, Target], roots: tuple[str, ...] = ()) -> DeploymentActivities:
    parts = DeployerParts(house.clock, returnable(house.engine, house.clock), house.failpoint, lambda: roots)
    deployers = {kind: make(parts) for kind, make in DEPLOYERS.items()}
    return DeploymentActivities(DeploymentParts(house.engine, house.custodian, deployers, found.get, house.clock))


@pytest.fixture
def site(house: House, tmp_path: Path) -> Site:
    folder = tmp_path / "etc"
    folder.mkdir()
    reload = (sys.executable, "-c", RELOAD, str(folder))
    target = Target("nms", "file", str(folder / "chain.pem"), str(folder / "key.pem"), reload, "", 0o640)
    govern(house.engine, "mc-1", SLOT, TWIN)
    return Site(house, folder, target, activities_at(house, {SLOT: target, TWIN: target}))


def test_a_certificate_is_installed_with_its_mode_and_the_old_one_kept(site: Site, plan: Plan) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    assert site.deploy(1, first).receipts[0].outcome == "installed"
    assert site.deploy(2, second).receipts[0].outcome == "installed"
    assert site.served == second
    assert site.is_whole
    assert (site.folder / "key.pem").stat().st_mode & 0o777 == 0o640
    assert (site.folder / "key.pem").stat().st_uid == os.geteuid()
    [receipt] = receipts_of(site.house.engine, "mc-1.1.1.2")
    assert (receipt.fingerprint, receipt.previous, receipt.outcome) == (second, first, "installed")
    assert not list(site.folder.glob(".*.new"))


def test_installing_twice_changes_nothing(site: Site, plan: Plan) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    assert site.deploy(2, second) == site.deploy(2, second)
    assert site.roll_back(2, second).receipts[0].outcome == "installed"
    assert site.served == first


def test_slots_served_from_the_same_files_are_one_installation(site: Site, plan: Plan) -> None:
    fingerprint = site.order(1, plan)
    report = site.deploy(1, fingerprint, SLOT, TWIN)
    assert [receipt.outcome for receipt in report.receipts] == ["installed", "installed"]
    assert site.reloads == 1


def test_a_failed_reload_puts_the_old_certificate_back(site: Site, plan: Plan) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    site.break_reload(1)
    [receipt] = site.deploy(2, second).receipts
    assert receipt.outcome == "refused"
    assert "config test failed" in receipt.detail
    assert site.served == first
    assert site.is_whole
    assert site.reloads == 3


def test_a_first_install_that_fails_leaves_nothing(site: Site, plan: Plan) -> None:
    site.break_reload(2)
    [receipt] = site.deploy(1, site.order(1, plan)).receipts
    assert receipt.outcome == "refused"
    assert "that reload failed too" in receipt.detail
    assert not [file for file in site.folder.iterdir() if file.name in ("chain.pem", "key.pem")]


@pytest.mark.parametrize("point", ["deploy.written", "deploy.reloaded"])
def test_a_crash_in_the_middle_is_finished_by_the_next_attempt(site: Site, plan: Plan, point: str) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    site.house.failpoint.at = point
    with pytest.raises(Crash):
        site.deploy(2, second)
    assert site.deploy(2, second).receipts[0].outcome == "installed"
    assert site.served == second
    site.house.failpoint.at = point
    with pytest.raises(Crash):
        site.roll_back(2, second)
    assert site.roll_back(2, second).receipts[0].outcome == "installed"
    assert site.served == first
    assert receipts_of(site.house.engine, "mc-1.1.1.2")[0].outcome == "rolled back"


def test_half_an_install_is_never_kept_as_the_old_certificate(site: Site, plan: Plan) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    old_chain = (site.folder / "chain.pem").read_bytes()
    site.deploy(2, second)
    # What a crash between the two renames leaves: the new key beside the old chain.
    (site.folder / "chain.pem").write_bytes(old_chain)
    assert site.deploy(2, second).receipts[0].outcome == "installed"
    assert site.is_whole
    site.roll_back(2, second)
    assert site.served == first
    assert site.is_whole


def test_there_is_nothing_to_put_back_after_a_first_install(site: Site, plan: Plan) -> None:
    fingerprint = site.order(1, plan)
    site.deploy(1, fingerprint)
    [receipt] = site.roll_back(1, fingerprint).receipts
    assert receipt.outcome == "refused"
    assert site.served == fingerprint


def test_what_cannot_be_written_names_its_target(site: Site, plan: Plan) -> None:
    fingerprint = site.order(1, plan)
    unknown = Slot("tls://127.0.0.1:9999", "ecdsa")
    assert site.deploy(1, fingerprint, unknown).receipts[0].outcome == "refused"
    site.folder.rename(site.folder.with_name("gone"))
    [receipt] = site.deploy(1, fingerprint).receipts
    assert receipt.outcome == "refused"
    assert "nms" in receipt.detail


@pytest.mark.parametrize("now_of", ["mc-2", ""])
def test_nothing_is_written_where_another_certificate_lives_now(site: Site, plan: Plan, now_of: str) -> None:
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    site.deploy(2, second)
    theirs = b"what somebody else has put there"
    (site.folder / "chain.pem").write_bytes(theirs)
    (site.folder / "key.pem").write_bytes(theirs)
    reloads = site.reloads
    if now_of:
        govern(site.house.engine, now_of, SLOT)
    else:
        with site.house.engine.begin() as connection:
            release_slots(connection, "mc-1", [(SLOT.url, SLOT.algorithm)])
    for [receipt] in (site.deploy(2, second).receipts, site.roll_back(2, second).receipts):
        assert receipt.outcome == "refused"
        assert f"belongs to {now_of} now" in receipt.detail if now_of else "was given up" in receipt.detail
    assert {(site.folder / name).read_bytes() for name in ("chain.pem", "key.pem")} == {theirs}
    assert site.reloads == reloads
    assert receipts_of(site.house.engine, "mc-1.1.1.2")[0].outcome == "refused"


def test_one_file_may_hold_chain_and_key(site: Site, plan: Plan) -> None:
    whole = replace(site.target, key=site.target.chain)
    parts = DeployerParts(site.house.clock)
    deployers = {kind: make(parts) for kind, make in DEPLOYERS.items()}
    deployment = DeploymentParts(site.house.engine, site.house.custodian, deployers, lambda _: whole, site.house.clock)
    site.activities = DeploymentActivities(deployment)
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    site.deploy(2, second)
    content = (site.folder / "chain.pem").read_bytes()
    assert content.count(b"PRIVATE KEY-----") == 2
    assert site.served == second
    site.roll_back(2, second)
    assert site.served == first


def test_a_server_that_the_reload_leaves_running_does_not_hold_it_up(site: Site, plan: Plan) -> None:
    started = site.folder.parent / "pid"
    sleeping = "[sys.executable, '-c', 'import time; time.sleep(3600)']"
    script = f"import subprocess, sys; open({str(started)!r}, 'w').write(str(subprocess.Popen({sleeping}).pid))"
    target = replace(site.target, reload=(sys.executable, "-c", script))
    deployers = {kind: make(DeployerParts(site.house.clock)) for kind, make in DEPLOYERS.items()}
    parts = DeploymentParts(site.house.engine, site.house.custodian, deployers, lambda _: target, site.house.clock)
    site.activities = DeploymentActivities(parts)
    assert site.deploy(1, site.order(1, plan)).receipts[0].outcome == "installed"
    # It is still there: nobody waited for its end.
    os.kill(int(started.read_text()), signal.SIGKILL)


def test_a_reload_that_never_ends_is_ended_and_refused(site: Site, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.deployers.file.RELOAD_TIMEOUT_SECONDS", 0.3)
    target = replace(site.target, reload=("sleep", "60"))
    deployers = {kind: make(DeployerParts(site.house.clock)) for kind, make in DEPLOYERS.items()}
    parts = DeploymentParts(site.house.engine, site.house.custodian, deployers, lambda _: target, site.house.clock)
    site.activities = DeploymentActivities(parts)
    [receipt] = site.deploy(1, site.order(1, plan)).receipts
    assert receipt.outcome == "refused"
    assert "did not end" in receipt.detail


def test_two_installations_at_one_target_do_not_mix(site: Site, plan: Plan) -> None:
    fingerprint = site.order(1, plan)
    with held(site.folder / "chain.pem"):
        [receipt] = site.deploy(1, fingerprint).receipts
    assert receipt.outcome == "unreachable"
    assert site.deploy(1, fingerprint).receipts[0].outcome == "installed"


def test_only_the_orders_own_certificate_is_deployed(site: Site, plan: Plan) -> None:
    site.order(1, plan)
    with pytest.raises(Conflict):
        site.deploy(1, "00" * 32)


def test_no_private_key_stands_in_the_store_in_clear(site: Site, plan: Plan) -> None:
    site.deploy(1, site.order(1, plan))
    pem = (site.folder / "key.pem").read_bytes()
    number = load_pem_private_key(pem, None).private_numbers().private_value  # type: ignore[union-attr]  # an EC key
    secret = number.to_bytes(32, "big")
    with site.house.engine.connect() as connection:
        names = sa.inspect(site.house.engine).get_table_names()
        for name in names:
            for row in connection.execute(sa.text(f'SELECT * FROM "{name}"')):
                assert secret not in b"".join(bytes(value) for value in row if isinstance(value, memoryview | bytes))
                assert secret.hex() not in repr(row)
