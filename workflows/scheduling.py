"""The Schedule under which discovery repeats itself."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from domain.contracts import DiscoveryRequest
from domain.names import DISCOVERY_SCHEDULE, LIFECYCLE_QUEUE, discovery_workflow
from workflows.discovery import Discovery

EVERY = timedelta(hours=6)
# Spread, so that the scans of several sites do not meet.
JITTER = timedelta(minutes=10)
# After an outage one discovery is enough; the server's default would run every one that was missed in a year.
CATCH_UP = timedelta(hours=1)


def discovery_schedule() -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Discovery.run,
            DiscoveryRequest(source="schedule"),
            id=discovery_workflow("schedule"),
            task_queue=LIFECYCLE_QUEUE,
            static_summary="the whole scope of the policy",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)], jitter=JITTER),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )


async def keep_schedule(client: Client) -> None:
    """Create the Schedule, or bring the one that is there up to what this release says; a pause by hand stays."""
    wanted = discovery_schedule()
    try:
        await client.create_schedule(DISCOVERY_SCHEDULE, wanted)
    except ScheduleAlreadyRunningError:

        def renewed(found: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(DISCOVERY_SCHEDULE).update(renewed)
