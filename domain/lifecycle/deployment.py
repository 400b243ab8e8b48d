"""What came of putting certificates where they are served, of the fresh look from outside, and of putting the old ones
back (DESIGN rule 4)."""

from datetime import timedelta

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import DeployReport, LookReport, SlotLook, SlotReceipt
from domain.lifecycle import events as e
from domain.lifecycle.ladder import escalates_at
from domain.lifecycle.renewal_value import gains
from domain.lifecycle.scheduling import ask
from domain.lifecycle.served import is_unseen
from domain.lifecycle.state import Case, SlotView, Stage
from domain.lifecycle.transition import Turn

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


def deployed(turn: Turn, report: DeployReport) -> None:
    """Each slot where it was put; of what was not, the worst decides what the case waits for."""
    receipts = _ours(turn, report)
    installed = tuple(receipt.slot for receipt in receipts if receipt.outcome == "installed")
    if installed:
        turn.emit(e.Installed(installed))
    for outcome, stage in (
        ("refused", Stage.WAITING_FOR_PERSON),
        ("unreachable", Stage.UNREACHABLE_TARGET),
    ):
        bad = next((receipt for receipt in receipts if receipt.outcome == outcome), None)
        if bad is not None:
            detail = f"{bad.slot.url}: {bad.detail}"
            turn.emit(e.StepFailed("deploy", detail, stage, turn.backoff(turn.case.failures)))
            return


def _ours(turn: Turn, report: DeployReport) -> tuple[SlotReceipt, ...]:
    """Without those of slots that moved away while a target answered: they are another's to worry about."""
    return tuple(receipt for receipt in report.receipts if receipt.slot in turn.state.places)


def rolled_back(turn: Turn, report: DeployReport) -> None:
    """Tried again where a target did not answer; else a person must say what is wrong there."""
    receipts = _ours(turn, report)
    if not receipts:
        return
    back = tuple(receipt.slot for receipt in receipts if receipt.outcome == "installed")
    waiting = [receipt for receipt in receipts if receipt.outcome == "unreachable"]
    refused = [receipt for receipt in receipts if receipt.outcome == "refused"]
    again = turn.backoff(turn.case.failures)
    why = turn.case.failure
    if waiting:
        detail = f"{waiting[0].slot.url}: {waiting[0].detail}"
        turn.emit(e.StepFailed("roll back", detail, Stage.ROLLING_BACK, again))
        return
    if back:
        turn.emit(e.RolledBack(back))
    if refused:
        why = f"{refused[0].slot.url}: {refused[0].detail}"
        _withheld(turn, tuple(receipt.slot for receipt in refused), why)
    turn.emit(e.StepFailed("verify", why or "it was not served", Stage.WAITING_FOR_PERSON, again))


def _withheld(turn: Turn, slots: tuple[Slot, ...], why: str) -> None:
    """The target refused: the old one is expired or revoked, so the endpoint was left as it is (rule 4)."""
    if not turn.case.rolled_back and turn.state.finding("rolled-back") is not None:
        # Found when it was ordered; nothing was.
        turn.emit(e.FindingCleared("rolled-back"))
    turn.emit(e.FindingRaised("not-served", why))
    turn.emit(e.RollbackWithheld(slots, why))
