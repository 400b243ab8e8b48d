"""Keeps what ran in a test as a stored history, where it is asked for: see tests/replay/record.py."""

import json
import os
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from workflows.replaying import ENDS, first_difference, read_history

FOLDER = "EVERLEAF_KEEP_HISTORIES"


def without_paths(text: str) -> str:
    """A history without the stack traces of its failures: they name folders of the machine that made it."""
    history = json.loads(text)
    for event in history["events"]:
        for attributes in event.values():
            failure = attributes.get("failure") if isinstance(attributes, dict) else None
            while failure:
                failure.pop("stackTrace", None)
                failure = failure.get("cause")
    return json.dumps(history, indent=2)


def keep_history(kind: str, scenario: str, text: str) -> None:
    """Store a history below the folder that was asked for; never over one that is stored."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    path = Path(folder) / kind / f"{scenario}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(without_paths(text))


async def runs_of(client: Client, workflow_id: str) -> list[str]:
    """The histories of all runs that have ended, oldest first; each run names the one it continues."""
    texts: list[str] = []
    run: str | None = None
    while True:
        history = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
        if history.events[-1].event_type in ENDS:
            texts.insert(0, history.to_json())
        run = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id or None
        if run is None:
            return texts


async def replayed(client: Client, handle: WorkflowHandle[Any, Any], kind: str, scenario: str) -> None:
    """Every ended run of ``handle`` replays without a difference; kept as ``scenario`` where it is asked for."""
    texts = await runs_of(client, handle.id)
    assert texts, f"{handle.id} has no run that ended"
    for number, text in enumerate(texts, start=1):
        assert await first_difference(read_history(text, handle.id)) is None
        keep_history(kind, f"{scenario}-{number}", text)
