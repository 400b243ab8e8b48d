"""The data directory of a 0.2.0 estate, with its lifecycles running in Temporal, is carried over to this release."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from domain.lifecycle.rules import NEWEST
from domain.names import certificate_workflow
from tests.launcher.waiting import until
from tests.servers import Cluster
from tests.upgrade.carried import Estate, estate_of_0_2_0

pytestmark = [pytest.mark.e2e]
BEFORE = {"awaiting-approval": 1, "sleeping": 4, "waiting-for-ca": 1}


@pytest.fixture
def estate(cluster: Cluster, tmp_path: Path) -> Iterator[Estate]:
    with estate_of_0_2_0(cluster, tmp_path) as found:
        yield found


def explained(estate: Estate) -> dict[str, dict[str, Any]]:
    """What each lifecycle says of itself; to say it, it is replayed from its first event by who serves it now."""

    async def ask(client: Client) -> dict[str, dict[str, Any]]:
        found = {}
        for managed_id in estate.living():
            handle = client.get_workflow_handle(certificate_workflow(managed_id))
            described = await handle.describe()
            assert described.status is WorkflowExecutionStatus.RUNNING, managed_id
            found[managed_id] = await handle.query("state")
        return found

    return estate.ask(ask)


def recorded(estate: Estate) -> dict[str, int]:
    """Certificate -> how many events the store holds of it."""
    return Counter(stream for stream, *_ in estate.events())


def seqs(states: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {managed_id: state["seq"] for managed_id, state in states.items()}


def test_every_lifecycle_runs_on_and_comes_under_the_newest_rules_without_an_order(estate: Estate) -> None:
    events, orders = estate.events(), estate.orders()
    assert len(orders) == 2
    done = estate.everleaf("migrate")
    assert done.returncode == 0, done.stderr
    assert Counter(estate.living().values()) == BEFORE

    # Its policy file is the one of 0.2.0, which this release refuses: the one in the store holds.
    with estate.worker() as worker:
        before = explained(estate)
        assert {state["rules"] for state in before.values()} == {"0.2"}
        assert estate.failing() == {}

        changed = estate.everleaf("upgrade", "--output", "json")
        assert changed.returncode == 0, changed.stderr
        assert json.loads(changed.stdout) == {"changed": len(before)}
        until(lambda: {state["rules"] for state in explained(estate).values()} == {NEWEST})

        after = explained(estate)
        assert estate.failing() == {}
        for managed_id, state in after.items():
            assert state["generation"] == before[managed_id]["generation"]
            assert [one["kind"] for one in state["questions"]] == [
                one["kind"] for one in before[managed_id]["questions"]
            ]
        # Nothing that was asked before is asked under another number.
        asked = next(
            state for state in after.values() if state["case"] and state["case"]["stage"] == "awaiting-approval"
        )
        assert asked["case"]["number"] == before[asked["managed_id"]]["case"]["number"]
        # What taking the rules recorded has reached the store: no lifecycle is forked from it.
        until(lambda: {one: recorded(estate)[one] for one in after} == seqs(explained(estate)))
        assert worker.poll() is None

    assert set(events) <= set(estate.events()), "an event of 0.2.0 is gone or another one"
    assert estate.orders() == orders
    assert json.loads(estate.everleaf("upgrade", "--dry-run", "--output", "json").stdout) == []
