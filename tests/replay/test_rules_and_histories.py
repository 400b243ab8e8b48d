"""The gate proves itself: a change that is made as a new rule set breaks no stored history, and one that edits a
released set breaks some."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.lifecycle import rules
from domain.lifecycle.rules import NEWEST, RULES
from tests.replay.test_stored_histories import LIVE, load
from workflows.replaying import first_difference

LIFECYCLES = [path for path in LIVE if path.parts[-2] == "CertificateLifecycle"]

# The set under which the lives of the stored histories were led.
LED_UNDER = "0.2"
# One of each sort: a number of `decide`, one of the agenda, a cap of `evolve`, and what a run upserts.
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "a number in decide": {"wrong_looks": 2, "first_retry": timedelta(seconds=7)},
    "a number in the agenda": {"repeat_after": timedelta(hours=9), "second_look": timedelta(hours=7)},
    "a cap in evolve": {"codes_kept": 0, "notices_kept": 0, "earlier_kept": 0, "untold_kept": 1},
    "an upsert": {"shown": ("EverleafTier",)},
}


async def broken_by(paths: list[Path]) -> list[str]:
    return [path.name for path in paths if await first_difference(load(path)) is not None]


@pytest.mark.parametrize("sort", CHANGES)
async def test_a_change_that_is_a_new_rule_set_breaks_no_history(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(RULES[NEWEST], name="9.9", **CHANGES[sort])
    monkeypatch.setitem(RULES, "9.9", changed)
    monkeypatch.setattr(rules, "NEWEST", "9.9")
    assert await broken_by(LIFECYCLES[::4]) == []


@pytest.mark.parametrize("sort", CHANGES)
async def test_a_change_that_edits_a_released_set_breaks_a_history(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = replace(RULES[LED_UNDER], **CHANGES[sort])
    monkeypatch.setitem(RULES, LED_UNDER, edited)
    assert await broken_by(LIFECYCLES), "no stored history notices it: record one that does"
