"""What is to be done now: the one step of the acting lane, as the activity's own input."""

from datetime import datetime

from domain.contracts import CollectOrder, Consult, Deploy, LookAgain, PlaceOrder, Recall, RevokeOrder, RollBack
from domain.lifecycle.commands import Step
from domain.lifecycle.state import Case, LifecycleState, Stage
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
        if order.retry_at is None or order.retry_at <= now:
            return RevokeOrder(order.order_key, order.reason) if order.collected else CollectOrder(order.order_key)
    if state.life is None or state.retired:
        return None
    if state.case is not None:
        step = _of_case(state, state.case, now)
        if step is not None:
            return step
    if state.look_at is not None and state.look_at <= now and not state.placeless:
        return LookAgain(state.managed_id, state.places, state.life.fingerprint)
    return None


def _of_case(state: LifecycleState, case: Case, now: datetime) -> Step | None:
    if not case.order_open or state.is_blocked or (case.retry_at is not None and case.retry_at > now):
        return None
    key = order_key(state.managed_id, state.generation, case.number, case.order_number)
    slots = state.places
    match case.stage:
        case Stage.ORDERING if not case.order_placed:
            assert case.plan is not None
            return PlaceOrder(key, state.managed_id, case.plan, case.approved_by)
        case Stage.ORDERING:
            return CollectOrder(key)
        case Stage.DEPLOYING if case.issued is not None:
            missing = tuple(slot for slot in slots if slot not in case.installed)
            return Deploy(state.managed_id, key, case.issued.fingerprint, missing)
        case Stage.VERIFYING if case.issued is not None:
            return LookAgain(state.managed_id, slots, case.issued.fingerprint)
        case Stage.ROLLING_BACK if case.issued is not None:
            return RollBack(state.managed_id, key, case.issued.fingerprint, case.wrong)
        case _:
            return None
