"""What the state alone can refuse of a message, before it leaves a trace (DESIGN rule 8)."""

from datetime import datetime, timedelta

from domain.lifecycle.ladder import issues_at
from domain.lifecycle.renewal_value import in_vain
from domain.lifecycle.state import Case, LifecycleState, Stage
from domain.people.messages import (
    ANSWERS,
    Acknowledge,
    Answer,
    Decide,
    RenewNow,
    Resume,
    Retire,
    Supply,
    Warranted,
    code_hash,
)

RESERVED_FOR = timedelta(seconds=60)
# An acknowledgement has a date; further away than this it would be a way to switch the ladder off.
LONGEST_ACKNOWLEDGEMENT = timedelta(days=14)


# An approval that is taken and orders nothing would be lost without a word: the question comes first, and climbs.
NAMES_FIRST = (
    "blocked: other names are served than ours, and nothing is ordered until it is said which hold; "
    "first answer the question names-changed with keep or new, then decide what is asked after that"
)
BEHIND_THE_STORE = "stale: the store knows more of it than this run does; resume it first"


def is_heard_when_forked(message: Warranted) -> bool:
    """Everything else would be decided on a state that is about to be given up."""
    return isinstance(message, Resume | Acknowledge) or (isinstance(message, Answer) and message.question == "forked")


def refusal(state: LifecycleState, message: Warranted, now: datetime) -> str:
    """Why ``message`` is refused by a validator, leaving nothing in the history; empty when it may be accepted.

    The first word is the problem's kind: ``stale``, ``decided``, ``busy``, ``retired``, ``burnt``, ``blocked``,
    ``invalid``.
    """
    if not message.code.strip():
        return "invalid: code is empty; paste the one-time code from your mail or your page"
    if state.life is None or state.terms is None:
        return "busy: its first notice has not been read yet; try again in a moment"
    if state.retired:
        return "retired: this managed certificate is retired"
    if code_hash(message.code) in state.burnt:
        return "burnt: this code was used already; ask for a new one"
    if state.forked and not is_heard_when_forked(message):
        return BEHIND_THE_STORE
    match message:
        case Decide():
            return _decide(state, message, now)
        case Acknowledge():
            return _acknowledge(state, message, now)
        case Answer(question="tier" | "owner"):
            return "invalid: tier and owner are answered by a rule in the policy; the next discovery applies it"
        case Answer(question=question, answer=answer):
            if not any(open_question.kind == question for open_question in state.questions):
                return f"decided: there is no open question {question!r}"
            if answer not in ANSWERS[question]:
                return f"invalid: answer {answer!r}; write {' or '.join(ANSWERS[question])}"
        case RenewNow():
            if state.case is not None:
                return "decided: a renewal case is open already"
            plan = state.terms.plan
            vain = in_vain(state.life, plan, now) if plan is not None else ""
            return f"decided: {vain}" if vain else ""
        case Resume():
            if state.case is None and not state.forked:
                return "invalid: nothing waits"
            if state.case is not None and state.case.stage is Stage.HELD and not state.forked:
                return "invalid: it is held, which is a decision; decide anew instead"
        case Supply():
            if state.case is None or not state.case.order_open:
                return "invalid: no order is open"
        case Retire():
            pass
    return ""


def _decide(state: LifecycleState, message: Decide, now: datetime) -> str:
    case = state.case
    if message.decision not in ("approve", "reject", "hold"):
        return f"invalid: decision {message.decision!r}; write approve, reject or hold"
    if message.generation != state.generation or case is None or message.case != case.number:
        return "decided: that case is closed" if message.generation <= state.generation else "stale: no such case"
    if not may_decide(case):
        if case.approved_by:
            return f"decided: approved by {case.approved_by}"
        return f"stale: nothing is asked; the case is {case.stage.value}"
    if message.seen and case.stage in (Stage.REJECTED, Stage.HELD) and message.seen != case.stage:
        return f"decided: it is {case.stage.value} now; answer it anew with overrule, or let it ask again"
    if case.plan is None or message.plan_version != case.plan.version:
        return "stale: the plan has changed since; read it again"
    if state.is_blocked:
        return NAMES_FIRST
    if state.reservation is not None and state.reservation.until > now:
        return "busy: another decision is being checked; try again in a minute"
    if message.decision == "hold" and hold_until(state) <= now:
        return "invalid: the latest moment to hold has passed; approve or reject"
    return ""


def may_decide(case: Case) -> bool:
    """While it is asked, or was rejected; and while it is held by a person's word and nothing has been ordered."""
    held = case.stage is Stage.HELD and case.approved_by != "policy" and case.order_number == 0
    return held or (not case.approved_by and case.stage in (Stage.AWAITING_APPROVAL, Stage.REJECTED))


def hold_until(state: LifecycleState) -> datetime:
    """The latest date to which an approver may hold the order."""
    assert state.life is not None
    assert state.terms is not None
    plan = state.case.plan if state.case is not None else None
    validity = timedelta(seconds=plan.validity_seconds) if plan is not None else state.life.length
    return issues_at(state.life, state.terms.table, validity)


def _acknowledge(state: LifecycleState, message: Acknowledge, now: datetime) -> str:
    if message.until.tzinfo is None:
        return "invalid: until has no time zone; write 2026-12-01T00:00:00Z"
    if message.until <= now:
        return "invalid: until lies in the past"
    if message.until > now + LONGEST_ACKNOWLEDGEMENT:
        return f"invalid: until is more than {LONGEST_ACKNOWLEDGEMENT.days} days away"
    if message.level == "security-head" and state.climb.rung < 0:
        return "invalid: no rung has fired"
    if message.level == "owner" and state.climb.owner_called_at is None:
        return "invalid: the owner has not been called"
    return ""
