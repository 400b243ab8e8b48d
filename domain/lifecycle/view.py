"""How a state is read by others: the row of the read model, the word for where it stands, the text in the UI."""

from dataclasses import replace
from datetime import datetime

from domain.contracts import ApprovalRow, CallRow, CaseRow, EndpointRow, LifeRow, QuestionRow, Snapshot
from domain.lifecycle.agenda import following_rungs, next_moment
from domain.lifecycle.ladder import days
from domain.lifecycle.served import Served, lives, present
from domain.lifecycle.standing import WAITS_FOR_A_PERSON, own_findings, severity
from domain.lifecycle.state import Case, LifecycleState, Place, Stage
from domain.lifecycle.succession import blocked_by
from domain.names import approval_id, order_key
from domain.people.approval import calls
from domain.tiers import FULL_LIFE


def state_word(state: LifecycleState) -> str:
    """One word of the design for where a lifecycle stands."""
    if state.retired:
        return "retired"
    if state.forked:
        return "waiting-for-person"
    if state.life is None:
        return "adopting"
    if state.case is not None:
        return state.case.stage.value
    return "unseen" if not state.own_places or any(one.kind == "unseen" for one in state.questions) else "sleeping"


def needs_human(state: LifecycleState) -> bool:
    if state.retired:
        return bool(state.questions)
    case = state.case
    return state.forked or bool(state.questions) or (case is not None and case.stage in WAITS_FOR_A_PERSON)


def is_escalated(state: LifecycleState) -> bool:
    """Whether the head of IT security was told of any life that our places serve, or of the present one."""
    return any(call.level == "security-head" for call in calls(state))


def snapshot(state: LifecycleState, now: datetime) -> Snapshot | None:
    """The read model's row, or None before the first notice was read."""
    terms = state.terms
    if state.life is None or terms is None:
        return None
    life = present(state)
    moment = next_moment(state, now)
    return Snapshot(
        managed_id=state.managed_id,
        generation=state.generation,
        state=state_word(state),
        tier=terms.tier.value,
        tier_reason=terms.tier_reason,
        owner=terms.owner,
        service=terms.service,
        subscribers=terms.subscribers,
        issuer=life.issuer,
        trust_class=life.trust_class.value,
        names=life.names,
        fingerprint=life.fingerprint,
        not_before=life.not_before,
        not_after=life.ends_at,
        severity=severity(state, now),
        next_action=moment.what if moment is not None else "",
        next_action_at=moment.at if moment is not None else None,
        escalated=is_escalated(state),
        endpoints=_endpoints(state),
        findings=tuple(f"{kind}: {detail}" for kind, detail in own_findings(state, now)),
        case=_row(state, state.case, state.generation) if state.case is not None else None,
        closed_case=_closed_case(state),
        approval=_approval(state, now),
        retired=state.retired,
        known_at=state.known_at,
        placed=terms.placed,
        questions=tuple(
            QuestionRow(one.kind, one.asked_at, one.climbs_at, one.level, one.detail, one.about)
            for one in state.questions
        ),
        last_rung_at=max((climb.last_at for climb in state.climbs if climb.to == "security-head"), default=None),
        acknowledged_until=_quiet_until(state),
        calls=tuple(CallRow(call.level, call.about, call.last_at, call.quiet_until) for call in calls(state)),
        served=tuple(
            LifeRow(
                one.fingerprint, one.whose, one.not_before, one.ends_at, one.place.url if one.place else "", one.count
            )
            for one in lives(state)
        ),
        blocked_by=blocked_by(state, now),
    )


def _quiet_until(state: LifecycleState) -> datetime | None:
    """Until when the head is left alone: only where every call that reached the head was acknowledged."""
    heads = [call.quiet_until for call in calls(state) if call.level == "security-head"]
    quiet = [until for until in heads if until is not None]
    return min(quiet) if heads and len(quiet) == len(heads) else None


def _endpoints(state: LifecycleState) -> tuple[EndpointRow, ...]:
    return tuple(_endpoint(state, place) for place in state.places)


def _endpoint(state: LifecycleState, place: Place) -> EndpointRow:
    """Of several lives at one place the one that is not ours is told: a match is where nothing else is."""
    assert state.life is not None
    present_print = state.life.fingerprint
    other = next((seen for seen in place.lives if seen.fingerprint != present_print), None)
    told = other or (place.lives[0] if place.lives else None)
    return EndpointRow(
        place.slot.url,
        place.slot.algorithm,
        told.fingerprint if told is not None else "",
        told.last if told is not None else None,
        told.fingerprint == present_print if told is not None else None,
        is_taken=place.is_taken,
    )


def _closed_case(state: LifecycleState) -> CaseRow | None:
    case, closed = state.last_case, state.last_closed_at
    if case is None:
        return None
    return replace(_row(state, case, state.last_generation), closed_at=closed, outcome=state.last_outcome)


def _row(state: LifecycleState, case: Case, generation: int) -> CaseRow:
    key = order_key(state.managed_id, generation, case.number, case.order_number) if case.order_number else ""
    return CaseRow(
        case.number,
        case.opened_at,
        case.cause,
        case.stage.value,
        key,
        generation=generation,
        requested_by=case.requested_by,
        approved_by=case.approved_by,
        failure=case.failure,
        retry_at=case.retry_at,
        rolled_back=case.rolled_back,
    )


def _approval(state: LifecycleState, now: datetime) -> ApprovalRow | None:
    case, terms = state.case, state.terms
    if case is None or case.plan is None or case.asked_at is None or state.life is None or terms is None:
        return None
    rungs = following_rungs(state)
    pending = case.stage is Stage.AWAITING_APPROVAL
    rejected = case.stage is Stage.REJECTED
    return ApprovalRow(
        id=approval_id(state.managed_id, state.generation, case.number),
        case=case.number,
        generation=state.generation,
        version=case.plan.version,
        plan=case.plan,
        asked_at=case.asked_at,
        deadline=min(rungs, default=present(state).ends_at),
        escalated=is_escalated(state),
        # What nobody has answered and nobody can any more, unroutable say, is not approved.
        state="pending" if pending else "rejected" if rejected else "approved" if case.approved_by else "closed",
        decided_by=case.approved_by,
    )


def details(state: LifecycleState, now: datetime, page: str = "") -> str:
    """The current details in the Temporal UI: what is awaited, until when, the risk, what to paste.  Never a code.

    ``page``: the address of its page, the way back.
    """
    terms, case = state.terms, state.case
    if state.life is None or terms is None:
        return "Waiting for the first notice of its discovery."
    life = present(state)
    moment = next_moment(state, now)
    scale = " as written" if life.length >= FULL_LIFE else f" x ({days(life.length)} / 180 days)"
    lines = [
        f"**{state_word(state)}** · {severity(state, now)} · generation {state.generation}",
        f"Names: {', '.join(_safe(name) for name in life.names[:4])}"
        + (f" and {len(life.names) - 4} more" if len(life.names) > 4 else ""),
        f"Tier: {terms.tier.value} ({_safe(terms.tier_reason)}); owner {_safe(terms.owner) or 'nobody'};"
        f" service {_safe(terms.service) or 'unknown'}; {terms.subscribers} subscribers",
        f"Ends: {life.ends_at:%Y-%m-%d %H:%M:%S} UTC; lead times{scale}",
    ]
    if moment is not None:
        lines.append(f"Next: {moment.what}, {moment.at:%Y-%m-%d %H:%M:%S} UTC")
    if case is not None and case.failure:
        lines.append(f"Last failure: {_safe(case.failure)}")
    lines += [_served_besides(one) for one in lives(state)[1:4]]
    lines += [
        f"Asked: {_safe(one.detail)} Answer `{one.kind}` with about `{_safe(one.about)}`."
        for one in state.questions[:4]
    ]
    head = len(lines)
    if page:
        lines += ["", f"[Its page: why, who, next]({page})"]
    asked = case is not None and case.stage in (Stage.AWAITING_APPROVAL, Stage.REJECTED)
    if asked and blocked_by(state, now):
        lines += ["", "Nothing can be decided yet: first answer the open question."]
    elif case is not None and asked and case.plan is not None:
        lines += [
            "",
            "To decide here: *Send update* `decide` with this, and the one-time code from your mail or your page:",
            "```json",
            '{"code": "<your code>", "decision": "approve", "case": '
            f'{case.number}, "generation": {state.generation}, "plan_version": "{case.plan.version}", '
            f'"seen": "{case.stage.value}"}}',
            "```",
        ]
    return "\n\n".join(lines[:head]) + "\n" + "\n".join(lines[head:])


def _served_besides(life: Served) -> str:
    at = f" at {_safe(life.place.url)}" if life.place is not None else ""
    return f"Also served{at}: {life.fingerprint[:16]} ({life.whose}), ends {life.ends_at:%Y-%m-%d %H:%M:%S} UTC"


def _safe(text: str) -> str:
    """Certificate and policy text inside Markdown: no markup, no control or bidirectional characters."""
    return "".join(mark if mark.isalnum() or mark in " .-_:,;/@()*'\"" else "?" for mark in text)[:200]
