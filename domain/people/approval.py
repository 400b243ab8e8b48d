"""What the state alone can refuse of a message, before it leaves a trace (DESIGN rule 8)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.lifecycle.ladder import by_audience, escalates_at, failure_about, reached, rungs_to, seconds_of
from domain.lifecycle.renewal_value import in_vain, orders_at
from domain.lifecycle.scheduling import AUDIENCES
from domain.lifecycle.served import lives, present
from domain.lifecycle.state import Case, LifecycleState, Stage
from domain.lifecycle.succession import blocked_by
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
from domain.tiers import Audience

# An approval that is taken and orders nothing would be lost without a word: the question comes first, and climbs.
NAMES_FIRST = (
    "blocked: another certificate is served in place of ours, or none, and nothing is ordered until it is said what "
    "holds; first answer the open question, then decide what is asked after that"
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
    if state.retired and not (isinstance(message, Answer) and message.question == "revocation"):
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
        case Answer():
            return _answer(state, message)
        case RenewNow():
            if state.case is not None:
                return "decided: a renewal case is open already"
            plan = state.terms.plan
            vain = in_vain(present(state), plan, now, state.led_by) if plan is not None else ""
            return f"decided: {vain}" if vain else ""
        case Resume():
            waits = state.forked or (bool(state.record_refused) and "remedies-say" in state.led_by.flags)
            if state.case is None and not waits:
                return "invalid: nothing waits"
            if state.case is not None and state.case.stage is Stage.HELD and not waits:
                return "invalid: it is held, which is a decision; decide anew instead"
        case Supply():
            if state.case is None or not state.case.order_open:
                return "invalid: no order is open"
        case Retire():
            pass
    return ""


# --- decisions ------------------------------------------------------------------------------------------------------


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
    if blocked_by(state, now):
        return NAMES_FIRST
    if state.reservation is not None and state.reservation.until > now:
        return "busy: another decision is being checked; try again in a minute"
    return hold_date(state, message, now)[1] if message.decision == "hold" else ""


def may_decide(case: Case) -> bool:
    """While it is asked, or was rejected; and while it is held by a person's word and nothing has been ordered."""
    held = case.stage is Stage.HELD and case.approved_by != "policy" and case.order_number == 0
    return held or (not case.approved_by and case.stage in (Stage.AWAITING_APPROVAL, Stage.REJECTED))


def hold_until(state: LifecycleState) -> datetime:
    """The latest date to which an approver may hold the order: before the escalation mark in any case."""
    life, terms = present(state), state.terms
    assert terms is not None
    plan = state.case.plan if state.case is not None else None
    validity = timedelta(seconds=plan.validity_seconds) if plan is not None else life.length
    latest = orders_at(life, terms.table, validity, state.led_by)
    return min(latest, escalates_at(life, terms.table))


def hold_date(state: LifecycleState, message: Decide, now: datetime) -> tuple[datetime, str]:
    """Until when a ``hold`` holds, or why it is refused: one past the escalation mark would call the head meanwhile."""
    latest = hold_until(state)
    until = message.until or latest
    if until.tzinfo is None:
        return latest, "invalid: until has no time zone; write 2026-12-01T00:00:00Z"
    if latest <= now:
        return latest, "invalid: the latest moment to hold has passed; approve or reject"
    if until > latest:
        return latest, f"invalid: until is later than {latest:%Y-%m-%d %H:%M} UTC, the latest date to hold to"
    if until <= now:
        return latest, "invalid: until lies in the past"
    return until, ""


# --- answers and acknowledgements -----------------------------------------------------------------------------------


def _answer(state: LifecycleState, message: Answer) -> str:
    if message.question in ("tier", "owner"):
        return "invalid: tier and owner are answered by a rule in the policy; the next discovery applies it"
    open_ones = [one for one in state.questions if one.kind == message.question]
    if not open_ones:
        return f"decided: there is no open question {message.question!r}"
    words = ANSWERS.get(message.question, ())
    if message.answer not in words:
        return f"invalid: answer {message.answer!r}; write {' or '.join(words)}"
    if not message.about:
        return f"invalid: about is empty; write what the question is about, {open_ones[0].about!r}"
    if all(one.about != message.about for one in open_ones):
        told = ", ".join(repr(one.about) for one in open_ones[:3])
        return f"stale: it is asked about {told} now, not about {message.about[:80]!r}; read it again"
    return ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has reached ``level`` and can be acknowledged.  ``about``: as an acknowledgement repeats it."""

    level: Audience
    about: str
    fingerprint: str
    lead_seconds: int
    last_at: datetime | None
    quiet_until: datetime | None


def calls(state: LifecycleState) -> Iterator[Call]:
    """Every call that people have had and nobody has answered otherwise: one for each audience and life."""
    if state.life is None or state.terms is None:
        return
    climbs = by_audience(state.climbs)
    for life in lives(state):
        for audience in AUDIENCES:
            climb = climbs.get((life.fingerprint, audience))
            rung = reached(climb, rungs_to(audience, life, state.terms.table), life.ends_at)
            if climb is not None and rung is not None:
                quiet = climb.quiet_until if climb.quiet_lead_seconds == seconds_of(rung) else None
                about = f"{life.fingerprint[:16]}/{rung.mark}"
                yield Call(audience, about, life.fingerprint, seconds_of(rung), climb.last_at, quiet)
    case = state.case
    if case is not None and case.owner_called_at is not None:
        about = failure_about(state.life.fingerprint, case)
        quiet = case.owner_quiet_until if case.owner_quiet_for == about else None
        yield Call("owner", about, state.life.fingerprint, -1, case.owner_called_at, quiet)


def acknowledged_call(state: LifecycleState, message: Acknowledge) -> Call | str:
    """The call that ``message`` is about; or why it is about none."""
    called = [call for call in calls(state) if call.level == message.level]
    if not called:
        who = "the owner has not been called" if message.level == "owner" else "no rung has reached the security head"
        return f"invalid: {who}"
    if not message.about:
        return f"invalid: about is empty; write which call is acknowledged, {called[0].about!r}"
    found = next((call for call in called if call.about == message.about), None)
    if found is None:
        told = ", ".join(repr(call.about) for call in called[:3])
        return f"stale: the call is {told} now, not {message.about[:80]!r}; read it again"
    return found


def _acknowledge(state: LifecycleState, message: Acknowledge, now: datetime) -> str:
    longest = state.led_by.longest_acknowledgement
    if message.level not in AUDIENCES:
        return f"invalid: level {message.level!r}; write owner or security-head"
    if message.until.tzinfo is None:
        return "invalid: until has no time zone; write 2026-12-01T00:00:00Z"
    if message.until <= now:
        return "invalid: until lies in the past"
    # It has a date; further away than this it would be a way to switch the ladder off.
    if message.until > now + longest:
        return f"invalid: until is more than {longest.days} days away"
    found = acknowledged_call(state, message)
    return found if isinstance(found, str) else ""
