"""One turn of ``decide``: the state as it becomes while events are emitted, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.certificate import Life, Slot
from domain.contracts import Terms
from domain.lifecycle import events as e
from domain.lifecycle.evolve import evolve
from domain.lifecycle.ladder import pause, scaled
from domain.lifecycle.portions import slots_that_fit
from domain.lifecycle.rules import RuleSet
from domain.lifecycle.served import present
from domain.lifecycle.state import Case, LifecycleState, failures_of

EVERLEAF = "everleaf"


@dataclass(slots=True)
class Turn:
    state: LifecycleState
    now: datetime
    cause: str
    by: str = EVERLEAF
    happened: list[e.Happened] = field(default_factory=list)

    def emit(self, event: e.Event) -> None:
        fact = e.Happened(self.state.seq, self.now, self.cause, self.by, event)
        self.state = evolve(self.state, fact)
        self.happened.append(fact)

    def emit_each(self, slots: Sequence[Slot], made: Callable[[tuple[Slot, ...]], e.Event]) -> None:
        """``made`` of as many of ``slots`` as one event holds, and again of the rest: a certificate may have thousands
        of places."""
        while slots:
            some = slots_that_fit(slots, self.rules.event_bytes, self.rules)
            self.emit(made(some))
            slots = slots[len(some) :]

    @property
    def rules(self) -> RuleSet:
        return self.state.led_by

    @property
    def life(self) -> Life:
        """The present certificate, with E as it is served now."""
        return present(self.state)

    @property
    def terms(self) -> Terms:
        assert self.state.terms is not None
        return self.state.terms

    @property
    def case(self) -> Case:
        assert self.state.case is not None
        return self.state.case

    def after(self, lead: timedelta, *, at_least: timedelta | None = None) -> datetime:
        """``now`` plus ``lead``, scaled to this life, but never sooner than ``at_least``."""
        least = self.rules.shortest_retry if at_least is None else at_least
        return self.now + pause(lead, self.life.length, least)

    def backoff(self, step: str, place: str = "") -> datetime:
        """When ``step`` at ``place`` is tried again after one more failure; another step or place starts anew.

        A path that ends early makes nobody mend it sooner, so the longer of the present life and the planned counts.
        """
        rules, case = self.rules, self.state.case
        failures = failures_of(case, step, place) if case is not None else 0
        planned = timedelta(seconds=case.plan.validity_seconds) if case is not None and case.plan is not None else None
        length = max(self.life.length, planned or timedelta())
        steady = max(scaled(rules.longest_retry, length), rules.shortest_retry)
        longest = ever_longer(steady, failures, rules.longest_retry, rules)
        return self.now + min(rules.first_retry * (1 << min(failures, 16)), longest)


def ever_longer(wait: timedelta, tries: int, longest: timedelta, rules: RuleSet) -> timedelta:
    """``wait`` for the first tries, then doubled with every few more, up to ``longest``.

    What did not help in time would otherwise be tried every few seconds for ever.
    """
    doublings = max(0, tries - rules.steady_retries) // rules.tries_per_doubling
    return min(wait * (1 << min(doublings, 16)), longest)
