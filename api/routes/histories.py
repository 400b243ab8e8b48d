"""Temporal histories of one lifecycle, from the archive and from Temporal: what the replayer and an auditor read."""

import gzip
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.concurrency import run_in_threadpool

from api.parts import Caller, CallerDep
from api.routes import guarded
from api.schemas import RunItem
from domain.errors import NotFound
from domain.names import certificate_workflow
from store import reader

router = guarded("certificates")


@dataclass(frozen=True, slots=True)
class Run:
    """One run and the JSON of its history."""

    item: RunItem
    text: str


@router.get(
    "/certificates/{certificate_id}/history",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def get_certificate_history(
    certificate_id: str,
    caller: CallerDep,
    generation: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    run_id: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """The history of one generation, as JSON that the Temporal replayer accepts.

    With ``run_id``: that run, byte for byte as it is archived.  Without: the newest run of the generation (by default
    the present one) as ``events``, and beside it ``runs``, every run of that generation.
    """
    row = await run_in_threadpool(reader.get_certificate, caller.engine, certificate_id)
    wanted = generation or (None if run_id else row["generation"])
    runs = await _runs(caller, certificate_id, (wanted, row["generation"]))
    if run_id is not None:
        runs = [run for run in runs if run.item.run_id == run_id]
    if not runs:
        raise NotFound(
            f"There is no run {run_id or f'of generation {wanted}'} of {certificate_id}; "
            f"its present generation is {row['generation']}."
        )
    if run_id is not None:
        return Response(runs[0].text, media_type="application/json")
    about = {
        "workflow_id": certificate_workflow(certificate_id),
        "generation": wanted,
        "run_id": runs[-1].item.run_id,
        "runs": [run.item.model_dump() for run in runs],
    }
    whole: dict[str, Any] = {**about, **json.loads(runs[-1].text)}
    return Response(json.dumps(whole), media_type="application/json")


async def _runs(caller: Caller, certificate_id: str, generations: tuple[int | None, int]) -> list[Run]:
    """Runs of (wanted, present) generation, None any; oldest first.  An archived run is not shown twice.

    What is over is archived: then Temporal is not asked, and need not answer.
    """
    wanted, present = generations
    rows = await run_in_threadpool(reader.list_histories, caller.engine, certificate_workflow(certificate_id), wanted)
    found = [_archived(certificate_id, row) for row in rows]
    if found and wanted is not None and wanted < present:
        return found
    newest = await caller.gateway.newest_run(certificate_id)
    if newest is None or newest.run_id in {run.item.run_id for run in found}:
        return found
    generation = newest.generation or present
    if wanted in (None, generation):
        item = RunItem(
            run_id=newest.run_id,
            generation=generation,
            events=newest.events,
            live=newest.live,
            archived=False,
            sha256=sha256(newest.text.encode()).hexdigest(),
            url=_url(certificate_id, generation, newest.run_id),
        )
        found.append(Run(item, newest.text))
    return found


def _archived(certificate_id: str, row: dict[str, Any]) -> Run:
    item = RunItem(
        run_id=row["run_id"],
        generation=row["generation"],
        events=row["events"],
        live=False,
        archived=True,
        sha256=row["sha256"],
        url=_url(certificate_id, row["generation"], row["run_id"]),
    )
    return Run(item, gzip.decompress(row["body"]).decode())


def _url(certificate_id: str, generation: int, run_id: str) -> str:
    return f"/v1/certificates/{certificate_id}/history?generation={generation}&run_id={run_id}"
