"""How a state is read by others: the row of the read model, the word for where it stands, the text in the UI."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.contracts import ApprovalRow, CaseRow, EndpointRow, QuestionRow, Snapshot
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.ladder import days, escalates_at, moved, rungs_of, scaled
from domain.lifecycle.state import Case, LifecycleState, Stage
from domain.names import approval_id, order_key
from domain.tiers import FULL_LIFE

# X.733: with this much left (scaled) and no verified replacement, nothing is more urgent.
CRITICAL_BELOW = timedelta(days=7)


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
    return "unseen" if state.finding("unseen") or state.placeless else "sleeping"


def severity(state: LifecycleState, now: datetime) -> str:
    """X.733 severity: critical, major, minor, warning or cleared."""
    if state.life is None or state.terms is None or state.retired:
        return "cleared"
    life = state.alarm_life
    assert life is not None
    if moved(life.ends_at, -scaled(CRITICAL_BELOW, life.length)) <= now:
        return "critical"
    wrong = any(state.finding(kind) for kind in ("rolled-back", "not-served", "drift", "foreign-certificate"))
    if escalates_at(life, state.terms.table) <= now or wrong:
        return "major"
    waits = state.case is not None and state.case.stage in (
        Stage.AWAITING_APPROVAL,
        Stage.REJECTED,
        Stage.WAITING_FOR_PERSON,
        Stage.UNROUTABLE,
    )
    if waits or state.questions or state.forked:
        return "minor"
    return "warning" if state.findings else "cleared"


def needs_human(state: LifecycleState) -> bool:
    if state.retired:
        return False
    case = state.case
    stages = (Stage.AWAITING_APPROVAL, Stage.REJECTED, Stage.WAITING_FOR_PERSON, Stage.UNROUTABLE)
    return state.forked or bool(state.questions) or (case is not None and case.stage in stages)


def is_escalated(state: LifecycleState) -> bool:
    """Whether the head of IT security has been reached for the present generation."""
    if state.climb.rung < 0:
        return False
    fired = rungs_of(state)[: state.climb.rung + 1]
    return any(rung.to == "security-head" for rung in fired)


def snapshot(state: LifecycleState, now: datetime) -> Snapshot | None:
    """The read model's row, or None before the first notice was read."""
    life, terms = state.life, state.terms
    if life is None or terms is None:
        return None
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
        findings=tuple(f"{kind}: {detail}" for kind, detail in state.findings),
        case=_row(state, state.case, state.generation) if state.case is not None else None,
        closed_case=_closed_case(state),
        approval=_approval(state, now),
        retired=state.retired,
        known_at=state.known_at,
        placed=terms.placed,
        questions=tuple(
            QuestionRow(one.kind, one.asked_at, one.climbs_at, one.level, one.detail) for one in state.questions
        ),
        last_rung_at=state.climb.last_at,
        acknowledged_until=state.climb.acknowledged_until,
    )


def _endpoints(state: LifecycleState) -> tuple[EndpointRow, ...]:
    assert state.life is not None
    present = state.life.fingerprint
    return tuple(
        EndpointRow(
            view.slot.url,
            view.slot.algorithm,
            view.fingerprint,
            view.seen_at,
            view.fingerprint == present if view.fingerprint else None,
        )
        for view in state.slots
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
    case, life, terms = state.case, state.life, state.terms
    if case is None or case.plan is None or case.asked_at is None or life is None or terms is None:
        return None
    rungs = [rung.at for rung in rungs_of(state) if rung.index > state.climb.rung]
    pending = case.stage is Stage.AWAITING_APPROVAL
    rejected = case.stage is Stage.REJECTED
    return ApprovalRow(
        id=approval_id(state.managed_id, state.generation, case.number),
        case=case.number,
        generation=state.generation,
        version=case.plan.version,
        plan=case.plan,
        asked_at=case.asked_at,
        deadline=rungs[0] if rungs else life.ends_at,
        escalated=is_escalated(state),
        # What nobody has answered and nobody can any more, unroutable say, is not approved.
        state="pending" if pending else "rejected" if rejected else "approved" if case.approved_by else "closed",
        decided_by=case.approved_by,
    )


def details(state: LifecycleState, now: datetime, page: str = "") -> str:
    """The current details in the Temporal UI: what is awaited, until when, the risk, what to paste.  Never a code.

    ``page``: the address of its page, the way back.
    """
    life, terms, case = state.life, state.terms, state.case
    if life is None or terms is None:
        return "Waiting for the first notice of its discovery."
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
    head = len(lines)
    if page:
        lines += ["", f"[Its page: why, who, next]({page})"]
    asked = case is not None and case.stage in (Stage.AWAITING_APPROVAL, Stage.REJECTED)
    if asked and state.is_blocked:
        lines += ["", "Nothing can be decided yet: first answer the question names-changed with keep or new."]
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


def _safe(text: str) -> str:
    """Certificate and policy text inside Markdown: no markup, no control or bidirectional characters."""
    return "".join(mark if mark.isalnum() or mark in " .-_:,;/@()*'\"" else "?" for mark in text)[:200]
