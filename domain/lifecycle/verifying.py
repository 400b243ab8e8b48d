"""What a case's own fresh look from outside means: verified, rolled back, or held (DESIGN rule 4)."""

from datetime import timedelta

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import LookReport, SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.due import ask
from domain.lifecycle.gain import gains
from domain.lifecycle.leads import escalates_at
from domain.lifecycle.served import is_unseen
from domain.lifecycle.state import Case, SlotView, Stage
from domain.lifecycle.turn import Turn

# A reload may take a moment to show; after this many looks that see something else it is rolled back.
WRONG_LOOKS = 3
WRONG_AGAIN = timedelta(seconds=2)
SILENT_AGAIN = timedelta(minutes=5)


def verify(turn: Turn, report: LookReport) -> None:
    case = turn.case
    assert case.issued is not None
    # What moved away while it was looked at is another's: neither verified nor rolled back.
    looks = tuple(look for look in report.looks if look.slot in turn.state.places)
    if not looks:
        return
    turn.emit(e.LooksTaken(looks))
    # Only an endpoint that has been silent for three looks over a week may be left out (rule 4).
    lively = {view.slot for view in turn.state.slots if not is_unseen(view, turn.life, turn.now)}
    verified, wrong, silent = _sort(turn, looks, case.issued)
    # Where all are left out nobody has seen the new one: nothing is verified, and the alarm goes on.
    if verified and not wrong and lively <= {*verified}:
        turn.emit(e.VerificationLooked(verified, (), silent, None))
        turn.emit(e.CaseClosed(case.number, "verified"))
        turn.emit(e.GenerationBegan(turn.state.generation + 1, case.issued))
        return
    pause = WRONG_AGAIN if wrong else min(SILENT_AGAIN * (1 << min(case.silent_looks, 8)), timedelta(hours=12))
    turn.emit(e.VerificationLooked(verified, wrong, silent, turn.after(pause, at_least=WRONG_AGAIN)))
    if turn.case.wrong_looks >= WRONG_LOOKS:
        early = [look.slot for look in looks if look.slot in wrong and _ends_early(turn, look, case.issued)]
        _roll_back(turn, wrong, early)
    if silent:
        _hold_for_silence(turn, case)


def _roll_back(turn: Turn, wrong: tuple[Slot, ...], early: list[Slot]) -> None:
    """Back to the old certificate, but never to one that is past its escalation mark (rule 4)."""
    why = f"{wrong[0].url} still serves something else, or a broken chain"
    if wrong[0] in early:
        why = f"{wrong[0].url} serves it behind a certificate of its own that ends too early"
    if escalates_at(turn.life, turn.terms.table) > turn.now:
        turn.emit(e.FindingRaised("rolled-back", why))
        turn.emit(e.RollbackOrdered(wrong, why))
        return
    turn.emit(e.FindingRaised("not-served", why))
    turn.emit(e.RollbackWithheld(wrong, why))
    turn.emit(e.StepFailed("verify", why, Stage.WAITING_FOR_PERSON, turn.backoff(turn.case.failures)))


def _hold_for_silence(turn: Turn, case: Case) -> None:
    views: dict[Slot, SlotView] = {view.slot: view for view in turn.state.slots}
    unseen = [slot.url for slot, view in views.items() if is_unseen(view, turn.life, turn.now)]
    if unseen:
        ask(turn, "unseen", unseen[0])


def _sort(
    turn: Turn, looks: tuple[SlotLook, ...], issued: Life
) -> tuple[tuple[Slot, ...], tuple[Slot, ...], tuple[Slot, ...]]:
    verified, wrong, silent = [], [], []
    for look in looks:
        if look.outcome is not LookOutcome.SEEN or not look.fingerprint:
            silent.append(look.slot)
        elif look.fingerprint == issued.fingerprint and look.chain_ok and not _ends_early(turn, look, issued):
            verified.append(look.slot)
        else:
            wrong.append(look.slot)
    return tuple(verified), tuple(wrong), tuple(silent)


def _ends_early(turn: Turn, look: SlotLook, issued: Life) -> bool:
    """Whether the server adds a path of its own on which the new certificate gains no time: nothing is renewed then,
    and a further order would gain as little."""
    case = turn.case
    if look.ends_at is None or look.ends_at >= issued.ends_at or case.plan is None:
        return False
    return not gains(look.ends_at, turn.life, case.plan, bool(case.requested_by))
