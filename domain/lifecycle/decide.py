"""The one place where it is decided what happens: state + command + now -> answer and events."""

from datetime import datetime, timedelta

from domain.contracts import Recall
from domain.lifecycle import events as e
from domain.lifecycle import recovery, remedies, step_results
from domain.lifecycle.answers import SOMEBODY, answered, go_on, resumed, retire
from domain.lifecycle.commands import (
    Command,
    DeliveryReported,
    DueMoments,
    MessageSent,
    NoticeArrived,
    NotRedeemed,
    RecordForked,
    RecordRefused,
    RecordTaken,
    Redeemed,
    Reserve,
    StepBroke,
    StepDone,
    TakeRules,
    Upgrade,
)
from domain.lifecycle.ladder import escalates_at, moved
from domain.lifecycle.refold import Recalled, base
from domain.lifecycle.renewal_value import orders_at
from domain.lifecycle.rules import RULES
from domain.lifecycle.scheduling import approved, intend, settle
from domain.lifecycle.state import Case, LifecycleState
from domain.lifecycle.succession import blocked_by
from domain.lifecycle.transition import EVERLEAF, Turn
from domain.people.approval import (
    BEHIND_THE_STORE,
    NAMES_FIRST,
    acknowledged_call,
    hold_date,
    is_heard_when_forked,
    may_decide,
    refusal,
)
from domain.people.messages import (
    Acknowledge,
    Answer,
    Decide,
    Receipt,
    RenewNow,
    Resume,
    Retire,
    Supply,
    Warranted,
    code_hash,
)


def decide(
    state: LifecycleState, command: Command, now: datetime, cause: str = ""
) -> tuple[Receipt, tuple[e.Happened, ...]]:
    """What ``command`` does to ``state`` at ``now``.  Never raises for a late or repeated command: that is moot.

    ``cause`` names the command for the record: an update id, a step, a moment.
    """
    turn = Turn(state, now, cause or type(command).__name__, _actor(command))
    # What is due is due before the command: a rung whose instant has come fires whatever is told now.  Not so what is
    # due to a state that the command replaces.
    if not isinstance(command, MessageSent | TakeRules) and base_of(state, command) is state:
        _as_everleaf(turn)
    outcome, detail = _tell(turn, command)
    _as_everleaf(turn)
    if outcome == "accepted" and isinstance(command, Redeemed) and "remedies-say" in turn.rules.flags:
        detail = remedies.said(state, turn.state, command.message, now) or detail
    return step_results.receipt(turn, outcome, detail, _actor(command)), tuple(turn.happened)


def base_of(state: LifecycleState, command: Command) -> LifecycleState:
    """On which state the events of ``command`` are folded: ``state``, or what the store knew where that replaces it."""
    return base(state, command.step, command.outcome) if isinstance(command, StepDone) else state


def _as_everleaf(turn: Turn) -> None:
    by, turn.by = turn.by, EVERLEAF
    settle(turn)
    turn.by = by


def _actor(command: Command) -> str:
    if isinstance(command, Redeemed | NotRedeemed):
        return command.actor or "unknown"
    return EVERLEAF


def _tell(turn: Turn, command: Command) -> tuple[str, str]:
    state = turn.state
    match command:
        case DueMoments():
            return "accepted", ""
        case TakeRules(rules=rules) if state.rules != rules:
            turn.emit(e.RulesTaken(rules, state.rules))
        case NoticeArrived(notice_id=notice):
            if notice in state.unread or notice in state.read:
                return "accepted", "known"
            turn.emit(e.NoticeCame(notice))
        case StepDone(step=Recall(), outcome=Recalled() as recalled):
            return _recalled(turn, recalled)
        case StepBroke(step=Recall()):
            if state.recall is not None:
                recovery.delayed(turn, command)
        case StepDone() | StepBroke() if state.forked:
            # It was begun on a branch that the store does not know; what it did is found again by its key.
            return "accepted", "moot"
        case StepDone():
            return "accepted", step_results.done(turn, command)
        case StepBroke():
            return "accepted", step_results.broke(turn, command)
        case Reserve(message=message):
            return _reserve(turn, message)
        case Redeemed():
            return _redeemed(turn, command)
        case NotRedeemed(message=message, reason=reason):
            if isinstance(message, Decide) and state.reservation is not None:
                turn.emit(e.ReservationEnded())
            turn.emit(e.DecisionRefused(type(message).__name__.lower(), reason))
            return "refused", reason
        case _:
            _from_our_own_parts(turn, command)
    return "accepted", ""


def _from_our_own_parts(turn: Turn, command: Command) -> None:
    """What the lanes of the run and the Couriers report."""
    state = turn.state
    match command:
        case MessageSent(message_id=message_id):
            if any(message.id == message_id for message in state.untold):
                turn.emit(e.Told(message_id))
        case DeliveryReported(message_id=message_id, state="undeliverable", person=person):
            if not state.retired and state.life is not None:
                # Counts as unanswered: what somebody cannot be told climbs to the head of IT security (rule 3).
                turn.emit(e.Undeliverable(message_id, person or SOMEBODY))
        case RecordForked(head=head):
            if state.life is not None:
                turn.state = recovery.behind(state, head)
            recovery.forked(turn, head)
        case RecordRefused(detail=detail):
            if state.life is not None and not state.retired and state.record_refused != detail:
                turn.emit(e.RecordWasRefused(detail))
        case RecordTaken():
            if state.record_refused:
                turn.emit(e.RecordWasTaken())
        case Upgrade(rules=rules):
            turn.emit(e.RollAsked(rules if rules in RULES else ""))
        case _:
            pass


def _reserve(turn: Turn, message: Warranted) -> tuple[str, str]:
    """Burn the code, and for a decision hold the case: of many at once exactly one can win."""
    why = refusal(turn.state, message, turn.now)
    if why:
        return "refused", why
    digest = code_hash(message.code)
    turn.emit(e.CodeBurnt(digest))
    if isinstance(message, Decide):
        turn.emit(e.DecisionReserved(digest, turn.now + turn.rules.reserved_for))
    return "accepted", ""


def _redeemed(turn: Turn, command: Redeemed) -> tuple[str, str]:
    state, message = turn.state, command.message
    if state.life is None or (state.retired and not _outlives(message)):
        return "refused", "retired: this managed certificate is retired"
    if state.forked and not is_heard_when_forked(message):
        # It was reserved before the fork was known.
        return "refused", BEHIND_THE_STORE
    match message:
        case Decide():
            return _decided(turn, message, command)
        case Acknowledge():
            return _acknowledged(turn, message)
        case Answer():
            return answered(turn, message)
        case RenewNow():
            return "accepted", step_results.requested(turn, command.actor)
        case Resume() | Supply():
            return resumed(turn)
        case Retire(reason=reason):
            retire(turn, reason)
    return "accepted", ""


def _outlives(message: Warranted) -> bool:
    """A duty that a person owes is settled also after the retirement that made it."""
    return isinstance(message, Answer) and message.question == "revocation"


def _acknowledged(turn: Turn, message: Acknowledge) -> tuple[str, str]:
    """Of the rung that was seen: the next one may have fired while the warrant was redeemed."""
    found = acknowledged_call(turn.state, message)
    if isinstance(found, str):
        return "refused", found
    turn.emit(e.Acknowledged(message.level, message.until, found.fingerprint, found.lead_seconds, found.about))
    return "accepted", ""


def _decided(turn: Turn, message: Decide, command: Redeemed) -> tuple[str, str]:
    actor, reservation = command.actor, turn.state.reservation
    if reservation is None or reservation.code_sha256 != code_hash(message.code):
        return "refused", "stale: the check of the code took too long; ask for a new one"
    turn.emit(e.ReservationEnded())
    # The world may have moved while the warrant was redeemed: everything is asked again.
    case = turn.state.case
    same = case is not None and case.number == message.case and turn.state.generation == message.generation
    if not same or case is None or case.plan is None or case.plan.version != message.plan_version:
        return "refused", "stale: the case or its plan has changed since"
    if not may_decide(case):
        return "refused", f"decided: the case is {case.stage.value}"
    if blocked_by(turn.state, turn.now):
        return "refused", NAMES_FIRST
    if _is_asker(case, command):
        turn.emit(e.DecisionRefused("decide", "who asked or changed the plan may not approve"))
        return "refused", "invalid: who asked for the renewal, or changed its plan, may not approve it"
    if message.decision == "reject":
        again = turn.after(turn.rules.asks_again, at_least=turn.rules.least_question_pause)
        turn.emit(e.Rejected(actor, case.plan.version, again))
        return "accepted", "rejected"
    hold = _earliest_order(turn)
    if message.decision == "hold":
        until, why = hold_date(turn.state, message, turn.now)
        if why:
            return "refused", why
        hold = max(hold, until)
    if hold > turn.now:
        approved(turn, actor, hold)
        return "accepted", _held(turn, hold)
    approved(turn, actor, None)
    intend(turn)
    return "accepted", "approved"


def _held(turn: Turn, hold: datetime) -> str:
    """A plan whose gain comes only after the mark calls the head while it waits: said when it is approved."""
    late = hold > escalates_at(turn.life, turn.terms.table)
    return "approved, held past the escalation mark until it gains time" if late else "approved, held"


def _is_asker(case: Case, command: Redeemed) -> bool:
    """Four eyes are two people: a person and their token are one.  Who changed the policy that changed the plan is one
    of the asker's eyes."""
    eyes = {case.requested_by, *case.plan_changed_by} - {""}
    if not eyes:
        return False
    return bool(eyes & {command.actor, command.person}) or command.person == command.asker != ""


def _earliest_order(turn: Turn) -> datetime:
    """Not before the new life gains half of itself on the present E (rule 1); a request by a person may be early."""
    case = turn.case
    if case.requested_by or case.plan is None:
        return turn.now
    validity = timedelta(seconds=max(case.plan.validity_seconds, 0))
    half = moved(turn.life.ends_at, -validity / 2)
    # A step down in life is not left to wait for its half past the mark.
    return min(half, orders_at(turn.life, turn.terms.table, validity, turn.rules))


def _recalled(turn: Turn, recalled: Recalled) -> tuple[str, str]:
    """The store's truth is ours; what a person resumed goes on at once, as after any other resumption."""
    if turn.state.recall is None:
        return "accepted", "moot"
    was_resumed = turn.state.forked or turn.state.recall.why == "gap"
    if recovery.recalled(turn, recalled) and was_resumed:
        _as_everleaf(turn)
        go_on(turn)
    return "accepted", "recalled"
