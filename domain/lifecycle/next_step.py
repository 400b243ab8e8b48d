"""What is to be done now: the one step of the acting lane, as the activity's own input."""

from datetime import datetime

from domain.certificate import Slot
from domain.contracts import CollectOrder, Consult, Deploy, LookAgain, PlaceOrder, Recall, RevokeOrder, RollBack
from domain.lifecycle.commands import Step
from domain.lifecycle.ladder import EARLIEST
from domain.lifecycle.looking import next_look
from domain.lifecycle.seeing import serves
from domain.lifecycle.served import proof_of
from domain.lifecycle.state import Case, LifecycleState, Stage
from domain.lifecycle.succession import blocked_by
from domain.names import order_key


def next_step(state: LifecycleState, now: datetime) -> Step | None:
    """The most urgent step that may be taken at ``now``; None: sleep until the next moment or news."""
    if state.recall is not None:
        again = state.recall.retry_at
        return Recall(state.managed_id) if again is None or again <= now else None
    if state.forked:
        return None
    if state.unread and (state.consult_at is None or state.consult_at <= now):
        return Consult(state.managed_id, state.unread[0])
    for order in state.to_revoke:
        if not order.owed and (order.retry_at is None or order.retry_at <= now):
            return RevokeOrder(order.order_key, order.reason) if order.collected else CollectOrder(order.order_key)
    if state.life is None or state.retired:
        return None
    if state.case is not None:
        step = _of_case(state, state.case, now)
        if step is not None:
            return step
    look = next_look(state)
    return (
        LookAgain(state.managed_id, look.slots, state.life.fingerprint) if look is not None and look.at <= now else None
    )


def _of_case(state: LifecycleState, case: Case, now: datetime) -> Step | None:
    waits = case.retry_at is not None and case.retry_at > now
    if not case.order_open or waits or not state.own_places or blocked_by(state, now):
        return None
    key = order_key(state.managed_id, state.generation, case.number, case.order_number)
    match case.stage:
        case Stage.ORDERING if not case.order_placed:
            assert case.plan is not None
            return PlaceOrder(key, state.managed_id, case.plan, case.approved_by)
        case Stage.ORDERING:
            return CollectOrder(key)
        case Stage.DEPLOYING if case.issued is not None:
            missing = tuple(place.slot for place in state.own_places if place.put_at is None)
            return Deploy(state.managed_id, key, case.issued.fingerprint, missing)
        case Stage.VERIFYING if case.issued is not None:
            return LookAgain(state.managed_id, _unverified(state), case.issued.fingerprint)
        case Stage.ROLLING_BACK if case.issued is not None:
            return RollBack(state.managed_id, key, case.issued.fingerprint, case.to_roll_back)
        case _:
            return None


def _unverified(state: LifecycleState) -> tuple[Slot, ...]:
    """Where the new certificate was not seen yet; the longest unseen first, as many as one look takes."""
    shown = [place for place in state.own_places if proof_of(place.slot) != "first-use"]
    # A discovery may have seen them all meanwhile: the case closes with a look of its own.
    left = [place for place in shown if not serves(state, place)] or shown
    left.sort(key=lambda place: place.looked_at or EARLIEST)
    return tuple(place.slot for place in left[: state.led_by.places_per_look])
