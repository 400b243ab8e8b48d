"""What people do to lifecycles in Temporal by hand, and what the store then says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

from domain.contracts import Observation
from domain.lifecycle.state import LifecycleState
from domain.people.messages import Resume
from tests.domain.simulation import terms
from tests.launcher.waiting import LONG_SECONDS
from tests.workflows.conftest import Stage
from workflows.messenger import Messenger

TASK_EVENTS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
}


async def until(stage: Stage, kind: str, count: int = 1) -> None:
    """Wait for the fact itself: ``count`` recorded events of ``kind``."""
    await until_fact(lambda: stage.kinds().count(kind) >= count)


async def until_fact(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not holds():  # noqa: ASYNC110  # the fact is in a fake, which has no event
            await asyncio.sleep(0.05)


async def until_state(stage: Stage, holds: Callable[[LifecycleState], bool]) -> LifecycleState:
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            state = await stage.state()
            if holds(state):
                return state
            await asyncio.sleep(0.05)


async def end_by_hand(stage: Stage) -> None:
    """Between two steps: the test server skips no time any more once a workflow was ended in the middle of one."""
    async with asyncio.timeout(LONG_SECONDS):
        while not await rests(stage):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.05)
    await stage.handle_of_now().terminate("a test")


async def rests(stage: Stage) -> bool:
    """Whether it waits for time or for people alone; looked at twice, for a task ends where an activity begins."""
    before = await _tasks(stage)
    pending = (await stage.handle_of_now().describe()).raw_description.pending_activities
    return not pending and before == await _tasks(stage) and before[-1] == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


async def _tasks(stage: Stage) -> list[int]:
    history = await stage.handle_of_now().fetch_history()
    return [event.event_type for event in history.events if event.event_type in TASK_EVENTS]


async def late_notice(stage: Stage, notice: str, *, known: bool = False) -> None:
    """The next notice, sent as adoption sends it: it begins the lifecycle anew where none runs."""
    world = stage.world
    if not known:
        world.notices[notice] = Observation(notice, "terms", world.now, terms=terms(world.tier, world.length))
    await Messenger(stage.env.client).observe("mc-1", notice)


async def resumed(stage: Stage) -> bool:
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            try:
                return (await stage.send("resume", Resume(stage.world.code()))).outcome == "accepted"
            except WorkflowUpdateFailedError:
                await asyncio.sleep(0.2)


def is_the_truth(stage: Stage, state: LifecycleState) -> bool:
    """Whether ``state`` is what the store's events amount to."""
    return replace(state, roll=False) == stage.activities.truth("mc-1")
