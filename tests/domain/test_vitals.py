"""What of one round is a fault, and by which name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.vitals import API, QUEUES, Engine, Heartbeat, Kind, Late, Named, Place, Seen, Vitals, faults_in

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def well(at: datetime = NOW) -> Vitals:
    beats = tuple(Heartbeat((part,), "one", at, at, at, at, Engine(3)) for part in (*QUEUES, API))
    return Vitals(at, beats, 3, lists=(("issuing", at),), unsent_since=at, last_reconciled=at)


def kinds_of(vitals: Vitals | None, **more: object) -> set[tuple[Kind, str]]:
    return {one.key for one in faults_in(Seen(NOW, vitals=vitals, **more))}  # type: ignore[arg-type]  # any field


def test_what_is_well_has_no_fault() -> None:
    assert kinds_of(well(), inventory_at=NOW) == set()


def test_each_fault_of_a_round_is_seen_and_named() -> None:
    ago = NOW - timedelta(days=2)
    silent = tuple(one for one in well().heartbeats if "scan" not in one.serves)
    vitals = replace(
        well(),
        heartbeats=silent,
        overdue=(Late("mc-1", "a.in", ago), Late("mc-2", "b.in", NOW - timedelta(minutes=14))),
        without_agenda=(Named("mc-3", "c.in"),),
        lists=(("issuing", ago),),
        unsent_since=ago,
        unheard=("p-head",),
        last_reconciled=NOW - timedelta(minutes=16),
        living=5,
    )
    place = Place("tls://10.0.0.1:443", "a.in", NOW + timedelta(days=90), NOW, NOW + timedelta(days=2))

    assert kinds_of(vitals, places=(place,), inventory_at=ago) == {
        (Kind.WORKER, "scan"),
        (Kind.OVERDUE, "mc-1"),
        (Kind.NO_AGENDA, "mc-3"),
        (Kind.REVOCATION_LIST, "issuing"),
        (Kind.UNSENT, ""),
        (Kind.UNHEARD, "p-head"),
        (Kind.RECONCILER, ""),
        (Kind.MISSING, ""),
        (Kind.NEARER, "tls://10.0.0.1:443"),
        (Kind.SNAPSHOT, ""),
    }


def test_a_lifecycle_that_was_ended_is_named_and_not_counted_as_missing_too() -> None:
    vitals = well()
    beats = tuple(replace(one, engine=Engine(2, ("mc-2",), ("mc-3",))) for one in vitals.heartbeats)

    assert kinds_of(replace(vitals, heartbeats=beats)) == {(Kind.ENDED, "mc-2"), (Kind.FAILING, "mc-3")}


def test_a_worker_that_lives_but_hears_nothing_of_temporal_or_asks_for_no_work_is_unwell() -> None:
    vitals = well()
    ago = NOW - timedelta(minutes=3)
    deaf = tuple(replace(one, engine_at=ago) if "issue" in one.serves else one for one in vitals.heartbeats)
    idle = tuple(replace(one, polled_at=ago) if "issue" in one.serves else one for one in vitals.heartbeats)

    assert kinds_of(replace(vitals, heartbeats=deaf)) == kinds_of(replace(vitals, heartbeats=idle))
    assert kinds_of(replace(vitals, heartbeats=deaf)) == {(Kind.WORKER, "issue")}


def test_a_clock_that_differs_by_more_than_a_minute_is_named() -> None:
    vitals = well()
    ahead = tuple(
        replace(one, said_at=NOW + timedelta(days=100), engine_at=None, polled_at=None) if API in one.serves else one
        for one in vitals.heartbeats
    )
    assert kinds_of(replace(vitals, heartbeats=ahead)) == {(Kind.CLOCK, "api on one")}
    late = Seen(NOW + timedelta(seconds=61), vitals=vitals)
    assert {one.key for one in faults_in(late)} == {(Kind.CLOCK, "database")}


def test_of_two_worker_sets_one_that_is_alive_is_enough() -> None:
    vitals = well()
    ended = tuple(replace(one, host="old", written_at=NOW - timedelta(hours=1)) for one in vitals.heartbeats)

    assert kinds_of(replace(vitals, heartbeats=(*ended, *vitals.heartbeats))) == set()
