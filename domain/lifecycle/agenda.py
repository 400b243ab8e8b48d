"""When something happens next: every moment that a state holds, so that nothing sleeps past it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.lifecycle.ladder import by_audience, is_quiet, moved, opens_at, reached, retry_window, rungs_to
from domain.lifecycle.looking import next_look, turns_unseen
from domain.lifecycle.scheduling import AUDIENCES, owner_again
from domain.lifecycle.served import Served, lives, present
from domain.lifecycle.state import Case, Climb, LifecycleState, Stage
from domain.lifecycle.succession import blocked_by
from domain.tiers import Audience


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    at: datetime
    what: str


# A hostile estate may show thousands of certificates, each with moments of its own, and an answer is bounded.
MOST_MOMENTS = 1000


def agenda(state: LifecycleState, now: datetime) -> tuple[Moment, ...]:
    """The moments of ``state``, earliest first; those in the past are due.  Empty once retired and finished."""
    return tuple(sorted(_moments(state, now))[:MOST_MOMENTS])


def next_moment(state: LifecycleState, now: datetime) -> Moment | None:
    """The earliest moment of ``state``, never in the past: an overdue one is returned at ``now``."""
    first = min(_moments(state, now), default=None)
    if first is None:
        return None
    return first if first.at > now else Moment(now, first.what)


def _moments(state: LifecycleState, now: datetime) -> Iterator[Moment]:
    if state.recall is not None and state.recall.retry_at is not None:
        yield Moment(state.recall.retry_at, "the store is asked for its state again")
    if not state.forked and state.recall is None:
        for order in state.to_revoke:
            if order.retry_at is not None and not order.owed:
                yield Moment(order.retry_at, "revoke an order" if order.collected else "collect an order to revoke")
        if state.consult_at is not None and state.unread:
            yield Moment(state.consult_at, "a notice is looked up again")
    for question in state.questions:
        yield Moment(question.climbs_at, f"the question {question.kind} climbs")
    if state.life is None or state.terms is None or state.retired:
        return
    climbs = by_audience(state.climbs)
    for life in lives(state):
        for audience in AUDIENCES:
            yield from _climb(state, life, climbs.get((life.fingerprint, audience)), audience, now)
    yield from _owner(state)
    if state.reservation is not None:
        yield Moment(state.reservation.until, "a decision's reservation ends")
    if not state.forked:
        yield from _work(state, now)


def _work(state: LifecycleState, now: datetime) -> Iterator[Moment]:
    assert state.terms is not None
    case = state.case
    if case is None:
        yield Moment(opens_at(present(state), state.terms.table), "the renewal case opens")
    elif not blocked_by(state, now):
        yield from _case(case)
    elif case.stage is Stage.UNROUTABLE and case.retry_at is not None:
        yield Moment(case.retry_at, "it is looked at again")
    look = next_look(state)
    if look is not None:
        yield Moment(look.at, f"look again: {look.why}")
    week = turns_unseen(state)
    if week is not None and week > now:
        yield Moment(week, "a silent endpoint counts as unseen")


def _case(case: Case) -> Iterator[Moment]:
    words = {
        "held": "the order is placed",
        "rejected": "it is asked again",
        "unroutable": "it is looked at again",
        "waiting-for-ca": "the CA is asked again",
        "unreachable-target": "the target is tried again",
        "waiting-for-person": "it is tried again",
    }
    if case.retry_at is not None:
        yield Moment(case.retry_at, words.get(case.stage.value, f"{case.stage.value} goes on"))
    if case.issued is not None:
        yield Moment(case.issued.ends_at, "the issued certificate ends unused")
    if case.approval_ends_at is not None and not case.order_open:
        yield Moment(case.approval_ends_at, "the approval ends, and is asked anew")


def _climb(
    state: LifecycleState, life: Served, climb: Climb | None, audience: Audience, now: datetime
) -> Iterator[Moment]:
    assert state.terms is not None
    who = "the head of IT security" if audience == "security-head" else "the owner"
    of = "" if life.whose == "present" else f" of {life.fingerprint[:16]}"
    rungs = rungs_to(audience, life, state.terms.table)
    stands_on = reached(climb, rungs, life.ends_at)
    told = stands_on.index if stands_on is not None else -1
    following = next((rung for rung in rungs if rung.index > told), None)
    if following is not None:
        yield Moment(following.at, f"{who} is told{of}: {following.mark}")
    if climb is not None and stands_on is not None:
        again = moved(climb.last_at, state.led_by.repeat_after)
        if is_quiet(climb, stands_on, now) and climb.quiet_until is not None:
            again = max(again, climb.quiet_until)
        yield Moment(again, f"the rung is repeated{of}")


def following_rungs(state: LifecycleState) -> list[datetime]:
    """When the next rung of each climb fires if nothing is done."""
    found = []
    climbs = by_audience(state.climbs)
    for life in lives(state):
        for audience in AUDIENCES:
            rungs = rungs_to(audience, life, state.terms.table) if state.terms is not None else ()
            climb = climbs.get((life.fingerprint, audience))
            stands_on = reached(climb, rungs, life.ends_at)
            told = stands_on.index if stands_on is not None else -1
            found += [rung.at for rung in rungs if rung.index > told][:1]
    return found


def _owner(state: LifecycleState) -> Iterator[Moment]:
    case, terms = state.case, state.terms
    if case is None or case.first_failed_at is None or terms is None:
        return
    if not case.budget_spent:
        yield Moment(moved(case.first_failed_at, retry_window(present(state), terms.table)), "the retry budget ends")
    elif (again := owner_again(state)) is not None:
        yield Moment(again, "the owner is told again")
