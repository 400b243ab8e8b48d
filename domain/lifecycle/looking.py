"""When we look again of our own accord, and where: while something that was seen waits for a second look."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.certificate import Slot
from domain.lifecycle.ladder import moved, pause, scaled
from domain.lifecycle.served import present, proof_of, whose
from domain.lifecycle.state import LifecycleState, Place


@dataclass(frozen=True, slots=True)
class NextLook:
    """``slots``: those that are due by then, the longest unseen first, as many as one step takes."""

    at: datetime
    why: str
    slots: tuple[Slot, ...]


def next_look(state: LifecycleState) -> NextLook | None:
    """The next look of our own; None where discovery's own pace is enough."""
    if state.life is None or state.retired:
        return None
    length = present(state).length
    due = sorted(((at, why, place.slot) for place in state.own_places for at, why in _waits(state, place, length)))
    if not due:
        return None
    at, why = due[0][:2]
    if state.look_not_before is not None:
        at = max(at, state.look_not_before)
    slots = tuple(dict.fromkeys(slot for when, _, slot in due if when <= at))
    return NextLook(at, why, slots[: state.led_by.places_per_look])


def _waits(state: LifecycleState, place: Place, length: timedelta) -> list[tuple[datetime, str]]:
    if proof_of(place.slot) == "first-use":
        return []
    if place.due_since is not None:
        return [(place.due_since, "what was repaired is looked at")]
    if place.looked_at is None:
        return []
    rules = state.led_by
    least = rules.shortest_retry
    weekly = moved(place.looked_at, pause(rules.wrong_places_again, length, least))
    if place.silent:
        if proof_of(place.slot) == "read-back":
            often, again = rules.absent_looks, rules.second_look
        else:
            often, again = rules.silent_looks, rules.silent_again
        if place.silent < often:
            return [(moved(place.looked_at, pause(again, length, least)), "an endpoint is silent")]
        return [(weekly, "an endpoint is unseen")]
    second = pause(rules.second_look, length, least)
    waits = []
    for seen in place.lives:
        who = whose(state, seen.fingerprint)
        is_young = seen.looks < rules.good_looks or (
            seen.good_since is not None and seen.last < seen.good_since + second
        )
        if who == "stranger" and is_young:
            waits.append((moved(place.looked_at, second), "a foreign certificate is looked at twice"))
        if who in ("stranger", "earlier") and not state.installed:
            waits.append((weekly, "what is served there is not ours any more"))
    return waits


def turns_unseen(state: LifecycleState) -> datetime | None:
    """When the first place that was silent often enough has been so for long enough."""
    if state.life is None:
        return None
    rules = state.led_by
    week = scaled(rules.silent_for, present(state).length)
    return min(
        (
            moved(place.silent_since, week)
            for place in state.own_places
            if place.silent_since is not None
            and place.silent >= rules.silent_looks
            and proof_of(place.slot) == "handshake"
        ),
        default=None,
    )
