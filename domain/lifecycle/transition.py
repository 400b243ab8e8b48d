"""One turn of ``decide``: the state as it becomes while events are emitted, in their order."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.certificate import Life
from domain.contracts import Terms
from domain.lifecycle import events as e
from domain.lifecycle.evolve import evolve
from domain.lifecycle.ladder import scaled
from domain.lifecycle.state import Case, LifecycleState

EVERLEAF = "everleaf"
# Retries start here and double; scaled lives retry sooner, but never in a spin.
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=6)
SHORTEST_RETRY = timedelta(seconds=5)
# A short life is tried at its own pace this often; then the pause doubles with every few tries, up to the longest,
# for what did not help in time would otherwise go on every few seconds for ever.
STEADY_RETRIES = 24
TRIES_PER_DOUBLING = 8


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

    @property
    def life(self) -> Life:
        assert self.state.life is not None
        return self.state.life

    @property
    def terms(self) -> Terms:
        assert self.state.terms is not None
        return self.state.terms

    @property
    def case(self) -> Case:
        assert self.state.case is not None
        return self.state.case

    def after(self, lead: timedelta, *, at_least: timedelta = SHORTEST_RETRY) -> datetime:
        """``now`` plus ``lead``, scaled to this life, but never sooner than ``at_least``."""
        return self.now + max(scaled(lead, self.life.length), at_least)

    def backoff(self, failures: int) -> datetime:
        """When the ``failures``-th failure is tried again; a path that ends early makes nobody mend it sooner, so the
        longer of the present life and the planned one counts."""
        case = self.state.case
        planned = timedelta(seconds=case.plan.validity_seconds) if case is not None and case.plan is not None else None
        steady = max(scaled(LONGEST_RETRY, max(self.life.length, planned or timedelta())), SHORTEST_RETRY)
        longest = ever_longer(steady, failures, LONGEST_RETRY)
        return self.now + min(FIRST_RETRY * (1 << min(failures, 16)), longest)


def ever_longer(pause: timedelta, tries: int, longest: timedelta) -> timedelta:
    """``pause`` for the first tries, then doubled with every few more, up to ``longest``."""
    doublings = max(0, tries - STEADY_RETRIES) // TRIES_PER_DOUBLING
    return min(pause * (1 << min(doublings, 16)), longest)
