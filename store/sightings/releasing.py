"""What an owner's answer has taken from its slots belongs to nobody any more (rule 10)."""

import json
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from domain.contracts import EventRecord, Snapshot
from store import tables
from store.sightings.adoptions import release_slots

ANSWERED = "update/answer/"
# The events that say which slots are a lifecycle's.
TELLING = ("adopted", "slots_changed")

Places = set[tuple[str, str]]


def release_given_up(
    connection: Connection, managed_id: str, new: Sequence[EventRecord], snapshot: Snapshot | None
) -> None:
    """Part ``managed_id`` from what ``new`` events, written just now, have given up; what it has again stays its own.

    Slots that a discovery moved have a new owner already.  Compared with the event before and not with the read model:
    of a backlog the read model is written with the first batch, as of now, and has lost the slot before its event.
    """
    given_up: Places = set()
    for event in new:
        if event.kind == "slots_changed" and event.cause.startswith(ANSWERED):
            given_up |= _before(connection, managed_id, event.seq) - _places(event.facts.get("slots", ()))
    # Where none is left the lifecycle remembers the old ones, but it owns them no more.
    told = [event for event in new if event.kind in TELLING]
    if snapshot is not None and (not told or told[-1].facts.get("slots")):
        given_up -= {(row.url, row.algorithm) for row in snapshot.endpoints}
    if given_up:
        release_slots(connection, managed_id, given_up)


def _before(connection: Connection, managed_id: str, seq: int) -> Places:
    c = tables.events.c
    earlier = sa.select(c.body).where(c.stream == managed_id, c.seq < seq, c.kind.in_(TELLING))
    body = connection.execute(earlier.order_by(c.seq.desc()).limit(1)).scalar()
    return _places(json.loads(bytes(body))["facts"].get("slots", ())) if body is not None else set()


def _places(slots: Iterable[dict[str, str]]) -> Places:
    return {(slot["url"], slot["algorithm"]) for slot in slots}
