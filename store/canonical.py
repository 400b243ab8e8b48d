"""The bytes of an event: RFC 8785 restricted to a profile in which every serialiser agrees.

Keys ``[a-z][a-z0-9_]*``; integers within 2^53 - 1; no floats; absent instead of null; instants with six digits; at
most 16 levels and 65,535 bytes.  Enforced when writing, because outside the profile serialisers differ.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

from domain.errors import BadInput

KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
LARGEST_INTEGER = 2**53 - 1
DEEPEST_LEVEL = 16
# C2SP tlog-tiles gives an entry a length of two bytes.
LONGEST_BYTES = 65_535


def instant(at: datetime) -> str:
    """``at`` as ``2026-11-24T03:00:00.000000Z``.  Raises BadInput for a naive one."""
    if at.tzinfo is None:
        raise BadInput("at", "has no time zone", "Every instant is aware.")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one way to write ``value``.  Raises BadInput naming the path of what does not fit the profile."""
    fitting = _fitting(value, "event", 1)
    text = json.dumps(fitting, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    body = text.encode()
    if len(body) > LONGEST_BYTES:
        raise BadInput("event", f"has {len(body)} bytes", f"Keep it below {LONGEST_BYTES}; name larger things by hash.")
    return body


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 || body)."""
    return sha256(b"\x00" + body).digest()


def _fitting(value: object, path: str, level: int) -> object:
    if level > DEEPEST_LEVEL:
        raise BadInput(path, f"is deeper than {DEEPEST_LEVEL} levels")
    if isinstance(value, Mapping):
        return {_key(key, path): _fitting(part, f"{path}.{key}", level + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_fitting(part, f"{path}[{index}]", level + 1) for index, part in enumerate(value)]
    return _scalar(value, path)


def _key(key: object, path: str) -> str:
    if not isinstance(key, str) or not KEY.match(key):
        raise BadInput(path, f"the key {key!r} is not [a-z][a-z0-9_]*", "Put what varies into a value.")
    return key


def _scalar(value: object, path: str) -> object:
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, bool):
        return plain
    if isinstance(plain, int):
        if abs(plain) > LARGEST_INTEGER:
            raise BadInput(path, "is beyond 2^53 - 1", "Write it as a string.")
        return plain
    if isinstance(plain, datetime):
        return instant(plain)
    if isinstance(plain, bytes):
        return plain.hex()
    if isinstance(plain, str):
        if any("\ud800" <= letter <= "\udfff" for letter in plain):
            raise BadInput(path, "holds half a character (a lone surrogate)")
        return plain
    raise BadInput(path, f"is a {type(plain).__name__}", "Events hold integers, strings, booleans, lists and maps.")
