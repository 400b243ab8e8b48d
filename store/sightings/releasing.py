"""What an owner's answer has taken from its slots belongs to nobody any more (rule 10)."""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from domain.contracts import EventRecord, Snapshot
from store.sightings.adoptions import release_slots

# A person said of these that they are retired or have moved.
RELEASED = "places_released"

Places = set[tuple[str, str]]


def release_given_up(
    connection: Connection, managed_id: str, new: Sequence[EventRecord], snapshot: Snapshot | None
) -> None:
    """Part ``managed_id`` from what ``new`` events, written just now, have given up; what it has again stays its own.

    Slots that a discovery moved have a new owner already.
    """
    given_up: Places = set()
    for event in new:
        if event.kind == RELEASED:
            given_up |= {(slot["url"], slot["algorithm"]) for slot in event.facts.get("slots", ())}
    if snapshot is not None:
        # Of a backlog the read model is as of now: what it has again meanwhile is not given up.
        given_up -= {(row.url, row.algorithm) for row in snapshot.endpoints}
    if given_up:
        release_slots(connection, managed_id, given_up)
