"""Lists and single things over HTTP: the address of the following page, and what has not changed since it was read."""

from hashlib import sha256
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.problems import NotModified
from api.schemas import Operation

# How soon it is worth asking again for the outcome of what was accepted.
WATCH_AGAIN_SECONDS = 2


def link_next(request: Request, response: Response, given_back: tuple[str, str | int | None]) -> None:
    """RFC 8288: ``given_back`` = (parameter, its value for the following page; None on the last).  A relative address,
    so that nothing of it depends on the Host header."""
    name, value = given_back
    if value is None:
        return
    query = [(key, said) for key, said in request.query_params.multi_items() if key != name]
    response.headers["link"] = f'<{request.url.path}?{urlencode([*query, (name, str(value))])}>; rel="next"'


def digest(shown: BaseModel) -> str:
    return sha256(shown.model_dump_json().encode()).hexdigest()[:16]


def tag(request: Request, response: Response, etag: str) -> None:
    """Give the answer its ETag.  Raises NotModified where the caller has exactly that already."""
    quoted = f'"{etag}"'
    # Weak comparison, RFC 9110 13.1.2.
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if quoted in known or "*" in known:
        raise NotModified(quoted)
    response.headers["etag"] = quoted


class OperationAnswer(JSONResponse):
    """An operation: 202 says where to watch it, and when to look."""

    def __init__(self, content: dict[str, object], status_code: int = 200, **more: object) -> None:
        super().__init__(content, status_code)
        if status_code == 202:
            self.headers["location"] = str(content["resource"])
            self.headers["retry-after"] = str(WATCH_AGAIN_SECONDS)


def under_way(response: Response, kind: str, resource: str, workflow_id: str) -> Operation:
    """Work that was begun: where it is read, and when to look again."""
    response.headers["location"] = resource
    response.headers["retry-after"] = str(WATCH_AGAIN_SECONDS)
    return Operation(
        id=resource.rpartition("/")[2], kind=kind, status="running", resource=resource, workflow_id=workflow_id
    )
