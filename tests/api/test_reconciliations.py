"""A comparison is asked for, watched and read; what it found stands on Situation."""

from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from api.gateway import DiscoveryRun
from domain.comparison import DifferenceRow, Reconcile, Reconciled
from tests.api.browsers import Browser
from tests.api.conftest import House
from tests.noting import note_at

LOST = DifferenceRow("begun-again", "mc-1", "shop.<b>example.in", "it was terminated", True)


def noted(house: House, database: Engine, comparison_id: str, **said: object) -> None:
    now = house.gateway.world.now
    row = {"applied": True, "living": 2, "running": 1, "counts": (("begun-again", 1),), "differences": (LOST,), **said}
    note_at(database, Reconciled(id=comparison_id, workflow_id="workflow", run_id="run", began_at=now, **row), now)  # type: ignore[arg-type]  # a table of fields


async def test_a_question_is_asked_once_and_watched_until_it_is_noted(house: House, database: Engine) -> None:
    key = {"idempotency-key": "one-and-the-same"}
    first = await house.ask("POST", "/v1/reconciliations", "operator", json={}, headers=key)
    again = await house.ask("POST", "/v1/reconciliations", "operator", json={}, headers=key)
    assert first.status_code == again.status_code == 202
    assert first.json()["resource"] == again.json()["resource"] == first.headers["location"]
    asked = first.json()["id"]
    assert house.gateway.compared == [Reconcile(asked, apply=False, by=house.gateway.compared[0].by)]
    assert house.gateway.compared[0].by.startswith("token/"), "who lets our CAs sign again is evidence"

    running = await house.ask("GET", first.json()["resource"], "noc")
    assert (running.json()["status"], "retry-after" in running.headers) == ("running", True)
    noted(house, database, asked, applied=False)
    done = (await house.ask("GET", first.json()["resource"], "noc")).json()
    assert (done["status"], done["applied"], done["counts"]) == ("done", False, {"begun-again": 1})
    assert done["differences"][0]["detail"] == "it was terminated"


async def test_one_that_failed_says_so_and_one_that_nobody_asked_for_is_not_found(house: House) -> None:
    house.gateway.discoveries["reconciliation/broken"] = DiscoveryRun("failed", "no database")
    found = (await house.ask("GET", "/v1/reconciliations/broken", "noc")).json()
    assert (found["status"], found["detail"]) == ("failed", "no database")
    assert (await house.ask("GET", "/v1/reconciliations/never", "noc")).status_code == 404
    assert (await house.ask("GET", "/v1/reconciliations/last", "noc")).status_code == 404


@pytest.mark.parametrize(("role", "status"), [("operator", 403), ("admin", 202), ("security-head", 202)])
async def test_only_a_head_or_an_administrator_lets_our_cas_sign_again(house: House, role: str, status: int) -> None:
    asked = {"apply": True, "release": True}
    assert (await house.ask("POST", "/v1/reconciliations", role, json=asked)).status_code == status
    refused = await house.ask("POST", "/v1/reconciliations", role, json={"release": True})
    assert refused.status_code == 422
    assert "apply" in refused.text


async def test_situation_names_what_was_begun_again_for_a_day(house: House, head: Browser, database: Engine) -> None:
    noted(house, database, "r-1")
    shown = (await head.get("/")).text
    assert "1 lifecycle had ended by other means than ours, and was begun again" in shown
    assert "&lt;b&gt;example." in shown
    assert "<b>example" not in shown
    house.gateway.world.now += timedelta(days=1, minutes=1)
    assert "&lt;b&gt;example." not in (await head.get("/")).text


async def test_situation_says_when_nobody_compared_and_when_our_cas_are_held(
    house: House, head: Browser, database: Engine
) -> None:
    assert "Lifecycles compared, not yet" in (await head.get("/")).text
    noted(house, database, "r-1", counts=(), differences=(), held_since=house.gateway.world.now)
    assert "the store was put back, and our CAs sign nothing" in (await head.get("/")).text
