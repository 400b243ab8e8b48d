"""What the newest looks found stands beside the certificate that is ours now, and nothing that they found before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import LookOutcome, Slot
from domain.contracts import SlotLook
from domain.errors import BadInput
from store import reader, tables
from store.facts import record
from store.reader import CertificateQuery
from store.sightings.adoptions import adopting, record_looks, write
from store.sightings.rows import Changes, SlotRow
from tests.store.test_facts import batch, event, snapshot

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
OURS, OTHER = "ab" * 32, "cd" * 32
URL = "tls://127.0.0.1:8443"


def put(database: Engine, table: sa.Table, **row: Any) -> None:
    with database.begin() as connection:
        connection.execute(sa.insert(table).values(**row))


@pytest.fixture
def looked(database: Engine) -> Engine:
    """mc-1 at one place, where d2 looked last and d1 before; mc-2 somewhere else, well."""
    for managed_id in ("mc-1", "mc-2"):
        record(database, batch(event(0), managed_id=managed_id, read_model=snapshot(managed_id, findings=())), "t", NOW)
    for name in ("d1", "d2"):
        row = {"scope": {}, "source": "test", "state": "adopted", "pages": 1, "targets": 1, "detail": ""}
        put(database, tables.discoveries, id=name, workflow_id="", run_id="", started_at=NOW, **row)
    for managed_id in ("mc-1", "mc-2"):
        row = {"fingerprints": [OURS], "names": [], "terms": {}, "adopted_at": NOW}
        put(database, tables.managed, id=managed_id, discovery_id="d1", **row)
    slot = {"last_outcome": "refused", "last_fingerprint": OURS, "last_seen_at": NOW, "last_looked_at": NOW}
    put(
        database,
        tables.slots,
        url=URL,
        algorithm="ecdsa",
        managed_id="mc-1",
        misses=2,
        looked_in="d2",
        judged_in="d2",
        found_of=OURS,
        found=["weak key", "broken chain"],
        **slot,
    )
    for discovery, fingerprint, kind in (
        ("d1", OURS, "shared key"),
        ("d2", OURS, "weak key"),
        ("d2", OTHER, "wrong name"),
    ):
        row = {"discovery_id": discovery, "fingerprint": fingerprint, "url": URL, "kind": kind}
        put(database, tables.findings, severity="warning", detail="of a test", **row)
    for fingerprint, subject in ((OURS, "CN=a"), (OTHER, "CN=ca")):
        facts = {"subject": subject, "issuer": "CN=ca", "not_after": "2027-01-01T00:00:00Z"}
        put(database, tables.certificates, fingerprint=fingerprint, der=b"", facts=facts, first_seen_at=NOW)
    look = {"url": URL, "algorithm": "ecdsa", "outcome": "seen", "chain": [OURS, OTHER], "at": NOW}
    put(database, tables.looks, discovery_id="d2", page=0, **look)
    return database


def test_a_certificate_has_what_its_newest_looks_found(looked: Engine) -> None:
    assert reader.get_certificate(looked, "mc-1")["findings"] == ["weak key: of a test"]
    assert reader.get_certificate(looked, "mc-2")["findings"] == []
    listed = {row["id"]: row["findings"] for row in reader.list_certificates(looked, CertificateQuery()).items}
    assert listed == {"mc-1": ["weak key: of a test"], "mc-2": []}
    # Where somebody is called for it, the reason stands beside.
    needing = {row["id"]: row["findings"] for row in reader.situation(looked, NOW).attention}
    assert needing["mc-1"] == ["weak key: of a test"]


@pytest.mark.parametrize(("kind", "found"), [("weak key", 1), ("weak-key", 1), ("shared key", 0), ("wrong name", 0)])
def test_a_list_is_filtered_by_what_was_found(looked: Engine, kind: str, found: int) -> None:
    asked = CertificateQuery(finding=kind)
    assert len(reader.list_certificates(looked, asked).items) == found
    assert reader.count_certificates(looked, [asked]) == [found]


def test_what_a_lifecycle_found_itself_is_said_once(looked: Engine) -> None:
    put(
        looked,
        tables.findings,
        discovery_id="d2",
        fingerprint=OURS,
        url=URL,
        kind="broken chain",
        severity="warning",
        detail="x",
    )
    found = snapshot("mc-1", findings=("broken-chain: the chain served there is broken",))
    record(looked, batch(event(1), managed_id="mc-1", read_model=found), "t", NOW)
    row = reader.get_certificate(looked, "mc-1")
    assert row["findings"] == ["broken-chain: the chain served there is broken", "weak key: of a test"]
    for spelling in ("broken chain", "broken-chain"):
        assert len(reader.list_certificates(looked, CertificateQuery(finding=spelling)).items) == 1


def test_a_place_that_was_seen_again_is_missed_no_more(looked: Engine) -> None:
    row = {"discovery_id": "d2", "fingerprint": OURS, "url": URL, "kind": "missed", "severity": "warning"}
    put(looked, tables.findings, detail="refused", **row)
    with looked.begin() as connection:
        connection.execute(sa.update(tables.slots).values(found=["missed", "weak key"]))
    asked = CertificateQuery(finding="missed")
    assert reader.get_certificate(looked, "mc-1")["findings"] == ["missed: refused", "weak key: of a test"]
    assert reader.count_certificates(looked, [asked]) == [1]

    record_looks(looked, [SlotLook(Slot(URL, "ecdsa"), NOW + timedelta(hours=1), LookOutcome.SEEN, OURS)])

    assert reader.get_certificate(looked, "mc-1")["findings"] == ["weak key: of a test"]
    assert reader.count_certificates(looked, [asked]) == [0]


def test_what_the_last_discovery_that_saw_it_found_holds_while_it_is_silent(looked: Engine) -> None:
    row = {"discovery_id": "d2", "fingerprint": OURS, "url": URL, "kind": "missed", "severity": "warning"}
    put(looked, tables.findings, detail="refused", **row)
    put(
        looked,
        tables.looks,
        discovery_id="d1",
        page=0,
        url=URL,
        algorithm="ecdsa",
        outcome="seen",
        chain=[OURS],
        at=NOW,
    )
    with looked.begin() as connection:
        connection.execute(sa.delete(tables.findings).where(tables.findings.c.kind == "weak key"))
        connection.execute(sa.update(tables.looks).values(chain=[]).where(tables.looks.c.discovery_id == "d2"))
        connection.execute(sa.update(tables.slots).values(judged_in="d1", found=["missed", "shared key"]))

    assert reader.get_certificate(looked, "mc-1")["findings"] == ["missed: refused", "shared key: of a test"]
    assert [one["subject"] for one in reader.chain_seen(looked, "mc-1", OURS)] == ["CN=a"]


def test_an_adoption_overwrites_no_look_that_came_while_it_was_made(looked: Engine) -> None:
    slot, later = Slot(URL, "ecdsa"), NOW + timedelta(hours=1)
    record_looks(looked, [SlotLook(slot, later, LookOutcome.SEEN, OTHER)])
    # Later recorded, earlier looked.
    record_looks(looked, [SlotLook(slot, NOW, LookOutcome.REFUSED)])

    def adopt(at: datetime) -> tuple[str, str, int]:
        row = SlotRow(slot, "mc-2", "refused", OURS, NOW, at, 3)
        with adopting(looked) as connection:
            write(connection, "d2", Changes(slots=[row]), at)
            found = connection.execute(sa.select(tables.slots)).one()
        assert found.managed_id == "mc-2"
        return found.last_outcome, found.last_fingerprint, found.misses

    assert adopt(NOW + timedelta(minutes=59)) == ("seen", OTHER, 0)
    assert adopt(NOW + timedelta(minutes=61)) == ("refused", OURS, 3)


def test_a_kind_that_nothing_finds_is_refused(database: Engine) -> None:
    with pytest.raises(BadInput, match="weak key"):
        reader.list_certificates(database, CertificateQuery(finding="week key"))


def test_a_place_says_how_often_it_was_looked_at_in_vain(looked: Engine) -> None:
    row = reader.get_certificate(looked, "mc-1")
    place = reader.with_looks(looked, "mc-1", row["endpoints"])[0]
    assert (place["last_outcome"], place["misses"], place["matches"]) == ("refused", 2, True)


def test_the_chain_is_the_one_that_was_served_leaf_first(looked: Engine) -> None:
    assert [one["subject"] for one in reader.chain_seen(looked, "mc-1", OURS)] == ["CN=a", "CN=ca"]
    assert reader.chain_seen(looked, "mc-2", OURS) == []
