"""What the watcher sees in one round, and which faults that amounts to.

To watch one more thing: a ``Kind``, a line in ``BEHIND`` if another fault explains it, a place in ``faults_in``.
Longer than 300 lines because every fault that is told must stand beside those that explain it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, SCAN_QUEUE
from domain.reconciling import STALE_AFTER

QUEUES = (LIFECYCLE_QUEUE, SCAN_QUEUE, ISSUE_QUEUE, DEPLOY_QUEUE)
API = "api"

# A part writes its heartbeat every 5 s; four that are missing are no busy moment.
SILENT_AFTER = timedelta(seconds=20)
# A worker asks for a task once a minute at least; who has not asked for two is away.
AWAY_AFTER = timedelta(minutes=2)
OVERDUE_AFTER = timedelta(minutes=15)
# Nothing is signed, deployed or verified beyond this (rule 12 of the design).
CLOCKS_APART = timedelta(seconds=60)
# Lists are made anew every day and live a week: half a day late is a stopped job, with days left to mend it.
LIST_OLDEST = timedelta(hours=36)
LIST_REMEDY = (
    "See the log of the issue worker: it makes the lists. Where the store was put back it waits for "
    "`everleaf reconcile --apply`."
)
SNAPSHOT_OLDEST = timedelta(hours=24)
# A message goes out in seconds, and a Courier waits at most 15 minutes to put several into one letter.
UNSENT_AFTER = timedelta(minutes=45)
# Our own certificates are renewed like all others, but who is told of it reads it through them.
OWN_ENDS_WITHIN = timedelta(days=7)
NEARER_BY = timedelta(minutes=5)


class Kind(StrEnum):
    """What is unwell.  The values stand in the watcher's memory and in letters."""

    DATABASE = "database"
    TEMPORAL = "temporal"
    LIFECYCLE_WORKER = "lifecycle worker"
    WORKER = "worker"
    API = "api"
    API_UNREADY = "api not ready"
    MAIL = "mail"
    UNSENT = "messages"
    UNHEARD = "nobody hears"
    ROUTE = "way of alarms"
    CLOCK = "clock"
    DISK = "disk"
    POLICY = "policy file"
    REVOCATION_LIST = "revocation list"
    OWN_CERTIFICATE = "own certificate"
    PEER = "other watcher"
    MEMORY = "watcher's memory"
    SNAPSHOT = "watcher's inventory"
    RECONCILER = "reconciler"
    ENDED = "lifecycle ended"
    MISSING = "lifecycles missing"
    FAILING = "lifecycle failing"
    NO_AGENDA = "no agenda"
    OVERDUE = "overdue"
    NEARER = "nearer its end"


_ENGINE = (Kind.DATABASE, Kind.TEMPORAL, Kind.LIFECYCLE_WORKER)
# Fault -> the faults that explain it, or without which it cannot be seen: the cause is told first, and alone.
BEHIND: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.LIFECYCLE_WORKER: (Kind.DATABASE, Kind.TEMPORAL),
    Kind.WORKER: (Kind.DATABASE, Kind.TEMPORAL),
    Kind.API_UNREADY: (Kind.DATABASE, Kind.TEMPORAL, Kind.API),
    Kind.CLOCK: (Kind.DATABASE,),
    Kind.REVOCATION_LIST: (Kind.DATABASE,),
    Kind.SNAPSHOT: (Kind.DATABASE,),
    Kind.ROUTE: (Kind.MAIL,),
    Kind.UNSENT: (*_ENGINE, Kind.MAIL),
    Kind.UNHEARD: (Kind.MAIL,),
    Kind.RECONCILER: _ENGINE,
    Kind.ENDED: _ENGINE,
    Kind.MISSING: _ENGINE,
    Kind.FAILING: _ENGINE,
    Kind.NO_AGENDA: _ENGINE,
    Kind.OVERDUE: _ENGINE,
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong.  (``kind``, ``subject``) names it: the same for as long as it is the same fault."""

    kind: Kind
    subject: str
    says: str
    remedy: str

    @property
    def key(self) -> tuple[Kind, str]:
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Engine:
    """What the lifecycle worker counted in Temporal.  ``ended``: managed ids whose lifecycle was ended by other means
    than ours and does not run; ``failing``: those whose tasks fail.  None: it could not count."""

    running: int
    ended: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one process wrote last.  ``serves``: its queues, or ``api``; ``said_at``: by its own clock;
    ``written_at``: by the database's; ``engine_at``: when Temporal last answered it; ``polled_at``: when it last
    asked for work, of its queues the one that it asked longest ago; both by its own clock."""

    serves: tuple[str, ...]
    host: str
    said_at: datetime
    written_at: datetime
    engine_at: datetime | None = None
    polled_at: datetime | None = None
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """One managed certificate as people know it."""

    managed_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Late(Named):
    """``due_at``: when its next moment was."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the database said in this round.  ``now``: its clock; ``living``: managed certificates that are not
    retired; ``lists``: (CA, when its newest revocation list was made); ``unsent_since``: of messages that wait to be
    sent the oldest; ``unheard``: heads of IT security whose last letter reached nobody; ``last_reconciled``: None
    before inventory and engine were compared for the first time."""

    now: datetime
    heartbeats: tuple[Heartbeat, ...] = ()
    living: int = 0
    overdue: tuple[Late, ...] = ()
    without_agenda: tuple[Named, ...] = ()
    lists: tuple[tuple[str, datetime], ...] = ()
    unsent_since: datetime | None = None
    unheard: tuple[str, ...] = ()
    last_reconciled: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How one part took one small question.  ``problem``: empty where it did what it was asked within the deadline."""

    kind: Kind
    problem: str
    remedy: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate is served, as the inventory knows it: ``recorded`` is E there.

    Of the watcher's own looks: ``looked_at``, None before the first; ``seen_ends``: E of what it saw last, None where
    it saw nothing.  A place that is silent has lost nothing of what was seen.
    """

    url: str
    name: str
    recorded: datetime
    looked_at: datetime | None = None
    seen_ends: datetime | None = None

    @property
    def is_nearer(self) -> bool:
        """What is served ends earlier than the record says."""
        return self.seen_ends is not None and self.seen_ends < self.recorded - NEARER_BY


@dataclass(frozen=True, slots=True)
class Seen:
    """One round.  ``at``: the watcher's clock, the moment at which it had ``vitals``; ``vitals``: None where the
    database did not give any; ``inventory_at``: when the snapshot was taken, None where there is none."""

    at: datetime
    answers: tuple[Answer, ...] = ()
    vitals: Vitals | None = None
    places: tuple[Place, ...] = ()
    inventory_at: datetime | None = None


def faults_in(seen: Seen) -> tuple[Fault, ...]:
    """Everything that is wrong in ``seen``, causes and consequences alike, each once."""
    found = [*(Fault(one.kind, one.subject, one.problem, one.remedy) for one in seen.answers if one.problem)]
    found += _nearer(seen.places, seen.at)
    if seen.vitals is not None:
        found += _of_parts(seen.vitals)
        found += _of_clocks(seen.at, seen.vitals)
        found += _of_lifecycles(seen.vitals)
        found += _of_jobs(seen.vitals)
    if seen.inventory_at is not None and seen.at - seen.inventory_at > SNAPSHOT_OLDEST:
        told = f"it is of {seen.inventory_at:%d %b %H:%M} UTC, older than 24 hours: looks go by what was known then"
        found.append(Fault(Kind.SNAPSHOT, "", told, "Bring the database back; the watcher then reads it anew."))
    # Two answers may name one fault (a part that two ways were asked by); the first says it.
    return tuple({fault.key: fault for fault in reversed(found)}.values())


def _nearer(places: tuple[Place, ...], now: datetime) -> Iterator[Fault]:
    for one in places:
        if one.seen_ends is not None and one.is_nearer:
            told = (
                f"{one.name}: what is served {'ended' if one.seen_ends <= now else 'ends'} "
                f"{one.seen_ends:%d %b %Y %H:%M} UTC, the record says {one.recorded:%d %b %Y %H:%M} UTC"
            )
            yield Fault(Kind.NEARER, one.url, told, "Start a discovery; then see the certificate's page.")


def _of_parts(vitals: Vitals) -> Iterator[Fault]:
    for part in (*QUEUES, API):
        kind = Kind.LIFECYCLE_WORKER if part == LIFECYCLE_QUEUE else Kind.API_UNREADY if part == API else Kind.WORKER
        beats = [beat for beat in vitals.heartbeats if part in beat.serves]
        newest = max(beats, key=lambda beat: beat.written_at, default=None)
        if problem := _silence(newest, vitals.now):
            yield Fault(kind, part, problem, f"See the log of the process that serves {part}, and restart it.")


def _silence(beat: Heartbeat | None, now: datetime) -> str:
    """Why nobody can be said to do this work; empty: somebody does."""
    if beat is None:
        return "it has never written that it lives"
    if now - beat.written_at > SILENT_AFTER:
        return f"it wrote last that it lives at {beat.written_at:%d %b %H:%M:%S} UTC, on {beat.host}"
    # Both by its own clock, which may be wrong: its age still holds.
    if beat.engine_at is not None and beat.said_at - beat.engine_at > AWAY_AFTER:
        return f"it lives on {beat.host}, but Temporal has not answered it since {beat.engine_at:%d %b %H:%M:%S} UTC"
    if beat.polled_at is not None and beat.said_at - beat.polled_at > AWAY_AFTER:
        return f"it lives on {beat.host}, but has asked for no work since {beat.polled_at:%d %b %H:%M:%S} UTC"
    return ""


def _is_fresh(beat: Heartbeat, now: datetime) -> bool:
    return now - beat.written_at <= SILENT_AFTER


def _of_clocks(at: datetime, vitals: Vitals) -> Iterator[Fault]:
    remedy = "Let NTP set the clocks. Beyond 60 s of difference nothing should be signed, deployed or verified."
    if abs(at - vitals.now) > CLOCKS_APART:
        told = f"the watcher's clock and the database's are {_apart(at, vitals.now)} s apart"
        yield Fault(Kind.CLOCK, "database", told, remedy)
    for beat in vitals.heartbeats:
        # What was written long ago says nothing of a clock now.
        if _is_fresh(beat, vitals.now) and abs(beat.said_at - beat.written_at) > CLOCKS_APART:
            who = f"{','.join(beat.serves)} on {beat.host}"
            told = f"the clock of {who} and the database's are {_apart(beat.said_at, beat.written_at)} s apart"
            yield Fault(Kind.CLOCK, who, told, remedy)


def _apart(one: datetime, other: datetime) -> int:
    return round(abs(one - other).total_seconds())


def _of_lifecycles(vitals: Vitals) -> Iterator[Fault]:
    for one in vitals.overdue:
        if vitals.now - one.due_at > OVERDUE_AFTER:
            told = f"{one.name} ({one.managed_id}): its next moment was {one.due_at:%d %b %H:%M} UTC, and nothing came"
            yield Fault(Kind.OVERDUE, one.managed_id, told, f"See `everleaf show {one.managed_id}`, and its run.")
    for bare in vitals.without_agenda:
        told = f"{bare.name} ({bare.managed_id}) has no next moment: nothing will ever happen for it"
        yield Fault(Kind.NO_AGENDA, bare.managed_id, told, "Start a discovery: it tells the lifecycle, or begins it.")
    # The newest first: of several that count, the last word holds.
    fresh = sorted(vitals.heartbeats, key=lambda beat: beat.written_at, reverse=True)
    engine = next((beat.engine for beat in fresh if beat.engine and _is_fresh(beat, vitals.now)), None)
    if engine is None:
        return
    for managed_id in engine.ended:
        told = f"the lifecycle of {managed_id} was ended in Temporal, not by Everleaf, and does not run"
        yield Fault(Kind.ENDED, managed_id, told, "Start a discovery: a lifecycle that is missing begins again.")
    for managed_id in engine.failing:
        told = f"the tasks of the lifecycle of {managed_id} fail: it is unattended"
        yield Fault(Kind.FAILING, managed_id, told, "See its run in the Temporal UI and the log of the worker.")
    lost = vitals.living - engine.running - len(engine.ended)
    if lost > 0:
        told = f"{lost} of {vitals.living} certificates that live have no running lifecycle"
        yield Fault(Kind.MISSING, "", told, "Start a discovery: a lifecycle that is missing begins again.")


def _of_jobs(vitals: Vitals) -> Iterator[Fault]:
    for authority, made_at in vitals.lists:
        if vitals.now - made_at > LIST_OLDEST:
            told = f"the newest list of {authority} is of {made_at:%d %b %H:%M} UTC; one is due every day"
            yield Fault(Kind.REVOCATION_LIST, authority, told, LIST_REMEDY)
    if vitals.unsent_since is not None and vitals.now - vitals.unsent_since > UNSENT_AFTER:
        told = f"a message waits to be sent since {vitals.unsent_since:%d %b %H:%M} UTC"
        yield Fault(Kind.UNSENT, "", told, "See the lifecycle worker's log and its mail server.")
    for person in vitals.unheard:
        told = f"no letter reaches {person}, the head of IT security: behind that rung is nobody"
        yield Fault(Kind.UNHEARD, person, told, "Mend the mail server, or the address in the policy.")
    if vitals.last_reconciled is not None and vitals.now - vitals.last_reconciled > STALE_AFTER:
        told = f"inventory and engine were compared last at {vitals.last_reconciled:%d %b %H:%M} UTC"
        yield Fault(Kind.RECONCILER, "", told, "See the log of the lifecycle worker: its own loop compares them.")
