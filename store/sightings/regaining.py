"""Who is who again, where the store was put back to before an adoption: from what a lifecycle's events say."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import LookOutcome
from domain.contracts import AdoptionReport
from domain.lifecycle.state import LifecycleState, Place
from store import tables
from store.sightings.adoptions import adopting, finish, write
from store.sightings.looks import Discovery, begin
from store.sightings.rows import Changes, ManagedRow, SlotRow

# Every adopted row names the discovery that adopted it; that one is forgotten.
REGAINED = Discovery("regained", "reconciliation", {}, 0, 0)


def regain(engine: Engine, state: LifecycleState, now: datetime) -> str:
    """Write the certificate of ``state`` and its places, unless it is there; gives why it cannot be, or nothing.

    A place that a discovery has given to another since is that one's: two certificates of ours would renew it in turn.
    """
    if state.life is None or state.terms is None:
        return "nothing had been adopted"
    begin(engine, REGAINED, now)
    with adopting(engine) as connection:
        known = sa.select(sa.literal(1)).where(tables.managed.c.id == state.managed_id)
        if connection.execute(known).first() is not None:
            return ""
        rows = [_slot_row(state, place, now) for place in state.own_places]
        c = tables.slots.c
        owners = sa.select(c.url, c.managed_id).where(c.url.in_([row.slot.url for row in rows]))
        taken = next((row for row in connection.execute(owners) if row.managed_id != state.managed_id), None)
        if taken is not None:
            return f"{taken.url} belongs to {taken.managed_id} now, which a discovery has found there since"
        issued = (state.case.issued.fingerprint,) if state.case is not None and state.case.issued is not None else ()
        prints = tuple(dict.fromkeys((*state.earlier, *issued, state.life.fingerprint)))
        managed = ManagedRow(state.managed_id, prints, state.life.names, state.terms)
        write(connection, REGAINED.id, Changes(managed=[managed], slots=rows), now)
        finish(connection, AdoptionReport(REGAINED.id), now)
    return ""


def _slot_row(state: LifecycleState, place: Place, now: datetime) -> SlotRow:
    assert state.life is not None
    shown = next(iter(place.lives), None)
    print_ = shown.fingerprint if shown is not None else ""
    outcome = (place.outcome or LookOutcome.SEEN).value
    return SlotRow(place.slot, state.managed_id, outcome, print_, shown.last if shown else None, place.looked_at or now)
