"""The door of pages: the same proof, roles and origin checks as the API's; what goes wrong becomes a page."""

import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

import sqlalchemy.exc
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from api.auth import Door
from api.parts import caller_of
from api.problems import Unauthenticated, status_of
from api.web.render import bare_page, page
from domain.errors import EverleafError

log = logging.getLogger(__name__)

LOST = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError)


class PageDoor(Door):
    """Lets in whom the API lets in.  A stranger is led to the login, and back afterwards."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        let_in = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await let_in(request)
            except Unauthenticated:
                return to_login(request)
            except EverleafError as error:
                status, title = status_of(error)
                return failed(request, title, str(error), status)
            except ValidationError as error:
                # Of our own model of what was asked: a form may hold what its fields alone did not refuse.
                fields = ", ".join(".".join(map(str, found["loc"])) for found in error.errors())
                return failed(request, "The request is wrong", f"Look at: {fields}.", 422)
            except sqlalchemy.exc.DataError:
                return failed(request, "The request is wrong", "A value is too large or cannot be stored.", 422)
            except RequestValidationError as error:
                fields = ", ".join(str(found["loc"][-1]) for found in error.errors())
                return failed(request, "The page was asked for wrongly", f"Look at: {fields}.", 422)
            except LOST as error:
                reference = uuid.uuid4().hex[:12]
                log.warning("no database, reference %s: %s", reference, type(error).__name__)
                return bare_page(request, "away.html", {"reference": reference}, 503)

        return shown


def to_login(request: Request) -> Response:
    """Where one came from is kept for a GET alone; what was to be changed is not done behind one's back."""
    back = quote(f"{request.url.path}?{request.url.query}".rstrip("?")) if request.method == "GET" else "/"
    target = f"/login?back={back}"
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"hx-redirect": target})
    return RedirectResponse(target, status_code=303)


def failed(request: Request, title: str, told: str, status: int) -> Response:
    if not hasattr(request.state, "actor"):
        return bare_page(request, "refused.html", {"title": title, "told": told}, status)
    return page(request, caller_of(request), "failed.html", {"title": title, "told": told, "status": status})


def pages() -> APIRouter:
    """A router whose every page stands behind the door; pages are not part of the API's description."""
    return APIRouter(route_class=PageDoor, include_in_schema=False)
