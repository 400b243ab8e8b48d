"""What was really seen at the places of a simulated lifecycle, kept apart from how the lifecycle keeps it.

It hears the same looks and the same answers, and remembers of each place what was seen there last, until it was seen
otherwise or a person said that the place is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.certificate import LookOutcome, Slot
from domain.contracts import Consult, LookAgain, LookReport, Observation, Recall, SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.commands import Command, Redeemed, StepDone
from domain.lifecycle.served import lives
from domain.lifecycle.state import LifecycleState
from tests.domain.simulation import World

# Looks of a clock that is further ahead say nothing.
SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Seen:
    fingerprint: str
    not_before: datetime
    ends_at: datetime


@dataclass
class Oracle:
    """``calls``: when the head was called for which certificate; ``fell``: an alarm that fell with nobody's word."""

    world: World
    places: dict[Slot, dict[str, Seen]] = field(default_factory=dict)
    looked_at: dict[Slot, datetime] = field(default_factory=dict)
    calls: dict[str, list[datetime]] = field(default_factory=dict)
    fell: str = ""

    def __post_init__(self) -> None:
        self.world.hear = self.hear

    def served(self) -> list[Seen]:
        """Of the places that are still its own or that were taken from it, and the present certificate."""
        state = self.world.state
        mine = {place.slot for place in state.places}
        found = [seen for slot, here in self.places.items() if slot in mine for seen in here.values()]
        assert state.life is not None
        present = state.life
        if all(seen.fingerprint != present.fingerprint for seen in found):
            found.append(Seen(present.fingerprint, present.not_before, present.ends_at))
        return found

    def hear(self, before: LifecycleState, command: Command, happened: tuple[e.Happened, ...]) -> None:
        after = self.world.state
        self._look(before, command)
        for fact in happened:
            if isinstance(fact.event, e.RungFired) and fact.event.to == "security-head":
                self.calls.setdefault(fact.event.fingerprint, []).append(fact.at)
            if isinstance(fact.event, e.PlacesReleased):
                for slot in fact.event.slots:
                    self.places.pop(slot, None)
        if before.life is None or after.life is None or after.retired:
            return
        was, now = _earliest(before), _earliest(after)
        if now > was and not _is_of_a_look_or_a_person(command):
            self.fell = f"from {was} to {now} by {type(command).__name__}"

    def _look(self, before: LifecycleState, command: Command) -> None:
        if not isinstance(command, StepDone):
            return
        outcome = command.outcome
        if isinstance(outcome, Observation):
            if not isinstance(command.step, Consult) or command.step.notice_id not in before.unread:
                return
            own = set(outcome.slots) if outcome.slots else {place.slot for place in before.own_places}
            if outcome.kind == "adopted":
                self.places, self.looked_at = {slot: {} for slot in outcome.slots}, {}
            self._take(tuple(look for look in outcome.looks if look.slot in own))
        elif isinstance(outcome, LookReport):
            self._take(tuple(look for look in outcome.looks if look.slot in before.slots))

    def _take(self, looks: tuple[SlotLook, ...]) -> None:
        for slot in dict.fromkeys(look.slot for look in looks):
            here = [look for look in looks if look.slot == slot and look.outcome is not LookOutcome.NOT_LOOKED]
            here = [look for look in here if look.at <= self.world.now + SKEW]
            if not here or here[0].at < self.looked_at.get(slot, here[0].at):
                continue
            self.looked_at[slot] = here[0].at
            shown = {look.fingerprint: self._seen(slot, look) for look in here if look.fingerprint}
            if shown:
                self.places[slot] = shown

    def _seen(self, slot: Slot, look: SlotLook) -> Seen:
        facts = self.world.certificates[look.fingerprint]
        ends_at = look.ends_at or facts.ends_at
        before = self.places.get(slot, {}).get(look.fingerprint)
        if before is not None and not look.chain_ok:
            # A chain that is not good proves no later end.
            ends_at = min(ends_at, before.ends_at)
        return Seen(look.fingerprint, facts.not_before, ends_at)


def _earliest(state: LifecycleState) -> datetime:
    return min(life.ends_at for life in lives(state))


def _is_of_a_look_or_a_person(command: Command) -> bool:
    return isinstance(command, Redeemed) or (
        isinstance(command, StepDone) and isinstance(command.step, LookAgain | Consult | Recall)
    )
