"""When something happens next: every moment that a state holds, so that nothing sleeps past it."""

from dataclasses import dataclass
from datetime import datetime

from domain.lifecycle.ladder import REPEAT_AFTER, ladder, opens_at, retry_window
from domain.lifecycle.state import Case, LifecycleState


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    at: datetime
    what: str


def agenda(state: LifecycleState) -> tuple[Moment, ...]:
    """All moments of ``state``, earliest first; those in the past are due.  Empty once retired and finished."""
    moments = []
    if state.recall is not None and state.recall.retry_at is not None:
        moments.append(Moment(state.recall.retry_at, "the store is asked for its state again"))
    if not state.forked and state.recall is None:
        waiting = [order.retry_at for order in state.to_revoke if order.retry_at is not None]
        moments += [Moment(again, "revoke an order") for again in waiting]
        if state.consult_at is not None and state.unread:
            moments.append(Moment(state.consult_at, "a notice is looked up again"))
    if state.life is None or state.terms is None or state.retired:
        return tuple(sorted(moments))
    moments += _ladder(state)
    moments += [Moment(question.climbs_at, f"the question {question.kind} climbs") for question in state.questions]
    if state.reservation is not None:
        moments.append(Moment(state.reservation.until, "a decision's reservation ends"))
    if not state.forked:
        moments += _work(state)
    return tuple(sorted(moments))


def next_moment(state: LifecycleState, now: datetime) -> Moment | None:
    """The earliest moment of ``state``, never in the past: an overdue one is returned at ``now``."""
    moments = agenda(state)
    if not moments:
        return None
    first = moments[0]
    return first if first.at > now else Moment(now, first.what)


def _work(state: LifecycleState) -> list[Moment]:
    assert state.life is not None
    assert state.terms is not None
    moments = []
    if state.case is None:
        moments.append(Moment(opens_at(state.life, state.terms.table), "the renewal case opens"))
    elif not state.is_blocked:
        moments += _case(state.case)
    if state.look_at is not None and not state.placeless:
        moments.append(Moment(state.look_at, "look again"))
    return moments


def _case(case: Case) -> list[Moment]:
    words = {
        "held": "the order is placed",
        "rejected": "it is asked again",
        "unroutable": "it is looked at again",
        "waiting-for-ca": "the CA is asked again",
        "unreachable-target": "the target is tried again",
        "waiting-for-person": "it is tried again",
    }
    moments = []
    if case.retry_at is not None:
        moments.append(Moment(case.retry_at, words.get(case.stage.value, f"{case.stage.value} goes on")))
    if case.issued is not None:
        moments.append(Moment(case.issued.ends_at, "the issued certificate ends unused"))
    return moments


def _ladder(state: LifecycleState) -> list[Moment]:
    life, terms, climb, case = state.alarm_life, state.terms, state.climb, state.case
    assert life is not None
    assert terms is not None
    moments = [
        Moment(rung.at, f"the {'head of IT security' if rung.to == 'security-head' else 'owner'} is told: {rung.mark}")
        for rung in ladder(life, terms.table)
        if rung.index > climb.rung
    ][:1]
    if climb.rung >= 0 and climb.last_at is not None:
        again = climb.last_at + REPEAT_AFTER
        if climb.acknowledged_rung >= climb.rung and climb.acknowledged_until is not None:
            again = max(again, climb.acknowledged_until)
        moments.append(Moment(again, "the rung is repeated"))
    if case is not None and case.first_failed_at is not None:
        if not case.budget_spent:
            assert state.life is not None
            window = retry_window(state.life, terms.table)
            moments.append(Moment(case.first_failed_at + window, "the retry budget ends"))
        elif climb.owner_called_at is not None:
            quiet = climb.owner_acknowledged_until
            again = climb.owner_called_at + REPEAT_AFTER
            moments.append(Moment(max(again, quiet) if quiet is not None else again, "the owner is told again"))
    return moments
