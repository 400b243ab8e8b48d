"""What the newest looks saw: how each place of a certificate stands, what is wrong there, the chain it serves."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.errors import BadInput
from domain.findings import Kind
from store import tables
from store.reader.pages import Row

MANAGED = tables.managed_certificates.c
SLOT, FOUND = tables.slots.c, tables.findings.c
# What the discovery that looked there last, and the last one that saw something there, found wrong with the very
# certificate that is ours now.
DISCOVERIES = (SLOT.looked_in, SLOT.judged_in)
NEWEST = sa.and_(FOUND.discovery_id.in_(DISCOVERIES), FOUND.fingerprint == MANAGED.fingerprint, FOUND.url == SLOT.url)
# A verification that saw the place again since takes back this finding alone.
STILL_MISSED = SLOT.misses > 0
# What lifecycles find themselves (``domain.lifecycle``); hyphens and spaces are one to whoever asks.
OF_LIFECYCLES = (
    "broken-chain",
    "clock",
    "drift",
    "expired",
    "foreign-certificate",
    "not-served",
    "not-yet-valid",
    "rolled-back",
    "taken-place",
    "unseen",
    "wrong-name",
)
BY_LIFECYCLES = {kind.replace("-", " "): kind for kind in OF_LIFECYCLES}
BY_LOOKS = {kind.value.replace("-", " "): kind.value for kind in Kind}
# As its partial index is written, or the planner passes over it.
HAS_SOME = sa.text("managed_certificates.findings <> '{}'")


def has_finding(kind: str) -> sa.ColumnElement[bool]:
    """Whether one of ``kind`` was found: by the discovery that looked last, or by the lifecycle itself.

    Raises BadInput for a kind that nothing finds.
    """
    same, ways = kind.replace("-", " "), []
    if same in BY_LIFECYCLES:
        told = sa.func.array_to_string(MANAGED.findings, "\n").contains(f"{BY_LIFECYCLES[same]}:", autoescape=True)
        ways.append(sa.and_(HAS_SOME, told))
    if same in BY_LOOKS:
        seen = sa.select(sa.literal(1)).where(SLOT.managed_id == MANAGED.id, SLOT.found_of == MANAGED.fingerprint)
        if BY_LOOKS[same] == Kind.MISSED.value:
            seen = seen.where(STILL_MISSED)
        ways.append(seen.where(SLOT.found.contains([BY_LOOKS[same]])).exists())
    if not ways:
        kinds = ", ".join(sorted({*BY_LIFECYCLES, *BY_LOOKS}))
        raise BadInput("finding", f"{kind!r} is not a kind of finding", f"One of {kinds}.")
    return sa.or_(*ways)


def with_findings(engine: Engine, rows: Sequence[Row]) -> list[Row]:
    """``rows`` with "kind: detail" of what the newest looks found behind what their lifecycles found, each once."""
    true = sa.and_(NEWEST, sa.or_(FOUND.kind != Kind.MISSED.value, STILL_MISSED))
    ours = tables.managed_certificates.join(tables.slots, SLOT.managed_id == MANAGED.id).join(tables.findings, true)
    query = sa.select(SLOT.managed_id, FOUND.fingerprint, FOUND.kind, FOUND.detail).select_from(ours)
    query = query.where(MANAGED.id.in_([row["id"] for row in rows])).order_by(FOUND.kind, FOUND.url)
    found: dict[tuple[str, str], list[str]] = {}
    with engine.connect() as connection:
        for managed_id, fingerprint, kind, detail in connection.execute(query):
            found.setdefault((managed_id, fingerprint), []).append(f"{kind}: {detail}")
    told = {row["id"]: {one.partition(":")[0].replace("-", " ") for one in row["findings"]} for row in rows}

    def new(row: Row) -> Iterator[str]:
        """What the lifecycle has not found itself."""
        for one in found.get((row["id"], row["fingerprint"]), ()):
            if one.partition(":")[0].replace("-", " ") not in told[row["id"]]:
                yield one

    return [{**row, "findings": list(dict.fromkeys((*row["findings"], *new(row))))} for row in rows]


def with_looks(engine: Engine, managed_id: str, endpoints: Sequence[Row]) -> list[Row]:
    """``endpoints`` of one certificate with ``last_outcome``, ``last_looked_at`` and ``misses``: looks in a row at
    which nothing was seen there."""
    query = sa.select(SLOT.url, SLOT.algorithm, SLOT.last_outcome, SLOT.last_looked_at, SLOT.misses)
    with engine.connect() as connection:
        rows = connection.execute(query.where(SLOT.managed_id == managed_id)).mappings().all()
    looked = {(row["url"], row["algorithm"]): dict(row) for row in rows}
    return [{**one, **looked.get((one["url"], one["algorithm"]), {})} for one in endpoints]


def chain_seen(engine: Engine, managed_id: str, fingerprint: str) -> list[Row]:
    """Facts of the longest chain with which ``fingerprint`` was served when it was last seen, leaf first."""
    look, known = tables.looks.c, tables.certificates.c
    there = sa.and_(look.discovery_id == SLOT.judged_in, look.url == SLOT.url, look.algorithm == SLOT.algorithm)
    query = sa.select(look.chain).select_from(tables.slots).join(tables.looks, there)
    query = query.where(SLOT.managed_id == managed_id, look.chain[1] == fingerprint)
    query = query.order_by(sa.func.cardinality(look.chain).desc(), look.url).limit(1)
    with engine.connect() as connection:
        chain = connection.execute(query).scalar_one_or_none() or []
        rows = connection.execute(sa.select(known.fingerprint, known.facts).where(known.fingerprint.in_(chain)))
        facts = {row.fingerprint: row.facts for row in rows}
    return [{"fingerprint": one, **(facts.get(one) or {})} for one in chain]
