"""The fold: what an event makes of a state.  No decisions here; the auditor's verifier folds the same way.

Longer than 300 lines because it is one table: every event, and what it leaves.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from datetime import timedelta

from domain.certificate import Life, Slot
from domain.contracts import RevocationReason
from domain.lifecycle import events as e
from domain.lifecycle import old_events as old
from domain.lifecycle import seeing
from domain.lifecycle.ladder import failure_about, moved
from domain.lifecycle.served import earlier_at, present
from domain.lifecycle.state import (
    Case,
    Climb,
    Failing,
    Judgement,
    LifecycleState,
    OrderToRevoke,
    Place,
    Question,
    Recalling,
    Reservation,
    Stage,
    failures_of,
)
from domain.people.telling import messages_for

# RFC 5280 5.3.1; an order that closed for any other reason made something that nobody may use.
REVOKED_FOR: dict[str, RevocationReason] = {"retired": "cessationOfOperation", "superseded": "superseded"}


def revocation_reason(ended: str) -> RevocationReason:
    """``ended``: an OrderEnd."""
    return REVOKED_FOR.get(ended, "unusable")


def evolve(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    """``state`` after ``happened``; its number must be the next one, but for the fork that jumps behind the store's."""
    assert happened.seq == state.seq or isinstance(happened.event, e.Forked)
    after = _case(_whole(state, happened), happened)
    after = replace(after, seq=happened.seq + 1)
    return _told(after, happened)


def _told(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    """What waits to be told: of one thing to one person only the newest, or a week without a mail server would fill it.

    Bounded besides; the oldest go, for each of them repeats while it still holds (rule 3).
    """
    new = messages_for(state, happened)
    if not new:
        return state
    same = {(message.person, message.topic, message.subject) for message in new}
    kept = tuple(one for one in state.untold if (one.person, one.topic, one.subject) not in same)
    return replace(state, untold=(*kept, *new)[-state.led_by.untold_kept :])


def _whole(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at, rules = happened.at, state.led_by
    match happened.event:
        case e.RulesTaken(rules=name):
            return replace(state, rules=name, rules_wanted="")
        case e.NoticeCame(notice_id=notice):
            return replace(state, unread=(*state.unread, notice))
        case e.NoticeRead(notice_id=notice):
            unread = tuple(other for other in state.unread if other != notice)
            return replace(state, unread=unread, read=(*state.read, notice)[-rules.notices_kept :], consult_at=None)
        case e.ConsultDelayed(retry_at=retry_at):
            return replace(state, consult_at=retry_at)
        case e.Adopted(terms=terms, life=life, slots=slots):
            return replace(state, terms=terms, life=life, known_at=at, places=tuple(Place(slot) for slot in slots))
        case e.TermsChanged(terms=terms):
            return _told_anew(_under_terms(replace(state, terms=terms), state), state)
        case e.SlotsChanged(slots=slots):
            return seeing.placed(state, slots)
        case e.SlotsJoined(slots=slots):
            return seeing.placed(state, tuple(dict.fromkeys((*state.slots, *slots))))
        case e.SlotsTaken(slots=slots):
            gone = {*slots}
            return seeing.placed(state, tuple(slot for slot in state.slots if slot not in gone))
        case e.PlacesReleased(slots=slots, why=why):
            return seeing.released(state, slots, why)
        case e.RepairPromised(slots=slots):
            return seeing.at(state, slots, lambda place: replace(place, to_repair=True))
        case e.RepairMade(slots=slots):
            return seeing.at(state, slots, lambda place: seeing.repaired(place, at))
        case e.DriftKnown(slots=slots):
            return seeing.at(state, slots, lambda place: replace(place, known_drift=earlier_at(state, place)))
        case e.MoveSettled():
            return replace(state, moved=())
        case e.LooksTaken(looks=looks, lives=lives):
            return seeing.looked(state, looks, lives)
        case e.FactsRead(lives=lives):
            return seeing.read(state, lives)
        case e.LookBroke(retry_at=retry_at):
            return replace(state, look_not_before=retry_at, look_tries=state.look_tries + 1)
        case e.ClockDoubted(url=url, dated=dated):
            return replace(state, clock=(url, dated))
        case e.ClockTrusted():
            return replace(state, clock=None)
        case e.GenerationBegan(generation=generation, life=life):
            return _next_generation(state, happened, generation, life)
        case e.Retired():
            return replace(state, retired=True, questions=(), reservation=None, look_not_before=None)
        case e.Forked() | e.Resumed():
            return replace(state, forked=isinstance(happened.event, e.Forked), record_refused="")
        case e.RecordWasRefused(detail=detail):
            return replace(state, record_refused=detail)
        case e.RecordWasTaken():
            return replace(state, record_refused="")
        case e.RecallAsked(why="gap"):
            asked = Recalling(happened.by, "gap", refused=state.record_refused)
            return replace(state, recall=asked, record_refused="")
        case e.RecallAsked(why=why, notice_id=notice):
            return replace(state, recall=Recalling(happened.by, why, notice))
        case e.RecallDelayed(retry_at=retry_at) if state.recall is not None:
            return replace(state, recall=replace(state.recall, retry_at=retry_at))
        case e.StateRecalled(why=why):
            # What was refused before a gap was signed for is offered to nobody any more.
            refused = "" if why == "gap" else state.record_refused
            return replace(state, forked=False, recall=None, roll=True, record_refused=refused)
        case e.RollAsked(rules=wanted):
            return replace(state, roll=True, rules_wanted=wanted)
        case old.EndMoved(ends_at=ends) if state.life is not None:
            return replace(state, life=replace(state.life, ends_at=ends))
        case _:
            return _people(state, happened)


def _people(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    match happened.event:
        case e.DecisionReserved(code_sha256=code, until=until):
            return replace(state, reservation=Reservation(code, until))
        case e.CodeBurnt(code_sha256=code):
            return replace(state, burnt=(*state.burnt, code)[-state.led_by.codes_kept :])
        case e.ReservationEnded():
            return replace(state, reservation=None)
        case e.RungFired() as fired:
            return _climbed(state, fired, happened)
        case e.Acknowledged() as said:
            return _acknowledged(state, said)
        case e.QuestionAsked() as asked:
            question = Question(
                asked.question, happened.at, asked.climbs_at, asked.to, asked.detail, asked.about, asked.subject
            )
            return _with_question(state, question)
        case e.QuestionChanged(question=kind, subject=subject, detail=detail, about=about):
            questions = (
                replace(one, detail=detail, about=about) if one.key == (kind, subject) else one
                for one in state.questions
            )
            return replace(state, questions=tuple(questions))
        case e.QuestionEnded(question=kind, subject=subject):
            return replace(state, questions=tuple(one for one in state.questions if one.key != (kind, subject)))
        case e.Judged(fingerprint=fingerprint, verdict=verdict, differences=differences):
            others = tuple(one for one in state.judgements if one.fingerprint != fingerprint)
            kept = (*others, Judgement(fingerprint, verdict, differences))[-state.led_by.verdicts_kept :]
            return replace(state, judgements=kept)
        case e.Told(message_id=message):
            return replace(state, untold=tuple(other for other in state.untold if other.id != message))
        case e.Undeliverable(message_id=message, person=person):
            untold = tuple(other for other in state.untold if other.id != message)
            return replace(state, untold=untold, unreachable=tuple(dict.fromkeys((*state.unreachable, person))))
        case e.DeliveryMended(person=person):
            return replace(state, unreachable=tuple(other for other in state.unreachable if other != person))
        case _:
            return _revoking(state, happened)


def _with_question(state: LifecycleState, question: Question) -> LifecycleState:
    others = tuple(one for one in state.questions if one.key != question.key)
    return replace(state, questions=(*others, question))


def _climbed(state: LifecycleState, fired: e.RungFired, happened: e.Happened) -> LifecycleState:
    """0.1.0 had one climb, of the present life, and did not say of which lead a rung was."""
    life = present(state)
    fingerprint, lead = fired.fingerprint or life.fingerprint, fired.lead_seconds
    if lead < 0:
        rungs = state.terms.table.rungs if state.terms is not None else ()
        lead = int(rungs[fired.rung].lead.total_seconds()) if fired.rung < len(rungs) else 0
    before = next((one for one in state.climbs if one.fingerprint == fingerprint and one.to == fired.to), None)
    quiet = (before.quiet_lead_seconds, before.quiet_until) if before is not None else (-1, None)
    climb = Climb(fingerprint, fired.to, lead, fired.ends_at or life.ends_at, happened.at, *quiet)
    return replace(state, climbs=(*(one for one in state.climbs if one is not before), climb))


def _acknowledged(state: LifecycleState, said: e.Acknowledged) -> LifecycleState:
    """0.1.0 did not say which rung: it was the one on which the climb stood, for an owner the call for a failure."""
    fingerprint = said.fingerprint or present(state).fingerprint
    if said.level == "owner" and said.lead_seconds < 0 and state.case is not None:
        about = said.about or failure_about(fingerprint, state.case)
        state = replace(state, case=replace(state.case, owner_quiet_until=said.until, owner_quiet_for=about))
        if said.fingerprint:
            # Of the failure alone: a rung has an acknowledgement of its own.
            return state

    def quiet(climb: Climb) -> Climb:
        if climb.fingerprint != fingerprint or climb.to != said.level:
            return climb
        lead = said.lead_seconds if said.fingerprint else climb.lead_seconds
        return replace(climb, quiet_lead_seconds=lead, quiet_until=said.until)

    return replace(state, climbs=tuple(map(quiet, state.climbs)))


def _under_terms(after: LifecycleState, before: LifecycleState) -> LifecycleState:
    """Who changed the policy that changed the plan may not approve it (rule 8), also where its case opens only later.

    A plan that changes under the same policy, with its places say, was changed by nobody.
    """
    terms, was = after.terms, before.terms
    if terms is None or was is None or not terms.changed_by:
        return after
    if terms.plan == was.plan or terms.policy_version == was.policy_version:
        return after
    by = tuple(dict.fromkeys((*after.plan_changed_by, terms.changed_by)))
    case = after.case and replace(after.case, plan_changed_by=by)
    return replace(after, plan_changed_by=by, case=case)


def _told_anew(after: LifecycleState, before: LifecycleState) -> LifecycleState:
    """Another plan is news: that nothing can renew it any more is told once more, for the same reason too."""
    if after.case is None or after.terms is None or before.terms is None or after.terms.plan == before.terms.plan:
        return after
    return replace(after, case=replace(after.case, unroutable_told="", unroutable_told_at=None))


def _revoking(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at = happened.at

    def on(key: str, change: Callable[[OrderToRevoke], OrderToRevoke]) -> LifecycleState:
        orders = (change(one) if one.order_key == key else one for one in state.to_revoke)
        return replace(state, to_revoke=tuple(orders))

    match happened.event:
        case e.OrderClosed(order_key=key, reason=reason, revoke=True, collected=collected, fingerprint=fingerprint):
            order = OrderToRevoke(key, revocation_reason(reason), collected, fingerprint=fingerprint, since=at)
            return replace(state, to_revoke=(*state.to_revoke, order))
        case e.RevocationDelayed(order_key=key, collected=collected, retry_at=retry_at, fingerprint=fingerprint):
            return on(
                key,
                lambda one: replace(
                    one, collected=collected, retry_at=retry_at, fingerprint=fingerprint or one.fingerprint
                ),
            )
        case e.RevocationOwed(order_key=key, why=why):
            return on(key, lambda one: replace(one, owed=why, retry_at=None))
        case e.OrderRevoked(order_key=key, done=done):
            gone = [one.fingerprint for one in state.to_revoke if one.order_key == key and one.fingerprint and done]
            left = tuple(one for one in state.to_revoke if one.order_key != key)
            revoked = (*state.revoked, *((fingerprint, at) for fingerprint in gone))
            kept = {*_kept(state, [fingerprint for fingerprint, _ in revoked])}
            return replace(state, to_revoke=left, revoked=tuple(pair for pair in revoked if pair[0] in kept))
        case _:
            return state


def _kept(state: LifecycleState, fingerprints: Sequence[str]) -> tuple[str, ...]:
    """The newest, and whatever a place still shows: forgotten, an old one of ours would be a stranger there, and a
    revoked one would live again."""
    shown = {seen.fingerprint for place in state.places for seen in place.lives}
    newest = {*fingerprints[-state.led_by.earlier_kept :]}
    return tuple(one for one in fingerprints if one in shown or one in newest)


def _next_generation(state: LifecycleState, happened: e.Happened, generation: int, life: Life) -> LifecycleState:
    before = (state.life.fingerprint,) if state.life is not None else ()
    after = replace(
        state,
        generation=generation,
        life=life,
        known_at=happened.at,
        earlier=_kept(state, (*state.earlier, *before)),
        case_count=0,
        plan_changed_by=(),
        # Its own facts are those of the present one now; what people said of it as a stranger is settled.
        strangers=tuple(one for one in state.strangers if one.fingerprint != life.fingerprint),
        judgements=tuple(one for one in state.judgements if one.fingerprint != life.fingerprint),
        roll=True,
    )
    shown = {seen.fingerprint for place in after.places for seen in place.lives} | {life.fingerprint}
    return replace(
        seeing.begun_anew(after), climbs=tuple(climb for climb in after.climbs if climb.fingerprint in shown)
    )


# --- the case -------------------------------------------------------------------------------------------------------


def _case(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    at, event, case = happened.at, happened.event, state.case
    if isinstance(event, e.CaseOpened):
        # UNROUTABLE until the events of the same turn route it: the one stage from which nothing can be ordered.
        changed_by = state.plan_changed_by
        opened = Case(event.number, at, event.cause, Stage.UNROUTABLE, event.requested_by, plan_changed_by=changed_by)
        return replace(state, case=opened, case_count=event.number)
    if isinstance(event, e.CaseClosed):
        closed = replace(
            state,
            case=None,
            last_case=case,
            last_generation=state.generation,
            last_outcome=event.outcome,
            last_closed_at=at,
            reservation=None,
        )
        return seeing.begun_anew(closed)
    if case is None:
        return state
    return _deploying(replace(state, case=_ordering(state, case, happened)), happened)


def _mended(case: Case, step: str, places: Container[str] | None = None) -> Case:
    """``step`` works now, at ``places``; None: wherever it failed.  The owner is called only for a failure that still
    stands, and for that one since it stands."""

    def works(one: Failing) -> bool:
        return one.step == step and (places is None or not one.place or one.place in places)

    left = tuple(one for one in case.failing if not works(one))
    if left == case.failing:
        return case
    if left:
        last = left[-1]
        return replace(
            case, failing=left, failed_step=last.step, failed_place=last.place, failures=last.failures, failure=last.why
        )
    return replace(
        case,
        failing=(),
        failures=0,
        failed_step="",
        failed_place="",
        first_failed_at=None,
        failure="",
        budget_spent=False,
        owner_called_at=None,
        owner_quiet_until=None,
        owner_quiet_for="",
    )


def _ordering(state: LifecycleState, case: Case, happened: e.Happened) -> Case:
    at = happened.at
    match happened.event:
        case e.ApprovalAsked():
            plan = state.terms.plan if state.terms else None
            return replace(
                case,
                stage=Stage.AWAITING_APPROVAL,
                plan=plan,
                asked_at=at,
                approved_by="",
                approval_ends_at=None,
                retry_at=None,
            )
        case e.BecameUnroutable(why=why, retry_at=retry_at, quiet=quiet):
            after = replace(case, stage=Stage.UNROUTABLE, failure=why, retry_at=retry_at)
            return after if quiet else replace(after, unroutable_told=why, unroutable_told_at=at)
        case e.Approved(approver=by, hold_until=hold, ends_at=ends):
            # A person approved the plan that was asked; the policy approves the plan that it has now.
            plan = state.terms.plan if by == "policy" and state.terms else case.plan
            return replace(case, stage=Stage.HELD, plan=plan, approved_by=by, approval_ends_at=ends, retry_at=hold)
        case e.ApprovalEnded():
            return replace(case, approved_by="", approval_ends_at=None)
        case e.Rejected(asks_again_at=again):
            return replace(case, stage=Stage.REJECTED, approved_by="", approval_ends_at=None, retry_at=again)
        case e.HoldMoved(until=until):
            # An approval lasts as long from where it may act, wherever that has moved.
            ends, held = case.approval_ends_at, case.retry_at
            moved_by = until - held if held is not None else timedelta()
            return replace(case, retry_at=until, approval_ends_at=ends and moved(ends, moved_by))
        case e.OrderIntended(number=number, against=against):
            return replace(
                case,
                stage=Stage.ORDERING,
                order_number=number,
                order_open=True,
                order_placed=False,
                against=against,
                retry_at=None,
            )
        case e.OrderAccepted():
            return _mended(replace(case, order_placed=True), "order")
        case e.OrderPending(retry_at=retry_at, detail=detail):
            return replace(_mended(case, "collect"), stage=Stage.WAITING_FOR_CA, retry_at=retry_at, failure=detail)
        case e.CertificateIssued(life=life):
            mended = _mended(_mended(case, "order"), "collect")
            return replace(mended, stage=Stage.DEPLOYING, issued=life, retry_at=None, failure="")
        case e.OrderClosed():
            return replace(case, order_open=False, order_placed=False, issued=None, to_roll_back=(), not_served="")
        case e.StepFailed() as failed:
            return _failed(state, case, failed, happened)
        case e.RetryDue(stage=stage):
            return replace(case, stage=stage, retry_at=None)
        case e.BudgetSpent():
            return replace(case, budget_spent=True)
        case e.OwnerCalled():
            return replace(case, owner_called_at=at)
        case _:
            return case


def _failed(state: LifecycleState, case: Case, failed: e.StepFailed, happened: e.Happened) -> Case:
    """Failures are counted of one step at one place: another one starts anew, and is tried again as soon.

    Each is remembered: of two places that fail by turns neither is tried every few seconds for ever.
    """
    before = failures_of(case, failed.step, failed.place)
    others = tuple(one for one in case.failing if (one.step, one.place) != (failed.step, failed.place))
    failing = (*others, Failing(failed.step, failed.place, before + 1, failed.detail))
    return replace(
        case,
        stage=failed.stage,
        retry_at=failed.retry_at,
        failing=failing[-state.led_by.failing_kept :],
        failures=before + 1,
        failed_step=failed.step,
        failed_place=failed.place,
        first_failed_at=case.first_failed_at or happened.at,
        failure=failed.detail,
    )


def _deploying(state: LifecycleState, happened: e.Happened) -> LifecycleState:
    case = state.case
    assert case is not None
    match happened.event:
        case e.OrderClosed():
            return seeing.taken_back(state)
        case e.Installed(slots=done):
            after = seeing.put(state, done, happened.at)
            stage = Stage.VERIFYING if seeing.is_complete(after) else case.stage
            return replace(after, case=replace(_deployed(case, done), stage=stage, retry_at=None))
        case e.VerificationLooked(retry_at=retry_at):
            return replace(state, case=replace(_mended(case, "look"), retry_at=retry_at))
        case e.RollbackOrdered(slots=wrong, why=why):
            ordered = replace(case, stage=Stage.ROLLING_BACK, to_roll_back=wrong, retry_at=None, failure=why)
            return replace(state, case=ordered)
        case e.RolledBack(slots=done):
            rolled = replace(_mended(case, "roll back"), to_roll_back=(), rolled_back=True)
            return seeing.taken_back(replace(state, case=rolled), done)
        case e.RollbackWithheld(slots=done, why=why):
            return seeing.taken_back(replace(state, case=replace(case, to_roll_back=(), not_served=why)), done)
        case _:
            return state


def _deployed(case: Case, done: tuple[Slot, ...]) -> Case:
    """Mended where it failed: one target that works says nothing of another that does not."""
    return _mended(case, "deploy", {slot.url for slot in done})
