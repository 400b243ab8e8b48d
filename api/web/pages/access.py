"""Access: who may do what, generated from the tables that decide it, and who is logged in."""

from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.auth import MAY_DECIDE, PAGES, ROLES
from api.parts import CallerDep
from api.web.page_router import pages
from api.web.render import page
from domain.errors import NotFound
from domain.tiers import Role
from store import access
from workflows.lifecycle import CertificateLifecycle

router = pages()

WATCHES = (Role.SECURITY_HEAD, Role.ADMIN, Role.AUDITOR)
EVENTS = 40
# What a lifecycle hears in Temporal; the other words of that table are for later, and reach nobody.
MESSAGES = [row for row in sorted(access.MAY_SEND.items()) if hasattr(CertificateLifecycle, row[0])]


@router.get("/access")
async def show_access(request: Request, caller: CallerDep) -> Response:
    """The table of roles for everybody; sessions and security events for those who watch over them."""
    watches = caller.actor.role in WATCHES
    here = {
        "title": "Who may do what",
        "roles": list(Role),
        "routes": sorted(ROLES.items()),
        "pages": sorted(PAGES.items()),
        "may_decide": MAY_DECIDE,
        "messages": MESSAGES,
        "sessions": await run_in_threadpool(access.living_sessions, caller.engine) if watches else [],
        "events": await run_in_threadpool(access.security_events, caller.engine, None, EVENTS) if watches else [],
        "watches": watches,
        "own": getattr(request.state, "session", None),
    }
    return await run_in_threadpool(page, request, caller, "access.html", here)


@router.post("/access/end")
async def end_session_on_page(caller: CallerDep, session_id: Annotated[str, Form(max_length=64)]) -> Response:
    """Log somebody out."""
    ended = await run_in_threadpool(access.end_session, caller.engine, session_id, caller.actor.id)
    if not ended:
        raise NotFound("There is no such session, or it has ended already.")
    return RedirectResponse("/access", status_code=303)
