"""Who may call what: one table of route -> roles, and the door that every route of /v1 stands behind.

To add a route: a function under ``api/routes`` and a row here.  A route without a row lets nobody in.
"""

from collections.abc import Callable, Coroutine
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.parts import parts_of
from api.problems import NotAskedHere, Unauthenticated, WrongMediaType
from api.rates import count_call
from domain.errors import BadInput, NotAllowed
from domain.tiers import Role
from store import access
from store.access import Actor, Session

EVERYBODY = frozenset(Role)
STARTERS = frozenset({Role.AUTOMATION, Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN})
DOERS = frozenset({Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN})
WATCHERS = frozenset({Role.OPERATOR, Role.SECURITY_HEAD})
ACCESS_KEEPERS = frozenset({Role.SECURITY_HEAD, Role.ADMIN})
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
    "get_reconciliation": EVERYBODY,
    "list_discovery_findings": EVERYBODY,
    "list_approvals": EVERYBODY,
    "get_approval": EVERYBODY,
    "get_order": EVERYBODY,
    "get_policy": EVERYBODY,
    "validate_policy": EVERYBODY,
    "get_metrics": EVERYBODY,
    "follow_events": EVERYBODY,
    "decode_payloads": EVERYBODY,
    "start_discovery": STARTERS,
    "start_reconciliation": DOERS,
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
# Pages -> roles, apart so that the API's directory names what a token may call.
PAGES: dict[str, frozenset[Role]] = {
    "show_situation": EVERYBODY,
    "show_certificates": EVERYBODY,
    "download_certificates": EVERYBODY,
    "show_certificate": EVERYBODY,
    "show_discovery": EVERYBODY,
    "show_policy": EVERYBODY,
    "check_policy_on_page": EVERYBODY,
    "show_access": EVERYBODY,
    "show_help": EVERYBODY,
    "start_on_page": STARTERS,
    "end_session_on_page": ACCESS_KEEPERS,
    "show_approvals": EVERYBODY,
    "show_approval": EVERYBODY,
    "decide_on_page": HEADS,
    "show_code": HEADS,
    "log_out": EVERYBODY,
    "renew_on_page": DOERS,
    "answer_on_page": DOERS,
    "resume_on_page": WATCHERS,
    "acknowledge_on_page": WATCHERS,
    "retire_on_page": HEADS,
}
# Beside its roles, a machine whose token was made with --may-decide.
MAY_DECIDE = frozenset({"decide_approval"})
# Where the role alone is not enough: it must be a person's (four eyes are people), or such a machine.
DECISIONS = MAY_DECIDE | {"make_code", "decide_on_page", "show_code"}

# The browser takes it only over TLS or from this machine itself, for the whole host, and gives it to no script.
COOKIE = "__Host-everleaf"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Where the Temporal UI has large payloads unpacked.  It asks from its own origin and has no token of ours against
# requests from elsewhere; nothing is changed there, and who asks has sent all that is answered.
DECODE_PATH = "/codec/decode"
ENCODE_PATH = "/codec/encode"

JSON = ("application/json",)
FORM = ("application/x-www-form-urlencoded",)
PEM = ("application/x-pem-file", "application/pem-certificate-chain", "text/plain", "application/octet-stream")
YAML = ("application/yaml", "text/plain")
# What a route reads that does not read JSON.
READS: dict[str, tuple[str, ...]] = {"upload_certificate": PEM, "validate_policy": YAML}


def may(route: str, actor: Actor) -> bool:
    by_role = actor.role in (ROLES | PAGES).get(route, frozenset())
    if route not in DECISIONS:
        return by_role
    return actor.may_decide and (by_role or route in MAY_DECIDE)


def why_not(route: str, actor: Actor) -> str:
    if route in DECISIONS and actor.role in HEADS:
        return f"this {actor.role} names no person, so it decides nothing: four eyes are people. {access.NAME_ONE}"
    return f"{actor.role} may not {route.replace('_', ' ')}; ask somebody whose role may."


class Door(APIRoute):
    """Asks for the proof, the role and the kind of body before the body is read: a stranger learns nothing of it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def let_in(request: Request) -> Response:
            actor = request.state.actor = await authenticate(request)
            count_call(request)
            try:
                if not may(self.name, actor):
                    raise NotAllowed(why_not(self.name, actor))
                check_media_type(request, self.name)
                await check_text(request)
                return await inner(request)
            except NotAllowed:
                # By the table above, or by a rule of the route itself: an auditor asks for both.
                await _refused(request, "refused", actor.id, f"{actor.role} asked for {self.name}")
                raise

        return let_in


async def authenticate(request: Request) -> Actor:
    """By bearer token, else by the cookie of a session.  Raises Unauthenticated; nothing says which part was wrong."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        actor = await run_in_threadpool(access.authenticate, parts_of(request).engine, token.strip())
        if actor is None:
            raise Unauthenticated("This token is unknown, revoked or too old; make one with `everleaf token create`.")
        return actor
    session = await session_of(request)
    if session is None:
        raise Unauthenticated("Send Authorization: Bearer evl_..., made with `everleaf token create`.")
    await check_origin(request, session.actor)
    request.state.session = session
    return session.actor


async def session_of(request: Request) -> Session | None:
    cookie = request.cookies.get(COOKIE, "")
    return await run_in_threadpool(access.session_of, parts_of(request).engine, cookie) if cookie else None


def csrf_token(request: Request) -> str:
    """What our own pages send beside the cookie: nobody can compute it without the cookie."""
    return sha256(b"csrf\n" + request.cookies.get(COOKIE, "").encode()).hexdigest()


async def check_origin(request: Request, actor: Actor) -> None:
    """A change asked for with a cookie must come from our own pages.  Raises NotAskedHere, as a security event."""
    if request.method in SAFE_METHODS or request.url.path == DECODE_PATH:
        return
    given = request.headers.get(CSRF_HEADER, "")
    if not given and is_form(request):
        given = str((await request.form()).get("csrf", ""))
    if is_foreign(request) or not compare_digest(given.encode(), csrf_token(request).encode()):
        await _refused(
            request, "cross-site-refused", actor.id, "a change in their browser that our own pages did not ask"
        )
        raise NotAskedHere("Open the page anew and try again.")


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in FORM


def is_foreign(request: Request) -> bool:
    """Whether a browser says that another site's page asks.  Machines say nothing.

    A proxy may ask by another Host than the browser did, which then says the name of ``Parts.api_url``.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    try:
        ours = (request.headers.get("host", ""), urlsplit(parts_of(request).api_url).netloc)
        return origin is not None and urlsplit(origin).netloc not in ours
    except ValueError:
        return True


async def _refused(request: Request, kind: str, actor: str, detail: str) -> None:
    """A security event, at most one a minute of each kind, actor and route: a flood must not fill the store."""

    def write() -> None:
        with parts_of(request).engine.begin() as connection:
            access.record_security_event(connection, kind, actor, detail)

    if request.app.state.refusals.is_due(kind, actor, detail):
        await run_in_threadpool(write)


async def check_text(request: Request) -> None:
    """Raises BadInput for a NUL in path, query or form: no text of PostgreSQL holds one.  JSON: ``schemas``."""
    form = (await request.form()).multi_items() if is_form(request) else ()
    for field, given in (*request.path_params.items(), *request.query_params.multi_items(), *form):
        if "\0" in str(given):
            raise BadInput(field, "holds a NUL character", "Remove it.")


def check_media_type(request: Request, route: str) -> None:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if not has_body or request.method not in ("POST", "PUT", "PATCH"):
        return
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    reads = READS.get(route, FORM if route in PAGES else JSON)
    if given not in reads:
        raise WrongMediaType(f"content-type {given!r} is not read here; send {' or '.join(reads)}.")
