"""What came of putting certificates where they are served, and of putting the old ones back."""

from domain.certificate import Slot
from domain.contracts import DeployReport, SlotReceipt
from domain.lifecycle import events as e
from domain.lifecycle.state import Stage
from domain.lifecycle.turn import Turn


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
