"""What the watcher tells, and when: the cause first, each fault once, and nothing of ordinary restarts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.vitals import (
    API,
    BEHIND,
    QUEUES,
    Answer,
    Engine,
    Fault,
    Heartbeat,
    Kind,
    Late,
    Seen,
    Vitals,
    faults_in,
)
from domain.watching import AT_ONCE, ROOTS, Memory, Patience, Watched, judge

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATIENCE = Patience()
# The promise: whatever breaks is told within a quarter of an hour.
PROMISED = timedelta(minutes=15)
PARTS = (*QUEUES, API)


def fault(kind: Kind, subject: str = "") -> Fault:
    return Fault(kind, subject, "is unwell", "mend it")


@dataclass
class Watcher:
    """Runs ``judge`` once a minute over what it is shown."""

    memory: Memory = field(default_factory=Memory)
    alarms: list[tuple[datetime, Kind]] = field(default_factory=list)
    clears: list[tuple[datetime, Kind]] = field(default_factory=list)

    def sees(self, faults: Iterable[Fault], at: datetime) -> None:
        judged = judge(self.memory, faults, at, PATIENCE)
        self.memory = judged.memory
        self.alarms += [(at, one.fault.kind) for one in judged.alarms]
        self.clears += [(at, one.fault.kind) for one in judged.clears]

    def watches(self, faults: Sequence[Fault], begin: datetime, minutes: int) -> datetime:
        for minute in range(minutes):
            self.sees(faults, begin + minute * MINUTE)
        return begin + minutes * MINUTE


def test_a_fault_has_one_alarm_within_the_promise_and_one_all_clear() -> None:
    watcher = Watcher()

    end = watcher.watches([fault(Kind.TEMPORAL)], NOW, 600)
    watcher.watches([], end, 600)

    assert [kind for _, kind in watcher.alarms] == [kind for _, kind in watcher.clears] == [Kind.TEMPORAL]
    assert watcher.alarms[0][0] - NOW <= PROMISED
    assert watcher.clears[0][0] - end <= PATIENCE.calm
    assert watcher.memory.watched == ()


def test_a_database_that_is_down_is_one_alarm_and_not_one_for_each_certificate() -> None:
    watcher = Watcher()
    late = [fault(Kind.OVERDUE, f"mc-{number}") for number in range(320)]

    end = watcher.watches([fault(Kind.DATABASE), *late, fault(Kind.WORKER, "scan")], NOW, 60)
    # What was late recovers in a few minutes after the cause is gone.
    end = watcher.watches(late, end, 5)
    watcher.watches([], end, 60)

    assert [kind for _, kind in watcher.alarms] == [Kind.DATABASE]
    assert [kind for _, kind in watcher.clears] == [Kind.DATABASE]


def test_what_does_not_recover_after_its_cause_is_told_then() -> None:
    watcher = Watcher()
    late = [fault(Kind.OVERDUE, "mc-1")]

    end = watcher.watches([fault(Kind.DATABASE), *late], NOW, 60)
    watcher.watches(late, end, 60)

    assert [kind for _, kind in watcher.alarms] == [Kind.DATABASE, Kind.OVERDUE]
    assert watcher.alarms[1][0] - end <= PROMISED


def test_database_and_temporal_together_are_two_alarms_within_the_promise() -> None:
    watcher = Watcher()

    watcher.watches([fault(Kind.DATABASE), fault(Kind.TEMPORAL), fault(Kind.API_UNREADY, "api")], NOW, 60)

    assert {kind for _, kind in watcher.alarms} == {Kind.DATABASE, Kind.TEMPORAL}
    assert all(at - NOW <= PROMISED for at, _ in watcher.alarms)


def test_a_cause_that_comes_and_goes_does_not_silence_what_it_explains_for_ever() -> None:
    watcher = Watcher()
    for minute in range(0, 120, 6):
        watcher.sees([fault(Kind.DATABASE)], NOW + minute * MINUTE)
        watcher.watches([fault(Kind.OVERDUE, "mc-1")], NOW + (minute + 1) * MINUTE, 5)

    assert Kind.OVERDUE in {kind for _, kind in watcher.alarms}


def test_a_part_that_falls_over_every_minute_is_told() -> None:
    watcher = Watcher()
    for minute in range(60):
        watcher.sees([fault(Kind.WORKER, "scan")] if minute % 2 else [], NOW + minute * MINUTE)

    assert [kind for _, kind in watcher.alarms] == [Kind.WORKER]
    assert watcher.clears == []


def test_a_clock_that_was_set_back_keeps_nothing_silent() -> None:
    watcher = Watcher()
    watcher.sees([fault(Kind.DATABASE), fault(Kind.DISK)], NOW + timedelta(days=400))

    watcher.watches([fault(Kind.DISK), fault(Kind.OVERDUE, "mc-1")], NOW, 45)

    assert {kind for _, kind in watcher.alarms} >= {Kind.DISK, Kind.OVERDUE}


def test_who_was_away_a_night_lets_everything_recover_before_it_tells() -> None:
    watcher = Watcher()
    late = [fault(Kind.OVERDUE, "mc-1"), fault(Kind.RECONCILER)]
    end = watcher.watches([], NOW, 5) + timedelta(hours=10)

    # All came back at the same time; in five minutes everything has caught up.
    end = watcher.watches(late, end, 5)
    watcher.watches([], end, 30)
    assert watcher.alarms == []

    begin = end + timedelta(hours=10)
    watcher.watches(late, begin, 20)
    assert {kind for _, kind in watcher.alarms} == {Kind.OVERDUE, Kind.RECONCILER}
    assert all(at - begin <= PROMISED for at, _ in watcher.alarms)


KINDS = st.sampled_from(list(Kind))
ROUNDS = st.lists(st.frozensets(KINDS, max_size=4), max_size=80)


@given(ROUNDS)
def test_alarm_and_all_clear_of_a_fault_alternate_whatever_happens(rounds: list[frozenset[Kind]]) -> None:
    watcher = Watcher()
    for number, kinds in enumerate(rounds):
        watcher.sees([fault(kind) for kind in kinds], NOW + number * MINUTE)

    for kind in Kind:
        said = sorted(
            [(at, "alarm") for at, one in watcher.alarms if one is kind]
            + [(at, "clear") for at, one in watcher.clears if one is kind]
        )
        assert [word for _, word in said] == ["alarm", "clear"] * (len(said) // 2) + ["alarm"] * (len(said) % 2)


@given(ROUNDS, st.frozensets(KINDS, min_size=1, max_size=6))
def test_whatever_happened_before_a_lasting_fault_is_told_or_its_cause_is(
    rounds: list[frozenset[Kind]], lasting: frozenset[Kind]
) -> None:
    watcher = Watcher()
    for number, kinds in enumerate(rounds):
        watcher.sees([fault(kind) for kind in kinds], NOW + number * MINUTE)
    begin = NOW + len(rounds) * MINUTE

    watcher.watches([fault(kind) for kind in lasting], begin, 15)

    told = {one.fault.kind for one in watcher.memory.watched if one.told_at is not None}
    for kind in lasting:
        explained = set(BEHIND.get(kind, ())) & lasting
        before = set(BEHIND.get(kind, ())) & {one for kinds in rounds for one in kinds}
        # What a cause explained until just now has its own patience from then on.
        assert kind in told or explained & told or before


@given(ROUNDS)
def test_calm_ends_every_fault(rounds: list[frozenset[Kind]]) -> None:
    watcher = Watcher()
    for number, kinds in enumerate(rounds):
        watcher.sees([fault(kind) for kind in kinds], NOW + number * MINUTE)

    watcher.watches([], NOW + len(rounds) * MINUTE, 40)

    assert watcher.memory.watched == ()
    assert len(watcher.alarms) == len(watcher.clears)


@dataclass
class Installation:
    """Everleaf as the watcher sees it: parts that are away at times, and lifecycles that wait for them."""

    away: dict[str, list[tuple[datetime, datetime]]]

    def is_away(self, part: str, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in self.away.get(part, ()))

    def last_there(self, part: str, at: datetime) -> datetime:
        since = [begin for begin, end in self.away.get(part, ()) if begin <= at < end]
        return min(since) if since else at

    def seen(self, at: datetime) -> Seen:
        answers = tuple(
            Answer(kind, "does not answer" if self.is_away(kind.value, at) else "", "start it")
            for kind in (Kind.DATABASE, Kind.TEMPORAL, Kind.API, Kind.MAIL)
        )
        if self.is_away("database", at):
            return Seen(at, answers)
        beats = [
            Heartbeat((part,), "one", there, there, self.last_there("temporal", at), there, Engine(320))
            for part in PARTS
            # A row is not written while the database is away; here it is back.
            if (there := self.last_there(part, at))
        ]
        # A moment that came due in an outage of the worker is acted on when it is back.
        waits = self.last_there("lifecycle", at)
        overdue = (Late("mc-1", "a.example.in", waits),) if waits < at else ()
        return Seen(at, answers, Vitals(at, tuple(beats), 320, overdue))


def restarts(part: str) -> st.SearchStrategy[tuple[str, list[tuple[datetime, datetime]]]]:
    """A day of ordinary restarts of ``part``: each over within five minutes, none in the quarter of an hour after."""
    gaps = st.tuples(st.integers(15, 400), st.integers(1, 5))

    def laid_out(drawn: list[tuple[int, int]]) -> tuple[str, list[tuple[datetime, datetime]]]:
        at, found = NOW, []
        for gap, length in drawn:
            begin = at + gap * MINUTE
            at = begin + length * MINUTE
            found.append((begin, at))
        return part, found

    return st.lists(gaps, max_size=60).map(laid_out)


RESTARTING = (*(part.value for part in (Kind.DATABASE, Kind.TEMPORAL, Kind.MAIL)), *QUEUES, API)


@settings(max_examples=15)
@given(st.tuples(*(restarts(part) for part in RESTARTING)))
def test_a_day_of_ordinary_restarts_raises_no_alarm(
    plan: tuple[tuple[str, list[tuple[datetime, datetime]]], ...],
) -> None:
    installation, watcher = Installation(dict(plan)), Watcher()

    for minute in range(24 * 60):
        at = NOW + minute * MINUTE
        watcher.sees(faults_in(installation.seen(at)), at)

    assert watcher.alarms == []


@settings(max_examples=40)
@given(st.sampled_from(RESTARTING), st.integers(0, 200))
def test_a_part_that_stays_away_is_told_within_the_promise(part: str, after: int) -> None:
    begin = NOW + after * MINUTE
    installation, watcher = Installation({part: [(begin, begin + timedelta(days=1))]}), Watcher()

    for minute in range(after + 16):
        at = NOW + minute * MINUTE
        watcher.sees(faults_in(installation.seen(at)), at)

    told = [at for at, _ in watcher.alarms]
    assert told
    assert min(told) - begin <= PROMISED


def test_every_kind_says_what_explains_it_and_no_cause_explains_itself() -> None:
    for kind, causes in BEHIND.items():
        assert kind not in causes
        # Or the silence of one would hang on another that is itself explained by something else.
        assert all(set(BEHIND.get(cause, ())) <= set(causes) for cause in causes)
    assert not AT_ONCE & ROOTS


def test_a_told_fault_that_its_cause_hides_is_not_cleared() -> None:
    told = Watched(fault(Kind.OVERDUE, "mc-1"), NOW, NOW)
    watcher = Watcher(Memory((told,)))

    watcher.watches([fault(Kind.DATABASE)], NOW + MINUTE, 60)

    assert watcher.clears == []


def test_restarts_of_others_do_not_keep_a_short_fault_alive_until_the_next_one() -> None:
    watcher, at = Watcher(), NOW
    for kind in (Kind.DATABASE, Kind.TEMPORAL) * 4:
        at = watcher.watches([fault(Kind.WORKER, "scan")], at, 1)
        at = watcher.watches([], at, 3)
        at = watcher.watches([fault(kind)], at, 2)
        at = watcher.watches([], at, 2)

    assert watcher.alarms == []
