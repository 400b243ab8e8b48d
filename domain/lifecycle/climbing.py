"""The ladder of a state, and where on it the climb stands once the ladder itself has moved."""

from dataclasses import replace
from datetime import datetime

from domain.lifecycle.leads import RungMoment, ladder
from domain.lifecycle.state import LifecycleState


def rungs_of(state: LifecycleState) -> tuple[RungMoment, ...]:
    """The ladder of a state; empty before its first notice was read."""
    life = state.alarm_life
    return () if life is None or state.terms is None else ladder(life, state.terms.table)


def on_the_ladder(after: LifecycleState, before: LifecycleState) -> LifecycleState:
    """An index is another mark on another ladder: the climb moves to the deepest rung that had come by the last call.

    An acknowledgement was of one mark, and falls with it.
    """
    old, new = rungs_of(before), rungs_of(after)
    climb = before.climb
    if old == new or climb.rung < 0:
        return after
    called = climb.last_at
    reached = [rung.index for rung in new if called is not None and rung.at <= called]
    moved = replace(climb, rung=reached[-1] if reached else -1, acknowledged_rung=-1, acknowledged_until=None)
    return replace(after, climb=moved)


def end_moved(state: LifecycleState, ends_at: datetime, at: datetime) -> LifecycleState:
    """``state`` with another E of its present certificate, known since ``at``."""
    assert state.life is not None
    after = replace(state, life=replace(state.life, ends_at=ends_at), known_at=at)
    if ends_at > state.life.ends_at:
        return on_the_ladder(after, state)
    if rungs_of(after) == rungs_of(state):
        return after
    # The same ladder, nearer: what was told of a rung stays told, and any deeper one that has come by now fires at
    # once, also where the last call was later than its mark: that call spoke of an end which was further away.
    return replace(after, climb=replace(state.climb, acknowledged_rung=-1, acknowledged_until=None))
