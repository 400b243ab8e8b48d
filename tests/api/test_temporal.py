"""The gateway with real lifecycles on Temporal's time-skipping server, real warrants and the real read model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.discovery import DiscoveryActivities
from api.gateway import TemporalGateway, Unanswered
from api.main import build, create_app
from api.parts import Parts
from domain import contracts as c
from domain.errors import NotReady
from domain.lifecycle.state import LifecycleState
from domain.names import (
    DEPLOY_QUEUE,
    ISSUE_QUEUE,
    LIFECYCLE_QUEUE,
    OBSERVE_SIGNAL,
    SCAN_QUEUE,
    certificate_workflow,
)
from domain.people.messages import RenewNow
from domain.tiers import Role, Tier
from formats.policy import parse_policy
from store import access, facts
from tests.domain.simulation import World
from tests.launcher.waiting import LONG_SECONDS
from tests.policies import whole
from tests.workflows.conftest import Activities
from tests.workflows.conftest import env as env
from workflows.courier import Courier
from workflows.discovery import Discovery
from workflows.lifecycle import CertificateLifecycle, Start
from workflows.replaying import first_difference, read_history
from workflows.sandbox import Sandbox


class StoredActivities(Activities):
    """Records and redeems in the store; everything else is the simulated world's."""

    database: Engine

    @activity.defn(name="redeem")
    async def redeem(self, warrant: c.RedeemWarrant) -> c.Redemption:
        return await asyncio.to_thread(access.redeem, self.database, warrant, datetime.now(UTC))

    @activity.defn(name="record")
    async def record(self, batch: c.RecordBatch) -> c.Recorded:
        now = datetime.now(UTC)
        return await asyncio.to_thread(facts.record, self.database, batch, "test", now)


POLICY_OF_NOBODY = """
people: [{id: head, name: H, email: h@example.in, role: security-head}]
owners: [{id: core, contact: head}]
services: [{id: web, owner: core}]
rules: [{name: web, when: {ports: [1]}, tier: internal, service: web}]
issuers: [{name: private, kind: private-ca, trust_class: private, recognise: ["*"]}]
profiles: [{name: p, validity: same}]
renewals: [{when: {}, issuer: private, profile: p}]
targets: [{name: t, when: {}, chain: /srv/c, key: /srv/k}]
scope: {cidrs: [127.0.0.1/32], ports: [1]}
"""


class Site:
    """The API before running lifecycles."""

    def __init__(self, env: WorkflowEnvironment, database: Engine, client: httpx2.AsyncClient) -> None:
        self.env = env
        self.database = database
        self.client = client
        self.stack = AsyncExitStack()
        self.token = access.create_token(database, name="head", role=Role.SECURITY_HEAD, may_decide=True)

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def live(self, world: World) -> None:
        world.now = await self.env.get_current_time()
        world.state = LifecycleState("mc-1")
        world.adopt()
        activities = StoredActivities(self.env, world)
        activities.database = self.database
        for queue in (LIFECYCLE_QUEUE, SCAN_QUEUE, ISSUE_QUEUE, DEPLOY_QUEUE):
            workflows = [CertificateLifecycle, Courier, Discovery] if queue == LIFECYCLE_QUEUE else []
            worker = Worker(
                self.env.client,
                task_queue=queue,
                workflows=workflows,
                activities=activities.all(),
                workflow_runner=Sandbox(),
            )
            await self.stack.enter_async_context(worker)
        await self.env.client.start_workflow(
            CertificateLifecycle.run,
            Start("mc-1"),
            id=certificate_workflow("mc-1"),
            task_queue=LIFECYCLE_QUEUE,
            start_signal=OBSERVE_SIGNAL,
            start_signal_args=["n-0"],
        )

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """The first answer that holds."""
        deadline = time.monotonic() + LONG_SECONDS
        while True:
            answer = await self.ask("GET", path)
            if answer.status_code == 200 and holds(answer.json()):
                return answer.json()
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def site(env: WorkflowEnvironment, database: Engine) -> AsyncIterator[Site]:
    app = build(Parts(database, TemporalGateway(env.client), lambda: datetime.now(UTC), api_url="http://everleaf"))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://everleaf", timeout=LONG_SECONDS) as client:
        made = Site(env, database, client)
        async with made.stack:
            yield made


async def test_a_question_is_decided_by_exactly_one_and_the_renewal_is_done(site: Site) -> None:
    await site.live(World(tier=Tier.CUSTOMER_FACING, age=timedelta(days=280)))
    page = await site.until("/v1/approvals?state=pending", lambda page: bool(page["items"]))
    path = f"/v1/approvals/{page['items'][0]['id']}/decision"
    stale = await site.ask("POST", path, json={"decision": "approve", "version": "another"})
    assert stale.status_code == 412

    key = {"idempotency-key": "one"}
    answers = await asyncio.gather(
        site.ask("POST", path, json={"decision": "approve"}, headers=key),
        *(site.ask("POST", path, json={"decision": "approve"}) for _ in range(3)),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert (await site.ask("POST", path, json={"decision": "reject"})).status_code == 409

    renewed = await site.until("/v1/certificates/mc-1", lambda row: row["generation"] == 2)
    assert renewed["state"] == "sleeping"
    won = next(answer for answer in answers if answer.status_code == 200)
    if won is answers[0]:
        again = await site.ask("POST", path, json={"decision": "approve"}, headers=key)
        assert again.json() == won.json()


async def test_explain_history_renewal_and_retirement_reach_the_lifecycle(site: Site) -> None:
    await site.live(World(tier=Tier.INTERNAL))
    await site.until("/v1/certificates/mc-1", lambda row: row["state"] == "sleeping")
    told = (await site.ask("GET", "/v1/certificates/mc-1/explain")).json()
    assert told["because"][0]["what"] == "the renewal case opens"

    asked = await site.ask("POST", "/v1/certificates/mc-1/renewals")
    assert asked.status_code == 202
    await site.until("/v1/certificates/mc-1", lambda row: row["generation"] == 2)

    whole = (await site.ask("GET", "/v1/certificates/mc-1/history?generation=2")).json()
    assert [run["live"] for run in whole["runs"]] == [True]
    text = (await site.ask("GET", whole["runs"][0]["url"])).text
    assert await first_difference(read_history(text, whole["workflow_id"]), live=True) is None

    retired = await site.ask("POST", "/v1/certificates/mc-1/retirement", json={"reason": "decommissioned"})
    assert retired.status_code == 200
    await site.until("/v1/certificates/mc-1", lambda row: row["state"] == "retired")
    after = await site.ask("POST", "/v1/certificates/mc-1/renewals")
    assert after.status_code == 409
    assert after.json()["detail"].startswith("retired")


async def test_a_lifecycle_that_temporal_does_not_know_is_not_found(site: Site) -> None:
    assert (await site.ask("GET", "/health/ready")).status_code == 200
    assert await TemporalGateway(site.env.client).newest_run("nothing") is None
    assert await TemporalGateway(site.env.client).discovery("nothing") is None


async def test_a_lifecycle_without_a_worker_is_said_to_be_silent(site: Site) -> None:
    workflow = certificate_workflow("mc-2")
    await site.env.client.start_workflow(CertificateLifecycle.run, Start("mc-2"), id=workflow, task_queue="nobody")
    gateway = TemporalGateway(site.env.client, update_seconds=1.0, query_seconds=1.0)
    with pytest.raises(Unanswered, match="same Idempotency-Key"):
        await gateway.tell("mc-2", ("renew_now", RenewNow("code")), "u-1")
    with pytest.raises(NotReady, match="does not answer"):
        await gateway.explain("mc-2")
    run = await gateway.newest_run("mc-2")
    assert run is not None
    assert (run.live, run.generation) == (True, 0)


async def test_a_discovery_that_fails_says_why(site: Site) -> None:
    @activity.defn(name="begin_discovery")
    async def begin_discovery(request: c.DiscoveryRequest) -> c.DiscoveryPlan:
        raise ApplicationError("cidrs: outside the scope", type="BadInput", non_retryable=True)

    lifecycle = Worker(site.env.client, task_queue=LIFECYCLE_QUEUE, workflows=[Discovery], workflow_runner=Sandbox())
    scan = Worker(site.env.client, task_queue=SCAN_QUEUE, activities=[begin_discovery, scanning(site).fail_discovery])
    async with lifecycle, scan:
        started = (await site.ask("POST", "/v1/discoveries", json={"ports": [22]})).json()
        failed = await site.until(started["resource"], lambda found: found["status"] == "failed")
        assert failed["detail"] == "cidrs: outside the scope"
        # In the store too, where lists and pages read it.
        listed = await site.until("/v1/discoveries", lambda page: bool(page["items"]))
    [row] = listed["items"]
    assert (row["status"], row["state"], row["detail"]) == ("failed", "failed", "cidrs: outside the scope")
    assert row["workflow_id"] == started["workflow_id"]


def scanning(site: Site) -> DiscoveryActivities:
    nobody = parse_policy(whole(POLICY_OF_NOBODY).encode())
    return DiscoveryActivities(site.database, lambda: nobody, lambda: datetime.now(UTC))


async def test_a_discovery_started_in_temporal_shows_its_workflow_and_progress(site: Site) -> None:
    held = asyncio.Event()

    @activity.defn(name="scan_page")
    async def scan_page(page: c.ScanPage) -> c.ScanReport:
        await asyncio.wait_for(held.wait(), LONG_SECONDS)
        return c.ScanReport(page.page, 0, 0)

    @activity.defn(name="adopt")
    async def adopt(asked: c.AdoptDiscovery) -> c.AdoptionReport:
        raise ApplicationError("no", non_retryable=True)

    begun = scanning(site)
    lifecycle = Worker(
        site.env.client,
        task_queue=LIFECYCLE_QUEUE,
        workflows=[Discovery],
        activities=[adopt],
        workflow_runner=Sandbox(),
    )
    activities: list[Callable[..., Any]] = [begun.begin_discovery, scan_page, begun.fail_discovery]
    async with lifecycle, Worker(site.env.client, task_queue=SCAN_QUEUE, activities=activities):
        await site.env.client.start_workflow(
            Discovery.run, c.DiscoveryRequest(), id="nightly", task_queue=LIFECYCLE_QUEUE
        )
        page = await site.until("/v1/discoveries", lambda page: bool(page["items"]))
        resource = f"/v1/discoveries/{page['items'][0]['id']}"
        running = await site.until(resource, lambda found: found["progress"] is not None)
        assert (running["workflow_id"], running["status"]) == ("nightly", "running")
        assert running["progress"]["pages"] == running["pages"] > 0
        held.set()
        failed = await site.until(resource, lambda found: found["state"] == "failed")
    assert (failed["workflow_id"], failed["detail"]) == ("nightly", "no")


async def test_the_app_of_the_environment_connects_when_it_starts(
    env: WorkflowEnvironment, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", database_url)
    monkeypatch.setenv("EVERLEAF_TEMPORAL_ADDRESS", env.client.service_client.config.target_host)
    monkeypatch.setenv("EVERLEAF_HOME", str(tmp_path))
    monkeypatch.setenv("EVERLEAF_API_URL", "http://everleaf")
    app = create_app()
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/health/ready")).json() == {"status": "ready"}
            assert (await client.get("/v1/certificates")).status_code == 401
