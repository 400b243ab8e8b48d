"""The door of pages: the same proof, roles and origin checks as the API's; what goes wrong becomes a page."""

import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.auth import Door
from api.parts import caller_of
from api.problems import LOST, Unauthenticated
from api.web.render import bare_page, page

log = logging.getLogger(__name__)

# Here machines ask, also where they send a browser's Accept.
MACHINES = ("/v1", "/static/", "/health/", "/metrics", "/openapi.json")
# They say how a connection or a cache stands, and hold for a page as well.
KEPT = ("allow", "retry-after")

Handler = Callable[[Request, Any], Awaitable[Response]]


class PageDoor(Door):
    """Lets in whom the API lets in.  A stranger is led to the login, and back afterwards."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        let_in = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await let_in(request)
            except Unauthenticated:
                return to_login(request)
            except ValidationError as error:
                # Of the API's own model of what was asked: a form may hold what its fields alone did not refuse.
                fields = [{**found, "loc": ("body", *found["loc"])} for found in error.errors()]
                raise RequestValidationError(fields) from error

        return shown


def to_login(request: Request) -> Response:
    """Where one came from is kept for a GET alone; what was to be changed is not done behind one's back."""
    back = quote(f"{request.url.path}?{request.url.query}".rstrip("?")) if request.method == "GET" else "/"
    target = f"/login?back={back}"
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"hx-redirect": target})
    return RedirectResponse(target, status_code=303)


def install(app: FastAPI) -> None:
    """Let every problem that the API knows how to tell be a page for whoever asks for pages."""
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _as_page(handler))


def _as_page(handler: Any) -> Handler:
    async def shown(request: Request, error: Any) -> Response:
        answer: Response = await handler(request, error)
        if answer.status_code < 400 or not is_page(request):
            return answer
        told = json.loads(bytes(answer.body))
        if isinstance(error, LOST):
            dressed: Response = bare_page(request, "away.html", {}, answer.status_code)
        else:
            dressed = await run_in_threadpool(failed, request, told["title"], told["detail"], answer.status_code)
        dressed.headers.update({name: answer.headers[name] for name in KEPT if name in answer.headers})
        return dressed

    return shown


def is_page(request: Request) -> bool:
    """Whether a page was asked for: by its address, or by a browser that found none."""
    browser = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(MACHINES)
    return isinstance(request.scope.get("route"), PageDoor) or browser


def failed(request: Request, title: str, told: str, status: int) -> Response:
    here = {"title": title, "told": told, "status": status}
    if hasattr(request.state, "actor"):
        try:
            return page(request, caller_of(request), "failed.html", here)
        except LOST:
            # What stands around a page is counted in the database; what went wrong can be told without it.
            log.warning("a page of an error without what surrounds it", exc_info=True)
    return bare_page(request, "refused.html", here, status)


def pages() -> APIRouter:
    """A router whose every page stands behind the door; pages are not part of the API's description."""
    return APIRouter(route_class=PageDoor, include_in_schema=False)
