"""What is due at an instant: a case opens, a wait ends, a rung fires, a question climbs."""

from datetime import datetime, timedelta

from domain.lifecycle import events as e
from domain.lifecycle.ladder import REPEAT_AFTER, issues_at, opens_at, retry_window, rungs_of
from domain.lifecycle.renewal_value import in_vain
from domain.lifecycle.served import path_end
from domain.lifecycle.state import Case, QuestionKind, Stage
from domain.lifecycle.transition import Turn
from domain.names import order_key
from domain.tiers import Audience

# One command can make a case open, route and order: three rounds.  More would be a spin.
MOST_ROUNDS = 8
# A plan that cannot be carried out is looked at again after this long (scaled), even if nobody changes anything.
UNROUTABLE_AGAIN = timedelta(days=7)
QUESTION_CLIMBS = timedelta(days=7)
QUESTION_REPEATS = timedelta(days=7)


def settle(turn: Turn) -> None:
    """Let everything happen that is due at ``turn.now``."""
    for _ in range(MOST_ROUNDS):
        before = turn.state.seq
        if turn.state.life is None or turn.state.retired:
            return
        _reservation(turn)
        _end(turn)
        if not turn.state.forked:
            _case(turn)
        _rungs(turn)
        _owner(turn)
        _questions(turn)
        if turn.state.seq == before:
            return
    raise AssertionError("a turn did not come to rest")


def _reservation(turn: Turn) -> None:
    reservation = turn.state.reservation
    if reservation is not None and reservation.until <= turn.now:
        turn.emit(e.ReservationEnded())


def _end(turn: Turn) -> None:
    """E follows what is served, and with it whatever rests on E and is not ordered yet."""
    before, ends_at = turn.life.ends_at, path_end(turn.state, turn.now)
    if ends_at == before:
        return
    turn.emit(e.EndMoved(ends_at))
    case = turn.state.case
    if case is None or case.order_open or turn.state.is_blocked or turn.state.forked:
        return
    if case.stage is Stage.UNROUTABLE or _gains_no_more(turn, case):
        route(turn)
    elif case.stage is Stage.HELD:
        _move_hold(turn, case, is_later=ends_at > before)


def _gains_no_more(turn: Turn, case: Case) -> bool:
    """What a person asked for, and nobody has approved yet, was early enough for the E of then only."""
    if not case.requested_by or case.stage not in (Stage.AWAITING_APPROVAL, Stage.REJECTED):
        return False
    plan = turn.terms.plan
    return plan is not None and bool(in_vain(turn.life, plan, turn.now))


def _move_hold(turn: Turn, case: Case, *, is_later: bool) -> None:
    """The policy's own date follows E; a person's comes no later for it, unless the order would gain nothing then."""
    plan, held = case.plan, case.retry_at
    assert plan is not None
    assert held is not None
    validity = timedelta(seconds=plan.validity_seconds)
    latest = issues_at(turn.life, turn.terms.table, validity)
    if case.approved_by == "policy":
        until = latest
    else:
        until = max(held, turn.life.ends_at - validity / 2) if is_later else min(held, latest)
    if until != held:
        turn.emit(e.HoldMoved(max(until, turn.now)))


def _case(turn: Turn) -> None:
    case = turn.state.case
    if case is not None and turn.state.is_blocked:
        return
    if case is None:
        if opens_at(turn.life, turn.terms.table) <= turn.now:
            cause = "expired" if turn.life.ends_at <= turn.now else "lead-time"
            open_case(turn, cause)
        return
    if case.issued is not None and case.issued.ends_at <= turn.now:
        _order_ended(turn, case)
    elif case.retry_at is not None and case.retry_at <= turn.now:
        _wait_over(turn, case)


def open_case(turn: Turn, cause: str, requested_by: str = "") -> None:
    turn.emit(e.CaseOpened(turn.state.case_count + 1, cause, requested_by))
    route(turn)


def route(turn: Turn) -> None:
    """Where an open case without an order goes next under the terms of now."""
    case, terms = turn.case, turn.terms
    plan, blocked = terms.plan, turn.state.blocked_by
    if plan is None or blocked:
        again = unroutable_again(turn)
        turn.emit(e.BecameUnroutable(blocked if plan is not None else terms.unroutable or "there is no plan", again))
        return
    # Only what a person asks for may be early enough to gain nothing; the rest is held until it gains.
    vain = in_vain(turn.life, plan, turn.now) if case.requested_by else ""
    if vain:
        turn.emit(e.BecameUnroutable(vain, unroutable_again(turn)))
        return
    if terms.table.asks:
        turn.emit(e.ApprovalAsked(case.number, plan.version))
        return
    start = issues_at(turn.life, terms.table, timedelta(seconds=plan.validity_seconds))
    if case.requested_by or start <= turn.now:
        turn.emit(e.Approved("policy", plan.version))
        intend(turn)
    else:
        turn.emit(e.Approved("policy", plan.version, hold_until=start))


def unroutable_again(turn: Turn) -> datetime:
    """A week later (scaled), or after as long as the case has been open: each time somebody is told again."""
    so_far = max(turn.now - turn.case.opened_at, timedelta(minutes=1))
    return turn.after(UNROUTABLE_AGAIN, at_least=min(so_far, UNROUTABLE_AGAIN))


def intend(turn: Turn) -> None:
    """A further order of this case; the caller made sure that none is open."""
    case, state = turn.case, turn.state
    assert not case.order_open
    number = case.order_number + 1
    turn.emit(e.OrderIntended(order_key(state.managed_id, state.generation, case.number, number), number))


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
    complete = set(turn.state.places) <= set(case.installed)
    return Stage.VERIFYING if complete else Stage.DEPLOYING


def _rungs(turn: Turn) -> None:
    climb = turn.state.climb
    rungs = rungs_of(turn.state)
    due = [rung for rung in rungs if rung.at <= turn.now and rung.index > climb.rung]
    if due:
        deepest = due[-1]
        if len(due) > 1:
            turn.emit(e.RungsPassed(due[-2].index))
        turn.emit(e.RungFired(deepest.index, deepest.to, deepest.mark))
        return
    if climb.rung < 0 or climb.last_at is None or climb.last_at + REPEAT_AFTER > turn.now:
        return
    if not rung_is_acknowledged(turn):
        rung = rungs[climb.rung]
        turn.emit(e.RungFired(rung.index, rung.to, rung.mark, again=True))


def rung_is_acknowledged(turn: Turn) -> bool:
    climb = turn.state.climb
    until = climb.acknowledged_until
    return climb.acknowledged_rung >= climb.rung and until is not None and until > turn.now


def _owner(turn: Turn) -> None:
    """The owner's rung: at the first failure past the retry budget, then daily until acknowledged or closed."""
    case, climb = turn.state.case, turn.state.climb
    if case is None or case.first_failed_at is None:
        return
    table = turn.terms.table
    if not case.budget_spent:
        window = retry_window(turn.life, table)
        if case.failures >= table.retry_failures or case.first_failed_at + window <= turn.now:
            turn.emit(e.BudgetSpent(case.failures))
            turn.emit(e.OwnerCalled(case.failure))
        return
    quiet = climb.owner_acknowledged_until
    called = climb.owner_called_at
    if called is not None and called + REPEAT_AFTER <= turn.now and (quiet is None or quiet <= turn.now):
        turn.emit(e.OwnerCalled(case.failure, again=True))


def ask(turn: Turn, kind: QuestionKind, detail: str) -> None:
    """Ask the owner, or the head where nobody owns it; a question that is open already is not asked again."""
    if any(question.kind == kind for question in turn.state.questions):
        return
    to: Audience = "owner" if turn.terms.owner_contact else "security-head"
    turn.emit(e.QuestionAsked(kind, to, turn.after(QUESTION_CLIMBS, at_least=timedelta(minutes=1)), detail))


def ask_head(turn: Turn, kind: QuestionKind, detail: str) -> None:
    """Ask the head of IT security at once: the owner cannot know, or cannot be told."""
    if any(question.kind == kind for question in turn.state.questions):
        return
    turn.emit(e.QuestionAsked(kind, "security-head", turn.after(QUESTION_REPEATS, at_least=REPEAT_AFTER), detail))


def _questions(turn: Turn) -> None:
    for question in turn.state.questions:
        if question.climbs_at <= turn.now:
            again = turn.after(QUESTION_REPEATS, at_least=REPEAT_AFTER)
            turn.emit(e.QuestionAsked(question.kind, "security-head", again, question.detail))
