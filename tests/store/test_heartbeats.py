"""A heartbeat is one row for what a process serves on its host, and the watcher's numbers are read beside it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.notification import CHANNEL
from domain import vitals
from domain.contracts import Delivery, Message
from store import reader, tables
from store.deliveries import finish_deliveries, queue_delivery
from store.facts import record
from store.heartbeats import Beat, beat, leave
from tests.store.test_facts import batch, event, snapshot

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LIFECYCLE = Beat(("lifecycle", "deploy"), "one", NOW, NOW, NOW, vitals.Engine(2, ("mc-1", "mc-gone"), ("mc-1",)))


def test_a_beat_replaces_the_one_before_and_is_dated_by_the_database(database: Engine) -> None:
    beat(database, LIFECYCLE)
    beat(database, replace(LIFECYCLE, said_at=NOW + timedelta(days=100)))

    [found] = reader.watched(database).heartbeats

    assert (found.serves, found.host, found.said_at) == (("lifecycle", "deploy"), "one", NOW + timedelta(days=100))
    assert abs(found.written_at - reader.watched(database).now) < timedelta(hours=1)


def test_who_has_not_counted_leaves_what_was_counted_before(database: Engine) -> None:
    beat(database, LIFECYCLE)
    beat(database, replace(LIFECYCLE, engine=None, engine_at=None))

    [found] = reader.watched(database).heartbeats

    assert found.engine is not None
    assert (found.engine.running, found.engine_at) == (2, None)


def test_who_left_in_order_is_not_missed_and_who_is_long_gone_is_forgotten(database: Engine) -> None:
    for host in ("one", "two", "three"):
        beat(database, replace(LIFECYCLE, host=host))
    leave(database, LIFECYCLE.serves, "two")
    with database.begin() as connection:
        long_ago = sa.update(tables.heartbeats).where(tables.heartbeats.c.host == "three")
        connection.execute(long_ago.values(written_at=NOW - timedelta(days=400)))

    beat(database, LIFECYCLE)

    assert [one.host for one in reader.watched(database).heartbeats] == ["one"]


def test_what_is_late_or_has_no_agenda_is_named_and_what_is_retired_is_not(database: Engine) -> None:
    beat(database, LIFECYCLE)
    now = reader.watched(database).now
    late = snapshot(next_action_at=now - timedelta(minutes=16))
    record(database, batch(event(0), read_model=late), "0.3.0", NOW)

    seen = reader.watched(database)

    assert seen.living == 1
    assert [one.managed_id for one in seen.overdue] == [late.managed_id]
    assert [one.engine.ended for one in seen.heartbeats if one.engine] == [("mc-1",)]
    retired = replace(late, retired=True, next_action_at=None)
    record(database, batch(event(1), read_model=retired), "0.3.0", NOW)
    assert reader.watched(database).living == 0
    assert (reader.watched(database).overdue, reader.watched(database).without_agenda) == ((), ())
    [beaten] = reader.watched(database).heartbeats
    assert beaten.engine == vitals.Engine(2)


def test_a_living_certificate_without_a_next_moment_is_named(database: Engine) -> None:
    record(database, batch(event(0), read_model=snapshot(next_action_at=None)), "0.3.0", NOW)

    assert [one.managed_id for one in reader.watched(database).without_agenda] == ["mc-1"]


def test_a_head_whose_last_letter_reached_nobody_is_named_until_one_does(database: Engine) -> None:
    now = reader.watched(database).now
    undeliverable, delivered = (Delivery(state, "why") for state in ("undeliverable", "delivered"))

    def told(message_id: str, level: str, at: datetime, outcome: Delivery | None) -> None:
        message = Message(message_id, "mc-1", "p-head", level, "failed", at)  # type: ignore[arg-type]  # a level
        queue_delivery(database, message, CHANNEL, at)
        if outcome is not None:
            finish_deliveries(database, [message_id], CHANNEL, (outcome, at))

    told("m-0", "security-head", now - timedelta(days=9), undeliverable)
    told("m-1", "owner", now, undeliverable)
    assert reader.watched(database).unheard == ()
    told("m-2", "security-head", now, undeliverable)
    told("m-3", "security-head", now + timedelta(minutes=1), None)
    assert reader.watched(database).unheard == ("p-head",)
    told("m-4", "security-head", now + timedelta(minutes=2), delivered)
    assert reader.watched(database).unheard == ()
