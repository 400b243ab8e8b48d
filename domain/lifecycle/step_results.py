"""What a finished step means.  A late outcome, of a case or an order that has closed, is moot: never an error."""

from datetime import datetime

from domain.certificate import Life
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
from domain.lifecycle import revoking, sightings
from domain.lifecycle.commands import StepBroke, StepDone
from domain.lifecycle.deployment import deployed, rolled_back, verify
from domain.lifecycle.portions import slots_that_fit
from domain.lifecycle.recovery import ask_store
from domain.lifecycle.renewal_value import ISSUER_ENDS_FIRST, gains
from domain.lifecycle.scheduling import against, become_unroutable, key_of, open_case, route
from domain.lifecycle.state import Stage
from domain.lifecycle.transition import Turn, ever_longer
from domain.people.messages import Receipt
from domain.profiles import lost_usages, usage_oids, usage_word


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
            revoking.revoked(turn, step, revoked)
        case _:
            return "moot"
    return ""


def broke(turn: Turn, command: StepBroke) -> str:
    """A step gave up.  The long wait is a state of ours, not a retry of the engine's."""
    step, rules = command.step, turn.rules
    if isinstance(step, Consult):
        # A notice that cannot be looked up says nothing that we may believe.
        if command.permanent:
            turn.emit(e.NoticeRead(step.notice_id))
        else:
            turn.emit(e.ConsultDelayed(turn.now + rules.consult_again, command.detail))
        return ""
    if isinstance(step, RevokeOrder | CollectOrder) and (order := revoking.to_revoke(turn, step.order_key)) is not None:
        revoking.not_revoked(turn, order, isinstance(step, RevokeOrder), command)
        return ""
    if isinstance(step, LookAgain):
        if not _is_verifying(turn, step):
            _look_broke(turn, command.detail)
            return ""
    elif not isinstance(step, PlaceOrder | CollectOrder | Deploy | RollBack) or not _is_open(turn, step.order_key):
        return "moot"
    if turn.case.stage not in (Stage.ORDERING, Stage.DEPLOYING, Stage.VERIFYING, Stage.ROLLING_BACK):
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
    turn.emit(e.StepFailed(name, command.detail, stage, turn.backoff(name)))
    return ""


def _is_open(turn: Turn, order: str) -> bool:
    case = turn.state.case
    return case is not None and case.order_open and key_of(turn) == order


# --- notices --------------------------------------------------------------------------------------------------------


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
        first = slots_that_fit(observation.slots, turn.rules.event_part_bytes, turn.rules)
        turn.emit(e.Adopted(observation.terms, observation.life, first))
        turn.emit_each(observation.slots[len(first) :], e.SlotsJoined)
    elif observation.kind == "terms" and observation.terms is not None:
        _new_terms(turn, observation.terms)
    elif observation.kind == "slots":
        _places_changed(turn, observation)
    if observation.looks:
        sightings.take(turn, observation.looks, observation.candidates)
    return ""


def _places_changed(turn: Turn, observation: Observation) -> None:
    """Nothing is done where another certificate is served now; its owner must say why.

    What it serves instead is the other's to watch: looks at a place that is taken change nothing of what was ours.
    """
    had_none = not turn.state.own_places
    if slots_that_fit(observation.slots, turn.rules.event_bytes, turn.rules) == observation.slots:
        turn.emit(e.SlotsChanged(observation.slots))
    else:
        had, has = {*turn.state.slots}, {*observation.slots}
        turn.emit_each([slot for slot in observation.slots if slot not in had], e.SlotsJoined)
        turn.emit_each([slot for slot in turn.state.slots if slot not in has], e.SlotsTaken)
    case = turn.state.case
    if case is None or case.order_open:
        return
    if not observation.slots or (had_none and turn.terms.plan is not None):
        # Nothing is asked that could not be carried out, and what can be again is asked.
        route(turn)


def _new_terms(turn: Turn, terms: Terms) -> None:
    before = turn.terms
    if terms == before:
        return
    turn.emit(e.TermsChanged(terms))
    case = turn.state.case
    # An approval never applies to another plan, nor the policy's own to a tier that asks: it is asked again, unless an
    # order under the old one is open.
    is_other_reason = "unroutable-told-once" in turn.rules.flags and terms.unroutable != before.unroutable
    if case is not None and not case.order_open and (_way(terms) != _way(before) or is_other_reason):
        route(turn)


def _way(terms: Terms) -> tuple[object, ...]:
    """What decides how an open case goes on."""
    return terms.plan, terms.table.asks, None if terms.table.asks else terms.table.issues


# --- orders ---------------------------------------------------------------------------------------------------------


def _collected(turn: Turn, order: str, outcome: OrderOutcome) -> str:
    owed = revoking.to_revoke(turn, order)
    if owed is not None:
        revoking.collected(turn, owed, outcome)
        return ""
    if not _is_open(turn, order):
        return "moot"
    if outcome.state == "pending":
        turn.emit(e.OrderPending(order, _ca_again(turn), outcome.detail))
    elif outcome.state == "failed" or outcome.life is None:
        turn.emit(e.OrderClosed(order, "failed", revoke=False, collected=True, detail=outcome.detail))
        if outcome.cause == "issuer-ends-first":
            become_unroutable(turn, f"{ISSUER_ENDS_FIRST}: {outcome.detail}")
        else:
            again = turn.backoff("collect")
            turn.emit(e.StepFailed("collect", outcome.detail, Stage.WAITING_FOR_PERSON, again))
    else:
        _issued(turn, order, outcome.life)
    return ""


def _ca_again(turn: Turn) -> datetime:
    """An hour later (scaled), or after as long as the case has been open: a person who uploads may take days."""
    hour = turn.rules.ca_again
    so_far = max(turn.now - turn.case.opened_at, turn.rules.least_ca_wait)
    return turn.after(hour, at_least=min(so_far, hour))


def _issued(turn: Turn, order: str, life: Life) -> None:
    turn.emit(e.CertificateIssued(order, life))
    why = _unusable(turn, life)
    if not why:
        return
    turn.emit(e.OrderClosed(order, "unusable", revoke=True, collected=True, detail=why, fingerprint=life.fingerprint))
    if begins_later(turn, life):
        # A clock is wrong, not the plan: once it is mended the next order gives what this one should have given.  Until
        # then each order is a certificate that is revoked: as seldom as a CA is asked that does not answer.
        again = max(turn.backoff("collect"), _ca_again(turn))
        turn.emit(e.StepFailed("collect", why, Stage.WAITING_FOR_CA, again))
    else:
        become_unroutable(turn, why)


def begins_later(turn: Turn, life: Life) -> bool:
    """Whether clients would refuse ``life`` now: it was issued by a clock that is ahead of ours (DESIGN rule 12)."""
    return "verified-is-valid" in turn.rules.flags and life.not_before > turn.now + turn.rules.clock_skew


def _unusable(turn: Turn, life: Life) -> str:
    """Why an issued certificate must not be deployed (rules 1 and 7); empty when it may."""
    plan, requested = turn.case.plan, bool(turn.case.requested_by)
    assert plan is not None
    if begins_later(turn, life):
        return f"it begins only at {life.not_before:%Y-%m-%d %H:%M} UTC: the clock of its CA is ahead"
    if life.trust_class is not plan.trust_class:
        return f"it was issued as {life.trust_class}, not {plan.trust_class}"
    if set(life.names) != set(plan.names):
        return "it was issued for other names"
    if lost := lost_usages(usage_oids(plan), life.extended_key_usages):
        return f"it was issued without {usage_word(lost[0])}"
    if gains(life.ends_at, against(turn), plan, turn.terms.table, turn.rules, requested=requested):
        return ""
    if requested:
        return f"{ISSUER_ENDS_FIRST}: it would end before the present one"
    return f"{ISSUER_ENDS_FIRST}: it would not live half of its planned life longer than the present one"


# --- looks ----------------------------------------------------------------------------------------------------------


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
        return
    if not sightings.take(turn, report.looks, report.candidates) and {*step.slots} & {*turn.state.slots}:
        # For lack of time or of a right clock: not again in the same breath.
        _look_broke(turn, "nothing was looked at")


def _look_broke(turn: Turn, detail: str) -> None:
    """Its own pace first, for a foreign certificate may be waiting; a part that stays down is asked every hour."""
    rules = turn.rules
    own_pace = turn.after(rules.second_look, at_least=rules.broken_look_again) - turn.now
    pause = ever_longer(own_pace, turn.state.look_tries, rules.second_look, rules)
    turn.emit(e.LookBroke(turn.now + pause, detail))


def requested(turn: Turn, by: str) -> str:
    """``renew_now``: open a case before its time; an open one goes on at once instead."""
    if turn.state.case is None:
        open_case(turn, "requested", by)
        return "the renewal case is open"
    return "a renewal case is open already"


def receipt(turn: Turn, outcome: str, detail: str, actor: str = "") -> Receipt:
    return Receipt("accepted" if outcome == "accepted" else "refused", detail, turn.state.seq, actor)
