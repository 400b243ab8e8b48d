"""What the store knows of what a discovery touched: read by joins with bounded lists, never the whole estate.

Every function takes one batch (``store.batches.AT_ONCE``) and says nothing of what is retired: where that is served all
the same, somebody must govern it, and the next discovery adopts it anew.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.engine import Connection

from domain.certificate import Slot
from domain.contracts import Terms
from store import tables
from store.batches import listed
from store.sightings.rows import FileOwner, GovernedRow, SlotRow

TERMS = TypeAdapter(Terms)
# So many terms are made anew between two statements: half a second of CPU.
PAGE = 500
# As many as five certificates may have that are told of all their places; most have one.
MOST_SLOTS = 25_000


def slots_at_urls(connection: Connection, urls: Iterable[str]) -> list[SlotRow]:
    """Every slot of ``urls``, of each algorithm."""
    wanted = listed("url", urls)
    query = sa.select(tables.slots).join(wanted, tables.slots.c.url == wanted.c.url)
    return [_slot(row) for row in connection.execute(query)]


def slots_owned_by(connection: Connection, managed_ids: Iterable[str]) -> list[SlotRow]:
    """Every slot of ``managed_ids``."""
    wanted = listed("id", managed_ids)
    query = sa.select(tables.slots).join(wanted, tables.slots.c.managed_id == wanted.c.id)
    return [_slot(row) for row in connection.execute(query)]


def governed(connection: Connection, managed_ids: Iterable[str]) -> list[GovernedRow]:
    """Those of ``managed_ids`` that are governed."""
    wanted = listed("id", managed_ids)
    query = _governed().join(wanted, tables.managed.c.id == wanted.c.id)
    rows = [row for row in connection.execute(query) if not row.retired]
    orders = tables.orders.c
    issued: dict[str, list[str]] = {}
    placed = sa.select(orders.managed_id, orders.fingerprint).join(wanted, orders.managed_id == wanted.c.id)
    placed = placed.where(orders.fingerprint.is_not(None)).order_by(orders.placed_at)
    for managed_id, fingerprint in connection.execute(placed):
        issued.setdefault(managed_id, []).append(fingerprint)
    return [_composed(row, issued.get(row.id, [])) for row in rows]


def _governed() -> sa.Select[Any]:
    managed, model = tables.managed.c, tables.managed_certificates.c
    return sa.select(
        managed.id,
        managed.fingerprints,
        managed.names,
        managed.terms["policy_version"].astext.label("policy_version"),
        managed.has_plan,
        model.fingerprint.label("present"),
        model.names.label("present_names"),
        sa.func.coalesce(model.retired, sa.false()).label("retired"),
    ).join_from(tables.managed, tables.managed_certificates, managed.id == model.id, isouter=True)


def _composed(row: sa.Row[Any], issued: list[str]) -> GovernedRow:
    """With its orders' fingerprints and its lifecycle's present certificate, which is the last one."""
    prints = [*row.fingerprints, *(print_ for print_ in issued if print_ not in row.fingerprints)]
    names = row.names
    if row.present is not None:
        prints = [*(print_ for print_ in prints if print_ != row.present), row.present]
        names = row.present_names
    is_behind = prints != row.fingerprints or names != row.names
    return GovernedRow(row.id, tuple(prints), tuple(names), row.policy_version or "", row.has_plan, is_behind)


def holders_of(connection: Connection, fingerprints: Iterable[str]) -> set[str]:
    """The ids of all that ever had one of ``fingerprints``; retired ones among them."""
    wanted = listed("fingerprint", fingerprints)
    managed, orders, model = tables.managed.c, tables.orders.c, tables.managed_certificates.c
    query = sa.union(
        # One probe of the GIN index each.
        sa.select(managed.id).join(wanted, managed.fingerprints.op("@>")(array([wanted.c.fingerprint]))),
        sa.select(orders.managed_id).join(wanted, orders.fingerprint == wanted.c.fingerprint),
        sa.select(model.id).join(wanted, model.fingerprint == wanted.c.fingerprint),
    )
    return set(connection.execute(query).scalars())


def terms_of_each(connection: Connection, managed_ids: Iterable[str]) -> dict[str, Terms]:
    """The terms of ``managed_ids`` as they stand."""
    wanted, c = listed("id", managed_ids), tables.managed.c
    query = sa.select(c.id, c.terms).join(wanted, c.id == wanted.c.id)
    return {row.id: TERMS.validate_python(row.terms) for row in connection.execute(query)}


def file_owners(connection: Connection, paths: Iterable[str], policy_version: str) -> list[FileOwner]:
    """Who has one of ``paths`` as a file of its target, and a plan to write it, under ``policy_version``.

    What another policy said of the files of a slot says nothing of now: its owner's terms are made anew first.
    """
    wanted, slots, managed = listed("path", paths), tables.slots.c, tables.managed.c
    model = tables.managed_certificates.c
    name = sa.func.coalesce(model.names, managed.names)[1].label("name")
    columns = (wanted.c.path, slots.url, slots.algorithm, managed.id, name)

    def having(file: sa.ColumnElement[str | None]) -> sa.Select[Any]:
        of_slot = sa.select(*columns).join_from(wanted, tables.slots, file == wanted.c.path)
        joined = of_slot.join(tables.managed, managed.id == slots.managed_id)
        joined = joined.join(tables.managed_certificates, model.id == managed.id, isouter=True)
        in_force = sa.and_(managed.checked_under == policy_version, managed.has_plan, model.retired.is_not(True))
        return joined.where(in_force)

    query = sa.union(having(slots.target_key), having(slots.target_chain)).order_by("id")
    rows = connection.execute(query)
    return [FileOwner(row.path, Slot(row.url, row.algorithm), row.id, row.name or "") for row in rows]


def served_with_keys(connection: Connection, keys: Iterable[str]) -> list[tuple[str, str, Slot]]:
    """(SHA-256 of a public key, fingerprint, slot) of all certificates with one of ``keys`` that a slot showed last."""
    wanted, c, slots = listed("spki", keys), tables.certificates.c, tables.slots.c
    key = c.facts["spki_sha256"].astext
    query = (
        sa.select(wanted.c.spki, c.fingerprint, slots.url, slots.algorithm)
        .join_from(wanted, tables.certificates, key == wanted.c.spki)
        .join(tables.slots, slots.last_fingerprint == c.fingerprint)
    )
    rows = connection.execute(query)
    return [(row.spki, row.fingerprint, Slot(row.url, row.algorithm)) for row in rows]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what has terms of another policy.  ``skipped``: what is retired, and so keeps them."""

    governed: tuple[GovernedRow, ...]
    skipped: tuple[str, ...]
    last: tuple[str, str]


def of_other_policies(
    connection: Connection, policy_version: str, *, has_plan: bool, after: tuple[str, str]
) -> Page | None:
    """The next of those whose terms were not held against ``policy_version``, behind ``after``; None at the end.

    Two ranges of the index instead of "not equal", which would read every row that is as it should be.
    """
    c = tables.managed.c
    wanted = c.has_plan if has_plan else sa.not_(c.has_plan)
    for other in (c.checked_under < policy_version, c.checked_under > policy_version):
        behind = sa.tuple_(c.checked_under, c.id) > sa.tuple_(*map(sa.literal, after))
        query = sa.select(c.checked_under, c.id).where(other, behind, wanted)
        rows = connection.execute(query.order_by(c.checked_under, c.id).limit(PAGE)).all()
        if rows:
            rows = rows[: _within(connection, [row.id for row in rows])]
            found = tuple(governed(connection, [row.id for row in rows]))
            skipped = {row.id for row in rows} - {row.id for row in found}
            return Page(found, tuple(sorted(skipped)), (rows[-1].checked_under, rows[-1].id))
    return None


def _within(connection: Connection, managed_ids: Sequence[str]) -> int:
    """How many of the first of ``managed_ids`` have at most MOST_SLOTS together; one at least, whatever it has."""
    wanted, c = listed("id", managed_ids), tables.slots.c
    query = sa.select(c.managed_id, sa.func.count().label("slots")).join(wanted, c.managed_id == wanted.c.id)
    counts = {row.managed_id: row.slots for row in connection.execute(query.group_by(c.managed_id))}
    together = list(accumulate(counts.get(managed_id, 0) for managed_id in managed_ids))
    return max(1, bisect_right(together, MOST_SLOTS))


def _slot(row: sa.Row[Any]) -> SlotRow:
    slot = Slot(row.url, row.algorithm)
    last = (row.last_outcome, row.last_fingerprint, row.last_seen_at, row.last_looked_at)
    path = (row.last_ends_at, row.last_chain_ok, row.last_flaw, row.last_rooted)
    files = (row.target_key, row.target_chain)
    return SlotRow(
        slot, row.managed_id, *last, row.misses, *path, *files, tuple(row.found), row.found_of, row.judged_in
    )
