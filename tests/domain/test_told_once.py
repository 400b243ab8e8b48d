"""That nothing can renew a certificate is told once; again when something changed, or a week (past E: a day) later."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from domain.contracts import Terms
from domain.lifecycle.commands import Command
from domain.lifecycle.events import Happened
from domain.lifecycle.served import present
from domain.lifecycle.state import LifecycleState
from domain.people.telling import messages_for
from domain.tiers import Tier
from tests.domain.simulation import SLOTS, START, World, life, terms

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WITHOUT = "no target of the policy matches it"


def unroutable(why: str = WITHOUT) -> Terms:
    return terms(Tier.CUSTOMER_FACING, 180 * DAY, plan=None, unroutable=why)


def mails(world: World) -> list[datetime]:
    """From now on: when each mail was made that nothing can renew it."""
    found: list[datetime] = []

    def hear(before: LifecycleState, command: Command, happened: tuple[Happened, ...]) -> None:
        # What a message says of its certificate does not matter here, only whether there is one.
        for fact in happened:
            found.extend(one.at for one in messages_for(world.state, fact) if one.topic == "unroutable")

    world.hear = hear
    return found


def crossed(path_ends: timedelta, rules: str = "0.3") -> tuple[World, list[datetime]]:
    """A leaf from ten days ago on, for 180 days, below a cross-certificate that ended ``path_ends`` after it began."""
    world = World(tier=Tier.CUSTOMER_FACING, length=180 * DAY, age=10 * DAY, rules=rules)
    told = mails(world)
    world.paths = dict.fromkeys(SLOTS, START - 10 * DAY + path_ends)
    world.adopt()
    world.tell_terms(unroutable())
    world.run_until(START + 6 * DAY)
    return world, told


@pytest.mark.parametrize("path_ends", [-50 * DAY, -HOUR, timedelta(minutes=10), HOUR, 2 * DAY])
def test_a_path_that_ended_before_or_soon_after_its_leaf_began_is_told_once_and_then_daily(
    path_ends: timedelta,
) -> None:
    world, told = crossed(path_ends)
    assert present(world.state).ends_at < START
    assert [at - told[0] >= number * DAY for number, at in enumerate(told)] == [True] * len(told)
    assert 5 <= len(told) <= 7, "once, and past E daily"


def test_under_the_older_rules_it_is_told_from_one_minute_on() -> None:
    _, told = crossed(HOUR, rules="0.2")
    assert sum(at < START + HOUR for at in told) >= 6


def test_an_unchanged_one_with_time_left_is_told_once_a_week() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, length=180 * DAY, age=100 * DAY)
    told = mails(world)
    world.adopt()
    world.tell_terms(unroutable())
    for number in range(20):
        # Discoveries come and change nothing that this stands on.
        world.run_until(START + number * DAY)
        world.discover(f"n-{number}")
        world.work()
    assert told == [START, START + 7 * DAY, START + 14 * DAY]


def test_a_life_of_minutes_is_told_daily_at_most() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, length=timedelta(minutes=30), age=timedelta(minutes=20))
    told = mails(world)
    world.adopt()
    world.tell_terms(unroutable())
    world.run_until(START + 5 * DAY)
    assert all(later - earlier >= DAY for earlier, later in pairwise(told))
    assert world.count("became_unroutable") > 2 * len(told), "looked at more often than told"


def test_another_reason_is_told_at_once_and_so_is_the_same_one_after_another_plan() -> None:
    world = World(tier=Tier.CUSTOMER_FACING, length=180 * DAY, age=100 * DAY)
    told = mails(world)
    world.adopt()
    world.tell_terms(unroutable())
    world.now += HOUR
    world.tell_terms(unroutable("no issuer of its trust class"))
    assert told == [START, START + HOUR]
    world.now += HOUR
    world.tell_terms(terms(Tier.CUSTOMER_FACING, 180 * DAY))
    world.now += HOUR
    world.tell_terms(unroutable("no issuer of its trust class"))
    assert told == [START, START + HOUR, START + 3 * HOUR]


def test_a_reason_whose_dates_move_is_the_same_reason() -> None:
    """A CA that ends first is tried again, and says another minute each time."""
    world = World(tier=Tier.INTERNAL, length=DAY, age=timedelta(hours=20))
    told = mails(world)
    world.ca_ends_at = START + timedelta(hours=2)
    first = life("first", START - timedelta(hours=20), DAY)
    world.adopt_this(first)
    world.run_until(START + 2 * DAY)
    assert world.count("became_unroutable") > 2
    assert len(told) <= 3
