"""What lifecycles recorded: the append-only events, and the read model that they amount to, in one transaction."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.contracts import (
    ApprovalRow,
    CallRow,
    CaseRow,
    EndpointRow,
    EventRecord,
    LifeRow,
    Plan,
    QuestionRow,
    RecordBatch,
    Recorded,
    Snapshot,
)
from domain.errors import BadInput, Refused
from domain.names import approval_id
from store import tables
from store.canonical import canonical, leaf_hash
from store.changes import note_change
from store.sightings.releasing import release_given_up

# States of a question that somebody may still answer.
ASKED = ("pending", "rejected")
# So that severity sorts; X.733's words, most urgent first.
SEVERITY_RANK = {"critical": 0, "major": 1, "minor": 2, "warning": 3, "cleared": 4}

# Parts of a snapshot that have tables of their own, and the id, whose column has a shorter name.
NOT_COLUMNS = ("managed_id", "case", "closed_case", "approval", "known_at")

PLAN = TypeAdapter(Plan)
ENDPOINTS = TypeAdapter(tuple[EndpointRow, ...])
QUESTIONS = TypeAdapter(tuple[QuestionRow, ...])
CALLS = TypeAdapter(tuple[CallRow, ...])
SERVED = TypeAdapter(tuple[LifeRow, ...])


def record(engine: Engine, batch: RecordBatch, release: str, now: datetime) -> Recorded:
    """Write ``batch`` or find it written.

    The same (stream, seq) with the same kind, cause and facts is a no-op.  Anything else under a known number is
    *forked*: nothing at all is written.  Raises Refused where a number is missing: the store was put back to a time
    before it, which is noted, so that what is missing is made again.
    """
    try:
        return _record(engine, batch, release, now)
    except Refused:
        with engine.begin() as connection:
            row = {"stream": batch.managed_id, "seq": batch.events[0].seq, "at": now}
            connection.execute(insert(tables.streams_behind).values(**row).on_conflict_do_nothing())
        raise


def _record(engine: Engine, batch: RecordBatch, release: str, now: datetime) -> Recorded:
    with engine.begin() as connection:
        head, previous = _locked_head(connection, batch.managed_id)
        known = [event for event in batch.events if event.seq <= head]
        if _is_forked(connection, batch.managed_id, known):
            return Recorded("forked", head)
        new = [event for event in batch.events if event.seq > head]
        for place, event in enumerate(new, start=head + 1):
            if event.seq != place:
                raise Refused(f"{batch.managed_id}: event {event.seq} came, {place} is missing; nothing was written.")
            previous = _append(connection, batch, event, (previous, release, now))
        last = head + len(new)
        if any(event.kind == "record_gap" for event in new):
            # Signed for: nothing of it may be made again over what stands there now.
            behind_no_more = tables.streams_behind.c.stream == batch.managed_id
            connection.execute(sa.delete(tables.streams_behind).where(behind_no_more))
        if new:
            moved = sa.update(tables.stream_heads).where(tables.stream_heads.c.stream == batch.managed_id)
            connection.execute(moved.values(seq=last, leaf_hash=previous))
            release_given_up(connection, batch.managed_id, new, batch.snapshot)
        # A late repetition of an older batch must not put the read model back.
        if batch.snapshot is not None and (not batch.events or batch.events[-1].seq >= last):
            _write_read_model(connection, batch.snapshot, last, now)
            _write_decision(connection, batch)
            note_change(connection, "certificate", batch.managed_id)
    return Recorded("recorded", last)


def events_of(engine: Engine, stream: str) -> Iterator[EventRecord]:
    """Every recorded event of one lifecycle, whole and in its order; one look at the store, however many there are."""
    column = tables.events.c
    query = sa.select(column.body).where(column.stream == stream).order_by(column.seq)
    with engine.connect().execution_options(yield_per=500) as connection:
        for row in connection.execute(query):
            yield _event(row.body)


def event_of(engine: Engine, stream: str, seq: int) -> EventRecord | None:
    column = tables.events.c
    query = sa.select(column.body).where(column.stream == stream, column.seq == seq)
    with engine.connect() as connection:
        body = connection.execute(query).scalar_one_or_none()
    return _event(body) if body is not None else None


def _event(body: bytes) -> EventRecord:
    said = json.loads(bytes(body))
    return EventRecord(
        seq=said["seq"],
        kind=said["kind"],
        at=datetime.fromisoformat(said["at"]),
        cause=said["cause"],
        generation=said["generation"],
        case=said["case"],
        by=said["by"],
        facts=said["facts"],
    )


def behind(engine: Engine, most: int) -> list[str]:
    """Streams of which a lifecycle holds more than the store; first those that nobody has tried to mend for longest."""
    c = tables.streams_behind.c
    with engine.connect() as connection:
        return list(connection.execute(sa.select(c.stream).order_by(c.at, c.stream).limit(most)).scalars())


def caught_up(engine: Engine, stream: str) -> None:
    """``stream`` holds everything again that its lifecycle had recorded."""
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.streams_behind).where(tables.streams_behind.c.stream == stream))


def still_behind(engine: Engine, stream: str, now: datetime) -> None:
    """``stream`` could not be made whole: the others have their turn before it is tried again."""
    c = tables.streams_behind.c
    with engine.begin() as connection:
        connection.execute(sa.update(tables.streams_behind).where(c.stream == stream).values(at=now))


def heads_of(engine: Engine, streams: Sequence[str]) -> dict[str, int]:
    """The number of the last event of each of ``streams``; without those that have none."""
    c = tables.stream_heads.c
    with engine.connect() as connection:
        query = sa.select(c.stream, c.seq).where(c.stream == sa.any_(sa.literal(streams, sa.ARRAY(sa.String))))
        return {row.stream: row.seq for row in connection.execute(query)}


def _locked_head(connection: Connection, stream: str) -> tuple[int, bytes]:
    first = insert(tables.stream_heads).values(stream=stream, seq=-1, leaf_hash=bytes(32))
    connection.execute(first.on_conflict_do_nothing())
    query = sa.select(tables.stream_heads).where(tables.stream_heads.c.stream == stream).with_for_update()
    row = connection.execute(query).one()
    return row.seq, bytes(row.leaf_hash)


def _facts_sha256(event: EventRecord) -> bytes:
    return sha256(canonical(event.facts)).digest()


def _is_forked(connection: Connection, stream: str, known: list[EventRecord]) -> bool:
    if not known:
        return False
    column = tables.events.c
    query = sa.select(column.seq, column.kind, column.cause, column.facts_sha256).where(column.stream == stream)
    rows = connection.execute(query.where(column.seq.in_([event.seq for event in known])))
    stored = {row.seq: (row.kind, row.cause, bytes(row.facts_sha256)) for row in rows}
    return any(stored.get(event.seq) != (event.kind, event.cause, _facts_sha256(event)) for event in known)


def _append(
    connection: Connection, batch: RecordBatch, event: EventRecord, written: tuple[bytes, str, datetime]
) -> bytes:
    """Insert ``event`` after ``written`` = (leaf hash of the one before, release, now); gives its leaf hash."""
    previous, release, now = written
    body = canonical(
        {
            "at": event.at,
            "by": event.by,
            "case": event.case,
            "cause": event.cause,
            "facts": event.facts,
            "generation": event.generation,
            "kind": event.kind,
            "prev": previous,
            "recorded": now,
            "release": release,
            "run": batch.run_id,
            "seq": event.seq,
            "stream": batch.managed_id,
            "v": 1,
        }
    )
    leaf = leaf_hash(body)
    row = {"kind": event.kind, "cause": event.cause, "facts_sha256": _facts_sha256(event), "body": body}
    times = {"at": event.at, "recorded_at": now}
    place = {"stream": batch.managed_id, "seq": event.seq, "leaf_hash": leaf}
    connection.execute(sa.insert(tables.events).values(**place, **row, **times))
    connection.execute(sa.insert(tables.log_queue).values(**place))
    return leaf


def _upsert(connection: Connection, table: sa.Table, row: dict[str, Any]) -> None:
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: value for name, value in row.items() if name not in keys}
    connection.execute(insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=changed))


def _write_read_model(connection: Connection, snapshot: Snapshot, seq: int, now: datetime) -> None:
    if snapshot.severity not in SEVERITY_RANK:
        raise BadInput("severity", f"{snapshot.severity!r} is not a severity", f"One of {', '.join(SEVERITY_RANK)}.")
    row = {name: value for name, value in asdict(snapshot).items() if name not in NOT_COLUMNS}
    row |= {
        "id": snapshot.managed_id,
        "names": list(snapshot.names),
        "findings": list(snapshot.findings),
        "endpoints": ENDPOINTS.dump_python(snapshot.endpoints, mode="json"),
        "questions": QUESTIONS.dump_python(snapshot.questions, mode="json"),
        "calls": CALLS.dump_python(snapshot.calls, mode="json"),
        "served": SERVED.dump_python(snapshot.served, mode="json"),
        "severity_rank": SEVERITY_RANK[snapshot.severity],
        "search": "\n".join(
            (*snapshot.names, snapshot.managed_id, snapshot.fingerprint, snapshot.owner, snapshot.service)
        ).lower(),
        "seq": seq,
        "updated_at": now,
    }
    _upsert(connection, tables.managed_certificates, row)
    _write_life(connection, snapshot, now)
    for case in (snapshot.closed_case, snapshot.case):
        if case is not None:
            _write_case(connection, snapshot, case)
    # A question that the lifecycle no longer carries is not a question any more.
    asked = snapshot.approval.id if snapshot.approval else ""
    column = tables.approvals.c
    over = sa.and_(column.managed_id == snapshot.managed_id, column.state.in_(ASKED), column.id != asked)
    connection.execute(sa.update(tables.approvals).where(over).values(state="closed"))
    if snapshot.approval is not None:
        _write_approval(connection, snapshot, snapshot.approval)


def _write_life(connection: Connection, snapshot: Snapshot, now: datetime) -> None:
    """The present generation, and the end of the one before it; a retired one has ended itself."""
    began = snapshot.known_at or now
    row = {
        "managed_id": snapshot.managed_id,
        "generation": snapshot.generation,
        "fingerprint": snapshot.fingerprint,
        "issuer": snapshot.issuer,
        "not_before": snapshot.not_before,
        "not_after": snapshot.not_after,
        "began_at": began,
        "ended_at": now if snapshot.retired else None,
    }
    column = tables.lives.c
    first = insert(tables.lives).values(**row)
    # When it became ours stays, also when a shorter path moves the end that is known.
    moved = {name: value for name, value in row.items() if name not in ("managed_id", "generation", "began_at")}
    connection.execute(first.on_conflict_do_update(index_elements=["managed_id", "generation"], set_=moved))
    earlier = sa.and_(column.managed_id == snapshot.managed_id, column.generation < snapshot.generation)
    ended = sa.update(tables.lives).where(earlier, column.ended_at.is_(None)).values(ended_at=began)
    connection.execute(ended)


def _write_case(connection: Connection, snapshot: Snapshot, case: CaseRow) -> None:
    generation = case.generation or snapshot.generation
    row = asdict(case) | {"managed_id": snapshot.managed_id, "generation": generation}
    _upsert(connection, tables.cases, row)


def _write_approval(connection: Connection, snapshot: Snapshot, approval: ApprovalRow) -> None:
    # Who decided is told by events, with its time (``_write_decision``).
    row = {name: value for name, value in asdict(approval).items() if name not in ("case", "decided_by", "decided_at")}
    row |= {
        "managed_id": snapshot.managed_id,
        "case_number": approval.case,
        "plan": PLAN.dump_python(approval.plan, mode="json"),
        "tier": snapshot.tier,
    }
    _upsert(connection, tables.approvals, row)


def _write_decision(connection: Connection, batch: RecordBatch) -> None:
    """Who answered each question last and when, also where the answer was no; asked anew, nobody has.

    By the events alone: a case that was answered and closed in one batch has no approval in the snapshot any more.
    """
    told = [event for event in batch.events if event.kind in ("approval_asked", "approved", "rejected")]
    for asked, last in {approval_id(batch.managed_id, one.generation, one.case): one for one in told}.items():
        answered = last.kind != "approval_asked"
        by = {"decided_by": last.facts["approver"] if answered else "", "decided_at": last.at if answered else None}
        connection.execute(sa.update(tables.approvals).where(tables.approvals.c.id == asked).values(**by))
