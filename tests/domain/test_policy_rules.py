from dataclasses import replace
from datetime import timedelta

import pytest

from domain.policy_rules import Problem, problems, too_late
from domain.tiers import Matcher, Profile, TargetRule, Tier
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


@pytest.mark.parametrize(
    ("when", "chain", "key", "is_refused"),
    [
        (Matcher(hosts=("10.1.0.0/16",)), "/srv/{address}/c.pem", "/srv/k.pem", True),
        (Matcher(paths=("/etc/vpn/*.pem",)), "{path}", "/etc/vpn/k.pem", True),
        (Matcher(hosts=("10.1.2.3/32",), ports=(443,)), "/srv/{address}_{port}.pem", "/srv/k.pem", False),
        (Matcher(paths=("/etc/vpn/one.pem",)), "{path}", "/etc/vpn/k.pem", False),
        (Matcher(paths=("/etc/vpn/*.pem",)), "{path}", "{stem}.key", False),
        (Matcher(paths=("/etc/vpn/*.pem",)), "{path}", "{path}", False),
        (Matcher(hosts=("10.1.0.0/16",)), "/srv/c.pem", "/srv/k.pem", False),
    ],
)
def test_one_key_for_the_chains_of_several_places_is_refused(
    when: Matcher, chain: str, key: str, is_refused: bool
) -> None:
    policy = replace(POLICY, targets=(TargetRule("t", when, "file", chain, key),))
    found = [(problem.field, problem.remedy) for problem in problems(policy)]
    assert [field for field, _ in found] == (["targets[0].key"] if is_refused else [])
    assert all("into the key as well" in remedy for _, remedy in found)


def test_a_problem_names_its_field_as_in_the_file() -> None:
    assert Problem(("rules", 3, "when", "hosts", 0), "x", "y").field == "rules[3].when.hosts[0]"
