"""The watcher's decisions: which faults are told and when, when all is clear, and which certificate is looked at next.

One fault, one alarm, one all-clear; the cause first; a restart that is shorter than the patience is no fault.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from domain.vitals import BEHIND, Fault, Kind, Place

# Each has waited long enough by its own definition, or is over by the next round and must not be lost.
AT_ONCE = frozenset({Kind.OVERDUE, Kind.MEMORY, Kind.REVOCATION_LIST, Kind.SNAPSHOT, Kind.RECONCILER})
# A cause that comes and goes, each time shorter than the patience, must not keep what it explains silent for ever.
LONGEST_HELD = 3
ROOTS = frozenset(kind for kinds in BEHIND.values() for kind in kinds)

_JUST_BEFORE = timedelta(microseconds=1)

# Promised: once a week, and daily in the last 30 days.  Due a little earlier, so that a late round keeps the promise.
LOOKED_EVERY, LOOKED_DAILY = timedelta(days=6), timedelta(hours=20)
LAST_DAYS = timedelta(days=30)
# So many at least in a round, else twice what the pace asks for: what an outage left behind is made up for.
FEWEST_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Patience:
    """``told``: how long a fault lasts before it is one; ``calm``: how long it is away before all is clear again."""

    told: timedelta = timedelta(minutes=10)
    calm: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Watched:
    """A fault that was seen.  ``told_at``: None until its alarm went out; ``gone_since``: None while it is there."""

    fault: Fault
    since: datetime
    told_at: datetime | None = None
    gone_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the watcher carries from round to round.  ``last_seen``: of each cause, the last round that saw it;
    ``round_at``: of the last round, None before the first."""

    watched: tuple[Watched, ...] = ()
    last_seen: tuple[tuple[Kind, datetime], ...] = ()
    round_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """``alarms`` and ``clears``: what must be said now; each is said by this one answer, and never again."""

    memory: Memory
    alarms: tuple[Watched, ...] = ()
    clears: tuple[Watched, ...] = ()


def judge(memory: Memory, faults: Iterable[Fault], now: datetime, patience: Patience) -> Judged:
    """What this round's ``faults`` come to.

    What a present cause explains is neither told nor cleared; once that is over it has the whole patience to recover.
    """
    memory = _not_ahead(memory, now)
    present = {fault.key: fault for fault in faults}
    known = {one.fault.key: one for one in memory.watched}
    told = {one.fault.kind for one in memory.watched if one.told_at is not None}
    seen = dict(memory.last_seen) | {fault.kind: now for fault in present.values() if fault.kind in ROOTS}
    if memory.round_at is None or now - memory.round_at > patience.told:
        # Who was away itself takes it that everything was, a night say, and lets it recover.
        seen = dict.fromkeys(ROOTS, now - _JUST_BEFORE) | {kind: at for kind, at in seen.items() if at == now}
    kept: list[Watched] = []
    alarms: list[Watched] = []
    clears: list[Watched] = []
    # Causes first: an alarm of this very round already speaks for what it explains.
    for key in sorted({*known, *present}, key=lambda one: (one[0] in BEHIND, one[0] not in ROOTS, one)):
        one = _now(known.get(key), present.get(key), now)
        cause = _cause(key[0], seen, now, patience, told)
        if cause == "told":
            # Its alarm says enough; what is left when it is over begins then.
            if one.told_at is not None:
                kept.append(replace(one, gone_since=None))
        elif key in present:
            if one.told_at is None and now >= _due(one, cause, patience):
                one = replace(one, told_at=now)
                told.add(key[0])
                alarms.append(one)
            kept.append(one)
        elif cause == "hidden":
            # Nobody can tell whether it is away.
            kept.append(one)
        elif one.gone_since is not None and now - one.gone_since >= patience.calm:
            if one.told_at is not None:
                clears.append(one)
        else:
            kept.append(one)
    return Judged(Memory(tuple(kept), tuple(sorted(seen.items())), now), tuple(alarms), tuple(clears))


def _not_ahead(memory: Memory, now: datetime) -> Memory:
    """Nothing of it lies ahead: a clock that was set back must not keep the watcher silent until it has caught up."""

    def past(at: datetime | None) -> datetime | None:
        return None if at is None else min(at, now)

    watched = tuple(
        replace(one, since=min(one.since, now), told_at=past(one.told_at), gone_since=past(one.gone_since))
        for one in memory.watched
    )
    return Memory(
        watched, tuple((kind, min(at, now - _JUST_BEFORE)) for kind, at in memory.last_seen), past(memory.round_at)
    )


def _now(one: Watched | None, fault: Fault | None, now: datetime) -> Watched:
    """``one`` after this round, in which it was there as ``fault`` or not."""
    if one is None:
        assert fault is not None
        return Watched(fault, now)
    if fault is not None:
        return replace(one, fault=fault, gone_since=None)
    return one if one.gone_since is not None else replace(one, gone_since=now)


def _cause(kind: Kind, seen: Mapping[Kind, datetime], now: datetime, patience: Patience, told: set[Kind]) -> str:
    """ "told": a cause that was told is there, or was until just now; "hidden": one is there that
    nobody was told of yet; "held": one was, and what it held up recovers."""
    found = ""
    for root in BEHIND.get(kind, ()):
        at = seen.get(root)
        if at is not None and (at == now or now - at < patience.told):
            if root in told:
                return "told"
            found = "hidden" if at == now or found == "hidden" else "held"
    return found


def _due(one: Watched, cause: str, patience: Patience) -> datetime:
    """When ``one`` is told, if it is still there."""
    if cause:
        return one.since + LONGEST_HELD * patience.told
    return one.since if one.fault.kind in AT_ONCE else one.since + patience.told


def next_looks(places: Sequence[Place], now: datetime, every: timedelta) -> tuple[str, ...]:
    """The places to look at in this round, the latest first; ``every``: how often there is a round.

    Each is looked at once a week, in its last 30 days daily, and in every round while it is nearer its end than it
    should be: no fault is told on one look.
    """
    pace = sum(every / _interval(place, now) for place in places)
    most = max(FEWEST_LOOKS, ceil(2 * pace))
    suspects = [place.url for place in places if place.is_nearer]
    due = sorted((_lateness(place, now), place.url) for place in places if not place.is_nearer)
    return (*suspects, *(url for late, url in reversed(due[-most:]) if late >= 1))


def _interval(place: Place, now: datetime) -> timedelta:
    return LOOKED_DAILY if place.recorded - now <= LAST_DAYS else LOOKED_EVERY


def _lateness(place: Place, now: datetime) -> float:
    """1: due now.  A place without a look is as late as one that was never looked at for ten intervals."""
    if place.looked_at is None:
        return 10.0
    return (now - place.looked_at) / _interval(place, now)


def causes_first(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """``faults`` without those that another one of them explains."""
    all_of_them = tuple(faults)
    kinds = {fault.kind for fault in all_of_them}
    return tuple(sorted(fault for fault in all_of_them if not kinds & set(BEHIND.get(fault.kind, ()))))


@dataclass(frozen=True, slots=True)
class Owed:
    """A letter that one route has not taken yet.  ``key``: the same for all repetitions."""

    route: str
    key: str
    subject: str
    body: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Carried:
    """What lies on the watcher's disk: what it has told, and what it still owes; ``has_inventory``: beside it."""

    memory: Memory = field(default_factory=Memory)
    owed: tuple[Owed, ...] = ()
    has_inventory: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """The snapshot on the watcher's disk, with what its own looks found.  ``recipients``: addresses of those who are
    told, for as long as the policy cannot be read."""

    taken_at: datetime
    places: tuple[Place, ...] = ()
    recipients: tuple[str, ...] = ()


def taken_anew(places: Iterable[Place], before: Inventory | None, now: datetime) -> Inventory:
    """``places`` as the store has them now, with what was found by looks so far."""
    known = {place.url: place for place in before.places} if before else {}
    return Inventory(
        now,
        tuple(
            replace(place, looked_at=known[place.url].looked_at, seen_ends=known[place.url].seen_ends)
            if place.url in known
            else place
            for place in places
        ),
        before.recipients if before else (),
    )


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` and *Situation* show of the watcher.  ``at``: its last round; ``silent_routes``: of ``routes``,
    those that take no letter; ``unsent``: letters still owed; ``faults``: what it sees now, told or not yet."""

    at: datetime
    every: timedelta
    routes: tuple[str, ...] = ()
    silent_routes: tuple[str, ...] = ()
    unsent: int = 0
    places: int = 0
    faults: tuple[Watched, ...] = ()

    def is_late(self, now: datetime) -> bool:
        """Its rounds do not end any more: nobody watches."""
        return now - self.at > 3 * self.every + timedelta(minutes=1)
