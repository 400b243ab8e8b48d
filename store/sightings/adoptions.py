"""Managed certificates, their slots, the notices that tell them, and the findings of a discovery."""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.certificate import Slot
from domain.contracts import AdoptionReport, Observation, SlotLook, Terms
from domain.findings import Finding
from store import tables
from store.changes import note_change
from store.sightings.notices import OBSERVATION

LAST_SEEN = (
    "last_outcome",
    "last_fingerprint",
    "last_looked_at",
    "last_seen_at",
    "last_ends_at",
    "last_chain_ok",
    "misses",
)
TERMS = TypeAdapter(Terms)

# One number for the advisory lock under which identity is resolved (DESIGN rule 10), over all workers.
ADOPTION_LOCK = 0x45564C01


@dataclass(frozen=True, slots=True)
class ManagedRow:
    """One managed certificate.  ``fingerprints``: newest last, those of its issued orders among them."""

    id: str
    fingerprints: tuple[str, ...]
    names: tuple[str, ...]
    terms: Terms

    @property
    def present(self) -> str:
        return self.fingerprints[-1]


@dataclass(frozen=True, slots=True)
class SlotRow:
    slot: Slot
    managed_id: str
    last_outcome: str
    last_fingerprint: str
    last_seen_at: datetime | None
    last_looked_at: datetime
    misses: int = 0
    last_ends_at: datetime | None = None
    last_chain_ok: bool = True

    @property
    def told(self) -> tuple[object, ...]:
        """What its lifecycle must hear of when it changes."""
        seen = (self.last_outcome, self.last_fingerprint)
        return self.managed_id, *seen, self.last_ends_at, self.last_chain_ok


@dataclass(frozen=True, slots=True)
class FindingRow:
    fingerprint: str
    url: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Adoption:
    """Everything that one discovery changes; written in one transaction."""

    discovery_id: str
    managed: Sequence[ManagedRow]
    slots: Sequence[SlotRow]
    notices: Sequence[tuple[str, Observation]]
    findings: Sequence[FindingRow]
    report: AdoptionReport


@contextmanager
def adopting(engine: Engine) -> Iterator[Connection]:
    """One transaction under the one advisory lock."""
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADOPTION_LOCK)))
        yield connection


def managed_of(connection: Connection) -> dict[str, ManagedRow]:
    """Every managed certificate that is not retired, with what its orders and its lifecycle have added since."""
    model, orders = tables.managed_certificates.c, tables.orders.c
    issued: dict[str, list[str]] = {}
    query = sa.select(orders.managed_id, orders.fingerprint).where(orders.fingerprint.is_not(None))
    for managed_id, fingerprint in connection.execute(query.order_by(orders.placed_at)):
        issued.setdefault(managed_id, []).append(fingerprint)
    query_model = sa.select(model.id, model.fingerprint, model.names, model.retired)
    present = {row.id: row for row in connection.execute(query_model)}
    rows = connection.execute(sa.select(tables.managed).order_by(tables.managed.c.adopted_at, tables.managed.c.id))
    found: dict[str, ManagedRow] = {}
    for row in rows:
        prints = [*row.fingerprints, *(f for f in issued.get(row.id, []) if f not in row.fingerprints)]
        now = present.get(row.id)
        if now is not None and now.retired:
            # Where it is served all the same, somebody must govern it: the next discovery adopts it anew.
            continue
        if now is not None:
            prints = [*(f for f in prints if f != now.fingerprint), now.fingerprint]
        names = now.names if now is not None else row.names
        found[row.id] = ManagedRow(row.id, tuple(prints), tuple(names), TERMS.validate_python(row.terms))
    return found


def terms_of(engine: Engine, managed_id: str) -> Terms | None:
    """What the policy said for it at the newest discovery, or None where it is not known."""
    with engine.connect() as connection:
        query = sa.select(tables.managed.c.terms).where(tables.managed.c.id == managed_id)
        found = connection.execute(query).scalar_one_or_none()
    return None if found is None else TERMS.validate_python(found)


def owners_of(engine: Engine, slots: Iterable[Slot]) -> dict[Slot, str]:
    """To which managed certificate each of ``slots`` belongs now; without those that belong to none."""
    c = tables.slots.c
    wanted = [(slot.url, slot.algorithm) for slot in slots]
    query = sa.select(c.url, c.algorithm, c.managed_id).where(sa.tuple_(c.url, c.algorithm).in_(wanted))
    with engine.connect() as connection:
        return {Slot(row.url, row.algorithm): row.managed_id for row in connection.execute(query)}


def release_slots(connection: Connection, managed_id: str, given_up: Iterable[tuple[str, str]]) -> None:
    """Part ``managed_id`` from slots (URL, algorithm) that its owner gave up.

    Whoever is seen there next is somebody new (rule 10).

    Under the lock of adoptions: one that has read the slots before would write the owner back.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADOPTION_LOCK)))
    c = tables.slots.c
    for url, algorithm in sorted(given_up):
        here = sa.and_(c.url == url, c.algorithm == algorithm, c.managed_id == managed_id)
        connection.execute(sa.delete(tables.slots).where(here))


def slots_of(connection: Connection, managed: Container[str]) -> dict[Slot, SlotRow]:
    """The slots that belong to one of ``managed``."""
    rows = connection.execute(sa.select(tables.slots).order_by(tables.slots.c.url, tables.slots.c.algorithm))
    return {Slot(row.url, row.algorithm): _slot(row) for row in rows if row.managed_id in managed}


def _slot(row: sa.Row[Any]) -> SlotRow:
    slot = Slot(row.url, row.algorithm)
    last = (row.last_outcome, row.last_fingerprint, row.last_seen_at, row.last_looked_at)
    return SlotRow(slot, row.managed_id, *last, row.misses, row.last_ends_at, row.last_chain_ok)


def write(connection: Connection, adoption: Adoption, now: datetime) -> None:
    """Write all of ``adoption``; repeated for the same discovery it changes nothing more."""
    _upsert(connection, tables.managed, [_managed_row(row, adoption, now) for row in adoption.managed])
    _upsert_slots(connection, _slot_rows(adoption))
    notices = [
        {
            "id": told.notice_id,
            "managed_id": managed_id,
            "observation": OBSERVATION.dump_python(told, mode="json"),
            "written_at": now,
        }
        for managed_id, told in adoption.notices
    ]
    if notices:
        connection.execute(insert(tables.notices).on_conflict_do_nothing(), notices)
    _upsert(connection, tables.findings, [_finding_row(row, adoption.discovery_id) for row in adoption.findings])
    discoveries = tables.discoveries
    ended = {"state": "adopted", "detail": "", "report": asdict(adoption.report), "finished_at": now}
    connection.execute(sa.update(discoveries).where(discoveries.c.id == adoption.discovery_id).values(**ended))
    note_change(connection, "discovery", adoption.discovery_id)


def _upsert_slots(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Whose it is and what the discovery found, always; what was seen last, unless a verification looked since the
    adoption read the slot: ``record_looks`` waits for nobody."""
    if not rows:
        return
    statement, column = insert(tables.slots), tables.slots.c
    given = statement.excluded
    is_newer = given.last_looked_at >= column.last_looked_at
    changed = {
        name: sa.case((is_newer, given[name]), else_=column[name]) if name in LAST_SEEN else given[name]
        for name in rows[0]
        if name not in ("url", "algorithm")
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["url", "algorithm"], set_=changed), rows)


def _managed_row(row: ManagedRow, adoption: Adoption, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "discovery_id": adoption.discovery_id,
        "fingerprints": list(row.fingerprints),
        "names": list(row.names),
        "terms": TERMS.dump_python(row.terms, mode="json"),
        "adopted_at": now,
    }


def _slot_rows(adoption: Adoption) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], set[str]] = {}
    for one in adoption.findings:
        found.setdefault((one.url, one.fingerprint), set()).add(one.finding.kind.value)
    return [
        {
            **_slot_row(row),
            "looked_in": adoption.discovery_id,
            "found": sorted(found.get((row.slot.url, row.last_fingerprint), ())),
            "found_of": row.last_fingerprint,
        }
        for row in adoption.slots
    ]


def _slot_row(row: SlotRow) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(row).items() if name != "slot"}
    return {"url": row.slot.url, "algorithm": row.slot.algorithm, **fields}


def _finding_row(row: FindingRow, discovery_id: str) -> dict[str, Any]:
    return {
        "discovery_id": discovery_id,
        "fingerprint": row.fingerprint,
        "url": row.url,
        "kind": row.finding.kind.value,
        "severity": row.finding.severity.value,
        "detail": row.finding.detail[:500],
    }


# What a managed certificate was adopted with stays; everything else of a row follows the newest discovery.
_KEPT = frozenset({"adopted_at", "discovery_id"})


def _upsert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys and name not in _KEPT}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def record_looks(engine: Engine, looks: Sequence[SlotLook]) -> None:
    """Remember what a fresh look saw in slots that are known, so that the next discovery tells only what is new."""
    c = tables.slots.c
    with engine.begin() as connection:
        for look in sorted(looks, key=lambda look: look.slot):
            values: dict[str, Any] = {"last_outcome": look.outcome.value, "last_looked_at": look.at}
            if look.fingerprint:
                values |= {"last_fingerprint": look.fingerprint, "last_seen_at": look.at, "misses": 0}
                values |= {"last_ends_at": look.ends_at, "last_chain_ok": look.chain_ok}
            here = sa.and_(c.url == look.slot.url, c.algorithm == look.slot.algorithm, c.last_looked_at <= look.at)
            connection.execute(sa.update(tables.slots).where(here).values(**values))
