"""Discoveries: start one, watch it, read what it found."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import bodies, schemas
from api.filters import IfNoneMatch, Limit
from api.gateway import DiscoveryRun
from api.in_force import policy_in_force
from api.lists import WATCH_AGAIN_SECONDS, digest, link_next, tag, under_way
from api.messaging import IdempotencyKey, claim
from api.parts import Caller, CallerDep
from api.routes import guarded
from api.scope import check_scope
from domain.contracts import DiscoveryRequest
from domain.errors import NotFound
from domain.names import discovery_workflow
from store import reader

router = guarded("discoveries")

# Words of the store -> words of an operation; whatever is not named here is under way.
ENDED = {"adopted": "done", "failed": "failed"}
Cursor = Annotated[str | None, Query(max_length=4000)]


def item(row: dict[str, Any], run: DiscoveryRun | None = None) -> schemas.DiscoveryItem:
    """``run``: what Temporal says of one that the store has not seen end."""
    status = ENDED.get(row["state"], "running")
    if run is not None and run.state == "failed":
        row = {**row, "state": "failed", "detail": row["detail"] or run.failure}
        status = "failed"
    about = {
        "workflow_id": row.get("workflow_id") or discovery_workflow(row["id"]),
        "progress": run.progress if run else None,
    }
    return schemas.DiscoveryItem.model_validate({**row, **about, "status": status})


@router.post("/discoveries", status_code=202)
async def start_discovery(
    response: Response,
    caller: CallerDep,
    asked: bodies.DiscoveryAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Operation:
    """Look at the policy's scope, or at a part of it; watch the operation at its resource."""
    asked = asked or bodies.DiscoveryAsked()
    known = await run_in_threadpool(policy_in_force, caller.parts)
    if known is not None:
        check_scope(asked, known.policy.scope)
    discovery_id = (await claim(caller, "discovery", idempotency_key, asked.model_dump_json()))[:12]
    request = DiscoveryRequest(
        discovery_id, f"api/{caller.actor.id}", asked.cidrs, asked.ports, asked.names, asked.paths
    )
    await caller.gateway.start_discovery(request)
    resource = f"/v1/discoveries/{discovery_id}"
    return under_way(response, "discovery", resource, discovery_workflow(discovery_id))


@router.get("/discoveries")
def list_discoveries(
    request: Request, response: Response, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> schemas.DiscoveryPage:
    """Newest first."""
    page = reader.list_discoveries(caller.engine, limit, cursor)
    link_next(request, response, ("cursor", page.next_cursor))
    return schemas.DiscoveryPage(items=[item(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/discoveries/{discovery_id}")
async def get_discovery(
    discovery_id: str, request: Request, response: Response, caller: CallerDep, _known: IfNoneMatch = None
) -> schemas.DiscoveryItem:
    """One discovery, with its progress while it runs; Retry-After says when to look again."""
    shown = await _discovery(caller, discovery_id)
    if shown.status == "running":
        response.headers["retry-after"] = str(WATCH_AGAIN_SECONDS)
    tag(request, response, digest(shown))
    return shown


async def _discovery(caller: Caller, discovery_id: str) -> schemas.DiscoveryItem:
    row: dict[str, Any] | None
    try:
        row = await run_in_threadpool(reader.get_discovery, caller.engine, discovery_id)
    except NotFound:
        row = None
    if row is not None and row["state"] in ENDED:
        return item(row)
    if row is not None and row["workflow_id"]:
        return item(row, await caller.gateway.discovery(row["workflow_id"], row["run_id"]))
    run = await caller.gateway.discovery(discovery_workflow(discovery_id))
    if row is not None:
        return item(row, run)
    if run is None:
        raise NotFound(f"There is no discovery {discovery_id}; list them with GET /v1/discoveries.")
    # Started, and nobody has cut its scope into pages yet; or refused before that.
    return item({"id": discovery_id, "state": "failed" if run.state == "failed" else "asked", "detail": ""}, run)


@router.get("/discoveries/{discovery_id}/findings")
def list_discovery_findings(  # one argument per parameter is how the framework reads and documents them
    discovery_id: str,
    request: Request,
    response: Response,
    caller: CallerDep,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> schemas.FindingPage:
    """What is wrong with what was seen."""
    reader.get_discovery(caller.engine, discovery_id)
    page = reader.list_findings(caller.engine, discovery_id, limit, cursor)
    link_next(request, response, ("cursor", page.next_cursor))
    items = [schemas.FindingItem.model_validate(row) for row in page.items]
    return schemas.FindingPage(items=items, next_cursor=page.next_cursor)
