"""What sightings mean: ours, an earlier one of ours, a stranger that may succeed, silence (DESIGN rules 4 and 9)."""

from datetime import datetime, timedelta

from domain.certificate import Life
from domain.contracts import SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.ladder import scaled
from domain.lifecycle.scheduling import ask, key_of
from domain.lifecycle.served import is_unseen
from domain.lifecycle.state import LifecycleState, SlotView, Stage
from domain.lifecycle.transition import SHORTEST_RETRY, Turn

# A foreign certificate counts only when it passes in two looks; the second is ours, this long after the first.
SECOND_LOOK = timedelta(hours=1)
SILENT_AGAIN = timedelta(days=3, hours=12)

# NIST SP 800-57 part 1, table 2: comparable strengths in bits.
_RSA_STRENGTH = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))


def strength(life: Life) -> int:
    if life.algorithm == "rsa":
        return next((bits for size, bits in _RSA_STRENGTH if life.key_bits >= size), 0)
    return life.key_bits // 2


def objection(candidate: Life, life: Life, now: datetime) -> str:
    """Why ``candidate`` may not succeed ``life``; empty when it passes every check that a renewal must pass."""
    if candidate.is_ca and not life.is_ca:
        return "it is a CA certificate"
    if candidate.trust_class is not life.trust_class:
        return f"its trust class is {candidate.trust_class}, not {life.trust_class}"
    if not set(life.names) <= set(candidate.names):
        return "it does not hold all names of the present one"
    if not set(life.other_names) <= set(candidate.other_names):
        return "it does not hold all names of other kinds of the present one"
    if set(candidate.extended_key_usages) != set(life.extended_key_usages):
        return "its extended key usages differ"
    if strength(candidate) < strength(life):
        return "its key is weaker"
    if candidate.ends_at <= now:
        return "it has ended"
    if candidate.ends_at < life.ends_at:
        return "it ends before the present one"
    if candidate.not_before > now:
        return "it is not valid yet"
    return ""


def apply(turn: Turn, looks: tuple[SlotLook, ...], candidates: tuple[Life, ...]) -> None:
    """Take in looks that are not the verification of a case: from a discovery, or our own second ones."""
    if turn.state.placeless:
        # Whatever is served where it was last seen is another's, and says nothing of it.
        return
    ours = {view.slot: view.looked_at for view in turn.state.slots}
    relevant = tuple(look for look in looks if look.slot in ours and _is_news(look.at, ours[look.slot]))
    if relevant:
        turn.emit(e.LooksTaken(relevant))
    _strangers(turn, candidates)
    _drift(turn)
    _chain(turn)
    _silence(turn)
    _schedule(turn)


def _is_news(at: datetime, last: datetime | None) -> bool:
    """A look from before the last one is the past, whenever it is told."""
    return last is None or at >= last


def live(state: LifecycleState) -> tuple[SlotView, ...]:
    """Slots that served something at their last look; all of them when none did."""
    return tuple(view for view in state.slots if view.silent == 0) or state.slots


def _known(state: LifecycleState) -> set[str]:
    known = {*state.earlier}
    if state.life is not None:
        known.add(state.life.fingerprint)
    if state.case is not None and state.case.issued is not None:
        known.add(state.case.issued.fingerprint)
    return known


def _strangers(turn: Turn, candidates: tuple[Life, ...]) -> None:
    state = turn.state
    known = _known(state)
    shown = {view.fingerprint for view in live(state) if view.fingerprint}
    _served_ends(turn, shown, candidates)
    strange = shown - known
    if not strange:
        _clear(turn, "foreign-certificate")
        if state.suspect is not None:
            turn.emit(e.SuspectForgotten())
        if state.foreign is not None:
            turn.emit(e.ForeignSeen(None))
            _end(turn, "names-changed", "it is served no more")
        return
    candidate = next((life for life in candidates if life.fingerprint in strange), None)
    if candidate is None:
        return
    why = objection(candidate, turn.life, turn.now)
    if not why and shown != {candidate.fingerprint}:
        why = "it is not served at every endpoint"
    if not why and not all(view.chain_ok for view in live(state)):
        why = "its chain is not complete, or leads to no root that the policy names"
    if why:
        _foreign(turn, candidate, why)
        return
    suspect = turn.state.suspect
    if suspect is None or suspect.life.fingerprint != candidate.fingerprint:
        turn.emit(e.SuspectSeen(candidate, 1))
    elif turn.now >= suspect.last_at + max(scaled(SECOND_LOOK, turn.life.length), SHORTEST_RETRY):
        supersede(turn, candidate)


def _served_ends(turn: Turn, shown: set[str], candidates: tuple[Life, ...]) -> None:
    """The ladder runs on whatever ends first of what is served: an alarm may come earlier for it, never later."""
    ours = _known(turn.state) - set(turn.state.earlier)
    others = shown - ours
    ends = [life.ends_at for life in candidates if life.fingerprint in others]
    before = turn.state.served_ends
    if not others:
        found = None
    elif ends:
        found = min(ends)
    else:
        return
    if found != before:
        turn.emit(e.ServedEnds(found))


def _foreign(turn: Turn, candidate: Life, why: str) -> None:
    if turn.state.suspect is not None:
        turn.emit(e.SuspectForgotten())
    if turn.state.foreign != candidate:
        turn.emit(e.ForeignSeen(candidate))
    _raise(turn, "foreign-certificate", f"{candidate.fingerprint[:16]}: {why}")
    ask(turn, "foreign-certificate", why)
    overlap = set(candidate.names) & set(turn.life.names)
    if overlap and not set(turn.life.names) <= set(candidate.names):
        ask(turn, "names-changed", candidate.fingerprint[:16])


def supersede(turn: Turn, life: Life) -> None:
    """Somebody else replaced it well: that certificate is the next generation."""
    if turn.state.case is not None:
        if turn.case.order_open:
            collected = turn.case.issued is not None
            revoke = turn.case.order_placed
            turn.emit(e.OrderClosed(key_of(turn), "superseded", revoke=revoke, collected=collected))
        turn.emit(e.CaseClosed(turn.case.number, "superseded"))
    turn.emit(e.GenerationBegan(turn.state.generation + 1, life))


def _drift(turn: Turn) -> None:
    case = turn.state.case
    if case is not None and case.stage in (Stage.DEPLOYING, Stage.VERIFYING, Stage.ROLLING_BACK):
        return
    drifted = [view.slot.url for view in turn.state.slots if view.fingerprint in turn.state.earlier]
    if drifted:
        _raise(turn, "drift", f"an earlier certificate is served at {drifted[0]} ({len(drifted)} in all)")
        ask(turn, "drift", drifted[0])
    else:
        _clear(turn, "drift")


def _chain(turn: Turn) -> None:
    broken = [
        view.slot.url for view in turn.state.slots if view.fingerprint == turn.life.fingerprint and not view.chain_ok
    ]
    if broken:
        _raise(turn, "broken-chain", f"the chain served at {broken[0]} is broken ({len(broken)} in all)")
    else:
        _clear(turn, "broken-chain")


def _silence(turn: Turn) -> None:
    unseen = [view.slot.url for view in turn.state.slots if is_unseen(view, turn.life, turn.now)]
    if unseen:
        _raise(turn, "unseen", f"{unseen[0]} shows no certificate any more ({len(unseen)} in all)")
        ask(turn, "unseen", unseen[0])
        return
    _clear(turn, "unseen")
    _end(turn, "unseen", "seen again")


def _schedule(turn: Turn) -> None:
    """Our own next look, while something waits for a second one."""
    state = turn.state
    if state.suspect is not None:
        when, why = turn.after(SECOND_LOOK), "a foreign certificate is looked at twice"
    elif any(view.silent and not is_unseen(view, turn.life, turn.now) for view in state.slots):
        when, why = turn.after(SILENT_AGAIN), "an endpoint is silent"
    elif state.look_at is not None and state.look_at <= turn.now:
        turn.emit(e.LookScheduled(None, "nothing waits for a look"))
        return
    else:
        return
    if state.look_at is None or state.look_at <= turn.now:
        turn.emit(e.LookScheduled(when, why))


def _raise(turn: Turn, kind: str, detail: str) -> None:
    if turn.state.finding(kind) != detail:
        turn.emit(e.FindingRaised(kind, detail))


def _clear(turn: Turn, kind: str) -> None:
    if turn.state.finding(kind) is not None:
        turn.emit(e.FindingCleared(kind))
    if kind in ("drift", "foreign-certificate"):
        _end(turn, kind, "it is served no more")


def _end(turn: Turn, kind: str, why: str) -> None:
    for question in turn.state.questions:
        if question.kind == kind:
            turn.emit(e.QuestionEnded(question.kind, why))
