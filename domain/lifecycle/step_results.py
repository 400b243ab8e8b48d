"""What a finished step means.  A late outcome, of a case or an order that has closed, is moot: never an error."""

from datetime import datetime, timedelta

from domain.certificate import Life, Slot
from domain.contracts import (
    CollectOrder,
    Consult,
    Deploy,
    DeployReport,
    LookAgain,
    LookReport,
    Observation,
    OrderOutcome,
    OrderPlaced,
    PlaceOrder,
    Revoked,
    RevokeOrder,
    RollBack,
    Terms,
)
from domain.lifecycle import events as e
from domain.lifecycle import sightings
from domain.lifecycle.commands import StepBroke, StepDone
from domain.lifecycle.deployment import deployed, rolled_back, verify
from domain.lifecycle.recovery import ask_store
from domain.lifecycle.renewal_value import gains
from domain.lifecycle.scheduling import ask, key_of, open_case, route, unroutable_again
from domain.lifecycle.state import Stage
from domain.lifecycle.transition import Turn, ever_longer
from domain.people.messages import Receipt
from domain.profiles import lost_usages, usage_oids, usage_word

CA_AGAIN = timedelta(hours=1)
REVOKE_AGAIN = timedelta(hours=1)
CONSULT_AGAIN = timedelta(minutes=5)
BROKEN_LOOK_AGAIN = timedelta(minutes=5)


def done(turn: Turn, command: StepDone) -> str:
    """Take in the outcome of a step.  Answers "" or "moot"."""
    match command.step, command.outcome:
        case Consult() as step, Observation() as observation:
            return _consulted(turn, step, observation)
        case PlaceOrder() as step, OrderPlaced() as placed if _is_open(turn, step.order_key):
            turn.emit(e.OrderAccepted(step.order_key, placed.key_id))
        case CollectOrder() as step, OrderOutcome() as outcome:
            return _collected(turn, step.order_key, outcome)
        case Deploy() as step, DeployReport() as report if _is_open(turn, step.order_key):
            deployed(turn, report)
        case RollBack() as step, DeployReport() as report if _is_open(turn, step.order_key):
            rolled_back(turn, report)
        case LookAgain() as step, LookReport() as report:
            _looked(turn, step, report)
        case RevokeOrder() as step, Revoked() as revoked:
            turn.emit(e.OrderRevoked(step.order_key, revoked.done, revoked.detail))
        case _:
            return "moot"
    return ""


def broke(turn: Turn, command: StepBroke) -> str:
    """A step gave up.  The long wait is a state of ours, not a retry of the engine's."""
    step = command.step
    if isinstance(step, Consult):
        # A notice that cannot be looked up says nothing that we may believe.
        if command.permanent:
            turn.emit(e.NoticeRead(step.notice_id))
        else:
            turn.emit(e.ConsultDelayed(turn.now + CONSULT_AGAIN, command.detail))
        return ""
    if isinstance(step, RevokeOrder | CollectOrder) and _to_revoke(turn, step.order_key):
        collected = isinstance(step, RevokeOrder)
        # Not scaled: whatever must be revoked is not the life that this lifecycle has now.
        again = turn.now + REVOKE_AGAIN
        turn.emit(e.RevocationDelayed(step.order_key, collected, again, command.detail))
        return ""
    if isinstance(step, LookAgain) and not _is_verifying(turn, step):
        # Its own pace first, for a foreign certificate may be waiting; a part that stays down is asked every hour.
        own_pace = turn.after(sightings.SECOND_LOOK, at_least=BROKEN_LOOK_AGAIN) - turn.now
        pause = ever_longer(own_pace, turn.state.look_tries, sightings.SECOND_LOOK)
        turn.emit(e.LookScheduled(turn.now + pause, command.detail))
        return ""
    case = turn.state.case
    if case is None or case.stage not in (Stage.ORDERING, Stage.DEPLOYING, Stage.VERIFYING, Stage.ROLLING_BACK):
        return "moot"
    names: dict[type[object], tuple[str, Stage]] = {
        PlaceOrder: ("order", Stage.WAITING_FOR_CA),
        CollectOrder: ("collect", Stage.WAITING_FOR_CA),
        Deploy: ("deploy", Stage.UNREACHABLE_TARGET),
        RollBack: ("roll back", Stage.ROLLING_BACK),
        LookAgain: ("look", Stage.VERIFYING),
    }
    name, stage = names[type(step)]
    if command.permanent and stage is not Stage.ROLLING_BACK:
        stage = Stage.WAITING_FOR_PERSON
    turn.emit(e.StepFailed(name, command.detail, stage, turn.backoff(case.failures)))
    return ""


def _is_open(turn: Turn, order: str) -> bool:
    case = turn.state.case
    return case is not None and case.order_open and key_of(turn) == order


def _to_revoke(turn: Turn, order: str) -> bool:
    return any(entry.order_key == order for entry in turn.state.to_revoke)


def _consulted(turn: Turn, step: Consult, observation: Observation) -> str:
    if step.notice_id not in turn.state.unread:
        return "moot"
    is_first = observation.kind == "adopted" and observation.terms is not None and observation.life is not None
    if turn.state.life is None and not is_first:
        # It had a life once: terminated or deleted in Temporal, and begun again by this notice.
        ask_store(turn, "ended", step.notice_id)
        return "moot"
    turn.emit(e.NoticeRead(step.notice_id))
    if turn.state.retired:
        return "moot"
    if turn.state.life is None:
        assert observation.terms is not None
        assert observation.life is not None
        turn.emit(e.Adopted(observation.terms, observation.life, observation.slots))
        _open_questions(turn)
    elif observation.kind == "terms" and observation.terms is not None:
        _new_terms(turn, observation)
    elif observation.kind == "slots":
        _places_changed(turn, observation.slots)
    if observation.looks:
        sightings.apply(turn, observation.looks, observation.candidates)
    return ""


def _places_changed(turn: Turn, slots: tuple[Slot, ...]) -> None:
    """Nothing is done where another certificate is served now; without any place its owner must say why."""
    was_placeless = turn.state.placeless
    turn.emit(e.SlotsChanged(slots))
    if not slots:
        ask(turn, "unseen", "its last place serves another certificate")
        if turn.state.case is not None and not turn.case.order_open:
            # Nothing is asked that could not be carried out.
            route(turn)
    elif was_placeless and turn.state.case is not None and not turn.case.order_open and turn.terms.plan is not None:
        route(turn)


def _open_questions(turn: Turn) -> None:
    if not turn.terms.placed:
        ask(turn, "tier", "no rule of the policy places it")
    if not turn.terms.owner:
        ask(turn, "owner", "nobody answers for it")


def _new_terms(turn: Turn, observation: Observation) -> None:
    before = turn.terms
    assert observation.terms is not None
    if observation.terms == before:
        return
    turn.emit(e.TermsChanged(observation.terms))
    for kind, settled in (("tier", observation.terms.placed), ("owner", observation.terms.owner != "")):
        if settled and any(question.kind == kind for question in turn.state.questions):
            turn.emit(e.QuestionEnded(kind, "the policy says"))  # type: ignore[arg-type]  # two literals above
    _open_questions(turn)
    case = turn.state.case
    # An approval never applies to another plan, nor the policy's own to a tier that asks: it is asked again, unless an
    # order under the old one is open.
    if case is not None and not case.order_open and _way(observation.terms) != _way(before):
        route(turn)


def _way(terms: Terms) -> tuple[object, ...]:
    """What decides how an open case goes on."""
    return terms.plan, terms.table.asks, None if terms.table.asks else terms.table.issues


def _collected(turn: Turn, order: str, outcome: OrderOutcome) -> str:
    if _to_revoke(turn, order):
        if outcome.state == "issued":
            turn.emit(e.RevocationDelayed(order, True, None))
        else:
            turn.emit(e.OrderRevoked(order, False, "nothing had been issued"))
        return ""
    if not _is_open(turn, order):
        return "moot"
    case = turn.case
    if outcome.state == "pending":
        turn.emit(e.OrderPending(order, _ca_again(turn), outcome.detail))
    elif outcome.state == "failed" or outcome.life is None:
        turn.emit(e.OrderClosed(order, "failed", revoke=False, collected=True, detail=outcome.detail))
        if outcome.cause == "issuer-ends-first":
            again = unroutable_again(turn)
            turn.emit(e.BecameUnroutable(f"its issuer ends first: {outcome.detail}", again))
        else:
            again = turn.backoff(case.failures)
            turn.emit(e.StepFailed("collect", outcome.detail, Stage.WAITING_FOR_PERSON, again))
    else:
        _issued(turn, order, outcome.life)
    return ""


def _ca_again(turn: Turn) -> datetime:
    """An hour later (scaled), or after as long as the case has been open: a person who uploads may take days."""
    so_far = max(turn.now - turn.case.opened_at, timedelta(seconds=30))
    return turn.after(CA_AGAIN, at_least=min(so_far, CA_AGAIN))


def _issued(turn: Turn, order: str, life: Life) -> None:
    turn.emit(e.CertificateIssued(order, life))
    why = _unusable(turn, life)
    if not why:
        return
    turn.emit(e.OrderClosed(order, "unusable", revoke=True, collected=True, detail=why))
    again = unroutable_again(turn)
    turn.emit(e.BecameUnroutable(why, again))


def _unusable(turn: Turn, life: Life) -> str:
    """Why an issued certificate must not be deployed (rules 1 and 7); empty when it may."""
    plan, present = turn.case.plan, turn.life
    assert plan is not None
    if life.trust_class is not plan.trust_class:
        return f"it was issued as {life.trust_class}, not {plan.trust_class}"
    if set(life.names) != set(plan.names):
        return "it was issued for other names"
    if lost := lost_usages(usage_oids(plan), life.extended_key_usages):
        return f"it was issued without {usage_word(lost[0])}"
    if gains(life.ends_at, present, plan, bool(turn.case.requested_by)):
        return ""
    if turn.case.requested_by:
        return "its issuer ends first: it would end before the present one"
    return "its issuer ends first: it would not live half of its planned life longer than the present one"


def _is_verifying(turn: Turn, step: LookAgain) -> bool:
    case = turn.state.case
    return (
        case is not None
        and case.issued is not None
        and case.stage is Stage.VERIFYING
        and step.expected == case.issued.fingerprint
    )


def _looked(turn: Turn, step: LookAgain, report: LookReport) -> None:
    if _is_verifying(turn, step):
        verify(turn, report)
    else:
        sightings.apply(turn, report.looks, report.candidates)


def requested(turn: Turn, by: str) -> str:
    """``renew_now``: open a case before its time; an open one goes on at once instead."""
    if turn.state.case is None:
        open_case(turn, "requested", by)
        return "the renewal case is open"
    return "a renewal case is open already"


def receipt(turn: Turn, outcome: str, detail: str, actor: str = "") -> Receipt:
    return Receipt("accepted" if outcome == "accepted" else "refused", detail, turn.state.seq, actor)
