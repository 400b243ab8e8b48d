"""Inventory against engine, on a real PostgreSQL and a real Temporal: what is found."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.engine import Engine
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import reconciling
from activities.reconciling import FAILING, ReconcilingActivities
from domain.comparison import Compare, DifferenceRow, Reconciled
from domain.lifecycle import view
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from domain.reconciling import EVERY, OVERDUE_AFTER
from store.orders import Order, place_order
from store.reconciliations import note, note_seen
from tests.activities.conftest import PLAN
from tests.activities.two_sides import Sides
from tests.launcher.waiting import LONG_SECONDS
from workflows.lifecycle import Start

pytestmark = pytest.mark.server


@pytest.fixture
def sides(database: Engine, temporal: WorkflowEnvironment) -> Sides:
    return Sides(database, temporal.client)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two are many: they are counted by prefix, and listed only where the counts differ."""
    monkeypatch.setattr(reconciling, "LIST_BELOW", 2)


@pytest.mark.usefixtures("many")
async def test_only_the_prefixes_whose_counts_differ_are_listed(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["mc-aaa", "mc-aab", "mc-abc", "mc-baa", "mc-bab", "mc-caa", "mc-2aa"]
    sides.govern(*ids)
    await sides.run(*(one for one in ids if one != "mc-abc"))
    monkeypatch.setattr(reconciling, "listed_whole", lambda now, prefixes: "mc-c")
    listed: list[str] = []
    listing = ReconcilingActivities._listed

    async def noted(self: ReconcilingActivities, query: str, most: int | None = None) -> list[str]:
        listed.append(query)
        return await listing(self, query, most)

    monkeypatch.setattr(ReconcilingActivities, "_listed", noted)
    assert await sides.found() == {"mc-abc": ("living", "absent")}
    prefixes = {query.partition("STARTS_WITH '")[2].rstrip("'") for query in listed} - {""}
    assert prefixes == {"certificate/mc-ab", "certificate/mc-c"}


@pytest.mark.usefixtures("many")
async def test_one_missing_behind_one_too_many_is_found_within_as_many_rounds_as_there_are_prefixes(
    sides: Sides,
) -> None:
    ids = ["mc-aaa", "mc-baa", "mc-bab", "mc-caa"]
    sides.govern(*ids)
    # Of b two are known and two run, but not the same two.
    await sides.run("mc-aaa", "mc-baa", "mc-bzz", "mc-caa")
    rounds = []
    for _ in range(3):
        sides.clock.advance(EVERY)
        rounds.append(await sides.found())
    found = {"mc-bab": ("living", "absent"), "mc-bzz": ("unknown", "running")}
    assert sorted(rounds, key=len) == [{}, {}, found]


async def test_how_a_lifecycle_ended_is_told_apart(sides: Sides) -> None:
    sides.govern("mc-a1", "mc-a2", "mc-a3", "mc-a4")
    await sides.run("mc-a1", "mc-a2", "mc-a3")
    await sides.client.get_workflow_handle(certificate_workflow("mc-a2")).terminate("by hand")
    gone = WorkflowExecution(workflow_id=certificate_workflow("mc-a3"))
    deletion = DeleteWorkflowExecutionRequest(namespace=sides.client.namespace, workflow_execution=gone)
    await sides.client.workflow_service.delete_workflow_execution(deletion)
    for managed_id in ("mc-a2", "mc-a3"):
        await sides.gone(managed_id)
    async with asyncio.timeout(LONG_SECONDS):
        while (await sides.found())["mc-a3"] != ("living", "absent"):  # noqa: ASYNC110  # Temporal deletes later
            await asyncio.sleep(0.05)
    assert await sides.found() == {
        "mc-a2": ("living", "terminated"),
        "mc-a3": ("living", "absent"),
        "mc-a4": ("living", "absent"),
    }


async def test_a_retired_one_and_one_that_was_not_told_yet_are_not_missing(sides: Sides) -> None:
    sides.govern("mc-r1", "mc-n1", "mc-n2")
    sides.lived("mc-r1", retired=True)
    sides.notice("mc-n1", "n-1", sent=False)
    sides.notice("mc-n2", "n-2", sent=True)
    compared = await sides.compare()
    assert [(pair.managed_id, pair.running) for pair in compared.pairs] == [("mc-n2", "absent")]
    assert (compared.living, compared.running) == (1, 0)


async def test_an_overdue_one_is_handed_over_with_since_when(sides: Sides) -> None:
    sides.govern("mc-o1")
    world = sides.lived("mc-o1")
    await sides.run("mc-o1")
    assert await sides.found() == {}
    shown = view.snapshot(world.state, world.now)
    assert shown is not None
    due = shown.next_action_at
    assert due is not None
    sides.clock.now = due + OVERDUE_AFTER
    assert await sides.found() == {}, "to the second"
    sides.clock.advance(timedelta(seconds=1))
    [pair] = (await sides.compare()).pairs
    assert (pair.managed_id, pair.running, pair.overdue_since) == ("mc-o1", "running", due)


async def test_one_by_hand_takes_no_lifecycle_for_one_of_an_earlier_time(sides: Sides) -> None:
    sides.govern("mc-s1")
    sides.lived("mc-s1")
    await sides.run("mc-s1")
    note(sides.engine, Reconciled("r-1", "reconciliation-of-before", str(uuid4()), sides.clock(), True, 1, 1))
    by_hand = await sides.compare(Compare(by_hand=True))
    assert by_hand.pairs == ()
    [pair] = (await sides.compare(Compare())).pairs
    assert (pair.managed_id, pair.is_stale) == ("mc-s1", True)


async def test_what_was_seen_of_a_page_comes_with_it_and_what_is_no_pairs_with_the_first(sides: Sides) -> None:
    sides.govern("mc-a1")
    seen = [DifferenceRow(kind, of, "", "", True) for kind, of in (("stuck", "mc-a1"), ("gap", "mc-z"), ("held", ""))]
    note_seen(sides.engine, "r-1", [*seen, DifferenceRow("stuck", "mc-b1", "", "", True)])
    compared = await sides.compare()
    assert sorted(compared.before) == [("gap", "mc-z", True), ("held", "", True), ("stuck", "mc-a1", True)]
    assert (await sides.compare(Compare(after="mc-a1"))).before == ()


async def test_orders_adrift_of_one_that_is_well_make_it_a_pair(sides: Sides) -> None:
    sides.govern("mc-a1")
    sides.lived("mc-a1")
    await sides.run("mc-a1")
    order = Order("mc-a1.1.1.1", "mc-a1", PLAN, "policy", "k-1", b"csr")
    place_order(sides.engine, order, sides.clock() - timedelta(hours=1))
    [pair] = (await sides.compare()).pairs
    assert pair.adrift == ("no case follows its order mc-a1.1.1.1",)


async def test_what_differs_comes_in_pages_that_lose_none(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "MOST_PAIRS", 2)
    sides.govern("mc-a1", "mc-a2", "mc-a3")
    first = await sides.compare()
    second = await sides.compare(Compare(after=first.after))
    assert [pair.managed_id for pair in (*first.pairs, *second.pairs)] == ["mc-a1", "mc-a2", "mc-a3"]
    assert (first.after, second.after) == ("mc-a2", "")


@workflow.defn(name=LIFECYCLE_WORKFLOW, sandboxed=False)
class Broken:
    """A lifecycle whose code fails at every task, as a release with a defect would."""

    @workflow.run
    async def run(self, start: Start) -> None:
        raise RuntimeError("a defect")


# Temporal reports problems once five tasks in a row have failed, a minute after the first.
@pytest.mark.long
async def test_a_lifecycle_whose_tasks_fail_is_found_and_left_alone(sides: Sides) -> None:
    sides.govern("mc-f1", "mc-f2")
    await sides.run("mc-f1", "mc-f2")
    handle = await sides.client.start_workflow(
        LIFECYCLE_WORKFLOW, Start("mc-f3"), id=certificate_workflow("mc-f3"), task_queue="defect"
    )
    sides.govern("mc-f3")
    async with Worker(
        sides.client, task_queue="defect", workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await sides.listed(["mc-f3"], FAILING)
        assert await sides.found() == {"mc-f3": ("living", "failing")}
        assert (await handle.describe()).run_id == handle.first_execution_run_id
