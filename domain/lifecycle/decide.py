"""The one place where it is decided what happens: state + command + now -> answer and events."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.contracts import Recall
from domain.lifecycle import events as e
from domain.lifecycle import recovery, step_results
from domain.lifecycle.commands import (
    Command,
    DeliveryReported,
    DueMoments,
    MessageSent,
    NoticeArrived,
    NotRedeemed,
    RecordForked,
    RecordRefused,
    Redeemed,
    Reserve,
    StepBroke,
    StepDone,
    Upgrade,
)
from domain.lifecycle.ladder import moved
from domain.lifecycle.refold import Recalled, base
from domain.lifecycle.scheduling import ask_head, intend, key_of, order_further, resume_stage, route, settle
from domain.lifecycle.served import is_unseen
from domain.lifecycle.sightings import supersede
from domain.lifecycle.state import Case, LifecycleState, Stage
from domain.lifecycle.transition import EVERLEAF, Turn
from domain.people.approval import (
    BEHIND_THE_STORE,
    NAMES_FIRST,
    RESERVED_FOR,
    hold_until,
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

# A rejected plan is asked again after this long (scaled), or when the plan changes; the ladder goes on meanwhile.
ASKS_AGAIN = timedelta(days=7)


def decide(
    state: LifecycleState, command: Command, now: datetime, cause: str = ""
) -> tuple[Receipt, tuple[e.Happened, ...]]:
    """What ``command`` does to ``state`` at ``now``.  Never raises for a late or repeated command: that is moot.

    ``cause`` names the command for the record: an update id, a step, a moment.
    """
    turn = Turn(state, now, cause or type(command).__name__, _actor(command))
    # What is due is due before the command: a rung whose instant has come fires whatever is told now.  Not so what is
    # due to a state that the command replaces.
    if not isinstance(command, MessageSent) and base_of(state, command) is state:
        _as_everleaf(turn)
    outcome, detail = _tell(turn, command)
    _as_everleaf(turn)
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
        case MessageSent(message_id=message_id):
            if any(message.id == message_id for message in state.untold):
                turn.emit(e.Told(message_id))
        case DeliveryReported(message_id=message_id, state="undeliverable"):
            _undeliverable(turn, message_id)
        case RecordForked(head=head):
            if state.life is not None:
                turn.state = replace(state, seq=head + 1)
            recovery.forked(turn, head)
        case RecordRefused(detail=detail):
            if state.life is not None and not state.retired:
                ask_head(turn, "forked", detail)
        case Upgrade():
            turn.emit(e.RollAsked())
        case _:
            pass
    return "accepted", ""


def _reserve(turn: Turn, message: Warranted) -> tuple[str, str]:
    """Burn the code, and for a decision hold the case: of many at once exactly one can win."""
    why = refusal(turn.state, message, turn.now)
    if why:
        return "refused", why
    digest = code_hash(message.code)
    turn.emit(e.CodeBurnt(digest))
    if isinstance(message, Decide):
        turn.emit(e.DecisionReserved(digest, turn.now + RESERVED_FOR))
    return "accepted", ""


def _redeemed(turn: Turn, command: Redeemed) -> tuple[str, str]:
    if turn.state.retired or turn.state.life is None:
        return "refused", "retired: this managed certificate is retired"
    if turn.state.forked and not is_heard_when_forked(command.message):
        # It was reserved before the fork was known.
        return "refused", BEHIND_THE_STORE
    match command.message:
        case Decide() as message:
            return _decided(turn, message, command)
        case Acknowledge(level=level, until=until):
            turn.emit(e.Acknowledged(level, until))
        case Answer() as message:
            return _answered(turn, message)
        case RenewNow():
            return "accepted", step_results.requested(turn, command.actor)
        case Resume() | Supply():
            return _resumed(turn)
        case Retire(reason=reason):
            _retire(turn, reason)
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
    if turn.state.is_blocked:
        return "refused", NAMES_FIRST
    if _is_asker(case, command):
        turn.emit(e.DecisionRefused("decide", "who asked may not approve"))
        return "refused", "invalid: who asked for the renewal may not approve it"
    if message.decision == "reject":
        turn.emit(e.Rejected(actor, case.plan.version, turn.after(ASKS_AGAIN, at_least=timedelta(minutes=1))))
        return "accepted", "rejected"
    hold = hold_until(turn.state) if message.decision == "hold" else _earliest_order(turn)
    if hold > turn.now:
        turn.emit(e.Approved(actor, case.plan.version, hold_until=hold))
        return "accepted", "approved, held"
    turn.emit(e.Approved(actor, case.plan.version))
    intend(turn)
    return "accepted", "approved"


def _is_asker(case: Case, command: Redeemed) -> bool:
    """Four eyes are two people: a person and their token are one."""
    if not case.requested_by:
        return False
    return case.requested_by in (command.actor, command.person) or command.person == command.asker != ""


def _earliest_order(turn: Turn) -> datetime:
    """Not before the new life gains half of itself on the present E (rule 1); a request by a person may be early."""
    case = turn.case
    if case.requested_by or case.plan is None:
        return turn.now
    return moved(turn.life.ends_at, -timedelta(seconds=max(case.plan.validity_seconds, 0)) / 2)


def _answered(turn: Turn, message: Answer) -> tuple[str, str]:
    if message.question == "forked":
        return _resumed(turn)
    turn.emit(e.QuestionEnded(message.question, message.answer))
    if message.question == "unseen" and message.answer in ("retired", "moved"):
        _unseen_slots_go(turn, message.answer)
    if message.question == "names-changed":
        foreign = turn.state.foreign
        if message.answer == "new" and foreign is not None:
            supersede(turn, foreign)
        elif turn.state.case is not None and not turn.case.order_open:
            route(turn)
    return "accepted", "answered"


def _unseen_slots_go(turn: Turn, answer: str) -> None:
    """Only the slots that are unseen; a certificate none of whose slots is left is retired, if that was the answer.

    Otherwise nothing is left of it to own: the store releases all, and the fold keeps them as where it was last seen.
    """
    state = turn.state
    unseen = {view.slot for view in state.slots if is_unseen(view, turn.life, turn.now)}
    left = tuple(slot for slot in state.places if slot not in unseen)
    if not left and answer == "retired":
        _retire(turn, answer)
        return
    turn.emit(e.SlotsChanged(left))
    if not left and state.case is not None and not state.case.order_open:
        route(turn)


def _resumed(turn: Turn) -> tuple[str, str]:
    if turn.state.forked:
        recovery.ask_store(turn, "forked")
        return "accepted", "resumed: it goes on as the store says"
    turn.emit(e.Resumed())
    if any(question.kind == "forked" for question in turn.state.questions):
        turn.emit(e.QuestionEnded("forked", "resumed"))
    _go_on(turn)
    return "accepted", "resumed"


def _recalled(turn: Turn, recalled: Recalled) -> tuple[str, str]:
    """The store's truth is ours; what a person resumed goes on at once, as after any other resumption."""
    if turn.state.recall is None:
        return "accepted", "moot"
    resumed = turn.state.forked
    if recovery.recalled(turn, recalled) and resumed:
        _as_everleaf(turn)
        _go_on(turn)
    return "accepted", "recalled"


def _go_on(turn: Turn) -> None:
    case = turn.state.case
    # A hold was somebody's decision, or is the policy's own date: resuming is for what waits for a person or a part.
    waits = case is not None and case.retry_at is not None and case.stage not in (Stage.AWAITING_APPROVAL, Stage.HELD)
    if case is not None and waits and not turn.state.is_blocked:
        if case.approved_by and not case.order_open and case.stage is not Stage.UNROUTABLE:
            order_further(turn)
        elif case.order_open:
            turn.emit(e.RetryDue(resume_stage(turn)))
        else:
            route(turn)


def _retire(turn: Turn, reason: str) -> None:
    case = turn.state.case
    if case is not None:
        if case.order_open:
            turn.emit(e.OrderClosed(key_of(turn), "retired", case.order_placed, case.issued is not None))
        turn.emit(e.CaseClosed(case.number, "retired"))
    turn.emit(e.Retired(reason))


def _undeliverable(turn: Turn, message_id: str) -> None:
    """Counts as unanswered: what an owner cannot be told climbs to the head of IT security (rule 3)."""
    state = turn.state
    if state.retired or state.life is None:
        return
    turn.emit(e.Undeliverable(message_id))
    ask_head(turn, "undeliverable", "a message could not be delivered")
