"""What the foot of Situation says of the engine, of a server to which nobody has come yet."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from api.engine_health import QUEUES, Pulse, pulse_of, watcher_of
from api.web.overview import Part, watcher, workers_of
from api.web.times import Times
from api.web.words import Reader
from domain.names import ISSUE_QUEUE, LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW
from domain.vitals import Fault, Kind
from domain.watching import Status, Watched
from formats.watch_memory import write_status
from tests.api.test_late_adoption import HEAD

pytestmark = pytest.mark.server


@activity.defn
async def nothing() -> None: ...


async def until(client: Client, expected: Pulse) -> None:
    """A busy server may leave a question open for once; what it answers is never anything else for long."""
    while await pulse_of(client) != expected:  # noqa: ASYNC110  # another process makes it true
        await asyncio.sleep(0.1)


async def test_queues_that_no_worker_asks_are_named_and_lifecycles_counted(temporal: WorkflowEnvironment) -> None:
    client = temporal.client
    await until(client, Pulse(True, 0, QUEUES))
    others = tuple(queue for queue in QUEUES if queue != ISSUE_QUEUE)
    async with Worker(client, task_queue=ISSUE_QUEUE, activities=[nothing]):
        await until(client, Pulse(True, 0, others))
    await client.start_workflow(LIFECYCLE_WORKFLOW, id="certificate/mc-1", task_queue=LIFECYCLE_QUEUE)
    await until(client, Pulse(True, 1, others))


@pytest.mark.parametrize(
    ("pulse", "said", "well"),
    [
        (Pulse(True, 5), "all at work", True),
        (Pulse(True, 5, ("issue",)), "nobody asks for the work of issue: it waits", False),
        (
            Pulse(True, 5, ("issue",), ("scan",)),
            "nobody asks for the work of issue: it waits; not known of scan",
            False,
        ),
        (Pulse(False, unknown=QUEUES), f"not known of {', '.join(QUEUES)}", False),
    ],
)
def test_a_queue_that_could_not_be_asked_about_is_not_called_at_work(pulse: Pulse, said: str, well: bool) -> None:
    assert workers_of(pulse) == Part("Workers", said, well)


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TOLD = Watched(Fault(Kind.DISK, "/srv", "12 MB are free", "free some"), NOW, NOW)


@pytest.mark.parametrize(
    ("said", "words", "well"),
    [
        (None, "none is seen from here: nobody tells when Everleaf itself is away", False),
        (Status(NOW, timedelta(minutes=1), ("mail",)), "all well, tells by mail", True),
        (Status(NOW, timedelta(minutes=1)), "watches, and has no way to tell anybody", False),
        (Status(NOW - timedelta(hours=2), timedelta(minutes=1), ("mail",)), "its last round was 2 h ago", False),
        (Status(NOW, timedelta(minutes=1), ("mail",), faults=(TOLD,)), "disk: 12 MB are free", False),
        (
            Status(NOW, timedelta(minutes=1), ("mail",), faults=(replace(TOLD, told_at=None),)),
            "looks closer, tells by mail",
            True,
        ),
    ],
)
def test_situation_says_what_the_watcher_says_and_misses_one_that_is_silent(
    said: Status | None, words: str, well: bool, tmp_path: Path
) -> None:
    if said is not None:
        (tmp_path / "status.json").write_bytes(write_status(said))

    read = watcher_of(str(tmp_path))

    assert watcher(read, Reader(HEAD, Times(NOW, ZoneInfo("UTC")))) == Part("Watcher", words, well)


def test_a_status_that_was_cut_is_none(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text("{")

    assert watcher_of(str(tmp_path)) is None
