"""What follows from what a person answers: each question and each answer has a way on (DESIGN rule 5; a table test)."""

from domain.certificate import Slot
from domain.lifecycle import events as e
from domain.lifecycle import recovery
from domain.lifecycle.questions import drifted_unknown, unanswered
from domain.lifecycle.scheduling import closed, order_further, resume_stage, route
from domain.lifecycle.state import Question, Stage, Verdict
from domain.lifecycle.succession import blocked_by, candidates, differences
from domain.lifecycle.transition import Turn
from domain.people.messages import Answer

# Whom a message did not reach where its Courier could not say.
SOMEBODY = "somebody"


def answered(turn: Turn, message: Answer) -> tuple[str, str]:
    """Take in an answer that is about exactly what is asked; (outcome, detail)."""
    question = next(
        (one for one in turn.state.questions if one.about == message.about and one.kind == message.question), None
    )
    if question is None:
        # It was open when the message was accepted, and something changed while its warrant was redeemed.
        return "refused", "stale: that question is not asked any more; read it again"
    if question.kind == "forked":
        return sign_gap(turn) if message.answer == "gap" else resumed(turn)
    _follow(turn, question, message.answer)
    return "accepted", "answered"


def _follow(turn: Turn, question: Question, answer: str) -> None:
    match question.kind, answer:
        case "unseen", "broken":
            slots = tuple(place.slot for place in unanswered(turn.state, turn.now))
            turn.emit_each(slots, e.RepairPromised)
        case "unseen", "retired" | "moved":
            _release(turn, tuple(place.slot for place in unanswered(turn.state, turn.now)), answer)
        case "taken", "retired" | "moved":
            _release(turn, tuple(place.slot for place in turn.state.places if place.is_taken), answer)
        case "repair", "retired":
            _release(turn, tuple(place.slot for place in turn.state.own_places if place.to_repair), answer)
        case "repair", "repaired":
            # Believed when it is seen: they count as silent again, and are looked at at once.
            _repaired(turn)
        case "moved-to", "nowhere":
            turn.emit(e.MoveSettled())
            if not turn.state.places:
                retire(turn, "moved")
        case "different" | "foreign-certificate", "take" | "keep" | "known":
            _judge(turn, question.subject, answer)
        case "drift", "known":
            turn.emit_each([place.slot for place in drifted_unknown(turn.state)], e.DriftKnown)
        case "revocation", "revoked":
            turn.emit(e.OrderRevoked(question.subject, True, "a person revoked it"))
        case "undeliverable", "mended":
            _mended(turn)
        case _:
            pass
    if any(one.key == question.key for one in turn.state.questions):
        turn.emit(e.QuestionEnded(question.kind, answer, question.about, question.subject))


def _release(turn: Turn, slots: tuple[Slot, ...], why: str) -> None:
    """Only these; a certificate none of whose places is left is retired, if that was the answer.

    Otherwise nothing is left of it to own, and where to is the next question.
    """
    case = turn.state.case
    turn.emit_each(slots, lambda some: e.PlacesReleased(some, "retired" if why == "retired" else "moved"))
    if not turn.state.places and why == "retired":
        retire(turn, "decommissioned")
    elif not turn.state.own_places and case is not None and not case.order_open:
        route(turn)


def _mended(turn: Turn) -> None:
    """What somebody was not told is not told by a word of ours: they hear again what is open."""
    people = turn.state.unreachable
    for person in people:
        turn.emit(e.DeliveryMended(person))
    if "remedies-say" not in turn.rules.flags:
        return
    terms, case = turn.terms, turn.state.case
    reached = (("security-head", terms.head), ("owner", terms.owner_contact))
    levels = {level for level, person in reached if person in people or SOMEBODY in people}
    for question in turn.state.questions:
        if question.level in levels and question.kind != "undeliverable":
            again = (question.climbs_at, question.detail, question.about, question.subject)
            turn.emit(e.QuestionAsked(question.kind, question.level, *again))
    if case is None or case.plan is None:
        return
    if case.stage is Stage.AWAITING_APPROVAL and "security-head" in levels:
        turn.emit(e.ApprovalAsked(case.number, case.plan.version))


def _repaired(turn: Turn) -> None:
    turn.emit_each([place.slot for place in turn.state.own_places if place.to_repair], e.RepairMade)


def _judge(turn: Turn, subject: str, answer: str) -> None:
    """Of exactly that certificate, and of exactly the differences that were asked about."""
    for candidate in candidates(turn.state, turn.now):
        if candidate.fingerprint[:16] != subject:
            continue
        verdict: Verdict = "take" if answer == "take" else "keep" if answer == "keep" else "known"
        said = differences(candidate) if verdict == "take" else ()
        turn.emit(e.Judged(candidate.fingerprint, verdict, said))
    case = turn.state.case
    if (
        case is not None
        and case.stage is Stage.UNROUTABLE
        and not case.order_open
        and not blocked_by(turn.state, turn.now)
    ):
        route(turn)


def resumed(turn: Turn) -> tuple[str, str]:
    """Try the waiting step again now; after a fork: go on as the store says."""
    if turn.state.forked:
        recovery.ask_store(turn, "forked")
        return "accepted", "resumed: it goes on as the store says"
    turn.emit(e.Resumed())
    go_on(turn)
    return "accepted", "resumed"


def sign_gap(turn: Turn) -> tuple[str, str]:
    """Go on from what the store holds, and say for ever what it lacks; only where it lacks something."""
    if turn.state.forked or not turn.state.record_refused:
        return "refused", "nothing is missing: the store holds other events under these numbers; resume it"
    recovery.ask_store(turn, "gap")
    return "accepted", "answered: it goes on from what the store holds, and what that lacks stays a gap for ever"


def go_on(turn: Turn) -> None:
    case = turn.state.case
    # A hold was somebody's decision, or is the policy's own date: resuming is for what waits for a person or a part.
    waits = case is not None and case.retry_at is not None and case.stage not in (Stage.AWAITING_APPROVAL, Stage.HELD)
    if case is not None and waits and not blocked_by(turn.state, turn.now):
        if case.approved_by and not case.order_open and case.stage is not Stage.UNROUTABLE:
            order_further(turn)
        elif case.order_open:
            turn.emit(e.RetryDue(resume_stage(turn)))
        else:
            route(turn)


def retire(turn: Turn, reason: str) -> None:
    """End it, with a reason; an order that a CA has still collects its result, and revokes it (DESIGN rule 6)."""
    case = turn.state.case
    if case is not None:
        if case.order_open:
            turn.emit(closed(turn, case, "retired"))
        turn.emit(e.CaseClosed(case.number, "retired"))
    turn.emit(e.Retired(reason))
