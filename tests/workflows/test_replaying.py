"""Replay finds what the Temporal replayer does not: another input, a missing event, a history cut short."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Theatre
from workflows.replaying import first_difference, read_history


async def a_generation(theatre: Theatre) -> tuple[WorkflowHistory, WorkflowHistory]:
    """(the ended run of generation 1, the living one of generation 2)"""
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=timedelta(days=304)))
    await stage.pass_time(timedelta(days=3))
    assert (await stage.state()).generation == 2
    archived = stage.activities.archived[0]
    ended = await theatre.env.client.get_workflow_handle(stage.handle.id, run_id=archived.run_id).fetch_history()
    living = await theatre.env.client.get_workflow_handle(stage.handle.id).fetch_history()
    return ended, living


def changed(history: WorkflowHistory, activity: str, old: bytes, new: bytes) -> tuple[WorkflowHistory, int]:
    """``history`` with one word altered in the input of the first such activity, and the event's number."""
    text = read_history(history.to_json(), history.workflow_id)
    for event in text.events:
        if event.activity_task_scheduled_event_attributes.activity_type.name == activity:
            payload = event.activity_task_scheduled_event_attributes.input.payloads[0]
            assert old in payload.data
            payload.data = payload.data.replace(old, new, 1)
            return text, event.event_id
    raise AssertionError(f"no {activity}")


async def test_replay_finds_no_difference_and_then_each_kind(theatre: Theatre) -> None:
    ended, living = await a_generation(theatre)
    again = read_history(ended.to_json(), ended.workflow_id)
    assert await first_difference(again) is None
    assert await first_difference(living, live=True) is None

    told = await first_difference(living)
    assert told is not None
    assert "cut short" in told

    other, number = changed(ended, "deploy", b"mc-1", b"mc-7")
    told = await first_difference(other)
    assert told is not None
    assert told.startswith(f"event {number}: the input of deploy differs")
    assert "mc-7" in told

    events = [event for event in ended.events if event.event_id != 5]
    told = await first_difference(WorkflowHistory(ended.workflow_id, events))
    assert told == "event 5: missing; event 6 stands in its place"

    swapped = read_history(ended.to_json(), ended.workflow_id)
    rename(swapped.events, "deploy", "roll_back")
    told = await first_difference(swapped)
    assert told is not None
    assert told.endswith("history runs roll_back, replay deploy")

    unknown = read_history(ended.to_json(), ended.workflow_id)
    unknown.events[0].workflow_execution_started_event_attributes.workflow_type.name = "Nobody"
    told = await first_difference(unknown)
    assert told is not None
    assert told.startswith("replay fails: Workflow class Nobody is not registered")

    # A timer where the code runs an activity: the replayer names the event itself.
    timed = read_history(ended.to_json(), ended.workflow_id)
    first = next(event for event in timed.events if event.HasField("activity_task_scheduled_event_attributes"))
    first.event_type = EventType.EVENT_TYPE_TIMER_STARTED
    first.timer_started_event_attributes.timer_id = "1"
    told = await first_difference(timed)
    assert told is not None
    assert told.startswith(f"event {first.event_id}: ")


def rename(events: Any, old: str, new: str) -> None:
    for event in events:
        if event.activity_task_scheduled_event_attributes.activity_type.name == old:
            event.activity_task_scheduled_event_attributes.activity_type.name = new


async def test_a_history_names_its_own_workflow(theatre: Theatre) -> None:
    _, living = await a_generation(theatre)
    text = living.to_json()
    started = living.events[0].workflow_execution_started_event_attributes
    if started.workflow_id:
        assert read_history(text).workflow_id == "certificate/mc-1"
    else:
        with pytest.raises(ValueError, match="which workflow"):
            read_history(text)
    with pytest.raises(ValueError):
        read_history("[]")


async def test_a_second_cold_replay_builds_no_type_adapter(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building those of one lifecycle was half of what a cold one cost; they are of the process, not of a workflow."""
    ended, _ = await a_generation(theatre)
    assert await first_difference(ended) is None
    built: list[object] = []
    make = TypeAdapter.__init__

    def counted(self: TypeAdapter[Any], kind: Any, *given: Any, **more: Any) -> None:
        built.append(kind)
        make(self, kind, *given, **more)

    monkeypatch.setattr(TypeAdapter, "__init__", counted)
    assert await first_difference(ended) is None
    assert built == []
    TypeAdapter(int)
    assert built == [int]
