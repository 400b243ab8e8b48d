"""Today's workflows still do what every stored history says they did.  Histories are only added, never re-recorded.

To add some: python -m tests.replay.record <release>
"""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from workflows.replaying import first_difference, read_history

HERE = Path(__file__).parent
# Runs of releases before this one have all ended; the tag of such a release replays its own folder.
OLDEST_LIVE_RELEASE = "0.2.0"


def release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


STORED = sorted(HERE.glob("*/*/*.json"))
LIVE = [path for path in STORED if release(path.parts[-3]) >= release(OLDEST_LIVE_RELEASE)]


def load(path: Path) -> WorkflowHistory:
    # The time-skipping server does not write the workflow's id into its histories, as the real one does.
    return read_history(path.read_text(), "certificate/mc-1")


def one(start: str) -> WorkflowHistory:
    return load(next(path for path in LIVE if path.name.startswith(start)))


@pytest.mark.parametrize("path", STORED, ids=lambda path: "/".join(path.parts[-3:]))
async def test_a_stored_history_replays(path: Path) -> None:
    if path not in LIVE:
        pytest.skip(f"older than {OLDEST_LIVE_RELEASE}: replay it with the tag v{path.parts[-3]}")
    difference = await first_difference(load(path))
    assert difference is None, f"{path.name}: {difference}. Add a patch (workflows/patches.py), and a new history."


def test_every_tier_has_a_history_with_all_that_can_be_in_one() -> None:
    for start in (
        "an-internal",
        "an-asking-tier-is-asked-escalated-and-approved-for-two-generations-customer",
        "an-asking-tier-is-asked-escalated-and-approved-for-two-generations-network",
    ):
        events = [event for path in LIVE if path.name.startswith(start) for event in load(path).events]
        kinds = {event.WhichOneof("attributes") for event in events}
        started = [event.activity_task_started_event_attributes for event in events]
        assert "timer_fired_event_attributes" in kinds
        assert "workflow_execution_signaled_event_attributes" in kinds
        assert "workflow_execution_continued_as_new_event_attributes" in kinds
        assert any(attributes.attempt > 1 for attributes in started), "no retried activity"
        if "asking" in start:
            assert "workflow_execution_update_accepted_event_attributes" in kinds


async def test_a_swapped_step_is_noticed_and_named() -> None:
    """As if the code had called the step by another name: what it commands is no longer what the history says."""
    history = one("an-internal")
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    looked = next(attributes for attributes in scheduled if attributes.activity_type.name == "look_again")
    looked.activity_type.name = "deploy"
    difference = await first_difference(history)
    assert difference is not None
    assert "look_again" in difference


async def test_a_changed_input_alone_is_noticed_and_named() -> None:
    history = one("an-internal")
    event = next(
        event
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "deploy"
    )
    payload = event.activity_task_scheduled_event_attributes.input.payloads[0]
    payload.data = payload.data.replace(b"mc-1", b"mc-2")
    difference = await first_difference(history)
    assert difference is not None
    assert f"event {event.event_id}" in difference


async def test_a_history_that_is_cut_short_is_noticed() -> None:
    history = one("an-internal")
    cut = WorkflowHistory(history.workflow_id, list(history.events)[:-1])
    difference = await first_difference(cut)
    assert difference is not None
    assert "cut short" in difference
