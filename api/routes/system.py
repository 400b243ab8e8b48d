"""The whole: where things are, who is asking, how well it goes."""

from html import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from api import reference
from api.auth import may
from api.limit import LARGEST_BODY_BYTES
from api.parts import CallerDep, PartsDep
from api.problems import Unauthenticated
from api.routes import guarded
from api.schemas import MeItem, StatusItem
from domain.errors import NotReady
from store import access, reader
from store.reader import Health

router = guarded("system")
public = APIRouter(tags=["system"])

# A page of ours loads nothing, runs nothing and stands in no frame.
NOTHING_ELSE = "default-src 'none'; frame-ancestors 'none'"

DIRECTORY = {
    "certificates": "/v1/certificates",
    "discoveries": "/v1/discoveries",
    "approvals": "/v1/approvals{?state}",
    "orders": "/v1/orders/{order_key}",
    "status": "/v1/status",
    "me": "/v1/me",
    "openapi": "/openapi.json",
    "docs": "/docs",
    "health": "/health/ready",
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

    await run_in_threadpool(ask_database)
    if not await parts.gateway.answers():
        raise NotReady("Temporal does not answer; see everleaf status.")
    return {"status": "ready"}


@public.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def read_reference(request: Request) -> Response:
    """What can be asked, for people."""
    return HTMLResponse(reference.page(request.app.openapi()), headers={"content-security-policy": NOTHING_ELSE})


@public.get("/", include_in_schema=False)
def show_front_door() -> Response:
    """Until there are pages, the front door leads to what can be asked: `up` prints its address."""
    return RedirectResponse("/docs")


@public.get("/login", response_class=HTMLResponse)
def log_in(code: str, request: Request, parts: PartsDep) -> Response:
    """Spend a one-time login link: says who you are and gives a bearer token for ten hours, once."""
    token = access.use_login_link(parts.engine, code)
    actor = access.authenticate(parts.engine, token) if token else None
    if token is None or actor is None:
        raise Unauthenticated("This login link is unknown, used or too old. Ask for a new one.")
    told = {"id": actor.id, "name": actor.person or actor.name, "role": actor.role.value, "token": token}
    secret = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({**told, "expires_in_seconds": 36_000}, headers=secret)
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Everleaf: logged in</title>"
        f"<h1>You are {escape(told['name'])}, {escape(told['role'])}</h1>"
        "<p>Your bearer token, shown once and good for ten hours:</p>"
        f"<pre>{escape(token)}</pre><p>Use it as <code>Authorization: Bearer ...</code>; "
        "<a href='/docs'>what can be asked</a>.</p></html>"
    )
    return HTMLResponse(page, headers={**secret, "content-security-policy": NOTHING_ELSE})
