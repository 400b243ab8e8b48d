"""The edge where an error becomes an answer: RFC 9457 problem+json, everywhere, without internals.

To add one: a row in KINDS.  The first class that fits wins, so the narrower stands above the wider.
"""

import logging
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy.exc
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.refusals import Busy
from domain.errors import BadInput, EverleafError, NotAllowed, NotFound, NotReady, Refused, Stale

log = logging.getLogger(__name__)

# The database does not answer, or not in time.
LOST = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Unauthenticated(EverleafError):
    permanent = True


class NotAskedHere(NotAllowed):
    """A change that no page of ours asked for."""


class WrongMediaType(EverleafError):
    permanent = True


class TooMany(EverleafError):
    """More requests than a minute allows; ``seconds`` until the next one is let in."""

    def __init__(self, told: str, seconds: int) -> None:
        super().__init__(told)
        self.seconds = seconds


class NotModified(EverleafError):
    """Not a problem: the caller has it already.  ``etag``: quoted, as it is sent."""

    def __init__(self, etag: str) -> None:
        super().__init__("it has not changed")
        self.etag = etag


# (error, status, last part of the type URI, title)
KINDS: tuple[tuple[type[EverleafError], int, str, str], ...] = (
    (Unauthenticated, 401, "unauthenticated", "Who are you?"),
    (NotAskedHere, 403, "not-asked-here", "That was not asked from a page of ours"),
    (NotAllowed, 403, "not-allowed", "Your role may not do that"),
    (NotFound, 404, "not-found", "There is no such thing"),
    (Busy, 409, "busy", "Somebody else is at it"),
    (Stale, 412, "stale", "It has changed since you read it"),
    (Refused, 409, "conflict", "It is decided already, or its state does not allow it"),
    (WrongMediaType, 415, "unsupported-media-type", "That kind of body is not read here"),
    (BadInput, 422, "invalid", "The request is wrong"),
    (TooMany, 429, "too-many", "Too many requests"),
    (NotReady, 503, "not-ready", "A part that is needed does not answer"),
)
TITLES = {
    400: ("bad-request", "The request cannot be read"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "That method is not allowed here"),
    413: ("too-large", "The body is too large"),
    414: ("address-too-long", "The address is too long"),
    422: ("invalid", "The request is wrong"),
    431: ("headers-too-large", "The headers are too large"),
}
REMEDIES = {
    "nul": "Remove it.",
    "unprintable": "Remove it.",
    "missing": "Add it.",
    "extra_forbidden": "Remove it, or correct its spelling.",
    "json_invalid": "Send valid JSON.",
    "model_attributes_type": "Send one JSON object, with content-type application/json.",
}


def problem(status: int, kind: str, title: str, detail: str, extra: Mapping[str, Any] | None = None) -> JSONResponse:
    body = {"type": f"urn:everleaf:problem:{kind}", "title": title, "status": status, "detail": detail}
    return JSONResponse({**body, **(extra or {})}, status, media_type=MEDIA_TYPE)


def _kind_of(error: EverleafError) -> tuple[int, str, str]:
    fitting = (row[1:] for row in KINDS if isinstance(error, row[0]))
    # Otherwise a CA's or a target's error: its plug-in speaks to workflows, never to this edge.
    return next(fitting, KINDS[-1][1:])


def status_of(error: EverleafError) -> tuple[int, str]:
    """(status, title)."""
    status, _, title = _kind_of(error)
    return status, title


def answer_of(error: EverleafError) -> JSONResponse:
    status, word, title = _kind_of(error)
    extra = {}
    if isinstance(error, BadInput):
        extra["errors"] = [{"field": error.field, "detail": error.problem, "remedy": error.remedy}]
    answer = problem(status, word, title, str(error), extra)
    if status == 401:
        answer.headers["www-authenticate"] = 'Bearer realm="everleaf"'
    if isinstance(error, TooMany):
        answer.headers["retry-after"] = str(error.seconds)
    if status == 503 or isinstance(error, Busy):
        answer.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return answer


async def _everleaf_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EverleafError)
    return answer_of(error)


async def _not_modified(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)
    return Response(status_code=304, headers={"etag": error.etag})


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    word, title = TITLES.get(error.status_code, ("http", "The request was refused"))
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}; GET /v1 lists what there is."
    answer = problem(error.status_code, word, title, detail)
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_field(found) for found in error.errors()]
    first = errors[0]
    told = f"{first['field']}: {first['detail']}. {first['remedy']}"
    return problem(422, "invalid", "The request is wrong", told, {"errors": errors})


def _field(found: Mapping[str, Any]) -> dict[str, str]:
    """Never the input itself: it may hold a code, and it is somebody else's text."""
    path = [str(part) for part in found["loc"]]
    field = ".".join(path[1:]) if found["type"] != "json_invalid" and path[1:] else path[0]
    remedy = REMEDIES.get(found["type"], "See /docs for what may stand there.")
    return {"field": field, "detail": str(found["msg"]), "remedy": remedy}


async def _no_database(request: Request, error: Exception) -> JSONResponse:
    log.warning("no database", extra={"path": request.url.path, "error": type(error).__name__})
    return answer_of(NotReady("The database does not answer. Nothing is lost; try again, or see everleaf status."))


async def _unstorable(request: Request, error: Exception) -> JSONResponse:
    # What came in is what the database cannot hold: all that we store ourselves has been checked before.
    log.warning("unstorable", extra={"path": request.url.path, "error": type(error).__name__})
    told = "A value of this request is too large, or holds characters that cannot be stored."
    return problem(422, "invalid", "The request is wrong", told)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    reference = uuid.uuid4().hex[:12]
    # In the text itself: a plain log shows no extra fields, and the reference is all that the caller has.
    log.error("unexpected, reference %s", reference, exc_info=error, extra={"path": request.url.path})
    told = f"Something went wrong on our side; the log of the API names it under {reference}."
    return problem(500, "unexpected", "Something went wrong", told, {"reference": reference})


def install(app: FastAPI) -> None:
    app.add_exception_handler(NotModified, _not_modified)
    app.add_exception_handler(EverleafError, _everleaf_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    for lost in LOST:
        app.add_exception_handler(lost, _no_database)
    app.add_exception_handler(sqlalchemy.exc.DataError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)
