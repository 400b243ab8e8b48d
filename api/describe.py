"""The OpenAPI description: what the framework reads off the routes, and what stands behind and before all of them.

``python -m api.describe_file`` writes docs/openapi.json anew.  To add an operation: its example in
``api.examples``, and a line below where it answers more than its kind does.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from api.auth import EVERYBODY, MAY_DECIDE, ROLES, SAFE_METHODS
from api.examples import ANSWERS, BODIES, PARAMETERS, TEXTS
from api.hosts import ANY_NAME
from api.problems import MEDIA_TYPE

Described = dict[str, Any]

CONDITIONAL = {"get_certificate", "get_approval", "get_discovery", "get_policy"}
LISTS = {
    "list_certificates",
    "get_certificate_timeline",
    "list_approvals",
    "list_discoveries",
    "list_discovery_findings",
}
# What is told to a lifecycle, or made for one message to it, may find it decided, retired or busy.
TOLD = {
    *("start_renewal", "resume", "acknowledge", "retire_certificate", "answer_question", "make_message_code"),
    *("decide_approval", "make_code", "upload_certificate"),
}
WATCHED = {"get_discovery", "get_reconciliation"}
SILENT = {"get_directory", "get_liveness"}
MORE: dict[str, tuple[int, ...]] = {"decide_approval": (412,), "get_policy": (404,)}

# Status -> (last part of the type URI, title, when).
PROBLEMS: dict[int, tuple[str, str, str]] = {
    400: ("unknown-host", "Whose name is that?", "The Host is not ours, or the request cannot be read."),
    401: ("unauthenticated", "Who are you?", "No token, or not one of ours."),
    403: ("not-allowed", "Your role may not do that", "The role may not, or four eyes forbid it."),
    404: ("not-found", "There is no such thing", "There is no such thing."),
    409: ("conflict", "It is decided already, or its state does not allow it", "Decided, retired, or busy."),
    412: ("stale", "It has changed since you read it", "The plan has changed since it was read."),
    413: ("too-large", "The body is too large", "The body is too large."),
    414: ("address-too-long", "The address is too long", "Path and query are too long."),
    415: ("unsupported-media-type", "That kind of body is not read here", "Another content-type."),
    422: ("invalid", "The request is wrong", "Each field that is wrong, and what to write."),
    429: ("too-many", "Too many requests", "More than a minute allows this token or session."),
    431: ("headers-too-large", "The headers are too large", "Too many or too large headers."),
    500: ("unexpected", "Something went wrong", "Our fault; `reference` stands in the log of the API."),
    503: ("not-ready", "A part that is needed does not answer", "Database, Temporal or lifecycle does not answer."),
}
PROBLEM: Described = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:everleaf:problem:"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reference": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail", "remedy"],
                "properties": {name: {"type": "string"} for name in ("field", "detail", "remedy")},
            },
        },
    },
}
# Name -> (what it says, its schema, an example).
HEADERS: dict[str, tuple[str, Described, str]] = {
    "ETag": ("What was read; good as If-None-Match.", {"type": "string"}, '"9f86d081884c7d65"'),
    "Link": (
        'RFC 8288: the following page, `rel="next"`; absent on the last.',
        {"type": "string"},
        '</v1/certificates?cursor=WyIy>; rel="next"',
    ),
    "Location": ("Where to watch it.", {"type": "string"}, "/v1/discoveries/3f2a91c07be4"),
    "Retry-After": ("Seconds until it is worth asking again.", {"type": "string", "pattern": "^[0-9]+$"}, "5"),
    "RateLimit": ("draft-ietf-httpapi-ratelimit-headers-11.", {"type": "string"}, '"calls";r=599;t=1'),
    "RateLimit-Policy": ("Calls a minute, in this process.", {"type": "string"}, '"calls";q=3000;w=60'),
    "WWW-Authenticate": ("How to prove who asks.", {"type": "string"}, 'Bearer realm="everleaf"'),
}
PROBLEM_HEADERS = {401: ("WWW-Authenticate",), 409: ("Retry-After",), 429: ("Retry-After",), 503: ("Retry-After",)}
ALWAYS_SENT = {"Location", "RateLimit", "RateLimit-Policy"}


def describe(raw: Described) -> Described:
    """``raw``, as the framework made it, with statuses, headers, examples and roles."""
    components = raw["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"]["Problem"] = PROBLEM
    components["headers"] = {
        name: {"description": told, "schema": schema, "example": example}
        for name, (told, schema, example) in HEADERS.items()
    }
    components["responses"] = {f"Problem{status}": _problem(status) for status in PROBLEMS}
    for path, method, operation in operations(raw):
        _complete(path, method, operation)
    return raw


def operations(described: Described) -> Iterator[tuple[str, str, Described]]:
    """(Path, method, operation)."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def statuses(path: str, method: str, name: str) -> set[int]:
    """The problems that this operation can answer with."""
    found = {414, 431, 500, *MORE.get(name, ())}
    if path not in ANY_NAME:
        found.add(400)
    if name not in SILENT:
        found.add(503)
    if name in ROLES:
        found |= {401, 422, 429}
        if ROLES[name] != EVERYBODY or method not in SAFE_METHODS:
            found.add(403)
    if method not in SAFE_METHODS:
        found |= {413, 415}
    if "{" in path:
        found.add(404)
    if name in TOLD:
        found.add(409)
    return found


def _complete(path: str, method: str, operation: Described) -> None:
    name = operation["operationId"]
    answers = operation["responses"]
    # The framework's own, whose schema is not ours.
    answers.pop("422", None)
    for given, answer in answers.items():
        _complete_answer(name, int(given), answer)
    if name in CONDITIONAL:
        answers["304"] = {"description": "What you have is what there is.", "headers": _headers("ETag")}
    for status in sorted(statuses(path, method, name)):
        answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        content["example"] = BODIES[name] if kind == "application/json" else TEXTS[name]
    if name in ROLES:
        operation["x-roles"] = sorted(role.value for role in ROLES[name])
        operation["description"] += f"\n\nRoles: {_roles(name)}."


def _complete_answer(name: str, status: int, answer: Described) -> None:
    headers = ["RateLimit", "RateLimit-Policy"] if name in ROLES else []
    headers += ["ETag"] if name in CONDITIONAL else []
    headers += ["Link"] if name in LISTS else []
    headers += ["Location", "Retry-After"] if status == 202 else []
    headers += ["Retry-After"] if name in WATCHED else []
    if headers:
        answer["headers"] = _headers(*headers)
    for content in answer.get("content", {}).values():
        content["example"] = ANSWERS[name]


def _headers(*names: str) -> Described:
    shown: Described = {}
    for name in names:
        told, schema, example = HEADERS[name]
        # Not a reference where it is always there: a reference cannot be required in one place and not in another.
        always: Described = {"description": told, "required": True, "schema": schema, "example": example}
        shown[name] = always if name in ALWAYS_SENT else {"$ref": f"#/components/headers/{name}"}
    return shown


def _roles(name: str) -> str:
    machines = ", and machines that may decide" if name in MAY_DECIDE else ""
    return ", ".join(sorted(role.value for role in ROLES[name])) + machines


def _problem(status: int) -> Described:
    kind, title, told = PROBLEMS[status]
    example: Described = {"type": f"urn:everleaf:problem:{kind}", "title": title, "status": status, "detail": told}
    if status == 422:
        example["errors"] = [{"field": "limit", "detail": "0 is not a page size", "remedy": "Write a number from 1."}]
    shown: Described = {
        "description": told,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in PROBLEM_HEADERS:
        shown["headers"] = _headers(*PROBLEM_HEADERS[status])
    return shown


class DescribedApp(FastAPI):
    """The framework's app, whose description is whole."""

    def openapi(self) -> Described:
        if self.openapi_schema is None:
            self.openapi_schema = describe(super().openapi())
        return self.openapi_schema
