"""Comparisons of inventory and engine: ask for one, read what differs."""

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from api import bodies, schemas
from api.auth import ACCESS_KEEPERS
from api.lists import WATCH_AGAIN_SECONDS, under_way
from api.messaging import IdempotencyKey, claim
from api.parts import CallerDep
from api.routes import guarded
from api.system_schemas import ReconciliationItem
from domain.comparison import Reconcile
from domain.errors import BadInput, NotAllowed, NotFound
from domain.names import reconciliation_workflow
from store.reader import reconciliations

router = guarded("reconciliations")


@router.post("/reconciliations", status_code=202)
async def start_reconciliation(
    response: Response,
    caller: CallerDep,
    asked: bodies.ReconciliationAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Operation:
    """Compare which certificates live with which lifecycles run; watch the operation at its resource.

    Without ``apply`` nothing is changed and nobody is told.
    """
    asked = asked or bodies.ReconciliationAsked()
    if asked.release and not asked.apply:
        raise BadInput("release", "is asked for without apply", "Send apply: true with it.")
    if asked.release and caller.actor.role not in ACCESS_KEEPERS:
        raise NotAllowed("Only a security head or an administrator lets our CAs sign again.")
    comparison_id = (await claim(caller, "reconciliation", idempotency_key, asked.model_dump_json()))[:12]
    await caller.gateway.start_reconciliation(Reconcile(comparison_id, asked.apply, asked.release, caller.actor.id))
    resource = f"/v1/reconciliations/{comparison_id}"
    return under_way(response, "reconciliation", resource, reconciliation_workflow(comparison_id))


@router.get("/reconciliations/{comparison_id}")
async def get_reconciliation(comparison_id: str, response: Response, caller: CallerDep) -> ReconciliationItem:
    """What one comparison found; Retry-After says when to look again.  ``last``: the newest that was applied."""
    if comparison_id == "last":
        row = await run_in_threadpool(reconciliations.last_reconciliation, caller.engine)
    else:
        row = await run_in_threadpool(reconciliations.reconciliation, caller.engine, comparison_id)
    if row is not None:
        # One of the Schedule has a name of Temporal's making, what `everleaf restore` noted has none.
        workflow_id = row["workflow_id"]
        return ReconciliationItem.model_validate({**row, "status": "done", "workflow_id": workflow_id})
    workflow_id = reconciliation_workflow(comparison_id)
    run = await caller.gateway.discovery(workflow_id)
    if run is None:
        raise NotFound(f"There is no comparison {comparison_id}; the newest is GET /v1/reconciliations/last.")
    if run.state == "failed":
        return ReconciliationItem(id=comparison_id, status="failed", detail=run.failure, workflow_id=workflow_id)
    response.headers["retry-after"] = str(WATCH_AGAIN_SECONDS)
    return ReconciliationItem(id=comparison_id, status="running", workflow_id=workflow_id)
