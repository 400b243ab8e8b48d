"""Which clock is called wrong, and what a certificate is worth that a wrong clock made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import OURS, TOLERANCE, is_here, wrong_clock
from domain.lifecycle.rules import RULES
from domain.lifecycle.state import Stage
from domain.tiers import Tier
from tests.domain.simulation import World

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
shifts = st.timedeltas(timedelta(days=-200), timedelta(days=200))


@given(shifts, shifts)
def test_nothing_is_done_exactly_where_a_witness_is_more_than_a_minute_off(one: timedelta, other: timedelta) -> None:
    said = wrong_clock(NOW, {"Temporal": NOW + one, "the database": NOW + other})
    assert bool(said) == (abs(one) > TOLERANCE or abs(other) > TOLERANCE)


@pytest.mark.parametrize(
    ("temporal", "database", "said"),
    [
        (-100 * DAY, -100 * DAY, f"a clock is wrong: {OURS} is 100 days ahead of Temporal, the database"),
        (3 * DAY, 3 * DAY, f"a clock is wrong: {OURS} is 3 days behind Temporal, the database"),
        (timedelta(), -2 * DAY, f"a clock is wrong: the database is 2 days behind {OURS}, Temporal"),
        (timedelta(hours=5), timedelta(), f"a clock is wrong: Temporal is 5 h ahead of {OURS}, the database"),
        (
            timedelta(minutes=5),
            2 * DAY,
            "clocks differ, and nobody can say which is wrong: Temporal is 5 min ahead of ",
        ),
        (timedelta(seconds=59), -timedelta(seconds=60), ""),
    ],
)
def test_the_one_that_the_others_agree_against_is_named(temporal: timedelta, database: timedelta, said: str) -> None:
    found = wrong_clock(NOW, {"Temporal": NOW + temporal, "the database": NOW + database})
    assert found.startswith(said)
    assert bool(found) == bool(said)


HERE = ("Temporal", "the database")
WITNESSED = {"Temporal": NOW, "the database": NOW, "the NTP server n": NOW}


def test_parts_of_one_machine_are_one_witness() -> None:
    apart = {**WITNESSED, "the NTP server n": NOW + DAY}
    assert wrong_clock(NOW, apart).startswith("a clock is wrong: the NTP server n is 24 h ahead of")
    said = wrong_clock(NOW, apart, HERE)
    assert said == f"clocks differ, and nobody can say which is wrong: the NTP server n is 24 h ahead of {OURS}"
    # The process of one part alone is off: two clocks that are not its own agree against it.
    one = wrong_clock(NOW, {**WITNESSED, "Temporal": NOW + DAY}, HERE)
    assert one == f"a clock is wrong: Temporal is 24 h ahead of {OURS}, the database, the NTP server n"
    ours = wrong_clock(NOW - 2 * DAY, WITNESSED, HERE)
    assert ours == f"a clock is wrong: {OURS} is 2 days behind Temporal, the NTP server n, the database"
    assert wrong_clock(NOW, {"Temporal": NOW + DAY, "the database": NOW}, HERE).startswith("a clock is wrong: Temporal")
    assert wrong_clock(NOW, WITNESSED, HERE) == ""


@pytest.mark.parametrize("host", ["", "/run/postgresql", "localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_what_loops_back_is_here(host: str) -> None:
    assert is_here(host)
    assert not is_here("192.0.2.1")
    assert not is_here("temporal.example.in")


def test_one_witness_alone_cannot_say_which_is_wrong() -> None:
    assert wrong_clock(NOW, {"Temporal": NOW + DAY}).startswith("clocks differ, and nobody can say which is wrong")
    assert wrong_clock(NOW, {}) == ""


def due(rules: str = "0.3") -> World:
    world = World(tier=Tier.INTERNAL, age=310 * DAY, rules=rules)
    world.adopt()
    return world


def test_what_begins_later_is_revoked_and_ordered_once_more_when_the_clock_is_mended() -> None:
    world = due()
    world.ca_ahead = 100 * DAY
    world.work()
    case = world.state.case
    assert case is not None
    assert case.stage is Stage.WAITING_FOR_CA
    assert "the clock of its CA is ahead" in case.failure
    assert world.revoked == {"mc-1.1.1.1"}
    assert world.count("installed") == 0

    world.ca_ahead = timedelta()
    world.run_until(world.now + DAY)
    assert world.state.generation == 2
    assert sorted(world.orders) == ["mc-1.1.1.1", "mc-1.1.1.2"]
    assert world.revoked == {"mc-1.1.1.1"}


def test_a_minute_of_a_cas_clock_is_no_fault() -> None:
    world = due()
    world.ca_ahead = timedelta(seconds=59)
    world.run_until(world.now + DAY)
    assert world.state.generation == 2
    assert world.revoked == set()


@pytest.mark.parametrize(("rules", "generation"), [("0.2", 2), ("0.3", 1)])
def test_what_a_place_serves_counts_only_once_it_has_begun(rules: str, generation: int) -> None:
    """A server that says of our certificate that it begins later, as a scanner saw it: under 0.2 the case closed."""
    world = due(rules)
    seen = world.sighting

    def later(slot, print_):  # type: ignore[no-untyped-def]  # stands in for the method
        look = seen(slot, print_)
        is_ours = print_ in world.orders.values()
        return replace(look, not_before=world.now + DAY) if is_ours else look

    world.sighting = later  # type: ignore[method-assign]  # what a look sees
    world.run_until(world.now + timedelta(minutes=5))
    assert world.state.generation == generation
    if generation == 1:
        assert "rollback_ordered" in world.kinds()


def test_a_later_set_says_more_and_leaves_the_numbers_of_the_one_before() -> None:
    assert replace(RULES["0.3"], name="0.2", flags=frozenset()) == RULES["0.2"]
