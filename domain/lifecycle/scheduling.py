"""What is due at an instant: a case opens, a wait ends, a rung fires, a question climbs.

Longer than 300 lines because all that can be due at an instant is settled in one order.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.certificate import Life
from domain.lifecycle import events as e
from domain.lifecycle import questions
from domain.lifecycle.ladder import (
    RungMoment,
    by_audience,
    failure_about,
    is_quiet,
    moved,
    opens_at,
    reached,
    retry_window,
    rungs_to,
    scaled,
    seconds_of,
)
from domain.lifecycle.portions import slots_that_fit
from domain.lifecycle.renewal_value import IN_VAIN, ISSUER_ENDS_FIRST, in_vain, orders_at
from domain.lifecycle.seeing import is_complete
from domain.lifecycle.served import Served, lives
from domain.lifecycle.state import Case, Climb, LifecycleState, Stage
from domain.lifecycle.succession import BLOCKS, blocked_by, successor
from domain.lifecycle.transition import Turn
from domain.names import order_key
from domain.tiers import Audience

# One command can make a case open, route and order: three rounds.  More would be a spin.
MOST_ROUNDS = 8
AUDIENCES: tuple[Audience, ...] = ("owner", "security-head")


def settle(turn: Turn) -> None:
    """Let everything happen that is due at ``turn.now``."""
    for _ in range(MOST_ROUNDS):
        before = turn.state.seq
        if turn.state.life is None:
            return
        if turn.state.retired:
            # What is owed by a person outlives what it was owed for.
            questions.ask(turn)
            questions.climb(turn)
            return
        _reservation(turn)
        if not turn.state.forked:
            _succession(turn)
            _end(turn)
            _case(turn)
        _rungs(turn)
        _owner(turn)
        questions.ask(turn)
        questions.climb(turn)
        if turn.state.seq == before:
            return
    raise AssertionError("a turn did not come to rest")


def _reservation(turn: Turn) -> None:
    reservation = turn.state.reservation
    if reservation is not None and reservation.until <= turn.now:
        turn.emit(e.ReservationEnded())


# --- what is served decides -----------------------------------------------------------------------------------------


def _succession(turn: Turn) -> None:
    """Somebody else replaced it well, and it was looked at twice everywhere: that one is the next generation."""
    found = successor(turn.state, turn.now)
    if found is not None and found.may_succeed and found.life is not None:
        supersede(turn, found.life)


def supersede(turn: Turn, life: Life) -> None:
    case = turn.state.case
    if case is not None:
        if case.order_open:
            turn.emit(closed(turn, case, "superseded"))
        left = [place.slot for place in turn.state.own_places if place.to_repair]
        turn.emit(
            e.CaseClosed(case.number, "superseded", slots_that_fit(left, turn.rules.event_bytes, turn.rules), len(left))
        )
    turn.emit(e.GenerationBegan(turn.state.generation + 1, life))


def closed(turn: Turn, case: Case, reason: e.OrderEnd) -> e.OrderClosed:
    """Of the open order: what a CA has of it is collected still, and revoked (DESIGN rule 6)."""
    issued = case.issued.fingerprint if case.issued is not None else ""
    return e.OrderClosed(key_of(turn), reason, case.order_placed, case.issued is not None, fingerprint=issued)


def _end(turn: Turn) -> None:
    """E follows what is served, and with it whatever rests on E and is not ordered yet."""
    case = turn.state.case
    if case is None or case.order_open or is_blocked(turn):
        return
    if _gains_no_more(turn, case) or _is_routable_again(turn, case):
        route(turn)
    elif case.stage is Stage.HELD:
        _move_hold(turn, case)


def _gains_no_more(turn: Turn, case: Case) -> bool:
    """What a person asked for, and nobody has approved yet, was early enough for the E of then only."""
    if not case.requested_by or case.stage not in (Stage.AWAITING_APPROVAL, Stage.REJECTED):
        return False
    plan = turn.terms.plan
    return plan is not None and bool(in_vain(turn.life, plan, turn.now, turn.rules))


def _is_routable_again(turn: Turn, case: Case) -> bool:
    """What stood in its way was what is served, and that has changed; what a CA refused waits for its week."""
    if case.stage is not Stage.UNROUTABLE:
        return False
    if case.failure in BLOCKS:
        return True
    plan = turn.terms.plan
    return case.failure.startswith(IN_VAIN) and plan is not None and not in_vain(turn.life, plan, turn.now, turn.rules)


def _move_hold(turn: Turn, case: Case) -> None:
    """The policy's own date follows E; a person's comes no later for it, unless the order would gain nothing then."""
    plan, held = case.plan, case.retry_at
    if plan is None or held is None or case.requested_by:
        return
    validity = timedelta(seconds=plan.validity_seconds)
    latest = orders_at(turn.life, turn.terms.table, validity, turn.rules)
    gains_from = min(moved(turn.life.ends_at, -validity / 2), latest)
    until = latest if case.approved_by == "policy" else min(max(held, gains_from), latest)
    until = max(until, turn.now)
    if until != held and held > turn.now:
        turn.emit(e.HoldMoved(until))


def is_blocked(turn: Turn) -> bool:
    return bool(blocked_by(turn.state, turn.now))


# --- the case -------------------------------------------------------------------------------------------------------


def _case(turn: Turn) -> None:
    case = turn.state.case
    if case is None:
        if opens_at(turn.life, turn.terms.table) <= turn.now:
            cause = "expired" if turn.life.ends_at <= turn.now else "lead-time"
            open_case(turn, cause)
        return
    if is_blocked(turn):
        _blocked(turn, case)
    elif case.issued is not None and case.issued.ends_at <= turn.now:
        _order_ended(turn, case)
    elif case.approval_ends_at is not None and case.approval_ends_at <= turn.now and not case.order_open:
        turn.emit(e.ApprovalEnded(case.plan.version if case.plan is not None else ""))
        route(turn)
    elif case.retry_at is not None and case.retry_at <= turn.now:
        _wait_over(turn, case)


def _blocked(turn: Turn, case: Case) -> None:
    """Nothing is asked that could not be carried out; what is ordered already waits where it is."""
    if (case.stage is Stage.AWAITING_APPROVAL and not turn.state.own_places) or (
        case.stage is Stage.UNROUTABLE and case.retry_at is not None and case.retry_at <= turn.now
    ):
        route(turn)


def open_case(turn: Turn, cause: str, requested_by: str = "") -> None:
    turn.emit(e.CaseOpened(turn.state.case_count + 1, cause, requested_by))
    route(turn)


def route(turn: Turn) -> None:
    """Where an open case without an order goes next under the terms of now."""
    case, terms = turn.case, turn.terms
    plan, blocked = terms.plan, blocked_by(turn.state, turn.now)
    if plan is None or blocked:
        become_unroutable(turn, blocked if plan is not None else terms.unroutable or "there is no plan")
        return
    # Only what a person asks for may be early enough to gain nothing; the rest is held until it gains.
    vain = in_vain(turn.life, plan, turn.now, turn.rules) if case.requested_by else ""
    if vain:
        become_unroutable(turn, vain)
        return
    if terms.table.asks:
        turn.emit(e.ApprovalAsked(case.number, plan.version))
        return
    start = orders_at(turn.life, terms.table, timedelta(seconds=plan.validity_seconds), turn.rules)
    if case.requested_by or start <= turn.now:
        turn.emit(e.Approved("policy", plan.version))
        intend(turn)
    else:
        turn.emit(e.Approved("policy", plan.version, hold_until=start))


def become_unroutable(turn: Turn, why: str) -> None:
    """Nothing can renew it as things stand: looked at again in a while, and told where that is news."""
    turn.emit(e.BecameUnroutable(why, _unroutable_again(turn), _is_told(turn, why) or None))


def _unroutable_again(turn: Turn) -> datetime:
    """A week later (scaled), or after as long as the case has been open; past E a day later at the latest."""
    week = turn.rules.unroutable_again
    so_far = max(turn.now - turn.case.opened_at, turn.rules.least_unroutable_wait)
    again = turn.after(week, at_least=min(so_far, week))
    if "unroutable-told-once" not in turn.rules.flags:
        return again
    return min(again, moved(max(turn.life.ends_at, turn.now), turn.rules.repeat_after))


def _is_told(turn: Turn, why: str) -> bool:
    """Whether its owner heard that already: six mails in twenty minutes about one unchanged certificate are one.

    Without the flag each look is told: a life of minutes, or one whose path ended hours after it began, looks again
    from one minute on.
    """
    case, rules = turn.case, turn.rules
    told_at = case.unroutable_told_at
    if "unroutable-told-once" not in rules.flags or told_at is None or _reason(case.unroutable_told) != _reason(why):
        return False
    is_past = turn.life.ends_at <= turn.now
    quiet = (
        rules.repeat_after if is_past else turn.after(rules.unroutable_again, at_least=rules.repeat_after) - turn.now
    )
    return turn.now < moved(told_at, quiet)


def _reason(why: str) -> str:
    """``why`` without the dates in it, which change with every look."""
    return next((begins for begins in (IN_VAIN, ISSUER_ENDS_FIRST) if why.startswith(begins)), why)


def approved(turn: Turn, approver: str, hold_until: datetime | None) -> None:
    """A person's yes; it is asked anew when nothing was ordered under it for 30 days (scaled) in which it could be."""
    plan = turn.case.plan
    assert plan is not None
    lasts = scaled(turn.rules.approval_lasts, turn.life.length)
    # A life too short for that would ask again while it is being answered.
    ends = moved(hold_until or turn.now, max(lasts, turn.rules.least_question_pause))
    turn.emit(e.Approved(approver, plan.version, hold_until, ends))


def intend(turn: Turn) -> None:
    """A further order of this case; the caller made sure that none is open."""
    case, state = turn.case, turn.state
    assert not case.order_open
    number = case.order_number + 1
    key = order_key(state.managed_id, state.generation, case.number, number)
    turn.emit(e.OrderIntended(key, number, turn.life.ends_at))


def order_further(turn: Turn) -> None:
    """The next order of a case whose last one has closed: under its approval, where the terms of now still allow that.

    A person's approval holds for its plan, the policy's own for a tier that does not ask: else it is routed anew.
    """
    case, terms = turn.case, turn.terms
    if case.plan == terms.plan and (case.approved_by != "policy" or not terms.table.asks):
        intend(turn)
    else:
        route(turn)


def key_of(turn: Turn) -> str:
    state, case = turn.state, turn.case
    return order_key(state.managed_id, state.generation, case.number, case.order_number)


def against(turn: Turn) -> Life:
    """The present certificate, ending when it ended as the open order was intended: what its gain is weighed against.

    A path that was mended since must not make an order worthless that was right when it was placed.
    """
    case = turn.case
    return turn.life if case.against is None else replace(turn.life, ends_at=case.against)


def _order_ended(turn: Turn, case: Case) -> None:
    turn.emit(
        e.OrderClosed(key_of(turn), "expired", revoke=False, collected=True, detail="it ended before it was used")
    )
    order_further(turn)


def _wait_over(turn: Turn, case: Case) -> None:
    match case.stage:
        case Stage.HELD | Stage.WAITING_FOR_PERSON | Stage.WAITING_FOR_CA if case.approved_by and not case.order_open:
            order_further(turn)
        case Stage.REJECTED | Stage.UNROUTABLE | Stage.AWAITING_APPROVAL:
            route(turn)
        case Stage.HELD | Stage.WAITING_FOR_PERSON | Stage.WAITING_FOR_CA | Stage.UNREACHABLE_TARGET:
            turn.emit(e.RetryDue(resume_stage(turn)))
        case _:
            turn.emit(e.RetryDue(case.stage))


def resume_stage(turn: Turn) -> Stage:
    """From which stage an open order goes on after a wait."""
    case = turn.case
    if case.stage is Stage.ROLLING_BACK:
        return case.stage
    if case.issued is None:
        return Stage.ORDERING
    return Stage.VERIFYING if is_complete(turn.state) else Stage.DEPLOYING


# --- the ladder -----------------------------------------------------------------------------------------------------


def _rungs(turn: Turn) -> None:
    """One climb per audience and life: a place past its end never masks another's rung (DESIGN rule 1)."""
    climbs = by_audience(turn.state.climbs)
    for life in lives(turn.state):
        for audience in AUDIENCES:
            _climb(turn, life, audience, climbs.get((life.fingerprint, audience)))


def _climb(turn: Turn, life: Served, audience: Audience, climb: Climb | None) -> None:
    rungs = rungs_to(audience, life, turn.terms.table)
    stands_on = reached(climb, rungs, life.ends_at)
    deepest_told = stands_on.index if stands_on is not None else -1
    due = [rung for rung in rungs if rung.at <= turn.now and rung.index > deepest_told]
    if due:
        if len(due) > 1:
            turn.emit(e.RungsPassed(due[-2].index, life.fingerprint, audience))
        _fire(turn, life, due[-1], again=False)
    elif climb is not None and stands_on is not None:
        is_due = moved(climb.last_at, turn.rules.repeat_after) <= turn.now
        if is_due and not is_quiet(climb, stands_on, turn.now):
            _fire(turn, life, stands_on, again=True)


def _fire(turn: Turn, life: Served, rung: RungMoment, *, again: bool) -> None:
    place = life.place.url if life.place is not None else ""
    told = (life.fingerprint, seconds_of(rung), life.ends_at, place)
    turn.emit(e.RungFired(rung.index, rung.to, rung.mark, again, *told))


def _owner(turn: Turn) -> None:
    """The owner's call for a failure that still stands: past the retry budget, then daily until acknowledged."""
    case = turn.state.case
    if case is None or case.first_failed_at is None:
        return
    table = turn.terms.table
    if not case.budget_spent:
        window = retry_window(turn.life, table)
        if case.failures >= table.retry_failures or case.first_failed_at + window <= turn.now:
            turn.emit(e.BudgetSpent(case.failures))
            turn.emit(e.OwnerCalled(case.failure))
        return
    again = owner_again(turn.state)
    if again is not None and again <= turn.now:
        turn.emit(e.OwnerCalled(case.failure, again=True))


def owner_again(state: LifecycleState) -> datetime | None:
    """When the owner is called again for a failure that still stands; None where it was not called yet.

    What was acknowledged is that failure, of that step at that place, and no other.
    """
    case, life = state.case, state.life
    if case is None or life is None or case.owner_called_at is None:
        return None
    again, quiet = case.owner_called_at + state.led_by.repeat_after, case.owner_quiet_until
    is_quiet = quiet is not None and case.owner_quiet_for == failure_about(life.fingerprint, case)
    return max(again, quiet) if is_quiet and quiet is not None else again
