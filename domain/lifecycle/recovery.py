"""When a lifecycle takes the store's truth for its own, and what it does once it has it (DESIGN section 5)."""

from dataclasses import replace

from domain.lifecycle import events as e
from domain.lifecycle.commands import StepBroke
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.refold import Recalled, stands_on
from domain.lifecycle.state import LifecycleState, RecallReason
from domain.lifecycle.transition import Turn


def forked(turn: Turn, head: int) -> None:
    """The store holds other events under our numbers.

    With a life: a reset made them anew.  Ours go on behind its last one, and nothing acts until a person resumes.
    Without one: it was ended by other means than ours and begun again, and has done nothing that a person could weigh.
    """
    if turn.state.life is None:
        ask_store(turn, "ended")
        return
    turn.emit(e.Forked(head))


def behind(state: LifecycleState, head: int) -> LifecycleState:
    """``state``, whose events go on behind the last one of the store."""
    return replace(state, seq=head + 1)


def ask_store(turn: Turn, why: RecallReason, notice_id: str = "") -> None:
    """``notice_id``: the one that a lifecycle without a life has read and could not place."""
    if why == "ended" and turn.state.recall is not None:
        return
    turn.emit(e.RecallAsked(why, notice_id))


def delayed(turn: Turn, command: StepBroke) -> None:
    """A database that was away is asked again soon; events of a newer release are waited for by a person."""
    rules = turn.rules
    again = rules.unreadable_again if command.permanent else rules.recall_again
    turn.emit(e.RecallDelayed(turn.now + again, command.detail))
    if command.permanent and turn.state.life is not None and turn.state.record_refused != command.detail:
        # Only a person can help; the question that is open says no more than that it was forked.
        turn.emit(e.RecordWasRefused(command.detail))


def recalled(turn: Turn, outcome: Recalled) -> bool:
    """Go on as what the store says.  False where it must be asked again.

    Notices that the store does not know are read again, and codes stay burnt; what else happened on the branch that
    ends here is void.
    """
    before = turn.state
    state = stands_on(before, outcome)
    if state is None:
        turn.emit(e.RecallDelayed(turn.now + turn.rules.store_under_way, "what was recorded last is on its way"))
        asked = before.recall
        if asked is not None and asked.why == "gap" and not before.record_refused:
            # The store does not even know its adoption: nothing was gained by the answer, and it is asked again.
            turn.emit(e.RecordWasRefused(asked.refused))
        return False
    assert before.recall is not None
    everleaf, turn.by = turn.by, before.recall.by
    turn.state = state
    turn.emit(e.StateRecalled(outcome.head, before.recall.why))
    if before.recall.why == "gap" and outcome.head + 1 < before.seq:
        gone = tuple(one for one in _ours(before) if one not in _ours(state))
        turn.emit(e.RecordGap(outcome.head + 1, before.seq - 1, before.recall.refused, gone))
    turn.by = everleaf
    if turn.state.rules != before.rules:
        # The run goes on under the set that it began with, whatever the life was led under before.
        turn.emit(e.RulesTaken(before.rules, turn.state.rules))
    lives = outcome.lives
    while lives:
        some = lives_that_fit(lives, turn.rules.event_bytes, turn.rules)
        turn.emit(e.FactsRead(some))
        lives = lives[len(some) :]
    _bring_along(turn, before)
    return not turn.state.retired and turn.state.life is not None


def _ours(state: LifecycleState) -> tuple[str, ...]:
    """Fingerprints of what it had, has and was issued."""
    issued = state.case.issued if state.case is not None else None
    lives = [one.fingerprint for one in (state.life, issued) if one is not None]
    return tuple(dict.fromkeys((*state.earlier, *lives)))


def _bring_along(turn: Turn, before: LifecycleState) -> None:
    assert before.recall is not None
    for code in before.burnt:
        if code not in turn.state.burnt:
            turn.emit(e.CodeBurnt(code))
    for notice in () if turn.state.retired else _unheard(turn.state, before):
        turn.emit(e.NoticeCame(notice))
    # The store knows no life either: what could not be placed says nothing, as long as nothing was adopted.
    if turn.state.life is None and before.recall.notice_id in turn.state.unread:
        turn.emit(e.NoticeRead(before.recall.notice_id))


def _unheard(state: LifecycleState, before: LifecycleState) -> tuple[str, ...]:
    """What the branch that ends here was told and the store does not know.

    Of what it has read only what came after the last notice that both know: older ones may merely be forgotten, and
    must not put old terms back.
    """
    known = {*state.unread, *state.read}
    shared = [place for place, notice in enumerate(before.read) if notice in known]
    read = before.read[shared[-1] + 1 :] if shared else before.read if not state.read else ()
    return tuple(notice for notice in (*read, *before.unread) if notice not in known)
