"""In and out: a one-time link becomes a session; nothing is spent by a GET, so that no scanner of mails spends it."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.auth import COOKIE, is_foreign, session_of
from api.parts import CallerDep, PartsDep
from api.problems import NotAskedHere
from api.rates import count_login
from api.web.page_router import pages
from api.web.render import bare_page
from store import access

public = APIRouter(include_in_schema=False)
router = pages()


@public.get("/login")
async def show_login(request: Request, back: str = "/") -> Response:
    """The code stands behind # in the link: a browser sends it to nobody, and a script of ours puts it in the form."""
    if await session_of(request) is not None:
        return RedirectResponse(local(back), status_code=303)
    return bare_page(request, "login.html", {"back": local(back), "told": ""})


@public.post("/login")
async def log_in(
    request: Request,
    parts: PartsDep,
    code: Annotated[str, Form(max_length=200)],
    back: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Spend the code for a session.  The old session of this browser, if any, ends: a login is always a new one."""
    count_login(request)
    if is_foreign(request):
        raise NotAskedHere("Open your link again.")
    before = await session_of(request)
    cookie = await run_in_threadpool(access.log_in, parts.engine, code.strip())
    if cookie is None:
        told = "This code is unknown, used or too old. Make a new link with: everleaf login-link --role ROLE"
        return bare_page(request, "login.html", {"back": local(back), "told": told}, 401)
    if before is not None:
        await run_in_threadpool(access.end_session, parts.engine, before.id, before.actor.id)
    answer = RedirectResponse(local(back), status_code=303)
    answer.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="lax", path="/")
    return answer


@router.post("/logout")
async def log_out(request: Request, caller: CallerDep) -> Response:
    """End this session, here and in the store."""
    session = getattr(request.state, "session", None)
    if session is not None:
        await run_in_threadpool(access.end_session, caller.engine, session.id, caller.actor.id)
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax", path="/")
    return answer


def local(back: str) -> str:
    """A path of ours, or the front page: a link must not lead a fresh session elsewhere."""
    try:
        parts = urlsplit(back)
    except ValueError:
        return "/"
    ours = back.startswith("/") and not back.startswith("//") and "\\" not in back and not parts.scheme
    return back if ours and not parts.netloc else "/"
