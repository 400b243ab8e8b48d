"""Discoveries, the certificates they met (each DER once) and their looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.certificate import Certificate, Look, LookOutcome, Slot
from domain.errors import NotFound
from store import tables
from store.batches import AT_ONCE, listed
from store.changes import note_change

FACTS = TypeAdapter(Certificate)
LONGEST_DETAIL = 500
ENDED = ("adopted", "failed")


@dataclass(frozen=True, slots=True)
class Discovery:
    """One discovery.  ``scope``: what its pages are cut from, fixed when it began; ``report``: of its adoption."""

    id: str
    source: str
    scope: dict[str, Any]
    pages: int
    targets: int
    state: str = "planned"
    report: dict[str, Any] | None = None
    # Its run in Temporal, for whoever asks how far it is.
    workflow_id: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """A certificate that a look met.  ``facts``: None where its bytes cannot be parsed; they are kept all the same."""

    fingerprint: str
    der: bytes
    facts: Certificate | None


def begin(engine: Engine, discovery: Discovery, now: datetime) -> Discovery:
    """Keep ``discovery`` unless its id is known; gives what is kept, so a repetition changes nothing.

    A request that was refused before it was planned left its id behind; whoever mends it begins under the same one.
    """
    row = {
        "id": discovery.id,
        "source": discovery.source,
        "state": discovery.state,
        "scope": discovery.scope,
        "pages": discovery.pages,
        "targets": discovery.targets,
        "workflow_id": discovery.workflow_id,
        "run_id": discovery.run_id,
        "started_at": now,
    }
    with engine.begin() as connection:
        c = tables.discoveries.c
        anew = {name: value for name, value in row.items() if name != "id"} | {"detail": "", "finished_at": None}
        never_planned = sa.and_(c.state == "failed", c.pages == 0)
        first = insert(tables.discoveries).values(**row)
        first = first.on_conflict_do_update(index_elements=["id"], set_=anew, where=never_planned)
        if connection.execute(first.returning(c.id)).scalar() is not None:
            note_change(connection, "discovery", discovery.id)
        return discovery_of(connection, discovery.id)


def mark_scanned(engine: Engine, discovery_id: str) -> None:
    """Every page is kept; what was seen waits for its adoption.  A repetition changes nothing."""
    c = tables.discoveries.c
    unscanned = sa.and_(c.id == discovery_id, c.state.in_(("planned", "scanning")))
    with engine.begin() as connection:
        if connection.execute(sa.update(tables.discoveries).where(unscanned).values(state="scanned")).rowcount:
            note_change(connection, "discovery", discovery_id)


def mark_failed(engine: Engine, failed: Discovery, why: str, now: datetime) -> None:
    """Note that ``failed`` ended and ``why``, also where it never began; what was adopted stays adopted.

    The id of another workflow's discovery, in a request that was refused, fails nothing of that one.
    """
    row = {
        "id": failed.id,
        "source": failed.source,
        "state": "failed",
        "scope": failed.scope,
        "workflow_id": failed.workflow_id,
        "run_id": failed.run_id,
        "detail": why[:LONGEST_DETAIL],
        "started_at": now,
        "finished_at": now,
    }
    ended = {name: row[name] for name in ("state", "detail", "finished_at")}
    statement = insert(tables.discoveries).values(**row)
    c = tables.discoveries.c
    its_own = sa.and_(c.state.not_in(ENDED), c.workflow_id == failed.workflow_id)
    statement = statement.on_conflict_do_update(index_elements=["id"], set_=ended, where=its_own)
    with engine.begin() as connection:
        if connection.execute(statement.returning(tables.discoveries.c.id)).scalar() is not None:
            note_change(connection, "discovery", failed.id)


def discovery_of(connection: Connection, discovery_id: str) -> Discovery:
    """Raises NotFound."""
    c = tables.discoveries.c
    row = connection.execute(sa.select(tables.discoveries).where(c.id == discovery_id)).one_or_none()
    if row is None:
        raise NotFound(f"discovery {discovery_id} is not known; begin_discovery makes it")
    return Discovery(
        row.id, row.source, row.scope, row.pages, row.targets, row.state, row.report, row.workflow_id, row.run_id
    )


def under_way(engine: Engine, begun_before: datetime) -> tuple[Discovery, ...]:
    """What began before then and has neither been adopted nor failed, oldest first."""
    c = tables.discoveries.c
    open_ones = sa.and_(c.state.not_in(ENDED), c.started_at < begun_before)
    with engine.connect() as connection:
        ids = connection.execute(sa.select(c.id).where(open_ones).order_by(c.started_at, c.id)).scalars().all()
        return tuple(discovery_of(connection, discovery_id) for discovery_id in ids)


def find(engine: Engine, discovery_id: str) -> Discovery:
    with engine.connect() as connection:
        return discovery_of(connection, discovery_id)


def slots_at(engine: Engine, hosts: Iterable[str]) -> tuple[Slot, ...]:
    """The known slots on ``hosts``, sorted.  ``hosts``: of one page of a scan."""
    c = tables.slots.c
    wanted = listed("host", hosts)
    query = sa.select(c.url, c.algorithm).join(wanted, c.host == wanted.c.host)
    with engine.connect() as connection:
        return tuple(sorted(Slot(row.url, row.algorithm) for row in connection.execute(query)))


def save_page(
    engine: Engine, page: tuple[str, int], looks: Sequence[Look], certificates: Iterable[SeenCertificate]
) -> None:
    """Keep the looks of one page (discovery id, number) and what they saw; a repetition overwrites its own looks."""
    discovery_id, number = page
    rows = [
        {
            "discovery_id": discovery_id,
            "page": number,
            "url": look.url,
            "algorithm": look.algorithm,
            "outcome": look.outcome.value,
            "chain": list(look.chain),
            "detail": look.detail,
            "at": look.at,
        }
        for look in sorted(looks, key=lambda look: (look.url, look.algorithm))
    ]
    with engine.begin() as connection:
        _keep_certificates(connection, certificates, max((look.at for look in looks), default=None))
        discoveries = tables.discoveries
        started = sa.and_(discoveries.c.id == discovery_id, discoveries.c.state == "planned")
        connection.execute(sa.update(discoveries).where(started).values(state="scanning"))
        note_change(connection, "discovery", discovery_id)
        if not rows:
            return
        statement = insert(tables.looks)
        changed = {name: statement.excluded[name] for name in ("page", "outcome", "chain", "detail", "at")}
        connection.execute(statement.on_conflict_do_update("one_look_per_slot_and_discovery", set_=changed), rows)


def keep_certificates(engine: Engine, certificates: Iterable[SeenCertificate], now: datetime) -> None:
    """Keep each certificate once."""
    with engine.begin() as connection:
        _keep_certificates(connection, certificates, now)


def _keep_certificates(connection: Connection, certificates: Iterable[SeenCertificate], now: datetime | None) -> None:
    once = {seen.fingerprint: seen for seen in certificates}
    # Sorted, so that two pages which met the same certificates cannot lock each other out.
    for seen in (once[fingerprint] for fingerprint in sorted(once)):
        connection.execute(insert(tables.certificates).values(_certificate_row(seen, now)).on_conflict_do_nothing())


def _certificate_row(seen: SeenCertificate, now: datetime | None) -> dict[str, Any]:
    facts = seen.facts
    return {
        "fingerprint": seen.fingerprint,
        "der": seen.der,
        "first_seen_at": now,
        "facts": sa.null() if facts is None else FACTS.dump_python(facts, mode="json"),
        "not_after": None if facts is None else facts.not_after,
    }


def looks_of(connection: Connection, discovery_id: str, after: Slot | None = None) -> list[Look]:
    """The next looks of a discovery behind ``after``, sorted by slot, a batch at a time; empty at the end."""
    c = tables.looks.c
    query = sa.select(tables.looks).where(c.discovery_id == discovery_id).order_by(c.url, c.algorithm).limit(AT_ONCE)
    if after is not None:
        query = query.where(
            sa.tuple_(c.url, c.algorithm) > sa.tuple_(sa.literal(after.url), sa.literal(after.algorithm))
        )
    return [
        Look(row.url, row.algorithm, row.at, LookOutcome(row.outcome), tuple(row.chain), row.detail)
        for row in connection.execute(query)
    ]


def digest_of_looks(connection: Connection, discovery_id: str) -> str:
    """Another one as soon as one look of the discovery is another one."""
    c = tables.looks.c
    words = (c.url, c.algorithm, c.outcome, sa.func.array_to_string(c.chain, ","), c.detail, sa.cast(c.at, sa.String))
    one = sa.func.hashtextextended(sa.func.concat_ws("|", *words), 0)
    query = sa.select(sa.func.count(), sa.func.sum(one)).where(c.discovery_id == discovery_id)
    count, total = connection.execute(query).one()
    return f"{count}:{total}"


def ders_of(engine: Engine, fingerprints: Iterable[str]) -> dict[str, bytes]:
    """The bytes of those that a look has met, by fingerprint; the issue worker may read no more of them."""
    c, wanted = tables.certificates.c, listed("fingerprint", fingerprints)
    query = sa.select(c.fingerprint, c.der).join(wanted, c.fingerprint == wanted.c.fingerprint)
    with engine.connect() as connection:
        return {row.fingerprint: bytes(row.der) for row in connection.execute(query)}


def certificates_of(
    connection: Connection, fingerprints: Iterable[str]
) -> tuple[dict[str, bytes], dict[str, Certificate]]:
    """DER and facts by fingerprint, of one batch; what could not be parsed has no facts."""
    c, wanted = tables.certificates.c, listed("fingerprint", fingerprints)
    rows = connection.execute(
        sa.select(c.fingerprint, c.der, c.facts).join(wanted, c.fingerprint == wanted.c.fingerprint)
    )
    ders: dict[str, bytes] = {}
    facts: dict[str, Certificate] = {}
    for row in rows:
        ders[row.fingerprint] = bytes(row.der)
        if row.facts is not None:
            facts[row.fingerprint] = FACTS.validate_python(row.facts)
    return ders, facts
