"""Events read back from what is stored of them: the inverse of ``events.plain``, exact for every kind.

A field that an older release did not know yet takes its default; one that this release does not know is refused, for
a state folded without it would not be the truth.
"""

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from domain.contracts import EventRecord
from domain.errors import BadInput
from domain.lifecycle import events as e
from domain.lifecycle import old_events

INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"

KINDS: dict[str, type[e.Event]] = {
    found.kind: found
    for found in (*vars(e).values(), *vars(old_events).values())
    if isinstance(found, type) and issubclass(found, e.Event) and found is not e.Event
}


def happened_of(record: EventRecord) -> e.Happened:
    """The event as it happened.  Raises BadInput naming the field that this release cannot read."""
    made = KINDS.get(record.kind)
    if made is None:
        raise BadInput("kind", f"{record.kind!r} is no event of this release", "Run the release that wrote it.")
    return e.Happened(record.seq, record.at, record.cause, record.by, _whole(made, record.facts, record.kind))


@cache
def _types(made: type) -> dict[str, Any]:
    return get_type_hints(made)


def _whole(made: type, facts: dict[str, Any], path: str) -> Any:
    types = _types(made)
    known = {item.name: item for item in fields(made)}
    strange = sorted(set(facts) - set(known))
    if strange:
        raise BadInput(f"{path}.{strange[0]}", "this release does not know it", "Run the release that wrote it.")
    values = {}
    for name, item in known.items():
        if name in facts:
            values[name] = _value(types[name], facts[name], f"{path}.{name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            # ``plain`` leaves out what is None.
            if NoneType not in get_args(types[name]):
                raise BadInput(f"{path}.{name}", "is missing")
            values[name] = None
    return made(**values)


def _value(kind: Any, stored: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin in (UnionType, Union):
        [inner] = [one for one in get_args(kind) if one is not NoneType]
        return _value(inner, stored, path)
    if origin is tuple:
        return _several(get_args(kind), stored, path)
    if origin is Literal:
        if stored not in get_args(kind):
            raise BadInput(path, f"{stored!r} is no word of this release", "Run the release that wrote it.")
        return stored
    if isinstance(kind, type) and is_dataclass(kind):
        return _whole(kind, stored, path)
    return _scalar(kind, stored, path)


def _several(kinds: tuple[Any, ...], stored: list[Any], path: str) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_value(kinds[0], one, f"{path}[{place}]") for place, one in enumerate(stored))
    return tuple(_value(kind, one, path) for kind, one in zip(kinds, stored, strict=True))


def _scalar(kind: type, stored: Any, path: str) -> Any:
    if kind is datetime:
        return datetime.strptime(stored, INSTANT).replace(tzinfo=UTC)
    if kind is timedelta:
        return timedelta(seconds=stored)
    if issubclass(kind, Enum):
        return kind(stored)
    if type(stored) is not kind:
        raise BadInput(path, f"is a {type(stored).__name__}, not a {kind.__name__}")
    return stored
