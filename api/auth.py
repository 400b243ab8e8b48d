"""Who may call what: one table of route -> roles, and the door that every route of /v1 stands behind.

To add a route: a function under ``api/routes`` and a row here.  A route without a row lets nobody in.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.parts import parts_of
from api.problems import Unauthenticated, WrongMediaType
from domain.errors import BadInput, NotAllowed
from domain.tiers import Role
from store import access
from store.access import Actor

EVERYBODY = frozenset(Role)
STARTERS = frozenset({Role.AUTOMATION, Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN})
DOERS = frozenset({Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN})
WATCHERS = frozenset({Role.OPERATOR, Role.SECURITY_HEAD})
HEADS = frozenset({Role.SECURITY_HEAD})

# Route (the name of its function, which is its operationId) -> roles.
ROLES: dict[str, frozenset[Role]] = {
    "who_am_i": EVERYBODY,
    "get_status": EVERYBODY,
    "list_certificates": EVERYBODY,
    "get_certificate": EVERYBODY,
    "get_certificate_timeline": EVERYBODY,
    "explain_certificate": EVERYBODY,
    "get_certificate_history": EVERYBODY,
    "list_discoveries": EVERYBODY,
    "get_discovery": EVERYBODY,
    "list_discovery_findings": EVERYBODY,
    "list_approvals": EVERYBODY,
    "get_approval": EVERYBODY,
    "get_order": EVERYBODY,
    "start_discovery": STARTERS,
    "start_renewal": DOERS,
    "upload_certificate": DOERS,
    "answer_question": DOERS,
    "make_message_code": DOERS,
    "acknowledge": WATCHERS,
    "resume": WATCHERS,
    "retire_certificate": HEADS,
    "make_code": HEADS,
    "decide_approval": HEADS,
}
# Beside its roles, a machine whose token was made with --may-decide.
MAY_DECIDE = frozenset({"decide_approval"})

JSON = ("application/json",)
PEM = ("application/x-pem-file", "application/pem-certificate-chain", "text/plain", "application/octet-stream")
# What a route reads that does not read JSON.
READS: dict[str, tuple[str, ...]] = {"upload_certificate": PEM}


def may(route: str, actor: Actor) -> bool:
    return actor.role in ROLES.get(route, frozenset()) or (route in MAY_DECIDE and actor.may_decide)


class Door(APIRoute):
    """Asks for the token, the role and the kind of body before the body is read: a stranger learns nothing of it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def let_in(request: Request) -> Response:
            actor = await authenticate(request)
            if not may(self.name, actor):
                raise NotAllowed(f"{actor.role} may not {self.name.replace('_', ' ')}; ask somebody whose role may.")
            check_text(request)
            check_media_type(request, self.name)
            request.state.actor = actor
            response = await inner(request)
            response.headers.setdefault("cache-control", "no-store")
            response.headers["x-content-type-options"] = "nosniff"
            return response

        return let_in


async def authenticate(request: Request) -> Actor:
    """Raises Unauthenticated; nothing says which part was wrong."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send Authorization: Bearer evl_..., made with `everleaf token create`.")
    actor = await run_in_threadpool(access.authenticate, parts_of(request).engine, token.strip())
    if actor is None:
        raise Unauthenticated("This token is unknown, revoked or too old; make one with `everleaf token create`.")
    return actor


def check_text(request: Request) -> None:
    """Raises BadInput for a NUL in path or query: no text of PostgreSQL holds one.  Bodies: ``schemas``."""
    for field, given in (*request.path_params.items(), *request.query_params.multi_items()):
        if "\0" in str(given):
            raise BadInput(field, "holds a NUL character", "Remove it.")


def check_media_type(request: Request, route: str) -> None:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if not has_body or request.method not in ("POST", "PUT", "PATCH"):
        return
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    reads = READS.get(route, JSON)
    if given not in reads:
        raise WrongMediaType(f"content-type {given!r} is not read here; send {' or '.join(reads)}.")
