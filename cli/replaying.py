"""`everleaf replay`: histories from a file or from the API, each replayed with the code of this release."""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseError
from rich.console import Console
from temporalio.client import WorkflowHistory

from cli.api_client import Api, segment
from domain.errors import BadInput
from formats.payload_keys import parse_keys
from workflows.replaying import first_difference, read_history
from workflows.sealing import KeyFile


@dataclass(frozen=True, slots=True)
class Stored:
    """``live``: the run had not ended when it was read."""

    name: str
    history: WorkflowHistory
    live: bool


def from_file(file: Path, workflow_id: str, live: bool) -> list[Stored]:
    """What `everleaf history` or Temporal wrote.  Raises BadInput where it is none, or names no workflow."""
    text = file.read_text()
    try:
        about = json.loads(text)
    except ValueError:
        about = {}
    about = about if isinstance(about, dict) else {}
    # Beside the events, `everleaf history` says of which workflow they are, and whether their run had ended.
    living = {run["run_id"] for run in about.get("runs", ()) if run["live"]}
    history = _read(text, workflow_id or about.get("workflow_id", ""), str(file))
    return [Stored(str(file), history, live or about.get("run_id") in living)]


def from_api(api: Api, certificate_id: str, generation: int | None) -> list[Stored]:
    """Every run of the generation, oldest first.  Raises NotFound."""
    here = f"/v1/certificates/{segment(certificate_id)}/history"
    listed: dict[str, Any] = api.get(here, generation=generation)
    return [
        Stored(
            f"generation {run['generation']}, run {run['run_id']}",
            _read(api.text(run["url"]), listed["workflow_id"], run["url"]),
            run["live"],
        )
        for run in listed["runs"]
    ]


def run(histories: list[Stored], console: Console) -> bool:
    """Say for each history whether it replays; whether one differs.  Encrypted ones need EVERLEAF_PAYLOAD_KEYS."""
    file = os.environ.get("EVERLEAF_PAYLOAD_KEYS", "")
    return asyncio.run(_run(histories, console, KeyFile(file, parse_keys) if file else None))


async def _run(histories: list[Stored], console: Console, keys: KeyFile | None) -> bool:
    differs = False
    for stored in histories:
        told = await first_difference(stored.history, live=stored.live, keys=keys)
        events = len(stored.history.events)
        line = f"{stored.name}: {told or f'{events} events, the same commands with the same inputs'}"
        console.print(line, style="red" if told else None, markup=False, highlight=False, soft_wrap=True)
        differs = differs or told is not None
    return differs


def _read(text: str, workflow_id: str, name: str) -> WorkflowHistory:
    try:
        return read_history(text, workflow_id)
    except (ValueError, ParseError) as problem:
        raise BadInput(
            name, f"is not a history ({problem})", "`everleaf history` writes one; or --workflow-id."
        ) from problem
