from dataclasses import replace
from datetime import timedelta

import pytest

from domain.policy_rules import Problem, problems, too_late
from domain.tiers import Profile, Tier
from tests.domain.policies import POLICY

HOURS = [timedelta(hours=n) for n in range(1, 21)]


def test_the_test_policy_has_no_problem() -> None:
    assert problems(POLICY) == ()


@pytest.mark.parametrize(
    ("days", "took", "is_refused"),
    [
        (180, HOURS, False),
        (1, HOURS, True),
        (1, HOURS[:19], False),
        (1, [timedelta(minutes=1)] * 19 + [timedelta(days=9)], False),
        (1, [timedelta(minutes=1)] * 18 + [timedelta(days=9)] * 2, True),
    ],
)
def test_an_escalation_that_leaves_too_little_time_is_refused(
    days: int, took: list[timedelta], is_refused: bool
) -> None:
    policy = replace(POLICY, profiles=(Profile("short", timedelta(days=days)), Profile("same", timedelta(0))))
    assert bool(too_late(policy, Tier.INTERNAL, took)) is is_refused


def test_a_problem_names_its_field_as_in_the_file() -> None:
    assert Problem(("rules", 3, "when", "hosts", 0), "x", "y").field == "rules[3].when.hosts[0]"
