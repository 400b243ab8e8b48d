import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import TrustClass
from domain.contracts import ApprovalRow, CaseRow, EndpointRow, EventRecord, Plan, RecordBatch, Recorded, Snapshot
from domain.errors import BadInput, NotFound, Refused
from store import reader, tables
from store.facts import record

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
PLAN = Plan("Everleaf NMS", "private-ca", TrustClass.PRIVATE, "nms", 86_400, ("a.example.in",), "ecdsa", 256, ("t",))


def event(seq: int, kind: str = "case_opened", note: str = "") -> EventRecord:
    return EventRecord(seq, kind, NOW, f"timer/{seq}", 1, 1, "policy", {"note": note})


def snapshot(managed_id: str = "mc-1", **changes: object) -> Snapshot:
    plain = Snapshot(
        managed_id=managed_id,
        generation=1,
        state="awaiting approval",
        tier="network-critical",
        tier_reason="rule vpn",
        owner="noc",
        service="vpn",
        subscribers=10,
        issuer="Everleaf NMS",
        trust_class="private",
        names=("a.example.in",),
        fingerprint="ab" * 32,
        not_before=NOW - timedelta(days=60),
        not_after=NOW + timedelta(days=30),
        severity="major",
        next_action="rung",
        next_action_at=NOW + timedelta(days=1),
        escalated=True,
        endpoints=(EndpointRow("tls://127.0.0.1:8443", "ecdsa", "ab" * 32, NOW, True),),
        findings=("weak-key",),
        case=CaseRow(1, NOW, "due", "awaiting approval"),
        approval=ApprovalRow("mc-1.1.1", 1, 1, "v1", PLAN, NOW, NOW + timedelta(days=1), True, "pending"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # any of its fields, each of another type


def batch(*events: EventRecord, managed_id: str = "mc-1", read_model: Snapshot | None = None) -> RecordBatch:
    return RecordBatch(managed_id, "run-1", events, read_model)


def stored(database: Engine) -> list[sa.RowMapping]:
    with database.connect() as connection:
        return list(connection.execute(sa.select(tables.events).order_by(tables.events.c.seq)).mappings())


def test_a_batch_is_written_once_and_chained(database: Engine) -> None:
    first = batch(event(0), event(1), read_model=snapshot())
    assert record(database, first, "0.1.0", NOW) == Recorded("recorded", 1)
    assert record(database, first, "0.2.0", NOW + timedelta(hours=1)) == Recorded("recorded", 1)
    assert record(database, batch(event(1), event(2)), "0.1.0", NOW) == Recorded("recorded", 2)
    rows = stored(database)
    assert [row["seq"] for row in rows] == [0, 1, 2]
    previous = bytes(32)
    for row in rows:
        body = json.loads(row["body"])
        assert body["prev"] == previous.hex()
        assert body["release"] == "0.1.0"
        assert body["recorded"] == "2026-11-24T06:00:00.000000Z"
        previous = sha256(b"\x00" + row["body"]).digest()
        assert row["leaf_hash"] == previous
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.log_queue)).scalar() == 3


@pytest.mark.parametrize("other", [event(1, kind="closed"), event(1, note="x"), replace(event(1), cause="reset")])
def test_another_event_under_a_known_number_is_a_fork_and_writes_nothing(database: Engine, other: EventRecord) -> None:
    record(database, batch(event(0), event(1), read_model=snapshot()), "0.1.0", NOW)
    forked = batch(event(0), other, event(2), read_model=snapshot(state="sleeping"))
    assert record(database, forked, "0.1.0", NOW) == Recorded("forked", 1)
    assert len(stored(database)) == 2
    assert reader.get_certificate(database, "mc-1")["state"] == "awaiting approval"


def test_a_gap_is_refused(database: Engine) -> None:
    with pytest.raises(Refused, match="0 is missing"):
        record(database, batch(event(1)), "0.1.0", NOW)
    assert stored(database) == []


def test_events_and_read_model_are_one_transaction(database: Engine) -> None:
    with pytest.raises(BadInput, match="severity"):
        record(database, batch(event(0), read_model=snapshot(severity="awful")), "0.1.0", NOW)
    assert stored(database) == []


def test_the_same_batch_from_eight_workers_at_once_is_written_once(database: Engine) -> None:
    both = batch(event(0), event(1))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: record(database, both, "0.1.0", NOW), range(16)))
    assert set(answers) == {Recorded("recorded", 1)}
    assert len(stored(database)) == 2


def test_a_late_repetition_does_not_put_the_read_model_back(database: Engine) -> None:
    old = batch(event(0), read_model=snapshot(state="old"))
    record(database, old, "0.1.0", NOW)
    record(database, batch(event(1), read_model=snapshot(state="new")), "0.1.0", NOW)
    record(database, old, "0.1.0", NOW)
    assert reader.get_certificate(database, "mc-1")["state"] == "new"


def test_the_read_model_shows_the_question_until_it_is_over(database: Engine) -> None:
    record(database, batch(event(0), read_model=snapshot()), "0.1.0", NOW)
    asked = reader.list_approvals(database, "pending").items
    assert [row["id"] for row in asked] == ["mc-1.1.1"]
    assert asked[0]["plan"]["names"] == ["a.example.in"]
    row = reader.get_certificate(database, "mc-1")
    assert row["endpoints"][0]["url"] == "tls://127.0.0.1:8443"
    case = reader.open_case(database, "mc-1")
    assert case is not None
    assert case["stage"] == "awaiting approval"
    done = snapshot(approval=None, case=CaseRow(1, NOW, "due", "closed", closed_at=NOW, outcome="verified"))
    record(database, batch(event(1), read_model=done), "0.1.0", NOW)
    assert reader.list_approvals(database, "pending").items == []
    assert reader.get_approval(database, "mc-1.1.1")["state"] == "closed"
    assert reader.open_case(database, "mc-1") is None
    assert [one["seq"] for one in reader.timeline(database, "mc-1")] == [0, 1]


def test_an_answer_has_a_name_and_a_time_until_it_is_asked_anew(database: Engine) -> None:
    answers: tuple[tuple[str, Literal["pending", "rejected"], str], ...] = (
        ("approval_asked", "pending", ""),
        ("rejected", "rejected", "person/asha"),
        ("approval_asked", "pending", ""),
    )
    for seq, (kind, state, by) in enumerate(answers):
        asked = ApprovalRow("mc-1.1.1", 1, 1, "v1", PLAN, NOW, NOW + timedelta(days=1), True, state)
        told = replace(event(seq, kind), facts={"approver": by} if by else {})
        record(database, batch(told, read_model=snapshot(approval=asked)), "0.1.0", NOW)
        row = reader.get_approval(database, "mc-1.1.1")
        assert (row["state"], row["decided_by"], row["decided_at"]) == (state, by, NOW if by else None)
    told = replace(event(3, "approved"), facts={"approver": "person/asha"})
    closing = batch(told, event(4, "case_closed"), read_model=snapshot(approval=None))
    record(database, closing, "0.1.0", NOW)
    row = reader.get_approval(database, "mc-1.1.1")
    assert (row["state"], row["decided_by"], row["decided_at"]) == ("closed", "person/asha", NOW)


@pytest.mark.parametrize("sort", ["not_after", "-not_after", "severity", "name"])
def test_pages_show_every_certificate_once(database: Engine, sort: str) -> None:
    for number in range(7):
        managed_id = f"mc-{number}"
        ends = NOW + timedelta(days=number % 3)
        row = snapshot(managed_id, not_after=ends, names=(f"n{number % 2}.in",), approval=None, case=None)
        record(database, batch(event(0), managed_id=managed_id, read_model=row), "0.1.0", NOW)
    seen: list[str] = []
    cursor = None
    while True:
        shown = reader.list_certificates(database, reader.CertificateQuery(sort=sort, limit=3, cursor=cursor))
        seen += [row["id"] for row in shown.items]
        cursor = shown.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == [f"mc-{number}" for number in range(7)]
    found = reader.list_certificates(database, reader.CertificateQuery(sort=sort, q="N1", owner="noc"))
    assert {row["id"] for row in found.items} == {"mc-1", "mc-3", "mc-5"}
    assert reader.list_certificates(database, reader.CertificateQuery(q="%")).items == []


@pytest.mark.parametrize("wrong", [{"sort": "x"}, {"limit": 0}, {"cursor": "!"}, {"cursor": "WzFd"}, {"cursor": "W10"}])
def test_a_bad_question_names_its_field(database: Engine, wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        reader.list_certificates(database, reader.CertificateQuery(**wrong))  # type: ignore[arg-type]  # what is tried here


def test_unknown_ids_are_not_found(database: Engine) -> None:
    for get in (reader.get_certificate, reader.get_approval, reader.get_discovery, reader.get_order):
        with pytest.raises(NotFound):
            get(database, "none")


def test_health_counts_what_is_not_settled(database: Engine) -> None:
    assert not reader.health(database, NOW).settled
    record(database, batch(event(0), read_model=snapshot()), "0.1.0", NOW)
    with database.begin() as connection:
        row = {"id": "d", "source": "first", "state": "adopted", "scope": {}, "started_at": NOW}
        connection.execute(sa.insert(tables.discoveries).values(**row))
        managed = {"id": "mc-1", "discovery_id": "d", "fingerprints": [], "names": [], "terms": {}, "adopted_at": NOW}
        connection.execute(sa.insert(tables.managed).values(**managed))
    now = reader.health(database, NOW)
    assert now.settled
    assert (now.managed, now.pending_approvals, now.by_severity) == (1, 1, {"major": 1})
    assert reader.health(database, NOW + timedelta(days=2)).overdue == 1
