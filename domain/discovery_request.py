"""What a machine may write to start a discovery; read strictly, for a slip must not come to mean the whole scope."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from domain.contracts import DiscoveryRequest
from domain.errors import BadInput

# A discovery that needs more than this is one of the whole scope: leave the list out.
MOST_ENTRIES = 1000
LONGEST_TEXT = 4096
LONGEST_LABEL = 200
_QUOTES = "'\""
SCHEMA = "docs/discovery-request.schema.json shows every field."


def discovery_request(given: object) -> DiscoveryRequest:
    """``given`` (decoded JSON) as a request; None or nothing in it: the whole scope.  Raises BadInput."""
    if given is None:
        return DiscoveryRequest()
    if not isinstance(given, Mapping):
        raise BadInput("input", f"is {_kind(given)}, not a JSON object", f'Write {{"ports": [443]}}; {SCHEMA}')
    known = {field.name for field in fields(DiscoveryRequest)}
    for name in given:
        if name not in known:
            raise BadInput(
                f"input.{ascii(name)[1:LONGEST_LABEL].rstrip(_QUOTES)}",
                "is not a field of a discovery's request",
                SCHEMA,
            )
    return DiscoveryRequest(**{name: _value(name, value) for name, value in given.items()})


def _value(name: str, value: object) -> Any:
    if name in ("discovery_id", "source"):
        return _text(f"input.{name}", value, LONGEST_LABEL)
    if not isinstance(value, list | tuple):
        raise BadInput(f"input.{name}", f"is {_kind(value)}, not a list", f"Write it in brackets; {SCHEMA}")
    if len(value) > MOST_ENTRIES:
        told = f"holds {len(value)} entries, more than {MOST_ENTRIES}"
        raise BadInput(f"input.{name}", told, "Write wider ones, or leave the list out for the whole scope.")
    return tuple(_entry(name, place, one) for place, one in enumerate(value))


def _entry(name: str, place: int, value: object) -> int | str:
    field = f"input.{name}[{place}]"
    if name != "ports":
        return _text(field, value, LONGEST_TEXT)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise BadInput(field, f"{str(value)[:20]!r} is not a port", "Write a number from 1 to 65535, without quotes.")
    return value


def _text(field: str, value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise BadInput(field, f"is {_kind(value)}, not text", f"Write it in quotes; {SCHEMA}")
    if len(value) > longest or not value.isprintable():
        raise BadInput(field, "is too long, or holds a control character", f"At most {longest} printable characters.")
    return value


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", type(None): "null"}
    return names.get(type(value), "a list" if isinstance(value, list | tuple) else "an object")
