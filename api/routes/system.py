"""The whole: where things are, who is asking, how well it goes."""

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from api import swagger
from api.auth import may
from api.limit import LARGEST_BODY_BYTES
from api.parts import CallerDep, PartsDep
from api.routes import guarded
from api.system_schemas import MeItem, StatusItem
from domain.errors import NotReady
from store import reader
from store.reader import Health

# Below the patience of whoever asks: the supervisor, the watcher, a health check.
READY_SECONDS = 2.5

router = guarded("system")
public = APIRouter(tags=["system"])

DIRECTORY = {
    "certificates": "/v1/certificates",
    "discoveries": "/v1/discoveries",
    "reconciliations": "/v1/reconciliations/{id}",
    "approvals": "/v1/approvals{?state}",
    "orders": "/v1/orders/{order_key}",
    "policy": "/v1/policy",
    "events": "/v1/events",
    "status": "/v1/status",
    "me": "/v1/me",
    "openapi": "/openapi.json",
    "docs": "/docs",
    "health": "/health/ready",
    "metrics": "/metrics",
}


@public.get("/v1")
def get_directory(parts: PartsDep) -> dict[str, object]:
    """Where everything is."""
    return {"name": "everleaf", "release": parts.release, "links": DIRECTORY, "largest_body_bytes": LARGEST_BODY_BYTES}


@router.get("/me")
def who_am_i(request: Request, caller: CallerDep) -> MeItem:
    """Whose token this is, and the operations that it may call."""
    actor = caller.actor
    names = sorted(name for name in request.app.state.routes if may(name, actor))
    return MeItem(id=actor.id, name=actor.name, role=actor.role, may_decide=actor.may_decide, routes=names)


@router.get("/status")
async def get_status(caller: CallerDep) -> StatusItem:
    """Counts over everything; ``settled`` when every due step has had its first outcome."""
    seen: Health = await run_in_threadpool(reader.health, caller.engine, caller.parts.clock())
    reachable = await caller.gateway.answers()
    counts = {
        name: getattr(seen, name)
        for name in ("adopted", "unrecorded", "overdue", "in_progress", "unsent_notices", "queued_deliveries")
    }
    return StatusItem(
        state="degraded" if not reachable else "settled" if seen.settled else "working",
        settled=seen.settled and reachable,
        managed=seen.managed,
        due_without_outcome=seen.due_without_outcome,
        pending_approvals=seen.pending_approvals,
        temporal={"reachable": reachable},
        counts={**counts, "by_state": seen.by_state, "by_severity": seen.by_severity},
    )


@public.get("/health/live")
def get_liveness() -> dict[str, str]:
    """This process answers."""
    return {"status": "live"}


@public.get("/health/ready")
async def get_readiness(parts: PartsDep) -> dict[str, str]:
    """Database and Temporal answer; 503 with what is missing."""

    def ask_database() -> None:
        with parts.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    try:
        # A thread of its own kind: one that hangs in a database that was stopped is left behind.
        await asyncio.wait_for(asyncio.to_thread(ask_database), READY_SECONDS)
    except TimeoutError:
        raise NotReady("The database accepts and does not answer; see everleaf status.") from None
    if not await parts.gateway.answers():
        raise NotReady("Temporal does not answer; see everleaf status.")
    return {"status": "ready"}


@public.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def read_reference(request: Request) -> Response:
    """What can be asked, for people."""
    return HTMLResponse(swagger.page(request.app.openapi()))
