"""What came of putting certificates where they are served, of the fresh look from outside, and of putting the old ones
back (DESIGN rule 4)."""

from datetime import timedelta

from domain.certificate import Slot
from domain.contracts import DeployReport, LookReport, SlotReceipt
from domain.lifecycle import events as e
from domain.lifecycle import sightings
from domain.lifecycle.ladder import escalates_at
from domain.lifecycle.portions import slots_that_fit
from domain.lifecycle.seeing import is_silence_expected, serves
from domain.lifecycle.served import proof_of, unseen
from domain.lifecycle.state import Place, Stage
from domain.lifecycle.transition import Turn


def deployed(turn: Turn, report: DeployReport) -> None:
    """Each slot where it was put; of what was not, the worst decides what the case waits for."""
    receipts = _ours(turn, report)
    installed = tuple(receipt.slot for receipt in receipts if receipt.outcome == "installed")
    turn.emit_each(installed, e.Installed)
    for outcome, stage in (
        ("refused", Stage.WAITING_FOR_PERSON),
        ("unreachable", Stage.UNREACHABLE_TARGET),
    ):
        bad = next((receipt for receipt in receipts if receipt.outcome == outcome), None)
        if bad is not None:
            _failed(turn, "deploy", f"{bad.slot.url}: {bad.detail}", stage, bad.slot.url)
            return


def _failed(turn: Turn, step: str, detail: str, stage: Stage, place: str = "") -> None:
    turn.emit(e.StepFailed(step, detail, stage, turn.backoff(step, place), place))


def _ours(turn: Turn, report: DeployReport) -> tuple[SlotReceipt, ...]:
    """Without those of slots that moved away while a target answered: they are another's to worry about."""
    own = {*turn.state.slots}
    return tuple(receipt for receipt in report.receipts if receipt.slot in own)


# --- the look from outside ------------------------------------------------------------------------------------------


def verify(turn: Turn, report: LookReport) -> None:
    """Close the case where every place that must was seen to serve the new certificate; else hold, or roll back."""
    looked_at = sightings.take(turn, report.looks, report.candidates)
    rules = turn.rules
    if not looked_at:
        # For lack of time it is tried again at once; a clock that is wrong, ever more seldom.
        again = turn.now + min(rules.not_looked_again * (1 << min(turn.state.look_tries, 16)), rules.second_look)
        turn.emit(e.LookBroke(again, "nothing was looked at"))
        turn.emit(e.VerificationLooked((), (), (), again))
        return
    gone = {place.slot for place in unseen(turn.state, turn.now)}
    needed = [place for place in turn.state.own_places if is_needed(turn, place, place.slot in gone)]
    verified, rest = list[Place](), list[Place]()
    for place in needed:
        (verified if serves(turn.state, place) else rest).append(place)
    # Where all are left out nobody has seen the new one: nothing is verified, and the alarm goes on.
    if verified and not rest:
        _close(turn, verified)
        return
    silent = [place for place in rest if place.silent and not place.wrong]
    wrong = [place for place in rest if place.wrong]
    at = turn.after(_pause(turn, rest, wrong), at_least=rules.wrong_again)
    turn.emit(e.VerificationLooked(_slots(turn, verified), _slots(turn, wrong), _slots(turn, silent), at))
    # Counted for each place by itself: two places that are wrong in turn are not one that is wrong for long.
    lost = [place for place in wrong if place.wrong >= rules.wrong_looks]
    if lost:
        _roll_back(turn, lost)


def is_needed(turn: Turn, place: Place, is_unseen: bool) -> bool:
    """Whether the case waits for ``place``.  Left out are only: one that is unseen, or that a person said is broken and
    that shows nothing; one that no look can show; and the old algorithm's slot, where silence is what is wanted."""
    if proof_of(place.slot) == "first-use" or is_silence_expected(turn.state, place):
        return False
    if place.to_repair and place.silent:
        # A person answered for it, whatever silenced it.
        return False
    if place.put_at is not None and place.answered and place.silent:
        # It answered before we put something there: that is not its silence but ours.
        return True
    return not is_unseen


def _pause(turn: Turn, rest: list[Place], wrong: list[Place]) -> timedelta:
    rules = turn.rules
    if wrong:
        return rules.wrong_again
    unlooked = [place for place in rest if not place.silent and place.put_at is not None]
    if unlooked:
        # Soon where a step had no time; ever more seldom for one that never has.
        since = min(place.put_at for place in unlooked if place.put_at is not None)
        return max(rules.not_looked_again, (turn.now - since) / rules.unlooked_share)
    # All that is silent, also what is left out: where nothing else is, nothing is looked at every few seconds.
    looks = min((place.silent for place in turn.state.own_places if place.silent), default=1)
    return min(rules.silent_verify_again * (1 << min(max(looks - 1, 0), 8)), rules.silent_verify_longest)


def _close(turn: Turn, verified: list[Place]) -> None:
    """Verified; what was left out says so, keeps its finding, and is looked at again."""
    case = turn.case
    assert case.issued is not None
    seen = {place.slot for place in verified}
    left_out = [
        place.slot
        for place in turn.state.own_places
        if place.slot not in seen and not is_silence_expected(turn.state, place)
    ]
    turn.emit(e.VerificationLooked(_slots(turn, verified), (), (), None))
    turn.emit(
        e.CaseClosed(
            case.number, "verified", slots_that_fit(left_out, turn.rules.event_bytes, turn.rules), len(left_out)
        )
    )
    turn.emit(e.GenerationBegan(turn.state.generation + 1, case.issued))


def _roll_back(turn: Turn, lost: list[Place]) -> None:
    """Back to the old certificate, but never to one that is past its escalation mark (rule 4)."""
    # As many at once as an event names; the next look has the rest.
    slots = slots_that_fit([place.slot for place in lost], turn.rules.event_bytes, turn.rules)
    why = _why_wrong(turn, lost[0])
    if escalates_at(turn.life, turn.terms.table) > turn.now:
        turn.emit(e.RollbackOrdered(slots, why))
        return
    turn.emit(e.RollbackWithheld(slots, why))
    _failed(turn, "verify", why, Stage.WAITING_FOR_PERSON, slots[0].url)


def _why_wrong(turn: Turn, place: Place) -> str:
    url, case = place.slot.url, turn.case
    if place.silent:
        return f"{url} answers no more since the new certificate was put there"
    issued = case.issued.fingerprint if case.issued is not None else ""
    other = next((seen for seen in place.lives if seen.fingerprint != issued), None)
    if other is not None:
        return f"{url} still serves something else ({other.fingerprint[:16]})"
    flaw = next((seen.flaw for seen in place.lives if seen.flaw), "")
    if flaw:
        return f"{url} serves it on a broken chain: {flaw}"
    return f"{url} serves it behind a certificate of its own that ends too early"


def _slots(turn: Turn, places: list[Place]) -> tuple[Slot, ...]:
    """The first of them, as many as an event with three such lists holds."""
    return slots_that_fit([place.slot for place in places], turn.rules.event_part_bytes, turn.rules)


# --- putting back ---------------------------------------------------------------------------------------------------


def rolled_back(turn: Turn, report: DeployReport) -> None:
    """Tried again where a target did not answer; else a person must say what is wrong there."""
    receipts = _ours(turn, report)
    if not receipts:
        return
    back = tuple(receipt.slot for receipt in receipts if receipt.outcome == "installed")
    waiting = [receipt for receipt in receipts if receipt.outcome == "unreachable"]
    refused = [receipt for receipt in receipts if receipt.outcome == "refused"]
    why = turn.case.failure or "it was not served"
    if waiting:
        first = waiting[0]
        _failed(turn, "roll back", f"{first.slot.url}: {first.detail}", Stage.ROLLING_BACK, first.slot.url)
        return
    if back:
        turn.emit(e.RolledBack(back))
    if refused:
        # The old one is expired or revoked, so the endpoint was left as it is (rule 4).
        why = f"{refused[0].slot.url}: {refused[0].detail}"
        turn.emit(e.RollbackWithheld(tuple(receipt.slot for receipt in refused), why))
    _failed(turn, "verify", why, Stage.WAITING_FOR_PERSON, receipts[0].slot.url)
