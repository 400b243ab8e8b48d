"""The Schedules under which discovery and reconciliation repeat themselves."""

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

from domain import reconciling
from domain.comparison import Reconcile
from domain.contracts import DiscoveryRequest
from domain.names import (
    DISCOVERY_SCHEDULE,
    LIFECYCLE_QUEUE,
    RECONCILIATION_SCHEDULE,
    discovery_workflow,
    reconciliation_workflow,
)
from workflows.discovery import Discovery
from workflows.reconciliation import Reconciliation

EVERY = timedelta(hours=6)
# Spread, so that the scans of several sites do not meet.
JITTER = timedelta(minutes=10)
# After an outage one of each is enough; the server's default would run every one that was missed in a year.
CATCH_UP = timedelta(hours=1)
# Two restorations of everything and the pauses between attempts.  One that never ended would keep out all behind it,
# and the watcher says after a quarter of an hour that none has ended.
LONGEST_COMPARISON = timedelta(hours=6)
POLICY = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP)


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
        policy=POLICY,
    )


def reconciliation_schedule() -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Reconciliation.run,
            Reconcile(),
            id=reconciliation_workflow("schedule"),
            task_queue=LIFECYCLE_QUEUE,
            execution_timeout=LONGEST_COMPARISON,
            static_summary="every certificate has its lifecycle, every lifecycle its certificate",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=reconciling.EVERY)]),
        policy=POLICY,
    )


async def keep_schedules(client: Client) -> None:
    """Create the Schedules, or bring those that are there up to what this release says; a pause by hand stays.

    Discovery waits for its turn; inventory and engine are compared at once, at every start of a worker.
    """
    if not await make_schedules(client):
        await _renew(client, DISCOVERY_SCHEDULE, discovery_schedule())
        await _renew(client, RECONCILIATION_SCHEDULE, reconciliation_schedule())
        await client.get_schedule_handle(RECONCILIATION_SCHEDULE).trigger()


async def make_schedules(client: Client) -> bool:
    """Create those that Temporal has not, and say whether it lacked any: one that was wiped has lost its Schedules too.

    The comparison that a new Schedule begins with finds what else was lost.
    """
    lacked_discovery = await _make(client, DISCOVERY_SCHEDULE, discovery_schedule(), at_once=False)
    lacked_comparison = await _make(client, RECONCILIATION_SCHEDULE, reconciliation_schedule(), at_once=True)
    return lacked_discovery or lacked_comparison


async def _make(client: Client, name: str, wanted: Schedule, *, at_once: bool) -> bool:
    try:
        await client.create_schedule(name, wanted, trigger_immediately=at_once)
    except ScheduleAlreadyRunningError:
        return False
    return True


async def _renew(client: Client, name: str, wanted: Schedule) -> None:
    def renewed(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    await client.get_schedule_handle(name).update(renewed)
