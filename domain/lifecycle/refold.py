"""The whole state again, from what was recorded of it: the store's truth, after a fork or a lifecycle that was ended.

What a fold cannot give back is what no event says: ``roll`` is of a run, not of a state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.certificate import Life
from domain.contracts import Recall
from domain.errors import BadInput
from domain.lifecycle import events as e
from domain.lifecycle.evolve import evolve
from domain.lifecycle.state import LifecycleState

# What holds on whichever branch it was told.  Everything else between a fork and its end was decided on a state that
# the store does not know: a rung of another generation, say, must not count as fired in this one.
HOLDS_ON_EVERY_BRANCH = (e.NoticeCame, e.CodeBurnt, e.Forked, e.StateRecalled, e.Resumed, e.RulesTaken)


@dataclass(frozen=True, slots=True)
class Recalled:
    """``state`` None: the store knows no event of it.  ``head``: the number of the last one, -1 for none.

    ``lives``: the facts of certificates at its places that its events do not hold, from the table of certificates.
    """

    state: LifecycleState | None
    head: int
    lives: tuple[Life, ...] = ()


def refold(managed_id: str, happened: Iterable[e.Happened]) -> LifecycleState:
    """What the recorded events of one lifecycle, in their order, amount to.  Raises BadInput where one is missing."""
    state = LifecycleState(managed_id)
    for fact in happened:
        if fact.seq != state.seq:
            raise BadInput("seq", f"event {fact.seq} of {managed_id} stands where {state.seq} is missing")
        if state.forked and not isinstance(fact.event, HOLDS_ON_EVERY_BRANCH):
            state = replace(state, seq=state.seq + 1)
        else:
            state = evolve(state, fact)
    return replace(state, roll=False, rules_wanted="")


def stands_on(state: LifecycleState, recalled: Recalled) -> LifecycleState | None:
    """The state on which a lifecycle in ``state`` goes on; None where the store does not hold all of it yet.

    A lifecycle without a life knows nothing that counts.  Otherwise whatever it recorded is in the store's fold, or
    will be, and the fold is asked for again.
    """
    if state.recall is None:
        return None
    if state.recall.why == "gap":
        # What the store lacks is given up by a person's word; without a life there is nothing to go on from.
        return recalled.state if recalled.state is not None and recalled.state.life is not None else None
    if state.life is not None and recalled.head + 1 < state.seq:
        return None
    return recalled.state or LifecycleState(state.managed_id)


def base(state: LifecycleState, step: object, outcome: object) -> LifecycleState:
    """On which state the events of a finished step are folded: but for a recall that holds, ``state`` itself."""
    if not isinstance(step, Recall) or not isinstance(outcome, Recalled):
        return state
    return stands_on(state, outcome) or state


def lacks(state: LifecycleState) -> tuple[str, ...]:
    """Fingerprints at its places of which the events said less than is decided by: releases before 0.2.0 wrote less."""
    known = {life.fingerprint for life in state.strangers}
    if state.life is not None:
        known.add(state.life.fingerprint)
    found = [
        seen.fingerprint
        for place in state.places
        for seen in place.lives
        if seen.not_before is None or (seen.fingerprint not in known and seen.fingerprint not in state.earlier)
    ]
    return tuple(dict.fromkeys(found))
