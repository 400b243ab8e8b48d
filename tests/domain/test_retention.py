"""Named ages: their defaults, and what is refused with whose rule."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from domain.retention import KEPT, LEAST, LONGEST, Retention, problems_of, written

NAMES = [field.name for field in fields(Retention)]


def test_the_defaults_are_allowed_and_each_age_has_its_least() -> None:
    assert list(problems_of(KEPT)) == []
    assert set(NAMES) == set(LEAST)


@pytest.mark.parametrize("name", NAMES)
def test_an_age_below_its_least_is_refused_with_the_reason(name: str) -> None:
    least, why = LEAST[name]
    assert list(problems_of(replace(KEPT, **{name: least}))) == []
    [(field, problem, remedy)] = problems_of(replace(KEPT, **{name: least - timedelta(minutes=1)}))
    assert field == name
    assert why in problem
    assert written(least) in remedy


def test_an_age_that_is_a_slip_of_the_pen_is_refused() -> None:
    [(field, problem, _)] = problems_of(replace(KEPT, looks=LONGEST + timedelta(days=1)))
    assert (field, problem) == ("looks", "is longer than 36500d")
