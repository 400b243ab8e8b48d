"""One typed door per activity, with its queue, its timeouts and its retries: the only place where patience is set.

To add a step: a row in STEPS here, an activity of the same name and types.  Patience of more than 15 minutes belongs
to the domain, as a state with its own retry moment.  Not so the two long walks of a discovery, adopting and telling,
which beat as they go and can be tried again at any place.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain import comparison as k
from domain import contracts as c
from domain.lifecycle.refold import Recalled
from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, SCAN_QUEUE

In = TypeVar("In")
Out = TypeVar("Out")

FEW = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=20), maximum_attempts=3)
SOME = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
# What happened must be recorded and told, however long the database is away.
FOREVER = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))

ONE = RetryPolicy(maximum_attempts=1)
# Two of them fit into a task of Temporal's (10 s) twice.
AT_ONCE = timedelta(seconds=2)

URGENT = Priority(priority_key=1)
PEOPLE = Priority(priority_key=2)
NORMAL = Priority(priority_key=3)
SCAN = Priority(priority_key=5)


@dataclass(frozen=True)
class ActivityStep(Generic[In, Out]):
    """``once``: how long one attempt may take; ``gives_up``: all attempts together, None never."""

    name: str
    takes: type[In]
    gives: type[Out]
    queue: str
    once: timedelta
    gives_up: timedelta | None = timedelta(minutes=15)
    heartbeat: timedelta | None = None
    retry: RetryPolicy = field(default_factory=lambda: FEW)
    priority: Priority = field(default_factory=lambda: NORMAL)

    async def __call__(self, value: In, *, summary: str = "", urgent: bool = False) -> Out:
        result: Out = await workflow.execute_activity(
            self.name,
            value,
            result_type=self.gives,
            task_queue=self.queue,
            start_to_close_timeout=self.once,
            schedule_to_close_timeout=self.gives_up,
            heartbeat_timeout=self.heartbeat,
            retry_policy=self.retry,
            priority=URGENT if urgent else self.priority,
            summary=summary or self.name.replace("_", " "),
        )
        return result

    async def at_once(self, value: In) -> Out:
        """The same inside the workflow's own task, where it costs no task, no queue and no turn of a poller.

        For what takes milliseconds, at the beginning of thousands of lifecycles: a task that waits is a decision that
        waits.  What does not succeed at its first attempt is a step like any other, with all of its patience.
        """
        try:
            result: Out = await workflow.execute_local_activity(
                self.name,
                value,
                result_type=self.gives,
                start_to_close_timeout=AT_ONCE,
                schedule_to_close_timeout=AT_ONCE,
                retry_policy=ONE,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self(value)
        return result


def seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


begin_discovery = ActivityStep(
    "begin_discovery", c.DiscoveryRequest, c.DiscoveryPlan, SCAN_QUEUE, seconds(60), retry=SOME
)
scan_page = ActivityStep(
    "scan_page", c.ScanPage, c.ScanReport, SCAN_QUEUE, seconds(600), heartbeat=seconds(30), retry=SOME, priority=SCAN
)
# A hundred thousand places take minutes, ten where others want the cores; its heartbeats say that it lives.
adopt = ActivityStep(
    "adopt", c.AdoptDiscovery, c.AdoptionReport, LIFECYCLE_QUEUE, seconds(3600), None, seconds(60), SOME
)
# Shorter than the pause between two discoveries: the next one sends what this one could not.
tell_lifecycles = ActivityStep(
    "tell_lifecycles", c.TellLifecycles, c.LifecyclesTold, LIFECYCLE_QUEUE, seconds(18_000), seconds(18_000),
    seconds(60), SOME,
)  # fmt: skip
# Long enough for a restart of the database, short enough that a failed discovery is seen to have failed.
fail_discovery = ActivityStep(
    "fail_discovery", c.DiscoveryFailure, c.DiscoveryEnded, SCAN_QUEUE, seconds(15), seconds(600), retry=SOME
)
consult = ActivityStep("consult", c.Consult, c.Observation, LIFECYCLE_QUEUE, seconds(15))
place_order = ActivityStep("place_order", c.PlaceOrder, c.OrderPlaced, DEPLOY_QUEUE, seconds(30))
collect_order = ActivityStep("collect_order", c.CollectOrder, c.OrderOutcome, ISSUE_QUEUE, seconds(60))
revoke_order = ActivityStep("revoke_order", c.RevokeOrder, c.Revoked, ISSUE_QUEUE, seconds(60))
deploy = ActivityStep("deploy", c.Deploy, c.DeployReport, DEPLOY_QUEUE, seconds(300), heartbeat=seconds(45))
roll_back = ActivityStep("roll_back", c.RollBack, c.DeployReport, DEPLOY_QUEUE, seconds(300), heartbeat=seconds(45))
look_again = ActivityStep("look_again", c.LookAgain, c.LookReport, SCAN_QUEUE, seconds(120), heartbeat=seconds(30))
send = ActivityStep("send", c.Message, c.Sent, LIFECYCLE_QUEUE, seconds(15), None, retry=FOREVER, priority=PEOPLE)
deliver = ActivityStep("deliver", c.Deliver, c.Delivery, LIFECYCLE_QUEUE, seconds(60), retry=SOME, priority=PEOPLE)
note_undelivered = ActivityStep(
    "note_undelivered", c.Undelivered, c.Delivery, LIFECYCLE_QUEUE, seconds(60), seconds(180)
)
# Shorter than the 60 s for which a decision is reserved.
redeem = ActivityStep(
    "redeem", c.RedeemWarrant, c.Redemption, LIFECYCLE_QUEUE, seconds(10), seconds(45), priority=PEOPLE
)
record = ActivityStep("record", c.RecordBatch, c.Recorded, LIFECYCLE_QUEUE, seconds(15), None, retry=FOREVER)
recall = ActivityStep("recall", c.Recall, Recalled, LIFECYCLE_QUEUE, seconds(60), retry=SOME)
archive = ActivityStep("archive", c.ArchiveRun, c.Archived, LIFECYCLE_QUEUE, seconds(60), None, retry=FOREVER)
sweep = ActivityStep("sweep", c.SweepRuns, c.Swept, LIFECYCLE_QUEUE, seconds(300), heartbeat=seconds(60), retry=SOME)
compare = ActivityStep(
    "compare", k.Compare, k.Compared, LIFECYCLE_QUEUE, seconds(300), heartbeat=seconds(60), retry=SOME
)
# Thousands begin at the pace at which a worker can take them in, as where a discovery tells them.
begin_again = ActivityStep(
    "begin_again", k.BeginAgain, k.BegunAgain, LIFECYCLE_QUEUE, seconds(1800), seconds(3600), seconds(60), SOME
)
restore_streams = ActivityStep(
    "restore_streams", k.RestoreStreams, k.StreamsRestored, LIFECYCLE_QUEUE, seconds(3600), seconds(7200), seconds(60),
    SOME,
)  # fmt: skip
find_lost_orders = ActivityStep(
    "find_lost_orders", k.FindLostOrders, k.LostOrders, LIFECYCLE_QUEUE, seconds(60), retry=SOME
)
find_revoked_orders = ActivityStep(
    "find_revoked_orders", k.FindLostOrders, k.LostRevocations, LIFECYCLE_QUEUE, seconds(60), retry=SOME
)
revoke_again = ActivityStep("revoke_again", k.LostRevocations, k.Regained, ISSUE_QUEUE, seconds(60), retry=SOME)
# An issue worker that is away keeps no comparison waiting: the next one asks again.
find_forgotten = ActivityStep(
    "find_forgotten", k.FindForgotten, k.Forgotten, ISSUE_QUEUE, seconds(60), seconds(60), retry=SOME
)
regain_issued = ActivityStep("regain_issued", k.LostOrders, k.Regained, ISSUE_QUEUE, seconds(60), retry=SOME)
# Beside workers of an older release, which do not know it, three attempts could all be theirs.
hand_over = ActivityStep(
    "hand_over", k.HandOver, k.HandedOver, LIFECYCLE_QUEUE, seconds(60), heartbeat=seconds(30), retry=SOME
)
# What was told must be kept as told, or it is told again: as long as the comparison itself may take.
note_seen = ActivityStep("note_seen", k.NoteSeen, k.Noted, LIFECYCLE_QUEUE, seconds(30), None, retry=SOME)
note_reconciliation = ActivityStep(
    "note_reconciliation", k.Reconciled, k.Noted, LIFECYCLE_QUEUE, seconds(30), None, retry=SOME
)

STEPS: tuple[ActivityStep, ...] = (  # type: ignore[type-arg]  # one table for steps of every type
    begin_discovery,
    scan_page,
    adopt,
    tell_lifecycles,
    fail_discovery,
    consult,
    place_order,
    collect_order,
    revoke_order,
    deploy,
    roll_back,
    look_again,
    send,
    deliver,
    note_undelivered,
    redeem,
    record,
    recall,
    archive,
    sweep,
    compare,
    begin_again,
    restore_streams,
    find_lost_orders,
    find_forgotten,
    regain_issued,
    find_revoked_orders,
    revoke_again,
    hand_over,
    note_seen,
    note_reconciliation,
)
