"""Managed certificates, their slots, the notices that tell them, and the findings of a discovery: written here."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from psycopg.errors import LockNotAvailable
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.certificate import Slot
from domain.contracts import AdoptionReport, Observation, SlotLook, Terms
from domain.errors import NotReady
from store import tables
from store.batches import copy_rows, given_rows, listed, put_rows
from store.changes import note_change
from store.sightings.known import TERMS
from store.sightings.notices import OBSERVATION
from store.sightings.rows import Changes, FindingRow, ManagedRow, SlotRow

LAST_SEEN = (
    "last_outcome",
    "last_fingerprint",
    "last_looked_at",
    "last_seen_at",
    "last_ends_at",
    "last_chain_ok",
    "last_flaw",
    "last_rooted",
    "misses",
)

MANAGED = ("id", "discovery_id", "fingerprints", "names", "terms", "adopted_at", "checked_under")

# One number for the advisory lock under which identity is resolved (DESIGN rule 10), over all workers.
ADOPTION_LOCK = 0x45564C01
# How long one statement waits for it: shorter than the statement timeout, which would be told as any slow statement.
WAIT_MILLISECONDS = 4000


@contextmanager
def adopting(engine: Engine, beat: Callable[[], None] = lambda: None) -> Iterator[Connection]:
    """One transaction under the one advisory lock, however long another one has it; ``beat`` is called meanwhile."""
    with engine.begin() as connection:
        while not _has_lock(connection):
            beat()
        yield connection


def _has_lock(connection: Connection) -> bool:
    """Whether it came within one wait, in PostgreSQL's own queue: who only tries now and then is overtaken by an
    adoption that takes it page after page."""
    try:
        with connection.begin_nested():
            connection.execute(sa.text(f"SET LOCAL lock_timeout = {WAIT_MILLISECONDS}"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADOPTION_LOCK)))
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return False
        raise
    connection.execute(sa.text("SET LOCAL lock_timeout TO DEFAULT"))
    return True


def terms_of(engine: Engine, managed_id: str) -> Terms | None:
    """What the policy said for it at the newest discovery, or None where it is not known."""
    with engine.connect() as connection:
        query = sa.select(tables.managed.c.terms).where(tables.managed.c.id == managed_id)
        found = connection.execute(query).scalar_one_or_none()
    return None if found is None else TERMS.validate_python(found)


def owners_of(engine: Engine, slots: Iterable[Slot]) -> dict[Slot, str]:
    """To which managed certificate each of ``slots`` belongs now; without those that belong to none."""
    c = tables.slots.c
    wanted = set(slots)
    at = listed("url", [slot.url for slot in wanted])
    query = sa.select(c.url, c.algorithm, c.managed_id).join(at, c.url == at.c.url)
    with engine.connect() as connection:
        owners = {Slot(row.url, row.algorithm): row.managed_id for row in connection.execute(query)}
    return {slot: owner for slot, owner in owners.items() if slot in wanted}


def release_slots(connection: Connection, managed_id: str, given_up: Iterable[tuple[str, str]]) -> None:
    """Part ``managed_id`` from slots (URL, algorithm) that its owner gave up.

    Whoever is seen there next is somebody new (rule 10).

    Under the lock of adoptions: one that has read the slots before would write the owner back.  Raises NotReady where
    an adoption has it for long: whoever records comes again.
    """
    if not _has_lock(connection):
        raise NotReady("an adoption is under way, and the places can be given up when it has ended: tried again")
    c = tables.slots.c
    for url, algorithm in sorted(given_up):
        here = sa.and_(c.url == url, c.algorithm == algorithm, c.managed_id == managed_id)
        connection.execute(sa.delete(tables.slots).where(here))


def write(connection: Connection, discovery_id: str, changes: Changes, now: datetime) -> None:
    """Write one batch of ``changes``, and nothing that is not in it.

    ``new`` and ``notices`` must be new; all else is written over what is there.
    """
    copy_rows(tables.managed, connection, MANAGED, (_managed_values(row, discovery_id, now) for row in changes.new))
    _upsert(connection, tables.managed, [_managed_row(row, discovery_id, now) for row in changes.managed])
    copy_rows(
        tables.notices,
        connection,
        ("id", "managed_id", "observation", "written_at"),
        (_notice(managed_id, told, now) for managed_id, told in changes.notices),
    )
    _upsert(connection, tables.findings, [_finding_row(row, discovery_id) for row in changes.findings])
    _upsert_slots(connection, [_slot_row(row, discovery_id) for row in changes.slots])


def finish(connection: Connection, report: AdoptionReport, now: datetime) -> None:
    """The discovery is adopted, and ``report`` says what it came to."""
    discoveries = tables.discoveries
    ended = {"state": "adopted", "detail": "", "report": asdict(report), "finished_at": now}
    connection.execute(sa.update(discoveries).where(discoveries.c.id == report.discovery_id).values(**ended))
    note_change(connection, "discovery", report.discovery_id)


def write_target_files(connection: Connection, rows: Iterable[SlotRow]) -> None:
    """What the policy of now says of the files of slots that this discovery did not look at; rows that differ alone.

    Locks them in their order, which an update that joins them would not.
    """
    c = tables.slots.c
    values = [
        {
            "url": row.slot.url,
            "algorithm": row.slot.algorithm,
            "target_key": row.target_key,
            "target_chain": row.target_chain,
        }
        for row in rows
    ]
    given = given_rows(tables.slots, values)
    here = sa.and_(c.url == given.c.url, c.algorithm == given.c.algorithm)
    differs = sa.or_(
        c.target_key.is_distinct_from(given.c.target_key), c.target_chain.is_distinct_from(given.c.target_chain)
    )
    found = sa.select(c.url, c.algorithm, given.c.target_key, given.c.target_chain).join(given, sa.and_(here, differs))
    # Python's order, in which every other writer locks them.
    ordered = found.order_by(c.url.collate("C"), c.algorithm.collate("C"))
    locked = ordered.with_for_update(of=tables.slots).cte("locked")
    files = {"target_key": locked.c.target_key, "target_chain": locked.c.target_chain}
    mine = sa.and_(c.url == locked.c.url, c.algorithm == locked.c.algorithm)
    connection.execute(sa.update(tables.slots).where(mine).values(**files))


def mark_checked(connection: Connection, managed_ids: Iterable[str], policy_version: str) -> None:
    """Their terms were held against ``policy_version`` and stay as they are."""
    wanted = listed("id", managed_ids)
    mine = tables.managed.c.id == wanted.c.id
    connection.execute(sa.update(tables.managed).where(mine).values(checked_under=policy_version))


# What a managed certificate was adopted with stays; everything else of a row follows the newest discovery.
_KEPT = frozenset({"adopted_at", "discovery_id"})


def _upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    keys = [column.name for column in table.primary_key.columns]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in (rows[0] if rows else ()) if name not in {*keys, *_KEPT}}
    put_rows(connection, insert(table), rows, changed)


def _upsert_slots(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Whose it is and what the discovery found, always; what was seen last, unless a verification looked since the
    adoption read the slot: ``record_looks`` waits for nobody."""
    given, column = insert(tables.slots).excluded, tables.slots.c
    is_newer = given.last_looked_at >= column.last_looked_at
    changed = {
        name: sa.case((is_newer, given[name]), else_=column[name]) if name in LAST_SEEN else given[name]
        for name in (rows[0] if rows else ())
        if name not in ("url", "algorithm")
    }
    put_rows(connection, insert(tables.slots), rows, changed)


def _managed_row(row: ManagedRow, discovery_id: str, now: datetime) -> dict[str, Any]:
    """In one parameter with others, as JSON."""
    terms = TERMS.dump_python(row.terms, mode="json")
    values = (row.id, discovery_id, list(row.fingerprints), list(row.names), terms, now.isoformat())
    return dict(zip(MANAGED, (*values, row.terms.policy_version), strict=True))


def _managed_values(row: ManagedRow, discovery_id: str, now: datetime) -> tuple[object, ...]:
    """For COPY."""
    terms = TERMS.dump_json(row.terms).decode()
    return row.id, discovery_id, list(row.fingerprints), list(row.names), terms, now, row.terms.policy_version


def _notice(managed_id: str, told: Observation, now: datetime) -> tuple[object, ...]:
    return told.notice_id, managed_id, OBSERVATION.dump_json(told).decode(), now


def _slot_row(row: SlotRow, discovery_id: str) -> dict[str, Any]:
    return {
        "url": row.slot.url,
        "algorithm": row.slot.algorithm,
        "managed_id": row.managed_id,
        "last_outcome": row.last_outcome,
        "last_fingerprint": row.last_fingerprint,
        "last_seen_at": None if row.last_seen_at is None else row.last_seen_at.isoformat(),
        "last_looked_at": row.last_looked_at.isoformat(),
        "misses": row.misses,
        "last_ends_at": None if row.last_ends_at is None else row.last_ends_at.isoformat(),
        "last_chain_ok": row.last_chain_ok,
        "last_flaw": row.last_flaw,
        "last_rooted": row.last_rooted,
        "target_key": row.target_key,
        "target_chain": row.target_chain,
        "looked_in": discovery_id,
        "judged_in": row.judged_in or discovery_id,
        "found": row.found,
        "found_of": row.last_fingerprint,
    }


def _finding_row(row: FindingRow, discovery_id: str) -> dict[str, Any]:
    return {
        "discovery_id": discovery_id,
        "fingerprint": row.fingerprint,
        "url": row.url,
        "kind": row.finding.kind.value,
        "severity": row.finding.severity.value,
        "detail": row.finding.detail[:500],
    }


def record_looks(engine: Engine, looks: Sequence[SlotLook]) -> None:
    """Remember what a fresh look saw in slots that are known, so that the next discovery tells only what is new."""
    c = tables.slots.c
    with engine.begin() as connection:
        for look in sorted(looks, key=lambda look: look.slot):
            values: dict[str, Any] = {"last_outcome": look.outcome.value, "last_looked_at": look.at}
            if look.fingerprint:
                values |= {"last_fingerprint": look.fingerprint, "last_seen_at": look.at, "misses": 0}
                values |= {"last_ends_at": look.ends_at, "last_chain_ok": look.chain_ok}
                values |= {"last_flaw": look.flaw, "last_rooted": look.rooted}
            here = sa.and_(c.url == look.slot.url, c.algorithm == look.slot.algorithm, c.last_looked_at <= look.at)
            connection.execute(sa.update(tables.slots).where(here).values(**values))
