"""Replay: does today's code still do what a stored history says it did, command by command and input by input?

The Temporal replayer proves the order of commands, not their contents, and takes a history that is cut short; so this
also compares every activity's input and looks at how the history begins and ends.
"""

import json
import re
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

from domain.contracts import RecordBatch
from workflows.codec import unpacked
from workflows.converter import DATA_CONVERTER, converter
from workflows.courier import Courier
from workflows.discovery import Discovery
from workflows.lifecycle import CertificateLifecycle
from workflows.reconciliation import Reconciliation
from workflows.sandbox import Sandbox
from workflows.sealing import KeyFile, opened

WORKFLOWS = (CertificateLifecycle, Courier, Discovery, Reconciliation)
ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
}
# "... HistoryEvent(id: 26, ActivityTaskScheduled) ..." and "event id 26" in the words of the SDK.
EVENT_IN_TEXT = re.compile(r"(?:HistoryEvent\(id: |event[ _]id:? )(\d+)")
MESSAGE_IN_TEXT = re.compile(r'message: "((?:[^"\\]|\\.)+)"')
SHOWN = 300
# Fields that a later release added to an input (``domain.contracts``: with defaults, never removed or renamed).  An
# older history lacks them, and that is no difference; a field that is not named here is never passed over.
ADDED: frozenset[str] = frozenset({"useful_until"})


@dataclass(frozen=True, slots=True)
class Difference:
    """``event``: the first event at which replay and history part; 0 where the replayer names none."""

    event: int
    told: str


def read_history(text: str, workflow_id: str = "") -> WorkflowHistory:
    """The history in ``text``, by default of the workflow that its first event names.  Raises ValueError."""
    events = WorkflowHistory.from_json(workflow_id or "unknown", text).events
    named = events[0].workflow_execution_started_event_attributes.workflow_id if events else ""
    if not (workflow_id or named):
        raise ValueError("the history does not say which workflow it is of")
    return WorkflowHistory(workflow_id or named, events)


async def first_difference(history: WorkflowHistory, *, live: bool = False, keys: KeyFile | None = None) -> str | None:
    """What differs first between ``history`` and its replay, or None.  ``live``: the run may not have ended yet.

    ``keys``: of its payloads, where they are encrypted.  Raises NotReady without the right one.
    """
    broken = _broken(history.events, live)
    if broken is not None:
        return broken
    # The replayer would say that it failed, and not which key is missing.
    for payload in history.events[0].workflow_execution_started_event_attributes.input.payloads:
        opened(payload, keys)
    commanded: list[StartActivityInput] = []
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=converter(keys),
        interceptors=[_Listening(commanded)],
        workflow_runner=Sandbox(),
        runtime=_quiet(),
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    found = [_input_difference(history.events, commanded, keys)]
    if result.replay_failure is not None:
        found.append(_failure(result.replay_failure))
    differences = [difference for difference in found if difference is not None]
    # One that names no event comes last: what stands at a place is more use to a reader.
    differences.sort(key=lambda difference: difference.event or len(history.events) + 1)
    return differences[0].told if differences else None


async def recorded_batches(history: WorkflowHistory, keys: KeyFile | None = None) -> list[RecordBatch]:
    """What a run had recorded so far, in its order: its events are made again as they were first made.

    Raises ValueError where today's code does not do what the history says.
    """
    batches: list[RecordBatch] = []
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=converter(keys),
        interceptors=[_Recording(batches)],
        workflow_runner=Sandbox(),
        runtime=_quiet(),
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        raise ValueError(_failure(result.replay_failure).told)
    return batches


@cache
def _quiet() -> Runtime:
    """What differs is our answer; the engine would say it a second time, in its own words and on standard error."""
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="OFF")))


def _broken(events: Sequence[HistoryEvent], live: bool) -> str | None:
    """What is wrong with the history itself, which a replayer would not say."""
    if not events:
        return "the history has no events"
    if not events[0].HasField("workflow_execution_started_event_attributes"):
        return "event 1: the history does not begin with the start of a workflow"
    for place, event in enumerate(events, start=1):
        if event.event_id != place:
            return f"event {place}: missing; event {event.event_id} stands in its place"
    if not live and events[-1].event_type not in ENDS:
        name = EventType.Name(events[-1].event_type).removeprefix("EVENT_TYPE_").lower()
        return f"event {len(events)}: the history is cut short; it ends with {name}, which ends no run"
    return None


def _failure(failure: BaseException) -> Difference:
    """In the SDK's own words, without the frames that it wraps them in."""
    text = " ".join(str(failure).split())
    message = MESSAGE_IN_TEXT.search(text)
    told = message[1].replace('\\"', '"') if message else text
    named = EVENT_IN_TEXT.search(told)
    event = int(named[1]) if named else 0
    return Difference(event, f"event {event}: {told}" if event else f"replay fails: {told}")


def _input_difference(
    events: Sequence[HistoryEvent], commanded: Sequence[StartActivityInput], keys: KeyFile | None
) -> Difference | None:
    """Activities in the order in which they were scheduled; the replayer itself finds one too many or too few."""
    scheduled = [event for event in events if event.HasField("activity_task_scheduled_event_attributes")]
    for event, command in zip(scheduled, commanded, strict=False):
        stored = event.activity_task_scheduled_event_attributes
        if stored.activity_type.name != command.activity:
            told = f"event {event.event_id}: history runs {stored.activity_type.name}, replay {command.activity}"
            return Difference(event.event_id, told)
        replayed = DATA_CONVERTER.payload_converter.to_payloads(command.args)
        # Unpacked: how well zlib packs is no difference.
        given = [unpacked(opened(payload, keys)) for payload in stored.input.payloads]
        if not _alike([payload.data for payload in given], [payload.data for payload in replayed]):
            told = f"event {event.event_id}: the input of {command.activity} differs: "
            return Difference(event.event_id, told + _apart(given, replayed))
    return None


def _alike(stored: Sequence[bytes], replayed: Sequence[bytes]) -> bool:
    if stored == replayed:
        return True
    if len(stored) != len(replayed):
        return False
    pairs = zip(stored, replayed, strict=True)
    return all(one == _as_before(one, other) for one, other in ((json.loads(a), json.loads(b)) for a, b in pairs))


def _as_before(stored: object, replayed: object) -> object:
    """``replayed`` without the fields that ``stored`` is too old to have."""
    if isinstance(stored, dict) and isinstance(replayed, dict):
        kept = {key: value for key, value in replayed.items() if key in stored or key not in ADDED}
        return {key: _as_before(stored.get(key), value) for key, value in kept.items()}
    if isinstance(stored, list) and isinstance(replayed, list) and len(stored) == len(replayed):
        return [_as_before(one, other) for one, other in zip(stored, replayed, strict=True)]
    return replayed


def _apart(stored: Sequence[Payload], replayed: Sequence[Payload]) -> str:
    """Both texts from a little before the first byte in which they differ."""
    one, other = (b"".join(payload.data for payload in payloads) for payloads in (stored, replayed))
    place = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, place - 40)
    here, there = (text[begin : begin + SHOWN].decode(errors="replace") for text in (one, other))
    return f"history ...{here}, replay ...{there}"


class _Listening(Interceptor):
    """Writes down every activity that the replayed code asks for."""

    def __init__(self, commanded: list[StartActivityInput]) -> None:
        self._commanded = commanded

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        commanded = self._commanded

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
                commanded.append(input)
                return super().start_activity(input)

        return Inbound


class _Recording(Interceptor):
    """Writes down every batch of events that the replayed code has recorded, as a step or within its own task.

    Only what the store took: what it refused, or held other events for, is nobody's record.
    """

    def __init__(self, batches: list[RecordBatch]) -> None:
        self._batches = batches

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        batches = self._batches

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
                return _kept(batches, input.args, super().start_activity(input))

            def start_local_activity(self, input: StartLocalActivityInput) -> ActivityHandle[Any]:
                return _kept(batches, input.args, super().start_local_activity(input))

        return Inbound


def _kept(batches: list[RecordBatch], args: Sequence[Any], handle: ActivityHandle[Any]) -> ActivityHandle[Any]:
    def ended(done: Future[Any]) -> None:
        taken = not done.cancelled() and done.exception() is None and done.result().outcome == "recorded"
        batches.extend(one for one in args if taken and isinstance(one, RecordBatch))

    if any(isinstance(one, RecordBatch) for one in args):
        handle.add_done_callback(ended)
    return handle
