"""The daily pruning: a portion at a time, once a day, by the ages of the policy in force."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities import retention
from activities.retention import FORGET, Pruning
from domain.retention import KEPT, Retention
from store import access, tables

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def keep(engine: Engine, count: int, at: datetime) -> None:
    for number in range(count):
        access.claim_key(engine, f"{at.isoformat()}-{number}", "meant", at)


def kept(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(tables.requests)).scalar_one())


def test_every_age_of_a_policy_is_one_that_is_kept_to() -> None:
    assert set(FORGET) == {field.name for field in fields(Retention)}


def test_a_day_is_pruned_in_portions_and_then_left_alone(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 4)
    now = NOW
    keep(database, 10, NOW - 31 * DAY)
    pruning = Pruning(database, lambda: KEPT, lambda: now)

    assert [pruning.portion() for _ in range(4)] == [4, 4, 2, 0]
    keep(database, 1, NOW - 31 * DAY - timedelta(hours=1))
    assert pruning.portion() == 0, "this day's work is done"

    now = NOW + DAY
    assert pruning.portion() == 1


def test_the_age_is_that_of_the_policy_in_force(database: Engine) -> None:
    now, ages = NOW, KEPT
    keep(database, 1, NOW - 20 * DAY)
    pruning = Pruning(database, lambda: ages, lambda: now)
    assert pruning.portion() == 0

    ages, now = replace(KEPT, requests=10 * DAY), NOW + DAY
    assert pruning.portion() == 1
    assert kept(database) == 0


def test_what_fails_is_tried_again_the_same_day(database: Engine) -> None:
    keep(database, 1, NOW - 31 * DAY)
    ages: list[Retention] = []
    pruning = Pruning(database, lambda: ages[0], lambda: NOW)
    with pytest.raises(IndexError):
        pruning.portion()
    ages.append(KEPT)
    assert pruning.portion() == 1
