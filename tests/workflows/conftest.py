"""The real workflows on Temporal's time-skipping server, with the world of the domain tests as their activities."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.lifecycle.rules import OLDEST
from domain.lifecycle.standing import own_findings
from domain.lifecycle.state import LifecycleState
from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, SCAN_QUEUE, certificate_workflow
from domain.people.messages import Decide, Receipt
from tests.domain.simulation import World
from tests.workflows.acting import Activities as Activities  # other suites find it here
from tests.workflows.keeping import FOLDER, keep_history, runs_of
from workflows.converter import DATA_CONVERTER
from workflows.courier import Courier
from workflows.discovery import Discovery
from workflows.lifecycle import CertificateLifecycle, Start
from workflows.sandbox import Sandbox
from workflows.search import ATTRIBUTES

# Real time.  A server that skips no time any more is told by it, before the run is cut off.
LONGEST_SLEEP = timedelta(minutes=5)


@dataclass
class Stage:
    """One lifecycle on the time-skipping server."""

    env: WorkflowEnvironment
    activities: Activities
    world: World
    handle: WorkflowHandle[Any, Any]
    # When its first certificate began.
    begun: datetime

    async def pass_time(self, span: timedelta) -> None:
        """As ``env.sleep``, which gives up after 30 s of real time: what happens in ``span`` takes longer on a busy
        machine."""
        asked = SleepRequest()
        asked.duration.FromTimedelta(span)
        await self.env.client.test_service.unlock_time_skipping_with_sleep(asked, timeout=LONGEST_SLEEP)

    async def state(self) -> LifecycleState:
        handle = self.env.client.get_workflow_handle(self.handle.id)
        return await handle.query(CertificateLifecycle.query_state)

    async def finding(self, kind: str) -> str | None:
        return dict(own_findings(await self.state(), await self.now())).get(kind)

    async def about(self, kind: str) -> str:
        """What the open question of ``kind`` is about."""
        return next(question.about for question in (await self.state()).questions if question.kind == kind)

    async def now(self) -> datetime:
        return await self.env.get_current_time()

    async def decide(
        self, what: Literal["approve", "reject", "hold"] = "approve", code: str = "", update_id: str | None = None
    ) -> Receipt:
        state = await self.state()
        assert state.case is not None
        assert state.case.plan is not None
        case = state.case
        message = Decide(code or self.world.code(), what, case.number, state.generation, state.case.plan.version)
        return await self.send("decide", message, update_id)

    async def send(self, name: str, message: object, update_id: str | None = None) -> Receipt:
        handle = self.env.client.get_workflow_handle(self.handle.id)
        answer = await handle.execute_update(name, message, id=update_id, result_type=Receipt)
        assert isinstance(answer, Receipt)
        return answer

    def handle_of_now(self) -> WorkflowHandle[Any, Any]:
        """Whatever runs under its name now, also after it was ended and begun anew."""
        return self.env.client.get_workflow_handle(self.handle.id)

    def kinds(self) -> list[str]:
        return [self.activities.recorded[seq].kind for seq in sorted(self.activities.recorded)]

    def first(self, kind: str) -> c.EventRecord:
        return next(event for _, event in sorted(self.activities.recorded.items()) if event.kind == kind)


async def register(env: WorkflowEnvironment) -> None:
    types = {
        "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
        "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    }
    request = AddSearchAttributesRequest(
        search_attributes={name: types[kind] for name, kind in ATTRIBUTES}, namespace="default"
    )
    await env.client.operator_service.add_search_attributes(request)


@pytest_asyncio.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    assert server, "temporal-test-server is not installed; run ./everleaf test, which installs it"
    made = await WorkflowEnvironment.start_time_skipping(
        data_converter=DATA_CONVERTER, test_server_existing_path=server
    )
    async with made:
        await register(made)
        yield made


class Theatre:
    """Starts lifecycles; closes its workers at the end of the test."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.env = env
        self.stack = AsyncExitStack()
        self.stages: list[Stage] = []

    async def keep(self, scenario: str) -> None:
        """Store every run of every lifecycle, where it is asked for; never over a stored one."""
        for stage in self.stages if os.environ.get(FOLDER) else ():
            for number, text in enumerate(await runs_of(self.env.client, stage.handle.id), start=1):
                keep_history("CertificateLifecycle", f"{scenario}-{number}", text)

    async def stage(self, world: World, name: str = "mc-1", rules: str = OLDEST) -> Stage:
        """``rules``: under which set it begins; the stored histories were led under the oldest."""
        begun = world.now = await self.env.get_current_time()
        activities = Activities(self.env, world)
        world.state = LifecycleState(name)
        world.adopt()
        for queue in (LIFECYCLE_QUEUE, SCAN_QUEUE, ISSUE_QUEUE, DEPLOY_QUEUE):
            worker = Worker(
                self.env.client,
                task_queue=queue,
                workflows=[CertificateLifecycle, Courier, Discovery] if queue == LIFECYCLE_QUEUE else [],
                activities=activities.all(),
                workflow_runner=Sandbox(),
            )
            await self.stack.enter_async_context(worker)
        handle = await self.env.client.start_workflow(
            CertificateLifecycle.run,
            Start(name, rules=rules),
            id=certificate_workflow(name),
            task_queue=LIFECYCLE_QUEUE,
            start_signal="observe",
            start_signal_args=["n-0"],
        )
        made = Stage(self.env, activities, world, handle, begun)
        self.stages.append(made)
        return made


@pytest_asyncio.fixture
async def theatre(env: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[Theatre]:
    made = Theatre(env)
    async with made.stack:
        yield made
        await made.keep(re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-"))
