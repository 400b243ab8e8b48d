"""The whole state again, from what was recorded of it: the store's truth, after a fork or a lifecycle that was ended.

What a fold cannot give back is what no event says: ``rules`` are today's, and ``roll`` is of a run, not of a state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.contracts import Recall
from domain.errors import BadInput
from domain.lifecycle import events as e
from domain.lifecycle.evolve import evolve
from domain.lifecycle.state import LifecycleState

# What holds on whichever branch it was told.  Everything else between a fork and its end was decided on a state that
# the store does not know: a rung of another generation, say, must not count as fired in this one.
HOLDS_ON_EVERY_BRANCH = (e.NoticeCame, e.CodeBurnt, e.Forked, e.StateRecalled, e.Resumed)


@dataclass(frozen=True, slots=True)
class Recalled:
    """``state`` None: the store knows no event of it.  ``head``: the number of the last one, -1 for none."""

    state: LifecycleState | None
    head: int


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
    return replace(state, roll=False)


def stands_on(state: LifecycleState, recalled: Recalled) -> LifecycleState | None:
    """The state on which a lifecycle in ``state`` goes on; None where the store does not hold all of it yet.

    A lifecycle without a life knows nothing that counts.  Otherwise whatever it recorded is in the store's fold, or
    will be, and the fold is asked for again.
    """
    if state.recall is None or (state.life is not None and recalled.head + 1 < state.seq):
        return None
    return recalled.state or LifecycleState(state.managed_id)


def base(state: LifecycleState, step: object, outcome: object) -> LifecycleState:
    """On which state the events of a finished step are folded: but for a recall that holds, ``state`` itself."""
    if not isinstance(step, Recall) or not isinstance(outcome, Recalled):
        return state
    return stands_on(state, outcome) or state
