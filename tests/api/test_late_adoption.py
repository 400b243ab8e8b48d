"""A certificate that was found late: its ruler fills what was told, and nothing that was passed over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.gateway import Explanation
from api.web.pages.certificate import life_line_of
from api.web.times import Times
from api.web.words import Reader
from domain.lifecycle.explaining import explain
from domain.lifecycle.state import LifecycleState
from domain.tiers import Role, Tier
from store.access import Actor
from tests.domain.simulation import life, terms

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
HEAD = Actor("person/meera", Role.SECURITY_HEAD, may_decide=True)


@pytest.mark.parametrize(
    ("began", "escalated", "fired"),
    [
        # Only the deepest rung that had passed fires (DESIGN rule 1).
        (NOW - timedelta(minutes=1), True, ["14 d"]),
        # A moment after its adoption, before the rung has fired.
        (NOW - timedelta(minutes=1), False, []),
        # Ours since before the first of them.
        (NOW - 300 * DAY, True, ["90 d", "60 d", "30 d", "21 d", "14 d"]),
        # Adopted between two rungs: the passed one fired at once, the next at its time.
        (NOW - 10 * DAY, True, ["21 d", "14 d"]),
    ],
)
def test_only_what_was_told_is_filled(began: datetime, escalated: bool, fired: list[str]) -> None:
    end = NOW + 8 * DAY
    state = LifecycleState("mc-1", terms=terms(Tier.CUSTOMER_FACING, 400 * DAY))
    state = replace(state, life=life("a", end - 400 * DAY, 400 * DAY))
    explained = Explanation(explain(state), 1)
    row = {"not_after": end, "not_before": end - 400 * DAY, "escalated": escalated}
    line = life_line_of(row, explained, Reader(HEAD, Times(NOW, ZoneInfo("UTC"))), began)
    assert [mark.label for mark in line.marks if mark.fired] == fired
