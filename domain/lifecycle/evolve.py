"""The fold: what an event makes of a state.  No decisions here; the auditor's verifier folds the same way."""

from dataclasses import replace

from domain.certificate import Life, Slot
from domain.contracts import SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.ladder import end_moved, on_the_ladder
from domain.lifecycle.places import placed
from domain.lifecycle.state import (
    Case,
    Climb,
    LifecycleState,
    OrderToRevoke,
    Question,
    Recalling,
    Reservation,
    SlotView,
    Stage,
    Suspect,
)
from domain.people.telling import messages_for

EARLIER_KEPT = 20
CODES_KEPT = 200
NOTICES_KEPT = 50


def evolve(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    """``state`` after ``happened``; its number must be the next one, but for the fork that jumps behind the store's."""
    assert happened.seq == state.seq or isinstance(happened.event, e.Forked)
    after = _case(_whole(state, happened), happened)
    after = replace(after, seq=happened.seq + 1)
    return replace(after, untold=after.untold + messages_for(after, happened))


def _whole(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at = happened.at
    match happened.event:
        case e.NoticeCame(notice_id=notice):
            return replace(state, unread=(*state.unread, notice))
        case e.NoticeRead(notice_id=notice):
            unread = tuple(other for other in state.unread if other != notice)
            return replace(state, unread=unread, read=(*state.read, notice)[-NOTICES_KEPT:], consult_at=None)
        case e.ConsultDelayed(retry_at=retry_at):
            return replace(state, consult_at=retry_at)
        case e.Adopted(terms=terms, life=life, slots=slots):
            return replace(state, terms=terms, life=life, known_at=at, slots=tuple(SlotView(slot) for slot in slots))
        case e.TermsChanged(terms=terms):
            return on_the_ladder(replace(state, terms=terms), state)
        case e.ServedEnds(at=ends):
            return on_the_ladder(replace(state, served_ends=ends), state)
        case e.EndMoved(ends_at=ends):
            return end_moved(state, ends, at)
        case e.ForeignSeen(life=foreign):
            return replace(state, foreign=foreign)
        case e.SlotsChanged(slots=slots):
            return placed(state, slots)
        case e.LooksTaken(looks=looks):
            seen = {look.slot: look for look in looks}
            views = tuple(_view(view, seen.get(view.slot)) for view in state.slots)
            return replace(state, slots=views, look_tries=0)
        case e.LookScheduled(at=when):
            return replace(state, look_at=when, look_tries=state.look_tries + 1)
        case e.SuspectSeen(life=life, looks=looks):
            return replace(state, suspect=Suspect(life, looks, at))
        case e.SuspectForgotten():
            return replace(state, suspect=None)
        case e.GenerationBegan(generation=generation, life=life):
            return _next_generation(state, happened, generation, life)
        case e.FindingRaised(finding=kind, detail=detail):
            others = tuple(pair for pair in state.findings if pair[0] != kind)
            return replace(state, findings=(*others, (kind, detail)))
        case e.FindingCleared(finding=kind):
            return replace(state, findings=tuple(pair for pair in state.findings if pair[0] != kind))
        case e.Retired():
            return replace(state, retired=True, questions=(), reservation=None, look_at=None)
        case e.Forked() | e.Resumed():
            return replace(state, forked=isinstance(happened.event, e.Forked))
        case e.RecallAsked(why=why, notice_id=notice):
            return replace(state, recall=Recalling(happened.by, why, notice))
        case e.RecallDelayed(retry_at=retry_at) if state.recall is not None:
            return replace(state, recall=replace(state.recall, retry_at=retry_at))
        case e.StateRecalled():
            return replace(state, forked=False, recall=None, roll=True)
        case e.RollAsked():
            return replace(state, roll=True)
        case _:
            return _people(state, happened)


def _people(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at = happened.at
    match happened.event:
        case e.DecisionReserved(code_sha256=code, until=until):
            return replace(state, reservation=Reservation(code, until))
        case e.CodeBurnt(code_sha256=code):
            return replace(state, burnt=(*state.burnt, code)[-CODES_KEPT:])
        case e.ReservationEnded():
            return replace(state, reservation=None)
        case e.RungsPassed(up_to=rung):
            return replace(state, climb=replace(state.climb, rung=max(rung, state.climb.rung)))
        case e.RungFired(rung=rung):
            return replace(state, climb=replace(state.climb, rung=max(rung, state.climb.rung), last_at=at))
        case e.OwnerCalled():
            return replace(state, climb=replace(state.climb, owner_called_at=at))
        case e.Acknowledged(level=level, until=until):
            climb = state.climb
            if level == "owner":
                return replace(state, climb=replace(climb, owner_acknowledged_until=until))
            return replace(state, climb=replace(climb, acknowledged_rung=climb.rung, acknowledged_until=until))
        case e.QuestionAsked(question=kind, to=to, climbs_at=climbs, detail=detail):
            others = tuple(question for question in state.questions if question.kind != kind)
            return replace(state, questions=(*others, Question(kind, at, climbs, to, detail)))
        case e.QuestionEnded(question=kind):
            return replace(state, questions=tuple(question for question in state.questions if question.kind != kind))
        case e.Told(message_id=message) | e.Undeliverable(message_id=message):
            return replace(state, untold=tuple(other for other in state.untold if other.id != message))
        case e.OrderClosed(order_key=key, reason=reason, revoke=True, collected=collected):
            words = {"retired": "cessationOfOperation", "superseded": "superseded"}
            order = OrderToRevoke(key, words.get(reason, "unusable"), collected)  # type: ignore[arg-type]  # literals above
            return replace(state, to_revoke=(*state.to_revoke, order))
        case e.RevocationDelayed(order_key=key, collected=collected, retry_at=retry_at):
            orders = tuple(
                replace(order, collected=collected, retry_at=retry_at) if order.order_key == key else order
                for order in state.to_revoke
            )
            return replace(state, to_revoke=orders)
        case e.OrderRevoked(order_key=key):
            return replace(state, to_revoke=tuple(order for order in state.to_revoke if order.order_key != key))
        case _:
            return state


def _view(view: SlotView, look: SlotLook | None) -> SlotView:
    if look is None:
        return view
    if look.fingerprint:
        seen = SlotView(view.slot, look.fingerprint, look.at, look.at, look.outcome, look.chain_ok)
        return replace(seen, ends_at=look.ends_at)
    since = view.silent_since or look.at
    return replace(view, looked_at=look.at, outcome=look.outcome, silent=view.silent + 1, silent_since=since)


def _next_generation(state: LifecycleState, happened: e.Happened, generation: int, life: Life) -> LifecycleState:
    before = (state.life.fingerprint,) if state.life is not None else ()
    asked = ("drift", "foreign-certificate", "names-changed")
    passing = ("drift", "foreign-certificate", "rolled-back", "not-served", "broken-chain", "expired")
    return replace(
        state,
        generation=generation,
        life=life,
        known_at=happened.at,
        earlier=(*state.earlier, *before)[-EARLIER_KEPT:],
        climb=Climb(),
        case_count=0,
        suspect=None,
        foreign=None,
        served_ends=None,
        look_at=None,
        findings=tuple(pair for pair in state.findings if pair[0] not in passing),
        questions=tuple(question for question in state.questions if question.kind not in asked),
        roll=True,
    )


def _case(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at, event, case = happened.at, happened.event, state.case
    if isinstance(event, e.CaseOpened):
        # UNROUTABLE until the events of the same turn route it: the one stage from which nothing can be ordered.
        opened = Case(event.number, at, event.cause, Stage.UNROUTABLE, event.requested_by)
        return replace(state, case=opened, case_count=event.number)
    if isinstance(event, e.CaseClosed):
        return replace(
            state,
            case=None,
            last_case=case,
            last_generation=state.generation,
            last_outcome=event.outcome,
            last_closed_at=at,
            reservation=None,
        )
    if case is None:
        return state
    return replace(state, case=_ordering(state, _deploying(case, event, {view.slot for view in state.slots}), happened))


def _ordering(state: LifecycleState, case: Case, happened: e.Happened) -> Case:
    at = happened.at
    match happened.event:
        case e.ApprovalAsked():
            plan = state.terms.plan if state.terms else None
            return replace(case, stage=Stage.AWAITING_APPROVAL, plan=plan, asked_at=at, approved_by="", retry_at=None)
        case e.BecameUnroutable(why=why, retry_at=retry_at):
            return replace(case, stage=Stage.UNROUTABLE, failure=why, retry_at=retry_at)
        case e.Approved(approver=by, hold_until=hold):
            # A person approved the plan that was asked; the policy approves the plan that it has now.
            plan = state.terms.plan if by == "policy" and state.terms else case.plan
            return replace(case, stage=Stage.HELD, plan=plan, approved_by=by, retry_at=hold)
        case e.Rejected(asks_again_at=again):
            return replace(case, stage=Stage.REJECTED, approved_by="", retry_at=again)
        case e.OrderIntended(number=number):
            return replace(
                case, stage=Stage.ORDERING, order_number=number, order_open=True, order_placed=False, retry_at=None
            )
        case e.OrderAccepted():
            return replace(case, order_placed=True)
        case e.OrderPending(retry_at=retry_at, detail=detail):
            return replace(case, stage=Stage.WAITING_FOR_CA, retry_at=retry_at, failure=detail)
        case e.CertificateIssued(life=life):
            return replace(case, stage=Stage.DEPLOYING, issued=life, retry_at=None, failure="")
        case e.OrderClosed():
            return replace(
                case,
                order_open=False,
                order_placed=False,
                issued=None,
                installed=(),
                verified=(),
                wrong=(),
                wrong_looks=0,
                silent_looks=0,
            )
        case e.StepFailed(detail=detail, stage=stage, retry_at=retry_at):
            first = case.first_failed_at or at
            return replace(
                case, stage=stage, retry_at=retry_at, failures=case.failures + 1, first_failed_at=first, failure=detail
            )
        case e.RetryDue(stage=stage):
            return replace(case, stage=stage, retry_at=None)
        case e.HoldMoved(until=until):
            return replace(case, retry_at=until)
        case e.BudgetSpent():
            return replace(case, budget_spent=True)
        case _:
            return case


def _deploying(case: Case, event: e.Event, slots: set[Slot]) -> Case:
    match event:
        case e.Installed(slots=done):
            installed = tuple(sorted({*case.installed, *done}))
            complete = slots <= set(installed)
            stage = Stage.VERIFYING if complete else case.stage
            return replace(case, installed=installed, stage=stage, wrong_looks=0, retry_at=None)
        case e.VerificationLooked(verified=verified, wrong=wrong, silent=silent, retry_at=retry_at):
            return replace(
                case,
                verified=verified,
                wrong=wrong,
                wrong_looks=case.wrong_looks + 1 if wrong else 0,
                silent_looks=case.silent_looks + 1 if silent else 0,
                retry_at=retry_at,
            )
        case e.RollbackOrdered(slots=wrong):
            return replace(case, stage=Stage.ROLLING_BACK, wrong=wrong, retry_at=None)
        case e.RolledBack(slots=done) | e.RollbackWithheld(slots=done):
            return replace(
                case,
                installed=tuple(slot for slot in case.installed if slot not in done),
                verified=tuple(slot for slot in case.verified if slot not in done),
                wrong=(),
                wrong_looks=0,
                rolled_back=case.rolled_back or isinstance(event, e.RolledBack),
            )
        case _:
            return case
