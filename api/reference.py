"""The page at /docs: what can be asked, out of the OpenAPI description; no script, no style, nothing from elsewhere."""

import json
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from typing import Any

from api.auth import MAY_DECIDE, ROLES

HEAD = (
    "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    "<title>Everleaf API</title></head><body><h1>Everleaf API</h1>"
    "<p>Send <code>Authorization: Bearer evl_...</code>; <code>everleaf token create</code> makes one. Errors are "
    "RFC 9457 problems; a list answers <code>items</code> and <code>next_cursor</code>; "
    "<code>Idempotency-Key</code> makes a repetition the same request. "
    "For machines: <a href='/openapi.json'>/openapi.json</a> (OpenAPI 3.1).</p>"
)


def page(described: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI description, by tag, in the order of its paths."""
    rooms: dict[str, list[str]] = defaultdict(list)
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            rooms[operation.get("tags", ["other"])[0]].append(_operation(method, path, operation))
    parts = [f"<h2>{escape(room)}</h2>{''.join(told)}" for room, told in rooms.items()]
    schemas = described.get("components", {}).get("schemas", {})
    parts.append("<h2>schemas</h2>" + "".join(_schema(name, schema) for name, schema in schemas.items()))
    return HEAD + "".join(parts) + "</body></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    name = operation["operationId"]
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    table = f"<table><tr><th>parameter<th>in<th>schema<th></tr>{rows}</table>" if rows else ""
    return (
        f"<details id='{escape(name)}'><summary><code>{escape(method.upper())} {escape(path)}</code> "
        f"{escape(operation.get('summary', name))}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"<p>Roles: {escape(_roles(name))}</p>{table}{_body(operation)}</details>"
    )


def _roles(name: str) -> str:
    if name not in ROLES:
        return "everybody, without a token"
    machines = ", and machines that may decide" if name in MAY_DECIDE else ""
    return ", ".join(sorted(role.value for role in ROLES[name])) + machines


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = json.dumps(parameter.get("schema", {}))
    cells = (parameter["name"], parameter["in"], schema, parameter.get("description", ""))
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells) + "</tr>"


def _body(operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<p>Body <code>{escape(kind)}</code></p><pre>{escape(json.dumps(told.get('schema', {}), indent=2))}</pre>"
        for kind, told in content.items()
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    told = escape(json.dumps(schema, indent=2))
    return f"<details><summary>{escape(name)}</summary><pre>{told}</pre></details>"
